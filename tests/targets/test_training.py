"""Losses and metrics of the targets, on every backend."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_unet.losses.seed_distance import SeedDistance
from keras_unet.metrics.segmentation import ForegroundIoU
from keras_unet.targets import ClassTarget, SeedTarget

pytestmark = [pytest.mark.core, pytest.mark.backend]

CELLS = np.array([[1, 1, 1, 0, 2], [1, 1, 1, 0, 2], [0, 0, 0, 0, 2]])
ANNOTATED = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 1, 1], [1, 1, 1, 0, 0]], bool)


@pytest.mark.parametrize("target", [ClassTarget(), SeedTarget()])
def test_good_logits_have_lower_loss_and_full_iou(target):
    y, weights = (part[None] for part in target.encode(CELLS, annotated=ANNOTATED))
    good = 20.0 * (CELLS > 0)[None, ..., None] - 10
    good = np.concatenate([-good, good] if target.num_outputs == y.ndim - 1 else [good, good], -1)
    if target.target_channels:
        good[..., 1] = y[..., 1]
    else:
        good = np.stack([-10 + 20.0 * (CELLS == 0), -10 + 20.0 * (CELLS > 0)], -1)[None]
    loss, (metric,) = target.loss(), target.metrics()
    assert float(loss(y, good, weights)) < 1e-3
    assert float(loss(y, -good, weights)) > 1
    metric.update_state(y, good)
    assert metric.name == "iou"
    assert float(metric.result()) == 1.0


@pytest.mark.parametrize("target", [ClassTarget(), SeedTarget()])
def test_pixels_that_are_not_annotated_do_not_matter(target):
    y, weights = (part[None] for part in target.encode(CELLS, annotated=ANNOTATED))
    logits = np.random.default_rng(0).normal(size=(1, 3, 5, 2)).astype("float32")
    other = np.where(ANNOTATED[None, ..., None], logits, -3 * logits)
    loss, metrics = target.loss(), (*target.metrics(), *target.metrics())
    assert float(loss(y, logits, weights)) == float(loss(y, other, weights))
    assert float(loss(y, logits)) == float(loss(y, other))  # also without weights
    for metric, values in zip(metrics, (logits, other), strict=True):
        metric.update_state(y, values)
    assert float(metrics[0].result()) == float(metrics[1].result())


def test_seed_distance_by_hand():
    y_true = np.array([[[1.0, 0.5], [0.0, 0.0], [-1.0, 0.0]]])
    y_pred = np.array([[[0.0, 0.75], [0.0, 9.0], [50.0, 9.0]]])
    expected = (2 * (np.log(2) + 3 * 0.25) + 1 * np.log(2)) / 3
    loss = SeedDistance(distance_weight=3.0)
    value = loss(y_true, y_pred, np.array([[2.0, 1.0, 5.0]]))
    np.testing.assert_allclose(float(value), expected, rtol=1e-6)
    probabilities = np.array([[[0.5, 0.75], [0.5, 9.0], [0.9, 9.0]]])
    loss = SeedDistance(distance_weight=3.0, from_logits=False)
    value = loss(y_true, probabilities, np.array([[2.0, 1.0, 5.0]]))
    np.testing.assert_allclose(float(value), expected, rtol=1e-6)
    assert float(loss(np.full((1, 3, 2), -1.0), probabilities)) == 0


def test_seed_distance_is_float32():
    y_true = ops.ones((1, 2, 3, 2), "float16")
    value = SeedDistance()(y_true, ops.full((1, 2, 3, 2), 300.0, "float16"))
    assert keras.backend.standardize_dtype(value.dtype) == "float32"
    np.testing.assert_allclose(float(value), 299.0)


ILL_CASES = [
    (lambda: SeedDistance(distance_weight=-1.0), "distance_weight=-1.0"),
    (lambda: SeedDistance()(np.zeros((1, 2, 3, 1)), np.zeros((1, 2, 3, 2))), "y_true.shape"),
    (lambda: SeedDistance()(np.zeros((1, 2, 3, 2)), np.zeros((1, 2, 3, 3))), "y_pred.shape"),
]


@pytest.mark.parametrize(("call", "message"), ILL_CASES)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_foreground_iou_by_hand():
    metric = ForegroundIoU()
    y_true = np.array([[[1.0, 0.2], [0.0, 0.0], [1.0, 1.0], [-1.0, 0.0]]])
    y_pred = np.array([[[3.0, -9.0], [2.0, 0.0], [1.0, 0.0], [5.0, 5.0]]])
    metric.update_state(y_true, y_pred)
    np.testing.assert_allclose(float(metric.result()), (2 / 3 + 0) / 2, rtol=1e-6)


@pytest.mark.parametrize(
    "thing", [SeedDistance(2.0, from_logits=False), ForegroundIoU(from_logits=False, name="x")]
)
def test_serialization(thing):
    module = keras.losses if isinstance(thing, SeedDistance) else keras.metrics
    again = module.deserialize(module.serialize(thing))
    assert type(again) is type(thing)
    assert again.get_config() == thing.get_config()
