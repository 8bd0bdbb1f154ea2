import numpy as np
import pytest
from hypothesis import example, given, settings, strategies as st

from keras_unet.objects import close_gaps, separate_touching

pytestmark = pytest.mark.core

CASES = [
    # instances, separated
    ([[1, 1, 2, 2]], [[1, 1, 0, 2]]),
    ([[2, 2, 1, 1]], [[2, 0, 1, 1]]),  # the larger id gives way
    ([[1, 1, 0, 2]], [[1, 1, 0, 2]]),
    ([[1, 1, 1, 1]], [[1, 1, 1, 1]]),
    ([[1, 1], [1, 1], [2, 2], [2, 2]], [[1, 1], [1, 1], [0, 0], [2, 2]]),
    ([[1, 1, 0], [0, 0, 2]], [[1, 1, 0], [0, 0, 2]]),  # corners do not touch
    # a cell of one pixel's width keeps it, its neighbours give way
    ([[1, 1, 2, 3, 3]], [[1, 0, 2, 0, 3]]),
    # one pixel wide along both diagonals
    ([[1, 1, 1, 2], [1, 1, 2, 2], [1, 2, 2, 2]], [[1, 1, 1, 0], [1, 1, 0, 2], [1, 0, 2, 2]]),
    ([[2, 1, 1, 1], [2, 2, 1, 1], [2, 2, 2, 1]], [[0, 1, 1, 1], [2, 0, 1, 1], [2, 2, 0, 1]]),
    # nobody can give way
    ([[1, 2, 3]], [[1, 2, 3]]),
    ([[1]], [[1]]),
]

ILL_CASES = [
    ({"instances": np.zeros((2, 3), bool)}, "mask"),
    ({"instances": np.zeros((2, 3), int), "connectivity": 3}, "connectivity=3"),
    ({"instances": np.zeros((2, 3), int), "connectivity": 0}, "connectivity=0"),
    ({"instances": np.zeros((2, 0), int)}, r"shape=\(2, 0\)"),
]


def touching(instances, connectivity):
    """Number of pairs of neighbours with different ids."""
    padded = np.pad(instances, 1)
    count = 0
    for offset in np.ndindex((3,) * instances.ndim):
        steps = np.array(offset) - 1
        if 0 < np.abs(steps).sum() <= connectivity:
            other = np.roll(padded, steps, range(padded.ndim))
            count += ((other != padded) & (other > 0) & (padded > 0)).sum()
    return count


@pytest.mark.parametrize(("instances", "expected"), CASES)
def test_known_gaps(instances, expected):
    result = separate_touching(np.array(instances))
    assert result.dtype == np.int32
    np.testing.assert_array_equal(result, expected)


def test_corners_touch_with_full_connectivity():
    cells = np.array([[1, 1, 0], [1, 1, 0], [0, 0, 2], [0, 0, 2]])
    expected = cells.copy()
    expected[2, 2] = 0
    np.testing.assert_array_equal(separate_touching(cells, connectivity=2), expected)
    np.testing.assert_array_equal(separate_touching(cells), cells)


@pytest.mark.parametrize(("arguments", "message"), ILL_CASES)
def test_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        separate_touching(**arguments)


