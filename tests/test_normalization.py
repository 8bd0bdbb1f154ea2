"""Normalization: the numbers by hand, any dtype, and the degenerate images."""

from __future__ import annotations

import json

import numpy as np
import pytest

from keras_unet import normalization as module
from keras_unet.data import Normalization

pytestmark = pytest.mark.core

MODES = ["percentile", "unit", "zscore", "none"]
INTEGERS = ["uint8", "uint16", "int8", "int16", "uint32", "int32"]


def column(*values, dtype=np.uint8):
    return np.array(values, dtype).reshape(1, -1, 1)


def test_unit_by_hand():
    normalized = Normalization("unit")(column(0, 51, 255)).ravel()
    np.testing.assert_allclose(normalized, [0, 0.2, 1], rtol=1e-6)
    assert normalized[2] == 1
    assert Normalization("unit")(column(65535, 0, dtype=np.uint16)).max() == 1
    np.testing.assert_allclose(
        Normalization("unit")(column(-32768, 32767, dtype=np.int16)).ravel(), [0, 1]
    )
    np.testing.assert_array_equal(
        Normalization("unit")(column(True, False, dtype=bool)).ravel(), [1, 0]
    )
    half = column(0.5, 1, dtype=np.float32)
    np.testing.assert_array_equal(Normalization("unit")(half), half)


def test_percentile_by_hand():
    """0 to 100 in steps of one: the percentiles are the values."""
    image = np.arange(101, dtype=np.uint8).reshape(1, 101, 1)
    offset, scale = Normalization(low=10, high=90).statistics(image)
    assert offset.item() == 10
    assert scale.item() == np.float32(1 / 80)
    normalized = Normalization(low=10, high=90)(image)
    assert normalized[0, 90, 0] == 1
    assert normalized[0, 100, 0] > 1  # nothing is clipped


def test_zscore_by_hand():
    normalized = Normalization("zscore")(column(1, 1, 3, 3)).ravel()
    np.testing.assert_allclose(normalized, [-1, -1, 1, 1])


def test_none_only_converts():
    image = column(0, 7, 60000, dtype=np.uint16)
    normalized = Normalization("none")(image)
    assert normalized.dtype == np.float32
    np.testing.assert_array_equal(normalized, image)


@pytest.mark.parametrize("dtype", [*INTEGERS, "bool", "float16", "float32", "float64"])
@pytest.mark.parametrize("per_channel", [True, False])
def test_percentiles_equal_numpy(dtype, per_channel):
    image = np.random.default_rng(0).integers(0, 100, (13, 17, 2)) ** 1.3 / 4
    image = (image > 20 if dtype == "bool" else image).astype(dtype)
    offset, scale = Normalization(low=3.7, high=99.1, per_channel=per_channel).statistics(image)
    axes = (0, 1) if per_channel else (0, 1, 2)
    low, high = np.percentile(image.astype(np.float64), [3.7, 99.1], axis=axes)
    np.testing.assert_allclose(offset, np.broadcast_to(low, 2), rtol=1e-6)
    np.testing.assert_allclose(scale, np.broadcast_to(1 / (high - low), 2), rtol=1e-6)


def test_negative_integers():
    image = column(*range(-100, 101), dtype=np.int16)
    offset, scale = Normalization(low=0, high=100).statistics(image)
    assert (offset.item(), scale.item()) == (-100, np.float32(1 / 200))


@pytest.mark.parametrize("mode", MODES)
def test_statistics_are_what_the_call_applies(mode):
    image = np.random.default_rng(1).uniform(0, 1, (5, 7, 3)).astype(np.float32)
    normalization = Normalization(mode)
    offset, scale = normalization.statistics(image)
    assert offset.shape == scale.shape == (3,)
    assert offset.dtype == scale.dtype == np.float32
    np.testing.assert_array_equal(normalization(image), (image - offset) * scale)


