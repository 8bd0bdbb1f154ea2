"""SoftDice and CrossentropyDice by hand and against NumPy, on every backend."""

import keras
import numpy as np
import pytest
from keras import ops
from loss_cases import batch, gradient, number, round_trip, softmax

from keras_unet.losses import CrossentropyDice, SoftDice, WeightedCrossentropy, dice_coefficients

pytestmark = [pytest.mark.core, pytest.mark.backend]

ILL_CASES = [
    (SoftDice, {"smooth": -1}, "smooth must be at least 0"),
    (SoftDice, {"smooth": float("nan")}, "smooth must be at least 0"),
    (SoftDice, {"class_weights": [0, 0]}, "not all be zero"),
    (CrossentropyDice, {"dice_weight": -0.1}, "dice_weight must be at least 0"),
    (CrossentropyDice, {"class_weights": [-1, 0]}, "finite numbers >= 0"),
    (CrossentropyDice, {"dice_class_weights": [0, 0]}, "not all be zero"),
]


def numpy_dice(probabilities, labels, weights, per_image, squared, smooth):
    """Mean soft Dice loss by loops, float64."""
    num_classes = probabilities.shape[-1]
    images = [[i] for i in range(len(labels))] if per_image else [range(len(labels))]
    losses = []
    for indices in images:
        for k in range(num_classes):
            w = weights[indices]
            p = probabilities[indices][..., k].astype("float64")
            g = labels[indices] == (k if num_classes > 1 else 1)
            below = (w * (p**2 if squared else p)).sum() + (w * g).sum() + smooth
            losses.append(1 - (2 * (w * p * g).sum() + smooth) / below)
    return np.mean(losses)


@pytest.mark.parametrize(("loss", "arguments", "message"), ILL_CASES)
def test_ill_arguments(loss, arguments, message):
    with pytest.raises(ValueError, match=f"{message}.*Received"):
        loss(**arguments)


@pytest.mark.parametrize("loss", [SoftDice(class_weights=[1, 2]), SoftDice(class_weights=[1] * 4)])
def test_number_of_class_weights(loss):
    logits, labels, _ = batch(3)
    with pytest.raises(ValueError, match=r"needs 3 numbers.*Received"):
        loss(labels, logits)


@pytest.mark.parametrize("loss", [SoftDice(), CrossentropyDice()])
def test_one_hot_is_named(loss):
    logits, labels, _ = batch(3)
    with pytest.raises(ValueError, match=r"argmax.*Received"):
        loss(np.eye(3)[labels], logits)


def test_by_hand():
    # Foreground p = (0.5, 1, 0), g = (1, 1, 0): D1 = 2 * 1.5 / (1.5 + 2) = 6/7.
    # Background p = (0.5, 0, 1), g = (0, 0, 1): D0 = 2 * 1 / (1.5 + 1) = 4/5.
    foreground = np.array([[0.5, 1.0, 0.0]])
    probabilities = np.stack([1 - foreground, foreground], axis=-1)
    labels = np.array([[1, 1, 0]])
    loss = SoftDice(from_logits=False, smooth=0)
    assert number(loss(labels, probabilities)) == pytest.approx(1 - (6 / 7 + 4 / 5) / 2, rel=1e-6)
    binary = number(loss(labels, foreground[..., None]))
    assert binary == pytest.approx(1 - 6 / 7, rel=1e-6)
    # V-Net: D1 = 2 * 1.5 / (1.25 + 2).
    squared = SoftDice(from_logits=False, smooth=0, squared=True, class_weights=[0, 1])
    assert number(squared(labels, probabilities)) == pytest.approx(1 - 3 / 3.25, rel=1e-6)
    # smooth = 1: D1 = (3 + 1) / (3.5 + 1).
    smoothed = SoftDice(from_logits=False, class_weights=[0, 3])
    assert number(smoothed(labels, probabilities)) == pytest.approx(1 - 4 / 4.5, rel=1e-6)
    # The first pixel counts three times: D1 = 2 * 2.5 / (2.5 + 4).
    weighted = SoftDice(from_logits=False, smooth=0, class_weights=[0, 1])
    result = number(weighted(labels, probabilities, np.array([[3.0, 1.0, 1.0]])))
    assert result == pytest.approx(1 - 5 / 6.5, rel=1e-6)


