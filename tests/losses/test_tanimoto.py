"""Tanimoto and TanimotoMaps by hand and against NumPy, on every backend."""

import keras
import numpy as np
import pytest
from loss_cases import batch, gradient, number, round_trip, softmax

from keras_unet.losses import (
    Tanimoto,
    TanimotoMaps,
    tanimoto_coefficient,
    tanimoto_with_dual,
)

pytestmark = [pytest.mark.core, pytest.mark.backend]


def numpy_tanimoto(truth, found, weights, per_image=True, volume_weights=True, factors=None):
    """The loss by loops over images, channels and pixels' sums, float64."""
    images = [[i] for i in range(len(truth))] if per_image else [range(len(truth))]
    channels = range(truth.shape[-1])
    losses = []
    for indices in images:
        ratios = []
        for g, p in ((truth, found), (1.0 - truth, 1.0 - found)):
            above = below = 0.0
            volumes = [(weights * g[..., k]).sum() for k in channels]
            for k in channels:
                occurring = [1 / v**2 for v in volumes if v > 0]
                v = 1 / volumes[k] ** 2 if volumes[k] > 0 else max(occurring, default=1.0)
                v = (v if volume_weights else 1.0) * (1.0 if factors is None else factors[k])
                for i in indices:
                    w, a, b = weights[i], g[i, ..., k], p[i, ..., k]
                    above += v * (w * a * b).sum()
                    below += v * (w * (a**2 + b**2 - a * b)).sum()
            ratios.append(above / below)
        losses.append(1 - sum(ratios) / 2)
    return np.mean(losses)


def maps(shape=(2, 3, 5), channels=3):
    rng = np.random.default_rng(1)
    return rng.random((*shape, channels)).astype("float32")


def test_by_hand():
    # p = (0.5, 1, 0), l = (1, 1, 0): T = 1.5 / (1.25 + 2 - 1.5) = 6/7.
    # Complements (0.5, 0, 1), (0, 0, 1): T' = 1 / (1.25 + 1 - 1) = 4/5.
    foreground = np.array([[0.5, 1.0, 0.0]])
    labels = np.array([[1, 1, 0]])
    expected = 1 - (6 / 7 + 4 / 5) / 2
    binary = Tanimoto(from_logits=False)
    assert number(binary(labels, foreground[..., None])) == pytest.approx(expected, rel=1e-6)
    as_maps = TanimotoMaps(activation=None)
    result = number(as_maps(labels[..., None], foreground[..., None]))
    assert result == pytest.approx(expected, rel=1e-6)
    # Two classes, volumes 1 and 2, weights 1 and 1/4:
    # T = (1 + 1.5 / 4) / (1.25 + 1.75 / 4), and in the complement the classes change places,
    # volumes 2 and 1: T' = (1.5 / 4 + 1) / (1.75 / 4 + 1.25), the same.
    probabilities = np.stack([1 - foreground, foreground], axis=-1)
    result = number(binary(labels, probabilities))
    assert result == pytest.approx(1 - 1.375 / 1.6875, rel=1e-6)
    # Without weights: T = T' = 2.5 / 3.
    plain = Tanimoto(from_logits=False, volume_weights=False)
    assert number(plain(labels, probabilities)) == pytest.approx(1 - 2.5 / 3, rel=1e-6)
    # Class weights (0, 3): the foreground alone.
    alone = Tanimoto(from_logits=False, class_weights=[0, 3])
    assert number(alone(labels, probabilities)) == pytest.approx(expected, rel=1e-6)
    # The first pixel counts three times: T = 2.5 / (3.25 ... ) with p**2 = 3/4 + 1, l**2 = 4.
    weights = np.array([[3.0, 1.0, 1.0]])
    result = number(binary(labels, foreground[..., None], weights))
    both, dual = 2.5 / (1.75 + 4 - 2.5), 1 / (1.75 + 1 - 1)
    assert result == pytest.approx(1 - (both + dual) / 2, rel=1e-6)