@pytest.mark.parametrize("mode", ["percentile", "zscore"])
def test_channels_apart_or_together(mode):
    image = np.random.default_rng(2).integers(0, 200, (6, 8, 2), np.uint8)
    brighter = image.astype(np.uint16) * np.array([1, 10], np.uint16)
    apart = Normalization(mode)(brighter)
    np.testing.assert_allclose(apart, Normalization(mode)(image), rtol=1e-5, atol=1e-5)
    offset, scale = Normalization(mode, per_channel=False).statistics(brighter)
    assert offset[0] == offset[1]
    assert scale[0] == scale[1]


@pytest.mark.parametrize("mode", ["percentile", "zscore"])
@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_constant_images_become_zeros(mode, dtype):
    image = np.full((4, 6, 2), 0.1 if "float" in dtype else 9, dtype)
    image[0, 0, 1] = 200  # the second channel is not constant
    normalized = Normalization(mode)(image)
    np.testing.assert_array_equal(normalized[..., 0], 0)
    assert normalized[0, 0, 1] > 0
    assert np.isfinite(normalized).all()


def test_contrast_below_float32_becomes_zeros():
    image = column(1e9, 1e9 + 1e-3, dtype=np.float64)
    np.testing.assert_array_equal(Normalization()(image), 0)
    np.testing.assert_array_equal(Normalization()(column(0, 1e-40, dtype=np.float32)), 0)


def test_few_bright_spots_on_black():
    image = np.zeros((40, 50, 1), np.uint16)
    image[3, 4] = 800  # 0.05 % of the pixels: both percentiles are 0
    normalized = Normalization()(image)
    assert normalized[3, 4, 0] == 1
    assert normalized.sum() == 1


def test_volume():
    image = np.random.default_rng(3).integers(0, 255, (3, 5, 7, 2), np.uint8)
    flat = Normalization()(image.reshape(15, 7, 2))
    np.testing.assert_array_equal(Normalization()(image), flat.reshape(image.shape))


@pytest.mark.parametrize("per_channel", [True, False])
def test_large_float_images_are_sampled_evenly(monkeypatch, per_channel):
    monkeypatch.setattr(module, "MAX_VALUES", 100)
    image = np.random.default_rng(4).uniform(size=(30, 41, 2)).astype(np.float32)
    step = 4 if per_channel else 5  # 1230 and 2460 values
    offset, _ = Normalization(low=25, high=75, per_channel=per_channel).statistics(image)
    axes = (0, 1) if per_channel else (0, 1, 2)
    expected = np.percentile(image[::step, ::step].astype(np.float64), 25, axis=axes)
    np.testing.assert_allclose(offset, np.broadcast_to(expected, 2), rtol=1e-6)


@pytest.mark.parametrize("mode", MODES)
def test_config(mode):
    normalization = Normalization(mode, low=2, high=98.5, per_channel=False)
    config = json.loads(json.dumps(normalization.get_config()))
    assert Normalization.from_config(config) == normalization


ILL_ARGUMENTS = [
    ({"mode": "minmax"}, "mode='minmax'"),
    ({"low": -1}, "low=-1"),
    ({"low": 50, "high": 50}, "low=50, high=50"),
    ({"high": 100.1}, r"high=100\.1"),
]
ILL_IMAGES = [
    ("percentile", np.zeros((4, 5)), r"shape=\(4, 5\)"),
    ("percentile", np.zeros((0, 5, 1)), r"shape=\(0, 5, 1\)"),
    ("none", np.array([[[np.nan, np.inf]]]), "2 NaN or infinite"),
    ("none", np.array([[[1e300]]]), "1 NaN or infinite"),
    ("zscore", np.array([[[1j]]]), "complex"),
    ("zscore", np.array([[["a"]]]), "dtype=<U1"),
    ("unit", np.array([[[0.5, 1.5]]]), r"0\.5 to 1\.5"),
    ("unit", np.array([[[-0.1]]]), r"-0\.1"),
]


@pytest.mark.parametrize(("options", "message"), ILL_ARGUMENTS)
def test_ill_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        Normalization(**options)


@pytest.mark.parametrize(("mode", "image", "message"), ILL_IMAGES)
def test_ill_images(mode, image, message):
    with pytest.raises(ValueError, match=message):
        Normalization(mode)(image)