@pytest.mark.parametrize("per_image", [True, False])
@pytest.mark.parametrize("squared", [True, False])
@pytest.mark.parametrize("shape", [(3, 7), (3, 3, 5), (2, 2, 3, 5)])
def test_equals_numpy(shape, squared, per_image):
    logits, labels, weights = batch(3, shape)
    loss = SoftDice(per_image=per_image, squared=squared, smooth=0.5)
    expected = numpy_dice(softmax(logits), labels, weights, per_image, squared, 0.5)
    assert number(loss(labels, logits, weights)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("per_image", [True, False])
def test_binary_form_equals_numpy(per_image):
    logits, labels, weights = batch(1)
    loss = SoftDice(per_image=per_image)
    probabilities = 1 / (1 + np.exp(-logits))
    expected = numpy_dice(probabilities, labels, weights, per_image, False, 1)
    assert number(loss(labels, logits, weights)) == pytest.approx(expected, rel=1e-5)
    unchanged = SoftDice(per_image=per_image, from_logits=False)
    assert number(unchanged(labels, probabilities, weights)) == pytest.approx(expected, rel=1e-5)


def test_axis_tells_images_apart():
    """One image all right, one all wrong: half, whatever their numbers of foreground pixels."""
    probabilities = np.zeros((2, 2, 3, 1))
    probabilities[0], probabilities[1, 0, 0] = 1, 1
    labels = np.ones((2, 2, 3), int)
    labels[1], labels[1, 1, 1] = 0, 1
    per_image = SoftDice(from_logits=False, smooth=0)
    assert number(per_image(labels, probabilities)) == pytest.approx(0.5)
    per_batch = SoftDice(from_logits=False, smooth=0, per_image=False)
    assert number(per_batch(labels, probabilities)) == pytest.approx(1 - 12 / 14)


def test_all_correct_is_zero():
    _, labels, weights = batch(3)
    logits = 50.0 * np.eye(3, dtype="float32")[labels]
    assert number(SoftDice()(labels, logits, weights)) == pytest.approx(0, abs=1e-6)
    assert number(CrossentropyDice()(labels, logits, weights)) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("per_image", [True, False])
@pytest.mark.parametrize("smooth", [0.0, 1.0])
def test_empty_mask_and_empty_prediction_is_zero(smooth, per_image):
    loss = SoftDice(from_logits=False, smooth=smooth, per_image=per_image)
    assert number(loss(np.zeros((2, 3, 5), int), np.zeros((2, 3, 5, 1)))) == 0


def test_empty_mask_punishes_false_positives():
    labels, loss = np.zeros((1, 3, 5), int), SoftDice(from_logits=False)
    probabilities = np.zeros((1, 3, 5, 1))
    probabilities[0, 0, :3] = 1
    assert number(loss(labels, probabilities)) == pytest.approx(1 - 1 / (1 + 3))
    slopes = gradient(loss, labels, probabilities.astype("float32"))
    np.testing.assert_allclose(slopes, np.full(slopes.shape, 1 / 16), rtol=1e-6)
    hard = SoftDice(from_logits=False, smooth=0)
    assert number(hard(labels, probabilities)) == 1
    assert np.array_equal(gradient(hard, labels, probabilities.astype("float32")), 0 * slopes)


@pytest.mark.parametrize("smooth", [0.0, 1.0])
@pytest.mark.parametrize("per_image", [True, False])
def test_no_weight_at_all_is_zero_with_zero_gradient(smooth, per_image):
    logits, labels, _ = batch(3)
    loss = SoftDice(smooth=smooth, per_image=per_image, ignore_class=255)
    void = np.full(labels.shape, 255, "uint8")
    assert number(loss(void, logits)) == 0
    assert np.array_equal(gradient(loss, void, logits), 0 * logits)


def test_image_without_weight_does_not_dilute_the_mean():
    logits, labels, weights = batch(3)
    weights[1] = 0
    alone = number(SoftDice()(labels[:1], logits[:1], weights[:1]))
    assert number(SoftDice()(labels, logits, weights)) == pytest.approx(alone, rel=1e-6)


@pytest.mark.parametrize("void", [-1, 255])
@pytest.mark.parametrize("loss", [SoftDice, CrossentropyDice])
def test_ignored_pixels_do_not_count(loss, void):
    logits, labels, weights = batch(3)
    kept = np.ones(labels.shape, bool)
    kept[:, 1, 2:] = False
    with_void = np.where(kept, labels, void)
    expected = number(loss()(labels, logits, weights * kept))
    assert number(loss(ignore_class=void)(with_void, logits, weights)) == expected
    assert np.all(gradient(loss(ignore_class=void), with_void, logits, weights)[~kept] == 0)
    assert np.isnan(number(loss()(with_void, logits, weights)))


@pytest.mark.parametrize("loss", [SoftDice, CrossentropyDice])
def test_weights_in_the_target(loss):
    logits, labels, weights = batch(3)
    packed = np.stack([labels, weights], axis=-1)
    expected = number(loss()(labels, logits, weights))
    assert number(loss(weights_in_target=True)(packed, logits)) == expected


def test_common_factor_of_the_weights_cancels_without_smoothing():
    logits, labels, weights = batch(3)
    loss = SoftDice(smooth=0)
    expected = number(loss(labels, logits, weights))
    assert number(loss(labels, logits, 7 * weights)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("num_channels", [1, 2])
@pytest.mark.parametrize("loss", [SoftDice(), CrossentropyDice()])
def test_extreme_logits_have_finite_gradients(loss, num_channels):
    logits = np.full((1, 2, 3, num_channels), 1e4, "float32")
    logits[..., -1] = [[3e4, -1e4, 0], [1e4, -3e4, 1e4]]
    labels = np.array([[[0, 1, 0], [1, 0, 1]]])
    assert np.isfinite(number(loss(labels, logits)))
    assert np.isfinite(gradient(loss, labels, logits)).all()


@pytest.mark.parametrize("loss", [SoftDice(), CrossentropyDice()])
def test_half_precision_predictions_are_computed_in_float32(loss):
    logits = np.full((1, 300, 400, 2), 0.25, "float16")  # sums leave float16's range
    result = loss(np.zeros((1, 300, 400), "uint8"), logits)
    assert keras.backend.standardize_dtype(result.dtype) == "float32"
    assert np.isfinite(number(result))


@pytest.mark.parametrize("loss", [SoftDice, CrossentropyDice])
def test_half_precision_default_keeps_float32(loss):
    logits, labels, weights = batch(3)
    expected = number(loss()(labels, logits, weights))
    keras.config.set_floatx("float16")
    try:
        result = loss(class_weights=[1, 1, 1])(labels, logits, weights)
    finally:
        keras.config.set_floatx("float32")
    assert keras.backend.standardize_dtype(result.dtype) == "float32"
    assert number(result) == pytest.approx(expected, rel=1e-6)


def test_coefficients_have_one_row_per_image():
    logits, labels, weights = batch(3)
    probabilities = ops.softmax(ops.convert_to_tensor(logits))
    weights = ops.convert_to_tensor(weights)
    per_image = dice_coefficients(labels, probabilities, weights)
    assert per_image.shape == (2, 3)
    for image in range(2):
        part = slice(image, image + 1)
        alone = dice_coefficients(labels[part], probabilities[part], weights[part], per_image=False)
        np.testing.assert_allclose(
            ops.convert_to_numpy(per_image[image]), ops.convert_to_numpy(alone), rtol=1e-5
        )


def test_crossentropy_dice_is_the_sum_of_both():
    logits, labels, weights = batch(3)
    labels[0, 0] = -1
    crossentropy = WeightedCrossentropy(class_weights=[1, 2, 3], ignore_class=-1)
    dice = SoftDice(class_weights=[0, 1, 1], ignore_class=-1, per_image=False)
    both = CrossentropyDice(
        class_weights=[1, 2, 3],
        ignore_class=-1,
        dice_weight=0.25,
        dice_class_weights=[0, 1, 1],
        per_image=False,
    )
    expected = number(crossentropy(labels, logits, weights)) + 0.25 * number(
        dice(labels, logits, weights)
    )
    assert number(both(labels, logits, weights)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="XLA is TensorFlow's option")
@pytest.mark.parametrize("per_image", [True, False])
def test_compiles_with_unknown_sizes(per_image):
    import tensorflow as tf

    logits, labels, weights = batch(3)
    labels[0, 0] = -1
    loss = CrossentropyDice(ignore_class=-1, per_image=per_image)
    sizes = [None, None, None]
    signature = [
        tf.TensorSpec(sizes, tf.int32),
        tf.TensorSpec([*sizes, 3], tf.float32),
        tf.TensorSpec(sizes, tf.float32),
    ]
    compiled = tf.function(loss, jit_compile=True, input_signature=signature)
    expected = number(loss(labels, logits, weights))
    assert number(compiled(labels, logits, weights)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    "loss",
    [
        SoftDice(),
        SoftDice(False, (0, 1), 255, True, per_image=False, squared=True, smooth=0, name="dsc"),
        CrossentropyDice(),
        CrossentropyDice(False, (1, 2), -1, True, 0.5, (0, 1), False, "both"),
    ],
)
def test_round_trip(loss):
    again = round_trip(loss)
    assert type(again) is type(loss)
    assert again.get_config() == loss.get_config()
