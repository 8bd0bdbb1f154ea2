import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from keras_unet.objects import connected_components, relabel, remove_small, watershed_from_seeds
from keras_unet.objects.instance_maps import dense_ids

pytestmark = pytest.mark.core

MASK = np.array([[1, 0, 1, 1], [0, 1, 0, 0], [0, 0, 0, 1]])

CASES = [
    (1, 0, [[1, 0, 2, 2], [0, 3, 0, 0], [0, 0, 0, 4]]),
    (2, 0, [[1, 0, 1, 1], [0, 1, 0, 0], [0, 0, 0, 2]]),
    (1, 2, [[0, 0, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0]]),
    (2, 4, [[1, 0, 1, 1], [0, 1, 0, 0], [0, 0, 0, 0]]),
    (2, 5, np.zeros((3, 4))),
]


@pytest.mark.parametrize(("connectivity", "min_size", "expected"), CASES)
@pytest.mark.parametrize("dtype", [bool, "uint8", "float32"])
def test_connected_components(connectivity, min_size, expected, dtype):
    result = connected_components(MASK.astype(dtype), connectivity, min_size)
    assert result.dtype == np.int32
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize(("connectivity", "count"), [(1, 3), (2, 2), (3, 1)])
def test_connectivity_in_space(connectivity, count):
    mask = np.zeros((3, 4, 5), bool)
    mask[0, 0, 0] = mask[0, 1, 1] = mask[1, 2, 2] = True  # an edge apart, then a corner
    assert connected_components(mask, connectivity).max() == count


def test_connected_components_along_a_line():
    np.testing.assert_array_equal(connected_components(np.array([1, 0, 1, 1])), [1, 0, 2, 2])


@pytest.mark.parametrize("connectivity", [0, 3, 1.5, None])
def test_connectivity_must_fit_the_rank(connectivity):
    with pytest.raises(ValueError, match=r"connectivity must be between 1 .* Received"):
        connected_components(MASK, connectivity)


def test_components_of_a_scalar():
    with pytest.raises(ValueError, match="connectivity must be between"):
        connected_components(np.array(1))


BIG = 2**31 - 1


def test_remove_small_keeps_order_and_numbers_anew():
    cells = np.array([[BIG, BIG, 0, 3], [5, 5, 5, 0]])
    np.testing.assert_array_equal(remove_small(cells, 2), [[2, 2, 0, 0], [1, 1, 1, 0]])
    np.testing.assert_array_equal(remove_small(cells, 0), [[3, 3, 0, 1], [2, 2, 2, 0]])
    np.testing.assert_array_equal(remove_small(cells, 4), np.zeros((2, 4)))


@pytest.mark.parametrize(
    "cells",
    [
        np.array([[0, 3, 3], [9, 0, 3]]),
        np.array([[2, 3, 3], [9, 2, 3]]),  # no background
        np.array([[0, BIG, 3], [9, 0, 3]]),  # too sparse to count
        np.array([[BIG, BIG - 1, 3]]),
        np.zeros((2, 3), int),
    ],
)
def test_dense_ids(cells):
    dense, ids = dense_ids(cells)
    assert ids[0] == 0
    assert (np.diff(ids) > 0).all()
    np.testing.assert_array_equal(ids[dense], cells)
    result = relabel(cells)
    assert result.dtype == np.int32
    np.testing.assert_array_equal(result, dense)


def test_instances_are_checked():
    for function in (relabel, lambda cells: remove_small(cells, 1)):
        with pytest.raises(ValueError, match="integer ids"):
            function(np.zeros((2, 3), bool))


# watershed


def flood(landscape, seeds, mask=None, connectivity=1):
    landscape = np.array(landscape)
    mask = np.ones(landscape.shape, bool) if mask is None else np.array(mask, bool)
    return watershed_from_seeds(landscape, np.array(seeds), mask, connectivity).tolist()


def test_ridge_divides_basins_and_higher_water_is_not_first():
    assert flood([[0, 1, 5, 1, 0, 0]], [[7, 0, 0, 0, 0, 9]]) == [[7, 7, 7, 9, 9, 9]]


def test_plateau_goes_to_the_nearer_seed():
    assert flood([[0] * 7], [[4, 0, 0, 0, 0, 0, 8]]) == [[4, 4, 4, 4, 8, 8, 8]]
    plain = np.zeros((5, 9), int)
    seeds = plain.copy()
    seeds[2, 1], seeds[2, 7] = 1, 2
    result = np.array(flood(plain, seeds))
    assert (result[:, :4] == 1).all()
    assert (result[:, 5:] == 2).all()


