"""Tiles, mirroring and stitching with networks whose answer is known: they only crop."""

from __future__ import annotations

import math

import numpy as np
import pytest

from keras_unet.geometry.mirrored import mirrored_box
from keras_unet.geometry.tiles import plan_fixed, plan_tiles
from keras_unet.geometry.unet import UNetGeometry
from keras_unet.inference.tiling import predict_tiles, run_tiles

pytestmark = pytest.mark.core

VALID = {"depth": 1, "convs_per_level": 1}  # margin 4, stride 2
SAME = {"depth": 1, "convs_per_level": 1, "padding": "same"}


def crop_network(geometry: UNetGeometry, shift: float = 0.0):
    """The identity (plus a constant) as a network of this geometry."""
    margin = geometry.margin if geometry.padding == "valid" else 0

    def run(batch: np.ndarray) -> np.ndarray:
        for size in batch.shape[1:-1]:
            geometry.check(size)
        inner = tuple(slice(margin, size - margin) for size in batch.shape[1:-1])
        return batch[(slice(None), *inner)] + np.float32(shift)

    return run


def window_network(geometry: UNetGeometry):
    """Sum over the window of all pixels up to the margin: sees every mirrored pixel."""
    width = 2 * geometry.margin + 1

    def run(batch: np.ndarray) -> np.ndarray:
        for axis in range(1, batch.ndim - 1):
            windows = np.lib.stride_tricks.sliding_window_view(batch, width, axis)
            batch = windows.sum(-1)
        return batch

    return run


def mirrored(image: np.ndarray, *pads: tuple[int, int]) -> np.ndarray:
    """Reference by folded indices (`np.pad` of NumPy 1 is wrong where it folds twice)."""
    for axis, (before, after) in enumerate(pads):
        size = image.shape[axis]
        period = max(2 * size - 2, 1)
        index = np.arange(-before, size + after) % period
        image = image.take(np.minimum(index, period - index) if size > 1 else index, axis)
    return image


CASES = [
    ((1,), VALID, 14),
    ((57,), VALID, 20),
    ((1, 1), VALID, None),
    ((1, 37), VALID, 16),
    ((37, 1), SAME, 16),
    ((2, 3), VALID, None),
    ((33, 70), VALID, 24),
    ((33, 70), SAME, 24),
    ((61, 40), {"depth": 2}, 60),
    ((61, 40), {"depth": 2, "padding": "same"}, (64, 56)),
    ((64, 32), {"depth": 0, "convs_per_level": 1}, 17),
    ((9, 14, 21), VALID, (16, 20, 14)),
    ((9, 14, 21), SAME, 18),
    ((1, 1, 5), VALID, None),
]


@pytest.mark.parametrize(("shape", "options", "max_tile"), CASES)
@pytest.mark.parametrize("batch_size", [1, 4])
def test_identity_network_returns_the_image(shape, options, max_tile, batch_size):
    geometry = UNetGeometry(rank=len(shape), **options)
    image = np.random.default_rng(0).random((*shape, 2), np.float32)
    plan = plan_tiles(shape, geometry, max_tile)
    out = predict_tiles(image, plan, crop_network(geometry, 1.0), batch_size=batch_size)
    np.testing.assert_array_equal(out, image + np.float32(1))


@pytest.mark.parametrize(("shape", "options", "max_tile"), CASES)
def test_written_pixels_see_the_mirrored_image(shape, options, max_tile):
    """Integers, so that sums are exact."""
    options = {**options, "padding": "valid"}
    geometry = UNetGeometry(rank=len(shape), **options)
    image = np.random.default_rng(1).integers(0, 4, (*shape, 1)).astype(np.float32)
    run = window_network(geometry)
    padded = mirrored(image, *[(geometry.margin, geometry.margin)] * len(shape))
    out = predict_tiles(image, plan_tiles(shape, geometry, max_tile), run)
    np.testing.assert_array_equal(out, run(padded[None])[0])


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("before", [0, 1, 4, 23])
@pytest.mark.parametrize("after", [0, 2, 7, 19])
def test_a_box_is_mirrored_as_often_as_needed(size, before, after):
    image = np.arange(size * 3, dtype=np.float32).reshape(size, 3, 1)
    out = mirrored_box(image, ((-before, size + after), (-1, 3)))
    np.testing.assert_array_equal(out, mirrored(image, (before, after), (1, 0)))


def test_a_tile_inside_shows_its_true_neighbours():
    image = np.arange(70, dtype=np.float32).reshape(7, 10, 1)
    out = mirrored_box(image, ((2, 5), (3, 7)))
    np.testing.assert_array_equal(out, image[2:5, 3:7])


