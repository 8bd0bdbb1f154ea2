"""WeightedCrossentropy against numbers done by hand, NumPy and Keras, on every backend."""

import keras
import numpy as np
import pytest
from keras import ops
from loss_cases import LN2, batch, crossentropy, gradient, number, round_trip

from keras_unet.losses import WeightedCrossentropy, pixel_crossentropy

pytestmark = [pytest.mark.core, pytest.mark.backend]

REDUCTIONS = ["mean_per_weight", "sum", "sum_over_batch_size", "none"]

ILL_ARGUMENTS = [
    ({"reduction": "mean"}, "reduction must be one of"),
    ({"class_weights": [[1.0, 2.0]]}, "one per class"),
    ({"class_weights": [1.0, -1.0]}, "finite numbers >= 0"),
    ({"class_weights": [1.0, float("nan")]}, "finite numbers >= 0"),
    ({"class_weights": [0, 0]}, "not all be zero"),
]

ILL_SHAPES = [
    ({}, (2, 3, 5, 3), None, "argmax"),
    ({}, (2, 3), None, "map of class numbers"),
    ({}, (2, 5, 3), None, "same batch and spatial sizes"),
    ({}, (1, 3, 5), None, "same batch and spatial sizes"),
    ({}, (2, 3, 5), (2, 5, 3), "sample_weight must be"),
    ({}, (2, 3, 5), (3,), "sample_weight must be"),
    ({}, (2, 3, 5), (2, 3), "sample_weight must be"),
    ({"weights_in_target": True}, (2, 3, 5), None, "labels and weights"),
    ({"weights_in_target": True}, (2, 3, 5, 1), None, "labels and weights"),
    ({"class_weights": [1, 2]}, (2, 3, 5), None, "class_weights needs 3 numbers"),
]


@pytest.mark.parametrize(("arguments", "message"), ILL_ARGUMENTS)
def test_ill_arguments(arguments, message):
    with pytest.raises(ValueError, match=f"{message}.*Received"):
        WeightedCrossentropy(**arguments)


@pytest.mark.parametrize(("arguments", "true_shape", "weight_shape", "message"), ILL_SHAPES)
def test_ill_shapes(arguments, true_shape, weight_shape, message):
    loss = WeightedCrossentropy(**arguments)
    weights = None if weight_shape is None else np.ones(weight_shape, "float32")
    with pytest.raises(ValueError, match=f"{message}.*Received"):
        loss(np.zeros(true_shape, "int32"), np.zeros((2, 3, 5, 3), "float32"), weights)


def test_prediction_needs_a_spatial_axis():
    with pytest.raises(ValueError, match=r"\(batch, \*spatial, channels\).*Received"):
        WeightedCrossentropy()(np.zeros(2, "int32"), np.zeros((2, 3), "float32"))


