import itertools
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from nearest_cells import naive_distances, random_cells

from keras_unet.objects import two_nearest_distances
from keras_unet.objects.distance import general_squares, two_nearest_squares
from keras_unet.objects.instance_maps import as_instances

pytestmark = pytest.mark.core

INF = np.inf

CASES = [
    # instances, first, second
    ([0, 0, 0], [INF, INF, INF], [INF, INF, INF]),
    ([0, 5, 0], [1, 0, 1], [INF, INF, INF]),
    ([1, 0, 0, 2], [0, 1, 1, 0], [3, 2, 2, 3]),
    ([1, 2, 2, 0], [0, 0, 0, 1], [1, 1, 2, 3]),
    ([[1, 0, 2], [0, 0, 0], [0, 0, 3]], None, [[2, 1, 2], [5**0.5, 2**0.5, 1], [2, 5**0.5, 2]]),
    # three cells in one column: the middle ones hide the third from every other column
    ([[1, 0], [2, 0], [3, 0]], [[0, 1], [0, 1], [0, 1]], [[1, 2**0.5], [1, 2**0.5], [1, 2**0.5]]),
    # two parts of one cell are one cell
    ([[4, 0, 4, 0, 9]], [[0, 1, 0, 1, 0]], [[4, 3, 2, 1, 2]]),
]

ILL_CASES = [
    ({"instances": np.zeros((3, 4), bool)}, "connected_components"),
    ({"instances": np.zeros((3, 4))}, "integers. Received: dtype=float64"),
    ({"instances": np.zeros((0, 4), int)}, r"shape=\(0, 4\)"),
    ({"instances": np.int32(3)}, r"shape=\(\)"),
    ({"instances": np.zeros((1, 2, 3, 4), int)}, r"shape=\(1, 2, 3, 4\)"),
    ({"instances": np.array([-1, 0])}, r"values -1\.\.0"),
    ({"instances": np.array([0, 2**31])}, r"values 0\.\.2147483648"),
    ({"instances": np.array([0, 1]), "spacing": (1.0, 1.0)}, "1 positive numbers"),
    ({"instances": np.array([0, 1]), "spacing": (0.0,)}, "1 positive numbers"),
    ({"instances": np.array([0, 1]), "spacing": (INF,)}, "1 positive numbers"),
    ({"instances": np.array([0, 1]), "max_distance": 0}, "max_distance=0"),
    ({"instances": np.array([0, 1]), "max_distance": float("nan")}, "max_distance=nan"),
]

SHAPES = st.one_of(
    st.tuples(st.integers(1, 12)),
    st.tuples(st.integers(1, 17), st.integers(1, 17)),
    st.tuples(st.integers(1, 6), st.integers(1, 7), st.integers(1, 8)),
)


@pytest.mark.parametrize(("instances", "first", "second"), CASES)
def test_known_distances(instances, first, second):
    d1, d2 = two_nearest_distances(np.array(instances))
    assert d1.dtype == d2.dtype == np.float64
    if first is not None:
        np.testing.assert_array_equal(d1, first)
    np.testing.assert_array_equal(d2, second)


@pytest.mark.parametrize(("arguments", "message"), ILL_CASES)
def test_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        two_nearest_distances(**arguments)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), SHAPES, st.integers(0, 14))
def test_equals_one_transform_per_cell(seed, shape, count):
    cells = random_cells(seed, shape, count)
    for ours, naive in zip(two_nearest_distances(cells), naive_distances(cells), strict=True):
        np.testing.assert_array_equal(ours, naive)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), SHAPES, st.integers(0, 14), st.data())
def test_spacing(seed, shape, count, data):
    cells = random_cells(seed, shape, count)
    spacing = tuple(data.draw(st.floats(0.1, 10)) for _ in shape)
    for ours, naive in zip(
        two_nearest_distances(cells, spacing=spacing),
        naive_distances(cells, spacing),
        strict=True,
    ):
        np.testing.assert_allclose(ours, naive, rtol=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), SHAPES, st.integers(0, 14), st.integers(1, 9))
def test_max_distance_is_included(seed, shape, count, limit):
    cells = random_cells(seed, shape, count)
    for ours, naive in zip(
        two_nearest_distances(cells, max_distance=limit), naive_distances(cells), strict=True
    ):
        np.testing.assert_array_equal(ours, np.where(naive > limit, INF, naive))


