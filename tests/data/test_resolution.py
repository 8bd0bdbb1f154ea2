"""Other grids of pixels: values by hand, every dtype, and nothing that moves."""

from __future__ import annotations

import numpy as np
import pytest

from keras_unet.data.resolution import (
    resize_image,
    resize_labels,
    resize_maps,
    resize_sample,
    working_shape,
)
from keras_unet.sample import Sample

pytestmark = pytest.mark.core

FACTORS = [0.23, 0.25, 1 / 3, 0.5, 0.7, 1.5, 2.0, 3.0]


def row(*values, dtype=np.float32):
    """An image of one row."""
    return np.array([values], dtype)[..., None]


def spot(shape, centre, width):
    """A bell-shaped spot at a place that need not be a pixel's centre."""
    grid = np.ogrid[tuple(slice(size) for size in shape)]
    squares = sum((axis - at) ** 2 for axis, at in zip(grid, centre, strict=True))
    return np.exp(-squares / (2 * width**2)).astype(np.float32)


def centroid(values, shape):
    """Centre of mass in pixels of a grid of another shape that covers the same area."""
    grid = np.indices(values.shape) + 0.5
    places = (grid * values).reshape(values.ndim, -1).sum(axis=1) / values.sum()
    return places * np.array(shape) / values.shape - 0.5


# === Shapes ===

SHAPES = [
    ((512, 600), 0.5, (256, 300)),
    ((512, 600), 1.0, (512, 600)),
    ((33, 47), 0.3, (10, 14)),
    ((1, 7), 0.05, (1, 1)),
    ((3, 20, 31), 2.0, (6, 40, 62)),
    ((9,), 8, (72,)),
    ((3, 20, 31), [2, 1, 0.5], (6, 20, 16)),
]


@pytest.mark.parametrize(("shape", "resolution", "expected"), SHAPES)
def test_working_shape(shape, resolution, expected):
    assert working_shape(shape, resolution) == expected


def test_slices_far_apart_become_cubes():
    sample = Sample(np.zeros((3, 20, 31, 1), np.uint8), spacing=(2.5, 0.5, 0.5))
    assert resize_sample(sample, (5, 1, 1)).spacing == (0.5, 0.5, 0.5)
    with pytest.raises(ValueError, match=r"one number or 3 of them.*resolution=\[5, 1\]"):
        resize_sample(sample, (5, 1))


@pytest.mark.parametrize("resolution", [0, -1, 0.04, 8.1, float("nan"), float("inf")])
def test_ill_resolutions(resolution):
    sample = Sample(np.zeros((4, 5, 1), np.uint8))
    for call in (
        lambda: working_shape((4, 5), resolution),
        lambda: resize_sample(sample, resolution),
    ):
        with pytest.raises(ValueError, match=r"between 0.05 and 8.*Received: resolution="):
            call()


# === Values ===


def test_shrinking_averages_areas():
    image = row(0, 2, 10, 14)
    np.testing.assert_array_equal(resize_image(image, (1, 2)), row(1, 12))
    # Three pixels become two: each takes half of the middle one.
    np.testing.assert_allclose(resize_image(row(3, 6, 12), (1, 2)), row(4, 10), rtol=1e-6)


def test_nothing_finer_than_the_grid_is_left():
    stripes = np.tile(np.float32([0, 100]), (6, 40))[..., None]
    np.testing.assert_array_equal(resize_image(stripes, (6, 20)), np.full((6, 20, 1), 50))


def test_enlarging_is_cubic_and_keeps_to_the_range():
    parabola = np.arange(8.0) ** 2
    result = resize_image(row(*parabola, dtype=np.float64), (1, 16))[0, :, 0]
    centres = (np.arange(16) + 0.5) / 2 - 0.5
    np.testing.assert_allclose(result[3:-3], centres[3:-3] ** 2, atol=1e-12)
    step = resize_image(row(0, 0, 0, 200, 200, 200, dtype=np.uint8), (1, 24))[0, :, 0]
    assert step.dtype == np.uint8
    assert (step.min(), step.max()) == (0, 200)
    assert (np.diff(step.astype(int)) >= 0).all()


