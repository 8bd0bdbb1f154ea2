"""MeanIoU, Dice and PixelAccuracy by hand and against a NumPy oracle, on every backend."""

import json

import keras
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from keras import ops

from keras_unet.losses import WeightedCrossentropy
from keras_unet.metrics import Dice, MeanIoU, PixelAccuracy
from keras_unet.metrics.segmentation import BLOCK

pytestmark = [pytest.mark.core, pytest.mark.backend]

METRICS = [MeanIoU, Dice, PixelAccuracy]

ILL_ARGUMENTS = [
    (MeanIoU, {"num_classes": 1}, "num_classes must be at least 2"),
    (PixelAccuracy, {"num_classes": 0}, "num_classes must be at least 2"),
    (MeanIoU, {"num_classes": 3, "target_class_ids": [3]}, r"some of 0\.\.2"),
    (Dice, {"num_classes": 3, "target_class_ids": [-1]}, r"some of 0\.\.2"),
    (Dice, {"target_class_ids": []}, r"some of 0\.\.1"),
]

ILL_SHAPES = [
    ((2, 3, 5), (2, 3, 5, 4), None, "num_classes=3 needs as many channels"),
    ((2, 3, 5), (2, 3, 5, 1), None, "num_classes=3 needs as many channels"),
    ((2, 3, 5, 3), (2, 3, 5, 3), None, "argmax"),
    ((2, 5, 3), (2, 3, 5, 3), None, "same batch and spatial sizes"),
    ((2, 3, 5), (2, 3, 5, 3), (2, 5, 3), "sample_weight must be"),
]


def number(tensor):
    return float(ops.convert_to_numpy(tensor))


def scores_for(classes, num_classes):
    """Predictions whose arg max is `classes`."""
    return 3.0 * np.eye(num_classes, dtype="float32")[classes] - 1


def oracle(kind, truth, predicted, weights, num_classes, target=None, empty_score=None):
    """The score by plain counting in float64."""
    if kind is PixelAccuracy:
        return (weights * (truth == predicted)).sum() / max(weights.sum(), 1e-300)
    scores = []
    for k in range(num_classes) if target is None else target:
        hits = (weights * (truth == k) * (predicted == k)).sum()
        both = (weights * (truth == k)).sum() + (weights * (predicted == k)).sum()
        if both > 0:
            scores.append(2 * hits / both if kind is Dice else hits / (both - hits))
        elif empty_score is not None:
            scores.append(empty_score)
    return np.mean(scores) if scores else 0.0


@pytest.mark.parametrize(("metric", "arguments", "message"), ILL_ARGUMENTS)
def test_ill_arguments(metric, arguments, message):
    with pytest.raises(ValueError, match=f"{message}.*Received"):
        metric(**arguments)


@pytest.mark.parametrize(("true", "pred", "weight", "message"), ILL_SHAPES)
def test_ill_shapes(true, pred, weight, message):
    weight = None if weight is None else np.ones(weight)
    with pytest.raises(ValueError, match=f"{message}.*Received"):
        MeanIoU(num_classes=3).update_state(np.zeros(true, int), np.zeros(pred), weight)


def test_by_hand():
    truth = np.array([[[0, 0, 1], [1, 1, 2]]])
    predicted = np.array([[[0, 1, 1], [1, 0, 2]]])
    expected = {  # hits 1, 2, 1; true 2, 3, 1; predicted 2, 3, 1
        MeanIoU: ([1 / 3, 2 / 4, 1], (1 / 3 + 2 / 4 + 1) / 3),
        Dice: ([2 / 4, 4 / 6, 1], (2 / 4 + 4 / 6 + 1) / 3),
        PixelAccuracy: ([1 / 2, 2 / 3, 1], 4 / 6),
    }
    for kind, (per_class, score) in expected.items():
        metric = kind(num_classes=3)
        metric.update_state(truth, scores_for(predicted, 3))
        assert number(metric.result()) == pytest.approx(score, rel=1e-6)
        np.testing.assert_allclose(metric.per_class(), per_class, rtol=1e-12)
        np.testing.assert_array_equal(metric.confusion_matrix(), [[1, 1, 0], [1, 2, 0], [0, 0, 1]])