@pytest.mark.parametrize("per_image", [True, False])
@pytest.mark.parametrize("volume_weights", [True, False])
@pytest.mark.parametrize("shape", [(3, 7), (3, 3, 5), (2, 2, 3, 5)])
def test_equals_numpy(shape, volume_weights, per_image):
    logits, labels, weights = batch(4, shape)
    labels = np.minimum(labels, 2)  # the last class does not occur
    options = {"volume_weights": volume_weights, "per_image": per_image}
    truth, found = np.eye(4)[labels], softmax(logits)
    factors = [1.0, 2.0, 0.5, 1.0]
    expected = numpy_tanimoto(truth, found, weights, per_image, volume_weights, factors)
    loss = Tanimoto(class_weights=factors, **options)
    assert number(loss(labels, logits, weights)) == pytest.approx(expected, rel=1e-5)
    in_maps = TanimotoMaps("softmax", factors, **options)
    assert number(in_maps(truth, logits, weights)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("per_image", [True, False])
def test_maps_equal_numpy(per_image):
    logits, _, weights = batch(3)
    truth, found = maps(), 1 / (1 + np.exp(-logits.astype("float64")))
    expected = numpy_tanimoto(truth.astype("float64"), found, weights, per_image)
    loss = TanimotoMaps(per_image=per_image)
    assert number(loss(truth, logits, weights)) == pytest.approx(expected, rel=1e-5)
    given = TanimotoMaps(None, per_image=per_image)
    assert number(given(truth, found, weights)) == pytest.approx(expected, rel=1e-5)


def test_perfect_is_zero_and_all_wrong_is_one():
    _, labels, weights = batch(3)
    one_hot = np.eye(3, dtype="float32")[labels]
    assert number(Tanimoto()(labels, 200 * one_hot, weights)) == pytest.approx(0, abs=1e-6)
    assert number(TanimotoMaps(None)(maps(), maps(), weights)) == pytest.approx(0, abs=1e-6)
    wrong = (one_hot[..., :1] == 0).astype("float32")
    assert number(TanimotoMaps(None)(one_hot[..., :1], wrong)) == 1


def test_empty_mask():
    labels, loss = np.zeros((1, 3, 5), int), Tanimoto(from_logits=False)
    probabilities = np.zeros((1, 3, 5, 1), "float32")
    assert number(loss(labels, probabilities)) == 0
    probabilities[0, 0, :3] = 0.5
    # T = 0; T' = (12 + 3 / 2) / (12 + 3 / 4 + 15 - 13.5)
    assert number(loss(labels, probabilities)) == pytest.approx(1 - 13.5 / 14.25 / 2, rel=1e-6)
    slopes = gradient(loss, labels, probabilities)
    assert np.isfinite(slopes).all()
    assert (slopes[0, 0, :3] > 0).all()  # the dual pulls false positives down


def test_a_whole_large_class_stays_in_range():
    labels = np.zeros((1, 512, 512), "uint8")
    labels[0, 0, 0] = 1
    logits = np.zeros((1, 512, 512, 3), "float16")
    result = Tanimoto()(labels, logits)
    assert keras.backend.standardize_dtype(result.dtype) == "float32"
    truth = np.eye(3)[labels]
    expected = numpy_tanimoto(truth, np.full(truth.shape, 1 / 3), np.ones(labels.shape))
    assert number(result) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("per_image", [True, False])
def test_no_weight_at_all_is_zero_with_zero_gradient(per_image):
    logits, labels, weights = batch(3)
    loss = Tanimoto(per_image=per_image, ignore_class=255)
    void = np.full(labels.shape, 255, "uint8")
    assert number(loss(void, logits)) == 0
    assert np.array_equal(gradient(loss, void, logits), 0 * logits)
    in_maps = TanimotoMaps(per_image=per_image)
    assert number(in_maps(maps(), logits, 0 * weights)) == 0


def test_image_without_weight_does_not_dilute_the_mean():
    logits, labels, weights = batch(3)
    weights[1] = 0
    alone = number(Tanimoto()(labels[:1], logits[:1], weights[:1]))
    assert number(Tanimoto()(labels, logits, weights)) == pytest.approx(alone, rel=1e-6)


@pytest.mark.parametrize("void", [-1, 255])
def test_ignored_pixels_do_not_count(void):
    logits, labels, weights = batch(3)
    kept = np.ones(labels.shape, bool)
    kept[:, 1, 2:] = False
    with_void = np.where(kept, labels, void)
    expected = number(Tanimoto()(labels, logits, weights * kept))
    loss = Tanimoto(ignore_class=void)
    assert number(loss(with_void, logits, weights)) == pytest.approx(expected, rel=1e-6)
    assert np.all(gradient(loss, with_void, logits, weights)[~kept] == 0)
    assert np.isnan(number(Tanimoto()(with_void, logits, weights)))


def test_weights_in_the_target():
    logits, labels, weights = batch(3)
    packed = np.stack([labels, weights], axis=-1)
    expected = number(Tanimoto()(labels, logits, weights))
    result = number(Tanimoto(weights_in_target=True)(packed, logits))
    assert result == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("loss", [Tanimoto(), Tanimoto(per_image=False)])
@pytest.mark.parametrize("num_channels", [1, 2])
def test_extreme_logits_have_finite_gradients(loss, num_channels):
    logits = np.full((1, 2, 3, num_channels), 1e4, "float32")
    logits[..., -1] = [[3e4, -1e4, 0], [1e4, -3e4, 1e4]]
    labels = np.array([[[0, 1, 0], [1, 0, 1]]])
    assert np.isfinite(number(loss(labels, logits)))
    assert np.isfinite(gradient(loss, labels, logits)).all()


def test_the_loss_is_one_minus_the_mean_of_the_coefficients():
    truth, found = maps(), 1 - maps()
    options = {"volume_weights": False}
    direct = keras.ops.convert_to_numpy(tanimoto_coefficient(truth, found))
    dual = keras.ops.convert_to_numpy(tanimoto_coefficient(1 - truth, 1 - found))
    both = keras.ops.convert_to_numpy(tanimoto_with_dual(truth, found, **options))
    assert both.shape == (2,)
    np.testing.assert_allclose(both, (direct + dual) / 2, rtol=1e-6)
    result = number(TanimotoMaps(None, **options)(truth, found))
    assert result == pytest.approx(1 - both.mean(), rel=1e-6)


ILL_CASES = [
    (Tanimoto, {"class_weights": [0, 0]}, "not all be zero"),
    (TanimotoMaps, {"class_weights": [-1, 0]}, "finite numbers >= 0"),
    (TanimotoMaps, {"activation": "relu"}, "activation must be one of .*'softmax'"),
]


@pytest.mark.parametrize(("loss", "arguments", "message"), ILL_CASES)
def test_ill_arguments(loss, arguments, message):
    with pytest.raises(ValueError, match=f"{message}.*Received"):
        loss(**arguments)


def test_ill_shapes():
    logits, labels, weights = batch(3)
    with pytest.raises(ValueError, match=r"argmax.*Received"):
        Tanimoto()(np.eye(3)[labels], logits)
    with pytest.raises(ValueError, match=r"needs 3 numbers.*Received"):
        Tanimoto(class_weights=[1, 2])(labels, logits)
    for wrong in (labels, np.eye(4)[labels]):
        with pytest.raises(ValueError, match=r"take the loss Tanimoto.*Received"):
            TanimotoMaps()(wrong, logits)
    with pytest.raises(ValueError, match=r"same batch and spatial sizes.*Received"):
        TanimotoMaps()(maps()[:, :2], logits)
    with pytest.raises(ValueError, match=r"sample_weight must be.*Received"):
        TanimotoMaps()(maps(), logits, weights[:, :2])


@pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="XLA is TensorFlow's option")
@pytest.mark.parametrize("per_image", [True, False])
def test_compiles_with_unknown_sizes(per_image):
    import tensorflow as tf

    logits, labels, weights = batch(3)
    loss = Tanimoto(per_image=per_image)
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
        Tanimoto(),
        Tanimoto(False, (0, 1), 255, True, volume_weights=False, per_image=False, name="t"),
        TanimotoMaps(),
        TanimotoMaps(None, (1, 2), False, False, "maps"),
    ],
)
def test_round_trip(loss):
    again = round_trip(loss)
    assert type(again) is type(loss)
    assert again.get_config() == loss.get_config()
