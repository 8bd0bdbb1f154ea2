import keras
import numpy as np
import pytest

from keras_unet.losses import DeepSupervision, WeightedCrossentropy
from keras_unet.metrics import MeanIoU, MeanOfHeads

pytestmark = [pytest.mark.core, pytest.mark.backend]

LABELS = np.array([[[0, 1, 1]]])
HEADS = np.random.default_rng(0).normal(size=(1, 1, 3, 4)).astype("float32")
"""Two heads of two classes."""


def value(x):
    return float(keras.ops.convert_to_numpy(x))


@pytest.mark.parametrize("weights", [None, [1.0, 3.0]])
def test_it_is_the_weighted_mean_of_the_heads(weights):
    one = WeightedCrossentropy()
    pixel_weights = np.array([[[1.0, 0.0, 2.0]]], "float32")
    first, second = (value(one(LABELS, part, pixel_weights)) for part in np.split(HEADS, 2, -1))
    a, b = weights or (1, 1)
    loss = DeepSupervision(one, 2, weights)
    expected = (a * first + b * second) / (a + b)
    assert value(loss(LABELS, HEADS, pixel_weights)) == pytest.approx(expected, rel=1e-6)


def test_any_keras_loss_will_do():
    loss = DeepSupervision(keras.losses.SparseCategoricalCrossentropy(from_logits=True), 2)
    expected = np.mean([value(loss.loss(LABELS, part)) for part in np.split(HEADS, 2, -1)])
    assert value(loss(LABELS, HEADS)) == pytest.approx(expected, rel=1e-6)
    assert value(loss.call(LABELS, HEADS)) == pytest.approx(expected, rel=1e-6)


def test_configuration():
    for made in (
        DeepSupervision(WeightedCrossentropy(ignore_class=-1), 2, [1.0, 2.0]),
        MeanOfHeads(MeanIoU(2, name="iou"), 2),
    ):
        again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(made))
        assert again.get_config() == made.get_config()


def test_the_metric_sees_the_mean_of_the_heads():
    metric, plain = MeanOfHeads(MeanIoU(2, name="iou"), 2), MeanIoU(2)
    metric.update_state(LABELS, HEADS, np.array([[[1.0, 0.0, 2.0]]], "float32"))
    mean = (HEADS[..., :2] + HEADS[..., 2:]) / 2
    plain.update_state(LABELS, mean, np.array([[[1.0, 0.0, 2.0]]], "float32"))
    assert metric.name == "iou"
    assert value(metric.result()) == value(plain.result())
    metric.reset_state()
    metric.update_state(LABELS, np.tile(np.eye(2)[LABELS], 2).astype("float32"))
    assert value(metric.result()) == 1


@pytest.mark.parametrize(
    ("heads", "weights", "message"),
    [
        (0, None, "heads must be a positive integer. Received: heads=0"),
        (2, [1.0], r"weights needs 2 positive numbers, one per head. Received: weights=\[1.0\]"),
        (2, [1.0, 0.0], "weights needs 2 positive numbers"),
    ],
)
def test_errors(heads, weights, message):
    with pytest.raises(ValueError, match=message):
        DeepSupervision(WeightedCrossentropy(), heads, weights)


def test_channels_that_do_not_divide():
    with pytest.raises(
        ValueError, match=r"multiple of heads=3. Received: y_pred.shape=\(1, 1, 3, 4\)"
    ):
        DeepSupervision(WeightedCrossentropy(), 3)(LABELS, HEADS)
