"""Images on disk: the same classes as in memory, read and written tile by tile."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from small_networks import PLAIN

from keras_unet import Segmenter
from keras_unet.data import Normalization
from keras_unet.inference import blocks as large, predict_large
from keras_unet.models import UNet
from keras_unet.targets import ClassTarget

pytestmark = [pytest.mark.core, pytest.mark.backend]

SHAPE = (90, 133)


@pytest.fixture(scope="module")
def segmenter():
    keras.utils.set_random_seed(3)
    model = UNet(filters=4, depth=2, dropout=0)
    return Segmenter(model, ClassTarget(weights=None), Normalization("zscore"), max_tile=76)


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).integers(0, 4000, SHAPE).astype(np.uint16)


def test_memory_map_to_memory_map(segmenter, image, tmp_path):
    source = np.memmap(tmp_path / "image.raw", np.uint16, "w+", shape=SHAPE)
    source[:] = image
    classes = np.memmap(tmp_path / "classes.raw", np.uint8, "w+", shape=SHAPE)
    probabilities = np.memmap(tmp_path / "p.raw", np.float16, "w+", shape=(*SHAPE, 2))
    calls = []
    result = predict_large(
        segmenter, source, classes, probabilities, progress=lambda *args: calls.append(args)
    )
    expected = segmenter.predict(image)
    assert result is classes
    np.testing.assert_array_equal(classes, expected.classes)
    np.testing.assert_allclose(probabilities, expected.probabilities, atol=1e-3)
    assert 0 < expected.classes.mean() < 1
    total = len(segmenter.plan(SHAPE))
    assert calls == [(done, total) for done in range(1, total + 1)]
    assert total > 4


def test_zarr(segmenter, image, tmp_path):
    zarr = pytest.importorskip("zarr")
    source = zarr.create_array(tmp_path / "a", shape=SHAPE, chunks=(40, 40), dtype="uint16")
    source[:] = image
    classes = zarr.create_array(tmp_path / "b", shape=SHAPE, chunks=(40, 40), dtype="uint8")
    predict_large(segmenter, source, classes)
    np.testing.assert_array_equal(classes[:], segmenter.predict(image).classes)


class Watched:
    """An array-like that is no array and knows the largest part that was asked for."""

    def __init__(self, array):
        self.array, self.largest = array, 0
        self.shape, self.dtype = array.shape, array.dtype

    def __getitem__(self, box):
        part = self.array[box]
        self.largest = max(self.largest, part.size)
        return part

    def __setitem__(self, box, value):
        self.largest = max(self.largest, np.size(value))
        self.array[box] = value


def test_memory_is_bounded_by_the_tile(segmenter, image, monkeypatch):
    monkeypatch.setattr(large, "SAMPLE_PIXELS", 900)
    source, classes = Watched(image[..., None]), Watched(np.zeros(SHAPE, np.int32))
    predict_large(segmenter, source, classes)
    assert source.largest <= np.prod(segmenter.plan(SHAPE).tile_shape)
    assert classes.largest < 60 * 60
    near = (classes.array == segmenter.predict(image).classes).mean()
    assert near > 0.95  # statistics from a sample


def test_given_statistics(segmenter, image):
    classes = np.zeros(SHAPE, np.uint8)
    statistics = segmenter.normalization.statistics(image[..., None])
    predict_large(segmenter, image, classes, statistics=statistics)
    np.testing.assert_array_equal(classes, segmenter.predict(image).classes)


def test_each_pixel_decides_for_itself(segmenter, image):
    """A minimum size would depend on the tiles."""
    target = ClassTarget(weights=None, min_size=10**6)
    strict = Segmenter(segmenter.model, target, segmenter.normalization, max_tile=76)
    classes = np.zeros(SHAPE, np.uint8)
    predict_large(strict, image, classes)
    np.testing.assert_array_equal(classes, segmenter.predict(image).classes)
    assert strict.predict(image).classes.max() == 0


def test_tiles_and_margin_are_those_of_predict(image):
    keras.utils.set_random_seed(3)
    model = UNet(filters=4, depth=2, padding="same", dropout=0)
    segmenter = Segmenter(model, PLAIN, Normalization("zscore"), max_tile=60, margin=0)
    classes, found = np.zeros(SHAPE, np.uint8), np.zeros((*SHAPE, 2), np.float32)
    statistics = segmenter.normalization.statistics(image[..., None])
    predict_large(segmenter, image, classes, found, statistics)
    np.testing.assert_array_equal(found, segmenter.predict(image).probabilities)
    assert (
        np.abs(found - segmenter.replace(margin="full").predict(image).probabilities).max() > 1e-4
    )


GOOD = np.zeros(SHAPE, np.uint8)
ILL_CASES = [
    ({"source": "slide.zarr"}, "array-like with a shape. Received: a str"),
    ({"source": np.zeros((5, 6, 7, 1))}, "image must be"),
    ({"source": np.zeros((*SHAPE, 3))}, "grey first"),
    ({"source": np.full(SHAPE, np.nan)}, "NaN"),
    ({"destination": np.zeros((90, 132), np.uint8)}, r"shape \(90, 133\).*\(90, 132\)"),
    ({"destination": np.zeros(SHAPE, np.float32)}, "dtype integer.*float32"),
    ({"probabilities": np.zeros(SHAPE, np.float32)}, r"shape \(90, 133, 2\)"),
    ({"probabilities": np.zeros((*SHAPE, 2), np.uint8)}, "dtype floating.*uint8"),
]


@pytest.mark.parametrize(("changes", "message"), ILL_CASES)
def test_errors(segmenter, changes, message):
    with pytest.raises(ValueError, match=message):
        predict_large(segmenter, **{"source": GOOD, "destination": GOOD.copy(), **changes})


def test_nan_that_the_sample_has_not_seen(segmenter, image, monkeypatch):
    monkeypatch.setattr(large, "SAMPLE_PIXELS", 900)
    source = image.astype(np.float32)
    source[1, 1] = np.nan
    with pytest.raises(ValueError, match="1 NaN or infinite"):
        predict_large(segmenter, source, np.zeros(SHAPE, np.uint8))


def test_grey_and_alpha_for_colour_networks():
    keras.utils.set_random_seed(3)
    model = UNet(input_shape=(None, None, 3), filters=2, depth=1, dropout=0)
    colour = Segmenter(model, ClassTarget(weights=None), max_tile=36)
    random = np.random.default_rng(1)
    for shape in ((23, 40), (23, 40, 1), (23, 40, 4)):
        image, classes = random.integers(0, 256, shape, np.uint8), np.zeros((23, 40), np.uint8)
        predict_large(colour, image, classes)
        np.testing.assert_array_equal(classes, colour.predict(image).classes)
        assert 0 < classes.mean() < 1


def test_no_resizing(segmenter):
    coarse = Segmenter(segmenter.model, resolution=0.5)
    with pytest.raises(ValueError, match=r"does not resize; store.*Received: resolution=0\.5"):
        predict_large(coarse, GOOD, GOOD.copy())


def test_no_augmentation(segmenter):
    turned = Segmenter(segmenter.model, tta="d4")
    with pytest.raises(ValueError, match="tta='d4'"):
        predict_large(turned, GOOD, GOOD.copy())