def test_lowest_pass_wins_over_the_shortest_way():
    landscape = [[0, 9, 5, 0], [1, 1, 1, 0]]
    # from seed 3 the pixel of height 5 is behind a wall of 9, from seed 6 it is next door
    assert flood(landscape, [[3, 0, 0, 6], [0, 0, 0, 0]])[0][2] == 6


def test_does_not_leak_out_of_the_mask():
    mask = [[1, 1, 0, 1, 1], [1, 1, 0, 1, 1]]
    seeds = [[5, 0, 6, 0, 0], [0, 0, 0, 0, 0]]  # the seed in the wall is outside the mask
    assert flood(np.zeros((2, 5)), seeds, mask) == [[5, 5, 0, 0, 0], [5, 5, 0, 0, 0]]


def test_image_border_does_not_wrap():
    seeds = np.zeros((4, 3), int)
    seeds[0, 2], seeds[3, 0] = 1, 2
    mask = np.ones((4, 3), bool)
    mask[1, :2] = mask[2, 1:] = False
    assert flood(np.zeros((4, 3)), seeds, mask) == [[1, 1, 1], [0, 0, 1], [2, 0, 0], [2, 2, 2]]


def test_connectivity_of_the_flood():
    mask = np.eye(4, 5, dtype=bool)
    seeds = np.zeros((4, 5), int)
    seeds[0, 0] = 3
    assert (np.array(flood(np.zeros((4, 5)), seeds, mask)) == seeds).all()
    assert (np.array(flood(np.zeros((4, 5)), seeds, mask, 2)) == 3 * mask).all()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([(1, 9), (8, 11), (4, 5, 6), (13,)]))
def test_every_part_with_a_seed_is_filled_by_connected_instances(seed, shape):
    rng = np.random.default_rng(seed)
    mask = rng.random(shape) < 0.7
    landscape = rng.integers(0, 4, shape)
    seeds = np.where(rng.random(shape) < 0.1, np.arange(1, mask.size + 1).reshape(shape), 0)
    result = watershed_from_seeds(landscape, seeds, mask)
    assert result.dtype == np.int32
    seeds = seeds * mask
    np.testing.assert_array_equal(result[seeds > 0], seeds[seeds > 0])
    parts = connected_components(mask)
    filled = np.isin(parts, np.unique(parts[seeds > 0])) & mask
    np.testing.assert_array_equal(result > 0, filled)
    for i in np.unique(seeds[seeds > 0]):
        assert connected_components(result == i).max() == 1


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 2**32),
    st.sampled_from([(1, 9), (8, 11), (30, 41), (4, 5, 6), (13,)]),
    st.sampled_from(["float32", "float16", "int8", "uint16", "zeros", "infinite"]),
    st.sampled_from([0.02, 0.2, 0.7]),
    st.integers(1, 3),
)
def test_heights_of_32_bits_flood_like_those_of_64(seed, shape, kind, share, connectivity):
    # float64 goes through the general flood
    rng = np.random.default_rng(seed)
    landscape = {
        "zeros": lambda: rng.choice(np.float32([0.0, -0.0, 1.0]), shape),
        "infinite": lambda: rng.choice(np.float32([-np.inf, -2, 0, 3, np.inf]), shape),
    }.get(kind, lambda: (rng.normal(0, 20, shape)).astype(kind))()
    seeds = np.where(rng.random(shape) < share, rng.integers(1, 2**31 - 1, shape), 0)
    mask = rng.random(shape) < rng.choice([0.6, 0.9, 1.0])
    connectivity = min(connectivity, len(shape))
    np.testing.assert_array_equal(
        watershed_from_seeds(landscape, seeds, mask, connectivity),
        watershed_from_seeds(landscape.astype(np.float64), seeds, mask, connectivity),
    )


ILL_CASES = [
    ({"landscape": np.zeros((2, 4))}, "one shape"),
    ({"mask": np.ones((3, 2), bool)}, "one shape"),
    ({"landscape": np.full((2, 3), np.nan)}, "6 NaN"),
    ({"seeds": np.zeros((2, 3), bool)}, "seeds must be integer"),
    ({"connectivity": 3}, "connectivity=3"),
]


@pytest.mark.parametrize(("arguments", "message"), ILL_CASES)
def test_watershed_errors(arguments, message):
    good = {
        "landscape": np.zeros((2, 3)),
        "seeds": np.zeros((2, 3), int),
        "mask": np.ones((2, 3), bool),
    }
    with pytest.raises(ValueError, match=message):
        watershed_from_seeds(**{**good, **arguments})