def test_one_axis_shrinks_while_the_other_grows():
    image = np.arange(4, dtype=np.float32)[:, None, None] * np.ones((4, 2, 1), np.float32)
    result = resize_image(image, (2, 6))
    np.testing.assert_allclose(result[..., 0], [[0.5] * 6, [2.5] * 6], rtol=1e-6)


DTYPES = ["bool", "uint8", "int8", "uint16", ">u2", "int32", "uint32", "int64"]


@pytest.mark.parametrize("shape", [(3, 4), (5, 7), (12, 18), (20, 4)])
@pytest.mark.parametrize("dtype", [*DTYPES, "float16", "float32", "float64"])
def test_every_dtype_and_number_of_channels_is_kept(dtype, shape):
    for channels in (1, 2, 5):
        image = np.random.default_rng(0).integers(0, 2, (6, 9, channels)).astype(dtype)
        image[..., 0] = 1
        result = resize_image(image, shape)
        assert result.shape == (*shape, channels)
        assert result.dtype == np.dtype(dtype)
        np.testing.assert_array_equal(result[..., 0], np.ones(shape))
        assert 0 <= result.min() <= result.max() <= 1


def test_integers_are_rounded():
    np.testing.assert_array_equal(
        resize_image(row(0, 1, 3, 4, 7, 7, dtype=np.int32) * 10**8 - 10**8, (1, 2)),
        row(33333333, 500000000, dtype=np.int32),
    )
    assert resize_image(row(0, 1, 1, dtype=np.uint16), (1, 1)).item() == 1


@pytest.mark.parametrize("shape", [(3, 5, 7), (8, 10, 6)])
def test_volumes_equal_their_axes_one_after_the_other(shape):
    volume = np.random.default_rng(1).random((4, 9, 12, 2), np.float32)
    planes = np.stack([resize_maps(plane, shape[1:]) for plane in volume])
    lines = planes.reshape(4, -1, 2)
    expected = resize_maps(lines, (shape[0], lines.shape[1])).reshape(*shape, 2)
    np.testing.assert_allclose(resize_maps(volume, shape), expected, atol=1e-6)


@pytest.mark.parametrize("shape", [(5, 4), (30, 44), (7, 60)])
def test_maps_stay_probabilities(shape):
    maps = np.random.default_rng(2).random((13, 21, 3), np.float32) ** 4
    maps /= maps.sum(axis=-1, keepdims=True)
    result = resize_maps(maps, shape)
    assert result.shape == (*shape, 3)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result.sum(axis=-1), 1, atol=1e-6)
    assert result.min() >= maps.min() - 1e-6
    assert result.max() <= maps.max() + 1e-6


def test_maps_grow_linearly():
    np.testing.assert_allclose(resize_maps(row(0, 1), (1, 4)), row(0, 0.25, 0.75, 1))


def test_labels_by_hand():
    ids = np.array([[0, 0, 0, 7, 7, 7, 9, 9, 9]], np.int32)
    np.testing.assert_array_equal(resize_labels(ids, (1, 3)), [[0, 7, 9]])
    np.testing.assert_array_equal(
        resize_labels(ids[:, 1:5], (2, 8)), [[0, 0, 0, 0, 7, 7, 7, 7]] * 2
    )
    # Centres between two pixels take the later and the earlier one in turn.
    np.testing.assert_array_equal(resize_labels(np.arange(8), (4,)), [1, 2, 5, 6])


@pytest.mark.parametrize("factor", FACTORS)
def test_ids_are_kept(factor):
    ids = np.random.default_rng(3).choice([0, 3, 2**31 - 1], (20, 33)).astype(np.int32)
    result = resize_labels(ids, working_shape(ids.shape, factor))
    assert result.dtype == np.int32
    assert set(np.unique(result)) <= {0, 3, 2**31 - 1}


