"""The rules of every target give the same bits in NumPy and in `keras.ops`."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from keras_unet import targets
from keras_unet.targets.activations import highest, softmax

pytestmark = [
    pytest.mark.core,
    pytest.mark.skipif(keras.config.backend() == "jax", reason="has no float64 by default"),
]

TARGETS = {
    "two classes": targets.ClassTarget(2, threshold=0.3),
    "four classes": targets.ClassTarget(4, threshold=0.6),
    "seeds": targets.SeedTarget(threshold=0.7),
    "multitask": targets.MultitaskTarget(3),
}


def logits(outputs):
    """Usual values, ties, and values where a careless function overflows or gives NaN."""
    values = np.random.default_rng(0).normal(0, 4, (37, 53, outputs)).astype(np.float32)
    values[0], values[1], values[2] = 0, 1000, -1000
    values[3, :, 0], values[4, :, 1] = 300, -300
    return values


@pytest.mark.parametrize("name", TARGETS)
def test_numpy_and_keras_agree_to_the_bit(name):
    target = TARGETS[name]
    given = logits(target.num_outputs)
    maps = target.activate(given)
    tensors = target.activate(keras.ops.convert_to_tensor(given), keras.ops)
    assert maps.dtype == np.float32
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(tensors), maps)
    for rule in ("pixel_classes", "foreground"):
        expected = getattr(target, rule)(maps)
        found = keras.ops.convert_to_numpy(getattr(target, rule)(tensors, keras.ops))
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", TARGETS)
def test_values_are_finite_probabilities(name):
    maps = TARGETS[name].activate(logits(TARGETS[name].num_outputs))
    assert np.isfinite(maps).all()
    assert maps.min() >= 0
    assert maps.max() <= 1


@pytest.mark.parametrize("name", TARGETS)
def test_maps_of_classes_decode_to_these_classes(name):
    target = TARGETS[name]
    classes = np.random.default_rng(0).integers(0, target.num_classes, (6, 9)).astype(np.int32)
    maps = target.maps_of(classes)
    assert maps.shape == (6, 9, target.num_outputs)
    np.testing.assert_array_equal(target.pixel_classes(maps), classes)


def test_by_hand():
    two = targets.ClassTarget(2).activate(np.log(np.array([[1.0, 3.0]])))
    np.testing.assert_allclose(two, [[0.25, 0.75]], rtol=1e-6)
    seeds = targets.SeedTarget().activate(np.array([[0.0, 7.0], [-np.log(3.0), -2.0]]))
    np.testing.assert_allclose(seeds, [[0.5, 1], [0.25, 0]], rtol=1e-6)
    assert targets.ClassTarget(3).foreground(np.array([[0.5, 0.3, 0.2]])) == 0.5


def odd_values(*shape):
    """Random float32 with ties, NaN and infinities."""
    values = np.random.default_rng(0).normal(0, 5, shape).astype(np.float32).round(1)
    values[3, :] = np.nan
    values[4, :, 0], values[5, :, -1], values[6, :] = np.inf, -np.inf, -np.inf
    values[7, :, -1], values[8, :] = np.nan, 0
    return values


@pytest.mark.parametrize("classes", range(1, 12))
@pytest.mark.parametrize("shape", [(19, 3), (150, 131), (9, 4, 5)])
def test_soft_max_has_the_bits_of_the_formula(classes, shape):
    # (150, 131) is more than a block of pixels
    values = odd_values(*shape, classes)
    with np.errstate(invalid="ignore"):
        found = softmax(values)
        exact = values.astype(np.float64)
        powers = np.exp(exact - exact.max(axis=-1, keepdims=True))
        expected = (powers / powers.sum(axis=-1, keepdims=True)).astype(np.float32)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found.view(np.int32), expected.view(np.int32))


@pytest.mark.parametrize("classes", [1, 2, 3, 9])
def test_highest_is_maximum_and_its_first_place(classes):
    values = odd_values(19, 3, classes)
    top, where = highest(values)
    np.testing.assert_array_equal(top, values.max(axis=-1))
    known = ~np.isnan(top)
    assert where.dtype == np.int32
    np.testing.assert_array_equal(where[known], values.argmax(axis=-1)[known])


def test_views_and_single_pixels_have_the_same_soft_max():
    values = odd_values(19, 4, 3)[:, :, ::-1][9:]
    np.testing.assert_array_equal(softmax(values), softmax(values.copy()))
    np.testing.assert_array_equal(softmax(values[0, 0]), softmax(values)[0, 0])
    assert softmax(values[:0]).shape == (0, 4, 3)