@settings(max_examples=100, deadline=None)
@given(
    st.integers(0, 2**32),
    st.sampled_from([(13, 17), (20, 9), (5, 6, 7)]),
    st.integers(2, 5),
    st.integers(1, 3),
)
@example(656, (13, 17), 2, 1)  # a cell that would vanish, among ids that are small and huge
@example(7616, (5, 6, 7), 2, 2)  # two ids that would vanish, whoever comes first
def test_thick_cells_do_not_touch_and_none_is_lost(seed, shape, block, connectivity):
    # blocks of random ids, each at least two pixels thick
    rng = np.random.default_rng(seed)
    connectivity = min(connectivity, len(shape))
    coarse = rng.choice([0, 1, 5, 2**31 - 1, 9], [-(-size // block) + 1 for size in shape])
    for axis in range(len(shape)):
        coarse = np.repeat(coarse, block, axis)
    cells = coarse[tuple(slice(block, None) for _ in shape)]
    result = separate_touching(cells, connectivity)
    # cells that would vanish whoever comes first stay whole and may touch each other
    ids = np.unique(cells[cells > 0])
    whole = [i for i in ids if (result == i).sum() == (cells == i).sum()]
    assert touching(np.where(np.isin(result, whole), 0, result), connectivity) == 0
    assert ((result == cells) | (result == 0)).all()
    assert set(np.unique(result)) | {0} == set(np.unique(cells)) | {0}
    if len(whole) < 2:
        assert touching(result, connectivity) == 0
        np.testing.assert_array_equal(separate_touching(result, connectivity), result)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 30))
def test_no_cell_is_lost_however_thin(seed, count):
    rng = np.random.default_rng(seed)
    cells = rng.integers(0, count + 1, (7, 9))
    result = separate_touching(cells, connectivity=2)
    assert set(np.unique(cells[cells > 0])) == set(np.unique(result[result > 0]))


@settings(max_examples=100, deadline=None)
@given(
    st.integers(0, 2**32),
    st.sampled_from([(1, 1), (1, 9), (8, 1), (2, 2), (13, 17), (30, 21)]),
    st.integers(1, 4),
    st.sampled_from([[0, 1, 2, 3], [1, 2, 3], [0, 7, 2**31 - 1, 2**31 - 2], range(40)]),
    st.integers(1, 2),
)
def test_a_plane_gets_what_a_volume_of_one_slice_gets(seed, shape, block, ids, connectivity):
    # planes have compiled code of their own, volumes the general one
    coarse = np.random.default_rng(seed).choice(ids, shape)
    cells = np.kron(coarse, np.ones((block, block), int))
    np.testing.assert_array_equal(
        separate_touching(cells, connectivity), separate_touching(cells[None], connectivity)[0]
    )


def test_window_with_one_pixel_more_equals_the_whole_image():
    rng = np.random.default_rng(0)
    cells = np.kron(rng.integers(0, 6, (8, 9)), np.ones((5, 5), int))
    whole = separate_touching(cells)
    np.testing.assert_array_equal(separate_touching(cells[9:33, 14:37])[1:-1, 1:-1],
                                  whole[10:32, 15:36])  # fmt: skip


def test_input_is_not_changed_and_not_returned():
    for cells in (np.array([[1, 2, 2]], "int32"), np.array([[1, 0, 2]], "int32")):
        copy = cells.copy()
        assert separate_touching(cells) is not cells
        assert not np.shares_memory(separate_touching(cells), cells)
        np.testing.assert_array_equal(cells, copy)


GAP_CASES = [
    ([[1, 1, 0, 2]], [[1, 1, 2, 2]]),
    ([[1], [0], [2]], [[1], [2], [2]]),
    ([[1, 0, 1]], [[1, 0, 1]]),  # a hole is no gap between cells
    ([[1, 0, 0, 2]], [[1, 0, 0, 2]]),  # two pixels wide
    ([[0, 1, 0], [2, 0, 0], [0, 1, 0]], [[2, 1, 0], [2, 2, 0], [2, 1, 0]]),
    ([[[1, 0, 2]]], [[[1, 2, 2]]]),
    ([[0, 0]], [[0, 0]]),
]


@pytest.mark.parametrize(("instances", "expected"), GAP_CASES)
def test_close_gaps(instances, expected):
    result = close_gaps(np.array(instances))
    assert result.dtype == np.int32
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("small", [[[1, 2], [1, 3]], [[1, 2, 2]], [[1], [2], [3]], [[1, 2, 3, 4]]])
def test_close_gaps_inverts_separation(small):
    cells = np.kron(np.array(small), np.ones((4, 5), int))
    closed = close_gaps(separate_touching(cells))
    # only the corner of cell 3 where three cells meet may stay open
    assert (closed != cells).sum() <= (1 if len(small) > 1 and len(small[0]) > 1 else 0)


@pytest.mark.parametrize("function", [separate_touching, close_gaps])
def test_rules_have_no_direction(function):
    cells = np.random.default_rng(0).integers(0, 4, (8, 11)).repeat(2, 0).repeat(3, 1)
    expected = function(cells)
    for turned, back in (
        (cells[::-1], np.flipud),
        (cells[:, ::-1], np.fliplr),
        (cells.T, np.transpose),
    ):
        np.testing.assert_array_equal(back(function(turned)), expected)


def test_close_gaps_checks_its_input():
    with pytest.raises(ValueError, match="mask"):
        close_gaps(np.zeros((2, 3), bool))