@pytest.mark.parametrize(
    ("reduction", "expected"),
    [
        ("mean_per_weight", (1 * LN2 + 3 * np.log(4)) / 4),
        ("sum", 1 * LN2 + 3 * np.log(4)),
        ("sum_over_batch_size", (1 * LN2 + 3 * np.log(4)) / 3),
    ],
)
def test_by_hand(reduction, expected):
    # p(0) = 1/2 where the label is 0; p(1) = 1/4 where it is 1; the third pixel has no weight.
    logits = np.array([[[0, 0], [np.log(3), 0], [7, 0]]], "float32")
    loss = WeightedCrossentropy(reduction=reduction)
    labels, weights = np.array([[0, 1, 1]]), np.array([[1.0, 3.0, 0.0]])
    assert number(loss(labels, logits, weights)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("shape", [(2, 7), (2, 3, 5), (2, 2, 3, 5)])
@pytest.mark.parametrize("num_channels", [1, 2, 4])
def test_map_equals_numpy(num_channels, shape):
    logits, labels, weights = batch(num_channels, shape)
    result = WeightedCrossentropy(reduction=None)(labels, logits, weights)
    expected = weights * crossentropy(logits, labels)
    assert result.shape == shape
    np.testing.assert_allclose(ops.convert_to_numpy(result), expected, rtol=2e-5, atol=1e-5)


@pytest.mark.parametrize("reduction", REDUCTIONS[:3])
def test_all_correct_is_zero(reduction):
    _, labels, weights = batch(3)
    logits = 50.0 * np.eye(3, dtype="float32")[labels]
    loss = WeightedCrossentropy(reduction=reduction)
    assert number(loss(labels, logits, weights)) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("reduction", "keras_reduction"),
    [("mean_per_weight", "mean_with_sample_weight"), ("sum", "sum"), ("sum_over_batch_size",) * 2],
)
@pytest.mark.parametrize("ignore_class", [None, 1])
def test_equals_keras(reduction, keras_reduction, ignore_class):
    logits, labels, weights = batch(3)
    ours = WeightedCrossentropy(reduction=reduction, ignore_class=ignore_class)
    theirs = keras.losses.SparseCategoricalCrossentropy(
        from_logits=True, reduction=keras_reduction, ignore_class=ignore_class
    )
    expected = number(theirs(labels, logits, weights))
    assert number(ours(labels, logits, weights)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("num_channels", [1, 3])
def test_probabilities_equal_logits(num_channels):
    logits, labels, weights = batch(num_channels)
    activation = ops.sigmoid if num_channels == 1 else ops.softmax
    from_logits = WeightedCrossentropy()(labels, logits, weights)
    from_probabilities = WeightedCrossentropy(from_logits=False)(
        labels, activation(ops.convert_to_tensor(logits)), weights
    )
    assert number(from_probabilities) == pytest.approx(number(from_logits), rel=1e-5)


def test_probabilities_of_zero_are_finite():
    probabilities = np.array([[[1.0, 0.0], [0.0, 1.0]]], "float32")
    loss = number(WeightedCrossentropy(from_logits=False)(np.array([[1, 1]]), probabilities))
    assert 5 < loss < 20


@pytest.mark.parametrize("reduction", REDUCTIONS[:3])
def test_unweighted_is_weight_one(reduction):
    logits, labels, _ = batch(3)
    loss = WeightedCrossentropy(reduction=reduction)
    expected = number(loss(labels, logits, np.ones(labels.shape)))
    assert number(loss(labels, logits)) == expected
    assert number(loss(labels, logits, 1)) == expected


@pytest.mark.parametrize("shape", [(2,), (2, 1), (2, 1, 1), (2, 3, 5), (2, 3, 5, 1)])
def test_shapes_of_weights(shape):
    logits, labels, _ = batch(3)
    weights = np.random.default_rng(1).random(shape).astype("float32")
    spread = (
        weights[..., 0] if len(shape) == 4 else weights.reshape(shape + (1,) * (3 - len(shape)))
    )
    spread = np.broadcast_to(spread, labels.shape)
    expected = (spread * crossentropy(logits, labels)).sum() / spread.sum()
    result = number(WeightedCrossentropy()(labels, logits, weights))
    assert result == pytest.approx(expected, rel=1e-5)


def test_constant_weight_scales_the_sum_but_not_the_mean():
    logits, labels, _ = batch(3)
    total, mean = WeightedCrossentropy(reduction="sum"), WeightedCrossentropy()
    assert number(total(labels, logits, 2.5)) == pytest.approx(
        2.5 * number(total(labels, logits)), rel=1e-5
    )
    assert number(mean(labels, logits, 2.5)) == pytest.approx(
        number(mean(labels, logits)), rel=1e-5
    )


@pytest.mark.parametrize("reduction", REDUCTIONS[:3])
def test_no_weight_at_all_is_zero_with_zero_gradient(reduction):
    logits, labels, weights = batch(3)
    loss = WeightedCrossentropy(reduction=reduction)
    assert number(loss(labels, logits, 0 * weights)) == 0
    assert np.array_equal(gradient(loss, labels, logits, 0 * weights), 0 * logits)
    ignored = WeightedCrossentropy(reduction=reduction, ignore_class=-1)
    assert number(ignored(labels * 0 - 1, logits)) == 0
    assert np.array_equal(gradient(ignored, labels * 0 - 1, logits), 0 * logits)


@pytest.mark.parametrize("num_channels", [1, 3])
@pytest.mark.parametrize(("void", "dtype"), [(-1, "int32"), (255, "uint8"), (255.0, "float32")])
def test_ignored_pixels_do_not_count(void, dtype, num_channels):
    logits, labels, weights = batch(num_channels)
    kept = np.ones(labels.shape, bool)
    kept[:, 1, 2:] = False
    with_void = np.where(kept, labels, void).astype(dtype)
    loss = WeightedCrossentropy(ignore_class=int(void))
    expected = (weights * crossentropy(logits, labels))[kept].sum() / weights[kept].sum()
    assert number(loss(with_void, logits, weights)) == pytest.approx(expected, rel=1e-5)
    slopes = gradient(loss, with_void, logits, weights)
    assert np.all(slopes[~kept] == 0)
    assert np.all(slopes[kept] != 0)


def test_ignored_class_inside_the_range():
    logits, labels, weights = batch(3)
    kept = labels != 0
    expected = (weights * crossentropy(logits, labels))[kept].sum() / weights[kept].sum()
    result = number(WeightedCrossentropy(ignore_class=0)(labels, logits, weights))
    assert result == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("num_channels", [1, 3])
@pytest.mark.parametrize("label", [-1, 255])
def test_label_that_is_no_class_gives_nan_unless_it_has_no_weight(label, num_channels):
    logits, labels, weights = batch(num_channels)
    labels[1, 2, 3] = label
    loss = WeightedCrossentropy()
    assert np.isnan(number(loss(labels, logits, weights)))
    weights[1, 2, 3] = 0
    expected = (weights * crossentropy(logits, np.where(labels == label, 0, labels))).sum()
    expected /= weights.sum()
    assert number(loss(labels, logits, weights)) == pytest.approx(expected, rel=1e-5)
    assert np.isfinite(gradient(loss, labels, logits, weights)).all()


@pytest.mark.parametrize("num_channels", [1, 2])
def test_class_weights_multiply_pixel_weights(num_channels):
    logits, labels, weights = batch(num_channels)
    class_weights = np.array([0.25, 4.0])
    product = weights * class_weights[labels]
    expected = (product * crossentropy(logits, labels)).sum() / product.sum()
    loss = WeightedCrossentropy(class_weights=class_weights)
    assert number(loss(labels, logits, weights)) == pytest.approx(expected, rel=1e-5)


def test_class_of_weight_zero_is_left_out():
    logits, labels, _ = batch(3)
    result = WeightedCrossentropy(class_weights=[0, 1, 1])(labels, logits)
    expected = WeightedCrossentropy(ignore_class=0)(labels, logits)
    assert number(result) == pytest.approx(number(expected), rel=1e-6)


@pytest.mark.parametrize("reduction", REDUCTIONS[:3])
def test_weights_in_the_target(reduction):
    logits, labels, weights = batch(3)
    labels[0, 1, 2:] = -1
    arguments = {"reduction": reduction, "ignore_class": -1}
    packed = np.stack([labels, weights], axis=-1).astype("float32")
    result = WeightedCrossentropy(weights_in_target=True, **arguments)(packed, logits)
    expected = WeightedCrossentropy(**arguments)(labels, logits, weights)
    assert number(result) == number(expected)
    both = WeightedCrossentropy(weights_in_target=True, **arguments)(packed, logits, weights)
    expected = WeightedCrossentropy(**arguments)(labels, logits, weights**2)
    assert number(both) == pytest.approx(number(expected), rel=1e-6)


@pytest.mark.parametrize(
    "dtype",
    ["bool", "uint8", "int8", "uint16", "int16", "int32", "int64", "float16", "float32", "float64"],
)
@pytest.mark.parametrize("channel_axis", [False, True])
def test_labels_of_any_dtype(dtype, channel_axis):
    logits, labels, weights = batch(2)
    given = labels.astype(dtype)[..., None] if channel_axis else labels.astype(dtype)
    loss = WeightedCrossentropy()
    assert number(loss(given, logits, weights)) == number(loss(labels, logits, weights))


def test_half_precision_predictions_are_computed_in_float32():
    logits = np.full((1, 200, 300, 2), 0.25, "float16")
    labels = np.zeros((1, 200, 300), "uint8")
    result = WeightedCrossentropy(reduction="sum")(labels, logits)  # above float16's largest
    assert keras.backend.standardize_dtype(result.dtype) == "float32"
    assert number(result) > 40000
    assert number(WeightedCrossentropy()(labels, logits)) == pytest.approx(LN2, rel=1e-5)


@pytest.mark.parametrize("num_channels", [1, 2])
def test_extreme_logits_have_finite_gradients(num_channels):
    logits = np.full((1, 2, 3, num_channels), -1e4, "float32")
    logits[..., -1] = [[1e4, -1e4, 0], [3e4, 1e4, -3e4]]
    labels = np.array([[[0, 1, 0], [1, 0, 1]]])
    loss = WeightedCrossentropy()
    assert np.isfinite(number(loss(labels, logits)))
    slopes = gradient(loss, labels, logits)
    assert np.isfinite(slopes).all()
    assert np.abs(slopes[0, 0, :2]).max() > 0  # wrong and sure: still pulled back


def test_gradient_is_the_weighted_softmax_error():
    logits, labels, weights = batch(3)
    loss = WeightedCrossentropy()
    exp = np.exp(logits.astype("float64"))
    error = exp / exp.sum(-1, keepdims=True) - np.eye(3)[labels]
    expected = weights[..., None] * error / weights.sum()
    np.testing.assert_allclose(gradient(loss, labels, logits, weights), expected, atol=1e-7)


def test_batch_without_images():
    result = WeightedCrossentropy()(np.zeros((0, 3, 5), "int32"), np.zeros((0, 3, 5, 2), "float32"))
    assert number(result) == 0


def test_pixel_crossentropy_of_one_channel_is_binary():
    logits, labels, _ = batch(1)
    expected = crossentropy(logits, labels)
    result = ops.convert_to_numpy(pixel_crossentropy(labels, ops.convert_to_tensor(logits)))
    np.testing.assert_allclose(result, expected, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_round_trip(reduction):
    loss = WeightedCrossentropy(
        class_weights=(1, 2.5, 3),
        ignore_class=-1,
        weights_in_target=True,
        reduction=reduction,
        name="energy",
    )
    again = round_trip(loss)
    assert type(again) is WeightedCrossentropy
    assert again.get_config() == loss.get_config()
    assert again.get_config()["class_weights"] == [1.0, 2.5, 3.0]
    assert round_trip(WeightedCrossentropy()).get_config() == WeightedCrossentropy().get_config()


# TensorFlow's variables predate NumPy 2's copy keyword.
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning")
def test_fit_saves_and_loads_with_the_model(tmp_path):
    logits, labels, weights = batch(2, (4, 6, 5))
    labels[0] = -1
    model = keras.Sequential([keras.Input((None, None, 2)), keras.layers.Conv2D(2, 1)])
    model.compile("sgd", loss=WeightedCrossentropy(class_weights=[1, 3], ignore_class=-1))
    first = model.evaluate(logits, labels, sample_weight=weights, batch_size=4, verbose=0)
    expected = model.loss(labels, model.predict(logits, verbose=0), weights)
    assert first == pytest.approx(number(expected), rel=1e-5)
    history = model.fit(logits, labels, sample_weight=weights, epochs=3, batch_size=4, verbose=0)
    assert history.history["loss"][-1] < first
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.loss.get_config() == model.loss.get_config()
    result = again.evaluate(logits, labels, sample_weight=weights, batch_size=4, verbose=0)
    expected = model.evaluate(logits, labels, sample_weight=weights, batch_size=4, verbose=0)
    assert result == pytest.approx(expected, rel=1e-5)
