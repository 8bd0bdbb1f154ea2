import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from keras_unet.objects import close_membranes, connected_components

pytestmark = pytest.mark.core

ILL_CASES = [
    ({"depth": 0}, "depth=0"),
    ({"depth": -0.1}, "depth=-0.1"),
    ({"depth": float("nan")}, "depth=nan"),
    ({"depth": 0.3, "sigma": -1}, "sigma=-1"),
    ({"probabilities": np.full((2, 3), np.nan), "depth": 0.3}, "6 NaN"),
    ({"probabilities": np.zeros((0, 3)), "depth": 0.3}, r"shape=\(0, 3\)"),
]


def two_cells(gap):
    """Cells above and below a membrane that is faint in the middle; `gap` is cell there."""
    p = np.full((7, 9), 0.9)
    p[3] = 0.1
    p[3, 4] = gap
    return p


@pytest.mark.parametrize(("gap", "count"), [(0.1, 2), (0.55, 2), (0.65, 1), (0.9, 1)])
def test_faint_membrane_is_closed(gap, count):
    closed = close_membranes(two_cells(gap), depth=0.3)
    assert closed.dtype == np.float32
    assert connected_components(closed > 0.5).max() == count
    changed = closed != two_cells(gap).astype(np.float32)
    assert changed.sum() == (9 if count == 2 else 0)  # the membrane, or nothing
    assert changed[3].sum() == changed.sum()
    assert np.all(closed[changed] == 0)


def test_both_valleys_must_be_deep():
    """A dent in a cell, however long, is no membrane where one side is hardly deeper."""
    p = np.array([[0.9, 0.9, 0.5, 0.6, 0.6]])
    assert np.array_equal(close_membranes(p, depth=0.3), p.astype(np.float32))
    assert close_membranes(p, depth=0.05)[0, 2] == 0


def test_shallow_parts_flow_together_before_they_are_compared():
    """0.8 joins 0.95 over 0.7; both together meet 0.9 at 0.4."""
    p = np.array([[0.95, 0.7, 0.8, 0.4, 0.9]])
    assert np.flatnonzero(close_membranes(p, depth=0.3)[0] == 0).tolist() == [3]


def test_smoothing_takes_noise_away():
    p = two_cells(0.55)
    p[0, 0] = p[0, 2] = 0.1  # specks in a corner cut off one pixel
    p[1, 1] = 0.1
    assert connected_components(close_membranes(p, 0.3) > 0.5).max() > 2
    assert close_membranes(p, 0.3, sigma=5).min() > 0  # so much smoothing leaves no valley


@given(st.integers(0, 2**32 - 1), st.sampled_from([(31,), (9, 14), (4, 6, 5)]))
@settings(max_examples=30, deadline=None)
def test_dams_keep_deep_valleys_apart(seed, shape):
    """At every pixel that is no dam, at most one of the valleys that meet there is deep."""
    p = np.random.default_rng(seed).random(shape)
    depth = 0.25
    closed = close_membranes(p, depth)
    same = closed != 0
    assert np.array_equal(closed[same], p.astype(np.float32)[same])
    parts = connected_components(same)
    for place in np.argwhere(same):
        level = closed[tuple(place)]
        above = connected_components(closed * (parts == parts[tuple(place)]) > level)
        tops = [closed[above == part].max() for part in touched(above, place)]
        assert sum(top - level > depth + 1e-6 for top in tops) <= 1


def touched(parts, place):
    """Parts at the face neighbours of a pixel."""
    found = set()
    for axis in range(parts.ndim):
        for step in (-1, 1):
            other = place.copy()
            other[axis] += step
            if 0 <= other[axis] < parts.shape[axis]:
                found.add(int(parts[tuple(other)]))
    return found - {0}


@pytest.mark.parametrize(("arguments", "message"), ILL_CASES)
def test_ill_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        close_membranes(**{"probabilities": np.ones((2, 3)), **arguments})