@settings(max_examples=5 if keras.config.backend() == "jax" else 25, deadline=None)  # it compiles
@given(
    kind=st.sampled_from(METRICS),
    seed=st.integers(0, 2**32 - 1),
    num_classes=st.sampled_from([2, 4]),
    present=st.integers(1, 4),
    shape=st.sampled_from([(2, 7), (3, 2, 5), (1, 2, 3, 4)]),
    weighted=st.booleans(),
    ignore=st.sampled_from([None, -1, 0, 255]),
    empty_score=st.sampled_from([None, 0.0, 1.0]),
    batches=st.integers(1, 2),
)
def test_equals_numpy(
    kind, seed, num_classes, present, shape, weighted, ignore, empty_score, batches
):
    rng = np.random.default_rng(seed)
    shape = (batches * shape[0], *shape[1:])
    truth = rng.integers(0, min(present, num_classes), size=shape)
    predicted = rng.integers(0, min(present, num_classes), size=shape)
    weights = rng.random(shape).astype("float32") * rng.integers(0, 2, size=shape) * 20
    if ignore is not None:
        truth[rng.random(shape) < 0.3] = ignore
    arguments = {} if kind is PixelAccuracy else {"empty_score": empty_score}
    metric = kind(num_classes=num_classes, ignore_class=ignore, **arguments)
    for part in np.split(np.arange(shape[0]), batches):
        weight = weights[part] if weighted else None
        metric.update_state(truth[part], scores_for(predicted, num_classes)[part], weight)
    counted = np.where(truth == ignore, 0, weights if weighted else 1).astype("float64")
    expected = oracle(kind, truth, predicted, counted, num_classes, **arguments)
    assert number(metric.result()) == pytest.approx(expected, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("kind", METRICS)
def test_logits_and_probabilities_of_several_channels(kind):
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(2, 3, 5, 3)).astype("float32")
    truth = rng.integers(0, 3, (2, 3, 5))
    expected = oracle(kind, truth, logits.argmax(-1), np.ones(truth.shape), 3)
    for from_logits, pred in [(True, logits), (False, ops.softmax(ops.convert_to_tensor(logits)))]:
        metric = kind(num_classes=3, from_logits=from_logits)
        metric.update_state(truth, pred)
        assert number(metric.result()) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("kind", METRICS)
def test_logits_and_probabilities_of_one_channel(kind):
    logits = np.array([[[-2.0, -0.1, 0.1], [0.3, 0.7, 3.0]]], "float32")[..., None]
    truth = np.array([[[0, 1, 1], [1, 0, 1]]])
    predicted = np.array([[[0, 0, 1], [1, 1, 1]]])
    expected = oracle(kind, truth, predicted, np.ones(truth.shape), 2)
    for from_logits, pred in [(True, logits), (False, 1 / (1 + np.exp(-logits)))]:
        metric = kind(from_logits=from_logits)
        metric.update_state(truth, pred)
        assert number(metric.result()) == pytest.approx(expected, rel=1e-6)


def test_absent_classes_are_left_out_or_get_the_empty_score():
    truth, predicted = np.array([[[0, 0, 1]]]), np.array([[[0, 0, 0]]])
    for empty_score, expected in [(None, (2 / 3 + 0) / 2), (1, (2 / 3 + 2) / 4), (0, 2 / 3 / 4)]:
        metric = MeanIoU(num_classes=4, empty_score=empty_score)
        metric.update_state(truth, scores_for(predicted, 4))
        assert number(metric.result()) == pytest.approx(expected, rel=1e-6)
        np.testing.assert_allclose(metric.per_class(), [2 / 3, 0, np.nan, np.nan])


@pytest.mark.parametrize("kind", [MeanIoU, Dice])
def test_target_classes(kind):
    truth, predicted = np.array([[[0, 1, 2, 2]]]), np.array([[[0, 1, 1, 2]]])
    metric = kind(num_classes=4, target_class_ids=[1, 3])
    metric.update_state(truth, scores_for(predicted, 4))
    expected = oracle(kind, truth, predicted, np.ones(truth.shape), 4, target=[1, 3])
    assert number(metric.result()) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("kind", METRICS)
def test_nothing_counted_is_zero(kind):
    metric = kind(num_classes=3, ignore_class=255)
    assert number(metric.result()) == 0
    metric.update_state(np.full((1, 2, 3), 255), np.ones((1, 2, 3, 3)))
    assert number(metric.result()) == 0
    assert np.isnan(metric.per_class()).all()


def test_empty_score_with_nothing_counted():
    assert number(Dice(empty_score=1.0).result()) == 1


@pytest.mark.parametrize("kind", METRICS)
def test_label_that_is_no_class_gives_nan_unless_it_has_no_weight(kind):
    truth = np.array([[[0, 255, 1]]], "uint8")
    pred = scores_for(np.array([[[0, 1, 1]]]), 2)
    metric = kind()
    metric.update_state(truth, pred)
    assert np.isnan(number(metric.result()))
    metric.reset_state()
    metric.update_state(truth, pred, np.array([[[1, 0, 1]]]))
    assert number(metric.result()) == 1


@pytest.mark.parametrize("kind", METRICS)
def test_weights_in_the_target(kind):
    truth = np.array([[[0, 1, 1], [1, -1, 0]]])
    weights = np.array([[[1, 2, 3], [0.5, 7, 0]]])
    pred = scores_for(np.array([[[0, 0, 1], [1, 1, 1]]]), 2)
    packed, plain = kind(ignore_class=-1, weights_in_target=True), kind(ignore_class=-1)
    packed.update_state(np.stack([truth, weights], axis=-1), pred)
    plain.update_state(truth[..., None], pred, weights[..., None])
    assert 0 < number(packed.result()) == number(plain.result()) < 1


def test_reset_forgets():
    metric = PixelAccuracy()
    metric.update_state(np.array([[[0, 1]]]), scores_for(np.array([[[1, 0]]]), 2))
    metric.reset_state()
    metric.update_state(np.array([[[0, 1]]]), scores_for(np.array([[[0, 1]]]), 2))
    assert number(metric.result()) == 1