@settings(max_examples=100, deadline=None)
@given(
    st.integers(0, 2**32), SHAPES, st.integers(0, 14), st.floats(1, 12), st.floats(0, 12)
)  # fmt: skip
def test_pruned_transform_is_right_where_it_was_asked(seed, shape, count, sum_reach, first_reach):
    cells = random_cells(seed, shape, count)
    wanted = cells == 0
    squares = two_nearest_squares(
        as_instances(cells),
        wanted,
        reach=max(sum_reach, first_reach),
        sum_reach=sum_reach,
        first_reach=first_reach,
    )
    d1, d2 = (np.where(part >= squares.far, INF, np.sqrt(part)) for part in squares.pair)
    naive1, naive2 = naive_distances(cells)
    pair, alone = wanted & (naive1 + naive2 < sum_reach), wanted & (naive1 < first_reach)
    np.testing.assert_array_equal(d1[pair | alone], naive1[pair | alone])
    np.testing.assert_array_equal(d2[pair], naive2[pair])
    assert (d1 + d2 >= naive1 + naive2).all()
    assert (d1[~wanted] == INF).all()


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 2**32),
    st.tuples(st.integers(1, 60), st.integers(1, 300)),
    st.integers(0, 40),
    st.floats(0.3, 105),
    st.floats(0.3, 140),
    st.sampled_from([0.0, 0.7, 12.0, 105.0, INF]),
    st.booleans(),
)
def test_packed_squares_of_planes_equal_the_general_ones(
    seed, shape, count, reach, sum_reach, first_reach, background
):
    cells = as_instances(random_cells(seed, shape, count))
    wanted = cells == 0 if background else np.random.default_rng(seed).random(shape) < 0.7
    packed = two_nearest_squares(cells, wanted, None, reach, sum_reach, first_reach)
    general = general_squares(cells, wanted, reach=reach)
    assert packed.far == general.far
    (d1, d2), (first, second) = packed.pair, general.pair
    assert d1.dtype == d2.dtype == np.int32
    assert max(d1.max(), d2.max()) <= packed.far
    root1, root2 = (np.where(part == general.far, INF, np.sqrt(part)) for part in general.pair)
    pair, alone = root1 + root2 < sum_reach, root1 < first_reach
    np.testing.assert_array_equal(d1[pair | alone], first[pair | alone])
    np.testing.assert_array_equal(d2[pair], second[pair])
    assert (d1 >= first).all()
    assert (d2 >= second).all()


@pytest.mark.parametrize(
    "ids", [[-1, -1, -1], [1, -1, -2], [2**31 - 1, 70_000, 3], [-5, 2**31 - 1, 1], [7, 9, 0]]
)
def test_ids_do_not_matter(ids):
    cells = np.array([0, *ids], np.int32)[random_cells(2, (40, 50), 30) % 4]
    wanted = np.ones(cells.shape, bool)
    found = two_nearest_squares(cells, wanted, reach=20.0).pair
    expected = general_squares(cells, wanted, reach=20.0).pair
    np.testing.assert_array_equal(found, expected)


def test_more_ids_than_fit_into_16_bits():
    cells = np.arange(300 * 300, dtype=np.int32).reshape(300, 300)
    d1, d2 = two_nearest_squares(cells, cells >= 0, reach=9.0).pair
    assert d1[0, 0] == 1  # id 0 is background
    assert d1.sum() == 1
    assert (d2.ravel()[2:] == 1).all()


def test_long_axis_does_not_overflow():
    cells = np.zeros((40_000, 2), np.int32)
    cells[0, 0], cells[0, 1] = 1, 2
    d1, d2 = two_nearest_distances(cells)
    assert (d1[-1, 0], d2[-1, 0]) == (39_999, np.sqrt(39_999**2 + 1))


def test_symmetries():
    cells = random_cells(3, (9, 13), 6)
    d1, d2 = two_nearest_distances(cells)
    for flip in itertools.product((slice(None), slice(None, None, -1)), repeat=2):
        turned = two_nearest_distances(cells[flip].T)
        np.testing.assert_array_equal(turned[0], d1[flip].T)
        np.testing.assert_array_equal(turned[1], d2[flip].T)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "uint64"])
def test_integer_types_and_layouts_agree(dtype):
    cells = (random_cells(1, (10, 14), 5) % 100).astype(dtype)
    expected = two_nearest_distances(cells.astype("int64"))
    for view in (cells, np.asfortranarray(cells), np.repeat(cells, 2, axis=1)[:, ::2]):
        for ours, naive in zip(two_nearest_distances(view), expected, strict=True):
            np.testing.assert_array_equal(ours, naive)


def test_input_is_not_changed():
    cells = random_cells(2, (8, 9), 4).astype("int32")
    copy = cells.copy()
    two_nearest_distances(cells)
    np.testing.assert_array_equal(cells, copy)


def test_memory_does_not_grow_with_the_number_of_cells():
    peaks = []
    for step in (60, 4):
        cells = np.zeros((120, 180), np.int32)
        cells[::step, ::step] = np.arange(1, 1 + cells[::step, ::step].size).reshape(
            cells[::step, ::step].shape
        )
        two_nearest_distances(cells)
        tracemalloc.start()
        two_nearest_distances(cells)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.05 * peaks[0] < 1.05 * 100 * cells.size
