"""Every view can be undone, and its shape is known before it is made."""

from __future__ import annotations

import numpy as np
import pytest

from keras_unet.inference.views import MODES, views

pytestmark = pytest.mark.core

CASES = [
    (None, (5,), 1),
    ("flips", (5,), 2),
    (None, (5, 8), 1),
    ("flips", (5, 8), 4),
    ("d4", (5, 8), 8),
    ("paper7", (13, 8), 7),
    ("flips", (3, 5, 8), 8),
    ("d4", (3, 5, 8), 8),
    ("paper7", (3, 13, 8), 7),
]


@pytest.mark.parametrize(("mode", "shape", "count"), CASES)
def test_number_and_shapes(mode, shape, count):
    image = np.random.default_rng(0).random((*shape, 2), np.float32)
    looks = list(views(mode, len(shape)))
    assert len(looks) == count
    np.testing.assert_array_equal(looks[0].apply(image), image)
    for view in looks:
        seen = view.apply(image)
        assert seen.shape == (*view.shape(shape), 2)
        assert view.invert(seen, shape).shape == image.shape


@pytest.mark.parametrize(("mode", "shape", "count"), [c for c in CASES if c[0] != "paper7"])
def test_exact_views_are_different_and_undone_exactly(mode, shape, count):
    image = np.random.default_rng(0).random((*shape, 2), np.float32)
    looks = list(views(mode, len(shape)))
    assert len({view.apply(image).tobytes() + bytes(view.shape(shape)) for view in looks}) == count
    for view in looks:
        np.testing.assert_array_equal(view.invert(view.apply(image), shape), image)


def smooth(shape):
    grid = np.meshgrid(*(np.arange(size) for size in shape), indexing="ij")
    return sum(np.sin(axis / 7 + index) for index, axis in enumerate(grid))[..., None]


@pytest.mark.parametrize("shape", [(40, 57), (3, 40, 57)])
def test_rotations_are_undone(shape):
    """Linear interpolation on the way back: error of h**2 / 8 * second derivative = 0.005."""
    image = smooth(shape).astype(np.float32)
    for view in views("paper7", len(shape)):
        back = view.invert(view.apply(image), shape)
        inner = (..., slice(3, -3), slice(3, -3), slice(None))
        assert np.abs(back - image)[inner].max() < 0.02


def test_rotation_angle_and_mirrored_corners():
    """Values are a plane's height along x: after a turn by 2 pi / 7 it rises along another axis."""
    image = np.tile(np.arange(41, dtype=np.float32), (41, 1))[..., None]
    view = list(views("paper7", 2))[1]
    turned = view.apply(image)[..., 0]
    middle = turned.shape[0] // 2
    patch = turned[middle - 5 : middle + 5, middle - 5 : middle + 5]
    slope_y, slope_x = (float(np.diff(patch, axis=axis).mean()) for axis in (0, 1))
    angle = 2 * np.pi / 7
    assert (slope_y, slope_x) == pytest.approx((np.sin(angle), np.cos(angle)), abs=1e-3)
    assert turned.min() > -1
    assert turned.max() < 41


def test_a_single_pixel_survives():
    image = np.full((1, 1, 3), 0.25, np.float32)
    for mode in MODES:
        for view in views(mode, 2):
            back = view.invert(view.apply(image), (1, 1))
            np.testing.assert_allclose(back, image, atol=1e-6)


ILL_CASES = [("rot90", 2, "tta=None or one of"), ("d4", 1, "this network has 1 axis")]


@pytest.mark.parametrize(("mode", "rank", "message"), ILL_CASES)
def test_errors(mode, rank, message):
    with pytest.raises(ValueError, match=message):
        next(views(mode, rank))
