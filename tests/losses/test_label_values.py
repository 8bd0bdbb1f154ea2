"""What counts as a class in every loss and metric: whole numbers in range, of any dtype."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_unet.losses import CrossentropyDice, SeedDistance, SoftDice, Tanimoto
from keras_unet.losses.weighted_crossentropy import REDUCTIONS, WeightedCrossentropy
from keras_unet.metrics import Dice, MeanIoU, PixelAccuracy
from tests.loss_cases import batch, number

pytestmark = [pytest.mark.core, pytest.mark.backend]

LOSSES = [WeightedCrossentropy, SoftDice, CrossentropyDice, Tanimoto]
METRICS = [MeanIoU, Dice, PixelAccuracy]
NO_CLASSES = {
    "smoothed by hand": lambda mask: 0.05 + 0.9 * mask,
    "divided by 256": lambda mask: mask * 255 / 256,
    "below zero": lambda mask: np.where(mask == 0, -0.3, mask),
    "one pixel between": lambda mask: np.where(np.arange(mask.size).reshape(mask.shape), mask, 0.5),
    "a hair above": lambda mask: np.where(
        mask == 1, np.nextafter(np.float32(1), np.float32(2)), mask
    ),
    "not a number": lambda mask: np.where(mask == 1, np.nan, mask),
    "infinite": lambda mask: np.where(mask == 1, np.inf, mask),
}


def value(kind, labels, logits, weights=None, **options):
    """The loss, or the score of the metric."""
    measure = kind(**options)
    if not isinstance(measure, keras.metrics.Metric):
        return number(measure(labels, logits, weights))
    measure.update_state(labels, logits, weights)
    return number(measure.result())


@pytest.mark.parametrize("form", NO_CLASSES)
@pytest.mark.parametrize("num_channels", [1, 2])
@pytest.mark.parametrize("kind", LOSSES + METRICS)
def test_a_label_that_is_not_whole_is_no_class(kind, num_channels, form):
    logits, mask, weights = batch(num_channels)
    labels = NO_CLASSES[form](mask.astype("float32")).astype("float32")
    assert np.isnan(value(kind, labels, logits, weights))
    weights = np.where(labels == mask, weights, 0)
    expected = value(kind, mask, logits, weights)
    assert value(kind, labels, logits, weights) == expected


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("kind", [WeightedCrossentropy, MeanIoU])
def test_labels_of_other_precisions(kind, dtype):
    logits, mask, _ = batch(2)
    whole = ops.cast(ops.convert_to_tensor(mask), dtype)
    assert value(kind, whole, logits) == value(kind, mask, logits)
    assert np.isnan(value(kind, whole * 0.75, logits))


@pytest.mark.parametrize("reduction", REDUCTIONS[:3])
def test_what_is_ignored_is_compared_before_anything_is_rounded(reduction):
    logits, labels, _ = batch(2)
    near = np.where(labels == 1, 2.4, labels)
    options = {"ignore_class": 2, "reduction": reduction}
    assert np.isnan(value(WeightedCrossentropy, near, logits, **options))
    ignored = np.where(labels == 1, 2.0, labels)
    whole = value(WeightedCrossentropy, ignored.astype("int32"), logits, **options)
    assert value(WeightedCrossentropy, ignored, logits, **options) == whole


@pytest.mark.parametrize("dtype", ["uint8", "int8", "bool", "uint32", "int64"])
def test_a_value_to_ignore_that_the_dtype_does_not_hold(dtype):
    logits, labels, _ = batch(2)
    for void in (-1, 255, 1000):
        found = value(WeightedCrossentropy, labels.astype(dtype), logits, ignore_class=void)
        assert found == value(WeightedCrossentropy, labels, logits)


@pytest.mark.skipif(keras.config.backend() == "jax", reason="JAX has 32 bits")
def test_64_bits_are_neither_rounded_nor_wrapped_into_the_range():
    logits, labels, _ = batch(2)
    assert np.isnan(value(WeightedCrossentropy, labels + 1e-12, logits))
    assert np.isnan(value(WeightedCrossentropy, labels.astype("int64") + 2**32, logits))


@pytest.mark.parametrize("kind", [MeanIoU, Dice])
def test_a_score_of_other_classes_is_nan_too(kind):
    metric = kind(num_classes=2, target_class_ids=[1])
    metric.update_state(np.array([[[0.5, 1]]]), np.array([[[[2.0, 1.0], [1.0, 2.0]]]]))
    assert np.isnan(number(metric.result()))
    assert np.isnan(metric.per_class()).all()


def test_the_foreground_of_seeds():
    y = np.array([[[[0.4, 0.5], [1.0, 0.5]]]])
    logits = np.zeros((1, 1, 2, 2), "float32")
    assert np.isnan(number(SeedDistance()(y, logits)))
    assert np.isfinite(number(SeedDistance()(np.round(y), logits)))