def test_counts_stay_exact_beyond_float32():
    """2**25 pixels, then one at a time: float32 alone would not see them."""
    metric = PixelAccuracy()
    truth = np.array([[[0]]])
    metric.update_state(truth, scores_for(truth, 2), float(2**25))
    for _ in range(3):
        metric.update_state(truth, scores_for(truth, 2))
    metric.update_state(truth, scores_for(1 - truth, 2))
    np.testing.assert_array_equal(metric.confusion_matrix(), [[2**25 + 3, 1], [0, 0]])


def test_a_batch_above_float32s_integers_is_exact():
    truth = np.zeros((5, 3, 2), int)
    weights = np.full(truth.shape, 2.0**23)
    weights[3, 1, 1] = 1
    metric = MeanIoU()
    metric.update_state(truth, scores_for(truth, 2), weights)
    assert metric.confusion_matrix()[0, 0] == 29 * 2**23 + 1


def test_small_weights_do_not_drown():
    """0.1 added pixel by pixel in float32 would be off by per cents at this size."""
    truth = np.zeros((2, 900, 1100), "uint8")
    metric = PixelAccuracy()
    metric.update_state(truth, np.zeros((*truth.shape, 2), "float32"), np.float32(0.1))
    expected = truth.size * float(np.float32(0.1))
    assert metric.confusion_matrix()[0, 0] == pytest.approx(expected, rel=3e-5)


def test_rest_never_exceeds_a_block():
    metric = PixelAccuracy()
    truth = np.zeros((3, 40, 50), int)
    for _ in range(4):
        metric.update_state(truth, scores_for(truth, 2))
    blocks, rest = (ops.convert_to_numpy(metric.counts[i]) for i in range(2))
    assert 0 <= rest.min() <= rest.max() < BLOCK
    assert blocks[0, 0] == 24000 // BLOCK


def test_all_work_in_fit_and_evaluate():
    rng = np.random.default_rng(0)
    images = rng.normal(size=(5, 4, 6, 2)).astype("float32")
    truth = rng.integers(-1, 2, (5, 4, 6))
    weights = rng.random(truth.shape).astype("float32")
    model = keras.Sequential([keras.Input((None, None, 2)), keras.layers.Conv2D(2, 1)])
    plain, weighted = (
        [kind(ignore_class=-1, name=f"{name}_{kind.__name__}") for kind in METRICS]
        for name in ("plain", "weighted")
    )
    # (Keras's own cross-entropy with ignore_class changes the weights in place on PyTorch.)
    loss = WeightedCrossentropy(ignore_class=-1)
    model.compile("sgd", loss, metrics=plain, weighted_metrics=weighted)
    model.fit(images, truth, sample_weight=weights, batch_size=2, verbose=0)
    logs = model.evaluate(
        images, truth, sample_weight=weights, batch_size=2, verbose=0, return_dict=True
    )
    predicted = model.predict(images, verbose=0).argmax(-1)
    valid = (truth >= 0).astype("float64")
    for kind in METRICS:
        expected = oracle(kind, truth, predicted, valid, 2)
        assert logs[f"plain_{kind.__name__}"] == pytest.approx(expected, rel=1e-5)
        expected = oracle(kind, truth, predicted, valid * weights, 2)
        assert logs[f"weighted_{kind.__name__}"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="XLA is TensorFlow's option")
def test_compiles_with_unknown_sizes():
    import tensorflow as tf

    truth = np.array([[[0, 1, -1], [1, 1, 0]]], "int32")
    pred = scores_for(np.array([[[0, 1, 0], [0, 1, 1]]]), 2)
    metric = MeanIoU(ignore_class=-1)
    signature = [tf.TensorSpec([None] * 3, tf.int32), tf.TensorSpec([None] * 3 + [2], tf.float32)]
    tf.function(metric.update_state, jit_compile=True, input_signature=signature)(truth, pred)
    np.testing.assert_array_equal(metric.confusion_matrix(), [[1, 1], [1, 2]])


def test_half_precision_policy_keeps_float32():
    keras.config.set_floatx("float16")
    try:
        metric = MeanIoU()
        metric.update_state(np.zeros((1, 300, 400), int), np.zeros((1, 300, 400, 2), "float16"))
        result = metric.result()
    finally:
        keras.config.set_floatx("float32")
    assert keras.backend.standardize_dtype(result.dtype) == "float32"
    assert metric.confusion_matrix()[0, 0] == 120000  # above float16's largest


@pytest.mark.parametrize(
    "metric",
    [
        MeanIoU(3, False, 255, True, (1, 2), 1.0, "iou"),
        Dice(4, False, -1, True, [0], 0.0, "f1"),
        PixelAccuracy(5, False, 0, True, "accuracy"),
        MeanIoU(),
        Dice(),
        PixelAccuracy(),
    ],
)
def test_round_trip(metric):
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(metric)))
    again = keras.saving.deserialize_keras_object(config)
    assert type(again) is type(metric)
    assert again.get_config() == metric.get_config()