def test_the_same_shape_costs_nothing():
    image, ids = np.zeros((6, 7, 2), np.uint8), np.zeros((6, 7), np.int32)
    assert resize_image(image, (6, 7)) is image
    assert resize_maps(image, (6, 7)) is image
    assert resize_labels(ids, (6, 7)) is ids


ILL_SHAPES = [(5,), (5, 6, 7), (0, 6)]


@pytest.mark.parametrize("shape", ILL_SHAPES)
def test_ill_shapes(shape):
    image = np.zeros((6, 7, 2), np.float32)
    for call in (
        lambda: resize_image(image, shape),
        lambda: resize_maps(image, shape),
        lambda: resize_labels(image[..., 0], shape),
    ):
        with pytest.raises(ValueError, match=r"2 positive sizes.*\(6, 7\).*Received: shape="):
            call()


# === Alignment ===


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("centre", [(47.5, 59.5), (40.2, 71.9)])
def test_nothing_moves_there_or_back(factor, centre):
    shape = (96, 120)
    image = spot(shape, centre, 7)[..., None]
    there = resize_image(image, working_shape(shape, factor))
    np.testing.assert_allclose(centroid(there[..., 0], shape), centre, atol=0.01)
    back = resize_maps(there, shape)
    np.testing.assert_allclose(centroid(back[..., 0], shape), centre, atol=0.01)


@pytest.mark.parametrize("factor", FACTORS)
def test_labels_lie_where_the_image_does(factor):
    """Over disks at all places between pixels; the usual rounding is 0.5 off at half the size."""
    shape, shifts, random = (60, 75), [], np.random.default_rng(5)
    rows, columns = np.indices(shape)
    for row, column in random.uniform((25, 32), (33, 40), (200, 2)):
        disk = (rows - row) ** 2 + (columns - column) ** 2 < 17**2
        small = resize_labels(disk, working_shape(shape, factor))
        shifts.append(centroid(small, shape) - centroid(disk, shape))
    assert np.abs(np.mean(shifts, axis=0)).max() < 0.1


def test_mirrored_images_give_mirrored_results():
    image = np.random.default_rng(4).random((31, 44, 1), np.float32)
    for shape in ((10, 13), (50, 90)):
        result = resize_image(image[:, ::-1], shape)
        np.testing.assert_allclose(result[:, ::-1], resize_image(image, shape), atol=1e-6)


# === Samples ===


def test_sample():
    ids = np.zeros((12, 18), int)
    ids[3:9, 6:15] = 4
    sample = Sample(
        np.arange(216, dtype=np.uint16).reshape(12, 18, 1),
        ids,
        classes=2 * (ids > 0),
        annotated=np.tile(np.arange(18) < 9, (12, 1)),
        name="a",
        spacing=(0.5, 0.2),
    )
    small = resize_sample(sample, 1 / 3)
    expected = np.zeros((4, 6), int)
    expected[1:3, 2:5] = 4
    np.testing.assert_array_equal(small.instances, expected)
    np.testing.assert_array_equal(small.classes, expected / 2)
    np.testing.assert_array_equal(small.annotated, np.tile(np.arange(6) < 3, (4, 1)))
    np.testing.assert_array_equal(small.image[..., 0], sample.image[1::3, 1::3, 0])
    assert small.image.dtype == np.uint16
    assert small.name == "a"
    assert small.spacing == pytest.approx((1.5, 0.6))


def test_sample_of_a_volume_without_annotation():
    volume = Sample(np.ones((3, 10, 8, 2), np.float32), spacing=(2, 1, 1))
    large = resize_sample(volume, 2)
    assert large.shape == (6, 20, 16)
    assert large.instances is large.classes is large.annotated is None
    assert large.spacing == (1.0, 0.5, 0.5)


def test_sample_at_its_own_size_is_itself():
    sample = Sample(np.zeros((4, 5, 1)))
    assert resize_sample(sample, 1) is sample
