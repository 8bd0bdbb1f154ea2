import re

import keras
import numpy as np
import pytest
from model_tester import ModelTester, to_numpy

from keras_unet import models
from keras_unet.geometry import WindowGeometry
from keras_unet.losses import Tanimoto, TanimotoMaps
from keras_unet.models import ResUNetA
from keras_unet.models.atrous_blocks import AtrousBlocks, pyramid_windows

# These take long to build: what the oldest versions and the other backends run again is chosen
# test by test.

LEVELS = {  # number of dilations of every level, encoder and decoder
    "d6": ((4, 4, 3, 3, 1, 1), (4, 4, 4, 3, 3)),
    "d7": ((4, 4, 3, 3, 1, 1, 1), (4, 4, 4, 4, 3, 1)),
}


def convolution(kernel, channels, filters, bias=False, norm=True):
    """Parameters of a convolution and of the batch normalization after it."""
    return kernel * channels * filters + bias * filters + norm * 4 * filters


def pyramid(channels, filters, windows):
    pooled = windows * convolution(1, channels, filters // windows)
    return pooled + convolution(1, channels + windows * (filters // windows), filters)


def parameters(channels, num_classes, filters, variant, rank, bridge, multitask=False):
    """Number of parameters from the sizes of the layers, without the head of colours."""
    encoder, decoder = LEVELS[variant]
    kernel = 3**rank
    widths = [filters * 2**level for level in range(len(encoder))]
    total = convolution(1, channels, filters)
    for branches, width in [*zip(encoder, widths), *zip(decoder, widths)]:  # noqa: B905
        first = 4 * width + kernel * width**2
        total += branches * (first + 4 * width + kernel * width**2 + width)
    for width in widths[:-1]:
        total += kernel * width * 2 * width  # down
        total += convolution(1, 2 * width, width // 2)  # up
        total += convolution(1, width // 2 + width, width)  # combine
    total += pyramid(widths[-1], widths[-1], bridge) + pyramid(2 * filters, filters, 4)
    if multitask:
        n = num_classes
        total += convolution(kernel, 2 * filters, filters) + convolution(kernel, filters, filters)
        total += convolution(kernel, filters + n, filters)
        total += convolution(kernel, filters + 2 * n, filters)
        total += convolution(kernel, filters, filters)
        total += 2 * (filters * n + n)
    return total + filters * num_classes + num_classes


class TestAllHeads(
    ModelTester,
    name="res_unet_a",
    parameters=parameters(3, 2, 4, "d6", rank=1, bridge=1, multitask=True),
    input_shape=(None, 3),
    filters=4,
    window=32,
    margin=None,
    multitask=True,
):
    @pytest.mark.core
    @pytest.mark.backend
    @pytest.mark.skipif(keras.config.backend() == "jax", reason="40 s of compiling; others train")
    def test_one_training_step_changes_every_weight(self):
        """All heads at once, with Adam: the deepest gradients are lost in a step of plain SGD."""
        keras.utils.set_random_seed(0)
        model = models.create(**self.arguments)
        heads = model.multitask_model()
        x = self.image(model, (60,), batch=2)
        classes = np.zeros((2, 60), "int32")
        classes[:, 5:20] = 1
        one_hot = np.eye(2, dtype="float32")[classes]
        y = {"segmentation": classes, "boundary": one_hot, "distance": one_hot}
        y["color"] = np.abs(x) / np.abs(x).max()
        losses = {
            "segmentation": Tanimoto(),
            "boundary": TanimotoMaps("sigmoid"),
            "distance": TanimotoMaps("softmax"),
            "color": TanimotoMaps("sigmoid"),
        }
        eager = keras.config.backend() != "jax"  # whichever is quicker for a single step
        heads.compile("adam", losses, run_eagerly=eager)
        before = [to_numpy(weight) for weight in heads.trainable_weights]
        logs = heads.fit(x, y, batch_size=2, verbose=0).history
        assert set(logs) == {"loss", *(f"{name}_loss" for name in y)}
        assert np.isfinite(list(logs.values())).all()
        for weight, old in zip(heads.trainable_weights, before, strict=True):
            if re.search(r"(window\d+_norm/beta|combine_norm/beta|_2/bias)$", weight.path):
                continue  # the next normalization takes away what these add
            assert not np.array_equal(to_numpy(weight), old), weight.path
        outputs = {name: to_numpy(logits) for name, logits in heads(x, training=False).items()}
        assert {outputs[name].shape for name in y} == {(2, 60, 2), (2, 60, 3)}
        assert {logits.dtype.name for logits in outputs.values()} == {"float32"}
        # One network: the segmentation is that of the model itself, trained weights and all.
        alone = to_numpy(model(x, training=False))
        np.testing.assert_allclose(outputs["segmentation"], alone, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("variant", "bridge", "recorded"), [("d6", 4, 58_008_546), ("d7", 3, 184_529_114)]
)
def test_parameters_of_the_full_size(variant, bridge, recorded):
    """Not published: the numbers of this code, recorded so that no change goes unseen."""
    assert parameters(3, 2, 32, variant, rank=2, bridge=bridge) == recorded
    if variant == "d6":
        assert ResUNetA().count_params() == recorded


def test_parameters_of_d7_with_all_heads():
    model = ResUNetA((None, 3), 3, 4, "d7", window=64, multitask=True)
    expected = parameters(3, 3, 4, "d7", rank=1, bridge=1, multitask=True)
    assert model.count_params() == expected
    assert model.multitask_model().count_params() == expected + 8 * 3 + 3


@pytest.mark.parametrize("shape", [(20, 33, 3), (None, None, 3)])
def test_images_of_any_size(shape):
    model = ResUNetA(shape, 3, filters=2, window=32)
    assert tuple(model(np.zeros((2, 20, 33, 3), "float32")).shape) == (2, 20, 33, 3)


def reaches(model, sides):
    """Whether an image of ones outside the pixels `sides` around a window reaches that window.

    All kernels are positive, so nothing cancels: an output is positive exactly where it sees a one.
    They are means, to stay in float32's range. Of the heads only the last one counts here.
    """
    stride, margin = model.geometry.stride, model.geometry.margin

    def value(weight):
        if weight.path in ("boundary/bias", "distance/bias"):
            return np.full(weight.shape, -1e4, "float32")  # probabilities of 0, not 1/2
        if weight.path.endswith("kernel"):
            return np.full(weight.shape, 1 / np.prod(weight.shape[:-1]), "float32")
        one = weight.path.endswith(("gamma", "moving_variance"))
        return np.full(weight.shape, one, "float32")

    model.set_weights([value(weight) for weight in model.weights])
    images = np.ones((len(sides), 2 * margin + 3 * stride, 1), "float32")
    start = margin + stride
    for image, side in zip(images, sides, strict=True):
        image[start - side : start + stride + side] = 0
    outputs = to_numpy(model(images, training=False))
    return (outputs[:, start : start + stride] > 0).any(axis=(1, 2)).tolist()


@pytest.mark.parametrize(
    ("variant", "window", "multitask", "margin"),
    [("d6", 32, False, 1408), ("d6", 32, True, 1440), ("d7", 64, False, 2240)],
)
def test_margin_is_what_a_window_on_the_grid_reads(variant, window, multitask, margin):
    model = ResUNetA((None, 1), 1, 2, variant, window=window, margin=None, multitask=multitask)
    assert model.geometry.stride == window
    assert model.geometry.margin == margin
    assert reaches(model, [margin - window, margin]) == [True, False]


@pytest.mark.core
@pytest.mark.backend
def test_pyramid_pooling_by_hand():
    assert pyramid_windows(256) == (256, 128, 64, 32)
    assert pyramid_windows(4) == (4, 2, 1)
    assert pyramid_windows(6) == (6, 3)
    inputs = keras.Input((8, 1))
    blocks = AtrousBlocks(WindowGeometry(0, padding="same", rank=1))
    model = keras.Model(inputs, blocks.pyramid(inputs, 3, 4, "pyramid"))
    concat = keras.Model(inputs, model.get_layer("pyramid_concat").output)
    # Each window's convolution passes the maximum on.
    concat.set_weights([np.full(w.shape, w.name == "kernel", "float32") for w in concat.weights])
    x = np.array([3, 1, 2, 5, 0, 1, -2, -3], "float32")
    features, *windows = to_numpy(concat(x[None, :, None]))[0].T
    np.testing.assert_array_equal(features, x)
    np.testing.assert_array_equal(windows[0], [5, 5, 5, 5, 1, 1, 1, 1])
    np.testing.assert_array_equal(windows[1], [3, 3, 5, 5, 1, 1, -2, -2])
    np.testing.assert_array_equal(windows[2], x)


@pytest.mark.core
@pytest.mark.backend
def test_residual_block_adds_all_dilations_to_its_input():
    inputs = keras.Input((9, 1))
    blocks = AtrousBlocks(WindowGeometry(0, padding="same", rank=1))
    model = keras.Model(inputs, blocks.residual(inputs, (1, 3), "block"))
    model.set_weights([np.full(w.shape, w.name == "kernel", "float32") for w in model.weights])
    outputs = to_numpy(model(np.eye(9, dtype="float32")[4][None, :, None]))[0, :, 0]
    # Twice a kernel of ones: 1 2 3 2 1, for dilation 3 spread by zeros; the input once more.
    near = np.array([0, 0, 1, 2, 3, 2, 1, 0, 0])
    far = np.array([0, 2, 0, 0, 3, 0, 0, 2, 0])
    np.testing.assert_array_equal(outputs, near + far + (np.arange(9) == 4))


def test_heads_side_by_side_share_all_layers():
    keras.utils.set_random_seed(0)
    model = ResUNetA((40, 33, 3), 2, filters=2, window=32, multitask=True)
    assert model.heads == ("segmentation", "boundary", "distance")
    training = model.training_model()
    assert training.output_shape == (None, 40, 33, 6)
    assert [w.path for w in training.weights] == [w.path for w in model.weights]
    x = np.random.default_rng(0).normal(size=(1, 40, 33, 3)).astype("float32")
    joined, parts = to_numpy(training(x)), model.multitask_model()(x)
    for number, head in enumerate(model.heads):
        part = joined[..., 2 * number : 2 * number + 2]
        np.testing.assert_allclose(part, to_numpy(parts[head]), rtol=1e-5, atol=1e-5)
    single = ResUNetA((64, 1), filters=2, window=64)
    assert single.heads == ()
    assert single.training_model() is single


def test_colours_are_for_images_of_three_channels():
    model = ResUNetA((64, 1), 1, filters=2, window=64, multitask=True)
    assert set(model.multitask_model().output) == {"segmentation", "boundary", "distance"}
    assert model.get_layer("distance_sigmoid")  # one class: no softmax over one channel
    again = ResUNetA.from_config(model.get_config())
    assert again.get_config() == model.get_config()
    assert again.count_params() == model.count_params()


def test_without_normalization_there_are_biases():
    model = ResUNetA((64, 1), filters=2, window=64, normalization=None, activation="gelu")
    assert model.get_layer("first").use_bias
    assert not [layer for layer in model.layers if layer.name.endswith("_norm")]
    assert model.get_layer("first_act").activation is keras.activations.gelu


def test_a_smaller_margin_for_tiles():
    assert ResUNetA(filters=1, window=64).geometry.margin == 256
    assert ResUNetA((None, 1), filters=1, window=64, margin=64).get_config()["margin"] == 64


ILL_CASES = [
    ({"margin": 100}, "margin must be a multiple of stride=256.*Received: margin=100"),
    ({"num_classes": 0}, "num_classes must be a positive integer. Received: num_classes=0"),
    ({"filters": 0}, "filters must be a positive integer"),
    ({"window": 0}, "window must be a positive integer"),
    ({"window": 48}, "multiple of 32 for variant='d6'.*Received: window=48"),
    ({"window": 32, "variant": "d7"}, "multiple of 64 for variant='d7'.*Received: window=32"),
    ({"variant": "d5"}, "variant must be one of .*'d7'.*Received: variant='d5'"),
    ({"normalization": "layer"}, "normalization must be one of"),
    ({"activation": "rlu"}, "rlu"),
    ({"input_shape": (3,)}, "input_shape must be"),
]


@pytest.mark.parametrize(("arguments", "message"), ILL_CASES)
def test_errors(arguments, message):
    with pytest.raises(ValueError, match=f"(?s){message}"):
        ResUNetA(**arguments)


def test_without_other_heads_there_is_no_multitask_model():
    model = ResUNetA((64, 1), filters=2, window=64)
    with pytest.raises(ValueError, match=r"make it with multitask=True.*Received"):
        model.multitask_model()