class Watched:
    """An array-like that records what is read and written."""

    def __init__(self, array):
        self.array, self.reads, self.writes = array, [], np.zeros(array.shape, int)

    @property
    def shape(self):
        return self.array.shape

    def __getitem__(self, box):
        self.reads.append(math.prod(part.stop - part.start for part in box))
        return self.array[box]

    def __setitem__(self, box, value):
        self.writes[box] += 1
        self.array[box] = value


def test_array_likes_are_read_tile_by_tile_and_written_once():
    geometry = UNetGeometry(**VALID)
    source = Watched(np.random.default_rng(0).integers(0, 9, (41, 58, 1)).astype(np.uint16))
    out = Watched(np.zeros((41, 58, 1), np.float32))
    plan = plan_tiles((41, 58), geometry, 20)
    result = predict_tiles(source, plan, crop_network(geometry), out=out, batch_size=3)
    assert result is out
    np.testing.assert_array_equal(out.array, source.array)
    assert out.writes.min() == out.writes.max() == 1
    assert len(source.reads) == len(plan) > 4
    assert max(source.reads) <= math.prod(plan.tile_shape)


def test_all_batches_have_one_shape_and_share_the_tiles_evenly():
    geometry = UNetGeometry(**VALID)
    shapes = []

    def run(batch):
        shapes.append(batch.shape)
        return crop_network(geometry)(batch)

    plan = plan_tiles((5 * 12, 12), geometry, 20)
    assert len(plan) == 5
    image = np.random.default_rng(0).random((60, 12, 1), np.float32)
    out = predict_tiles(image, plan, run, batch_size=4)
    np.testing.assert_array_equal(out, image)
    assert shapes == [(3, 20, 20, 1)] * 2  # 3 + 2 tiles, not 4 + 1


def test_only_one_batch_is_alive():
    """The same buffer is handed out again, and no output is kept."""
    geometry = UNetGeometry(**VALID)
    seen = set()

    def run(batch):
        seen.add(batch.__array_interface__["data"][0])
        return crop_network(geometry)(batch)

    list(run_tiles(np.zeros((60, 44, 1), np.float32), plan_tiles((60, 44), geometry, 20), run))
    assert len(seen) == 1


def test_progress_counts_tiles():
    geometry = UNetGeometry(**VALID)
    plan = plan_tiles((30, 12), geometry, 20)
    calls = []
    image = np.zeros((30, 12, 1), np.float32)
    predict_tiles(image, plan, crop_network(geometry), progress=lambda *args: calls.append(args))
    assert calls == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize(
    ("shape", "options"), [((33, 70), VALID), ((5, 3), SAME), ((40, 90, 7), VALID)]
)
def test_fixed_tiles(shape, options):
    geometry = UNetGeometry(rank=len(shape), **options)
    tile = tuple(geometry.nearest(20 + 2 * axis)[1] for axis in range(len(shape)))
    plan = plan_fixed(shape, geometry, tile)
    assert plan.tile_shape == tile
    image = np.random.default_rng(0).random((*shape, 1), np.float32)
    np.testing.assert_array_equal(predict_tiles(image, plan, crop_network(geometry)), image)


ILL_CASES = [
    ({"source": np.zeros((12, 12, 1))}, "plan's spatial shape"),
    ({"source": np.zeros((12, 13))}, "plan's spatial shape"),
    ({"batch_size": 0}, "batch_size=0"),
    ({"run": lambda batch: batch}, "geometry does not belong"),
    ({"run": lambda batch: batch[:1, :, 4:-4]}, "geometry does not belong"),
]


@pytest.mark.parametrize(("changes", "message"), ILL_CASES)
def test_errors(changes, message):
    geometry = UNetGeometry(**VALID)
    arguments = {
        "source": np.zeros((12, 13, 1), np.float32),
        "run": crop_network(geometry),
        "batch_size": 1,
        **changes,
    }
    plan = plan_tiles((12, 13), geometry)
    with pytest.raises(ValueError, match=message):
        predict_tiles(plan=plan, **arguments)


def test_fixed_tile_errors():
    geometry = UNetGeometry(**VALID)
    with pytest.raises(ValueError, match="not a legal input size"):
        plan_fixed((20, 20), geometry, (17, 18))
    with pytest.raises(ValueError, match="pixels of context"):
        plan_fixed((20, 20), UNetGeometry(depth=2, padding="same"), (8, 8))
