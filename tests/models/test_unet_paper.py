"""The published networks: counts, sizes, order and first weights. Nothing here runs a backend."""

import keras
import numpy as np
import pytest
from model_tester import to_numpy

from keras_unet.geometry import UNetGeometry
from keras_unet.models import UNet
from keras_unet.models.blocks import Blocks

pytestmark = pytest.mark.core


@pytest.fixture(scope="module")
def paper():
    keras.utils.set_random_seed(0)
    return UNet(input_shape=(572, 572, 1))


@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        ({}, 31_030_658),
        ({"input_shape": (None, None, 3)}, 31_031_810),
        ({"variant": "release2015"}, 31_100_354),
    ],
)
def test_parameters_of_the_published_networks(arguments, count):
    assert UNet(**arguments).count_params() == count


def test_figure_1(paper):
    """Sizes and channels of every feature map, as printed in the paper."""
    contracting = [(570, 568, 64), (282, 280, 128), (138, 136, 256), (66, 64, 512), (30, 28, 1024)]
    expansive = [(390, 388, 64), (198, 196, 128), (102, 100, 256), (54, 52, 512)]
    upsampled, cropped = [392, 200, 104, 56], [392, 200, 104, 56]

    def shape(name):
        return tuple(paper.get_layer(name).output.shape)

    for path, maps in (("contract", contracting), ("expand", expansive)):
        for level, (first, second, channels) in enumerate(maps, start=1):
            assert shape(f"{path}{level}_conv1") == (None, first, first, channels)
            assert shape(f"{path}{level}_conv2") == (None, second, second, channels)
    for level, (up, crop) in enumerate(zip(upsampled, cropped, strict=True), start=1):
        channels = contracting[level - 1][2]
        assert shape(f"contract{level}_pool")[1] == contracting[level - 1][1] // 2
        assert shape(f"expand{level}_up") == (None, up, up, channels)
        assert shape(f"expand{level}_crop") == (None, crop, crop, channels)
        assert shape(f"expand{level}_concat")[-1] == 2 * channels
    assert shape("logits") == (None, 388, 388, 2)
    convolutional = [layer for layer in paper.layers if hasattr(layer, "kernel")]
    assert len(convolutional) == 23


def test_levels_of_the_geometry_are_those_of_the_network(paper):
    into_and_out = paper.geometry.level_sizes(572)
    names = [f"contract{level}" for level in range(1, 6)]
    names += [f"expand{level}" for level in range(4, 0, -1)]
    built = [
        (
            paper.get_layer(f"{name}_conv1").input.shape[1],
            paper.get_layer(f"{name}_conv2").output.shape[1],
        )
        for name in names
    ]
    assert built == into_and_out


def standard_deviation(model, layer):
    return float(np.std(to_numpy(model.get_layer(layer).kernel.value)))


def test_weights_start_he_normal_on_the_inputs_of_a_neuron(paper):
    for layer, inputs in {
        "contract1_conv2": 9 * 64,  # the paper's own example
        "contract5_conv1": 9 * 512,
        "expand4_conv1": 9 * 1024,
        "expand4_up": 1024,  # one tap of each input channel reaches an output pixel
        "expand1_up": 128,
    }.items():
        assert standard_deviation(paper, layer) == pytest.approx(np.sqrt(2 / inputs), rel=0.02)
    kernel = to_numpy(paper.get_layer("contract5_conv2").kernel.value)
    assert np.abs(kernel).max() > 4 * kernel.std()  # Gaussian, not truncated
    for weight in paper.weights:
        if weight.name == "bias":
            assert not to_numpy(weight.value).any()


def test_an_up_convolution_keeps_the_signal_power_of_rectified_inputs():
    inputs = keras.Input((None, None, 64))
    up = keras.Model(inputs, Blocks(UNetGeometry()).up_convolution(inputs, 32, "level"))
    signal = np.random.default_rng(0).normal(size=(1, 20, 24, 64)).astype("float32")
    outputs = to_numpy(up(np.maximum(signal, 0)))
    assert np.var(outputs) == pytest.approx(np.var(signal), rel=0.1)


@pytest.fixture(scope="module")
def released():
    return UNet(input_shape=(188, 204, 1), variant="release2015", filters=16)


def test_the_release_differs_where_the_authors_file_does(released):
    assert released.get_layer("expand1_up").output.shape[-1] == 32
    assert released.get_layer("expand1_concat").output.shape[-1] == 48
    assert released.get_layer("expand2_up").output.shape[-1] == 32
    for level in range(1, 5):
        assert released.get_layer(f"expand{level}_up_act").activation is keras.activations.relu
        kernel = to_numpy(released.get_layer(f"expand{level}_up").kernel.value)
        limit = np.sqrt(3 / np.prod(kernel.shape[:3]))  # Caffe: size * size * output channels
        assert 0.9 * limit < np.abs(kernel).max() <= limit
    kernel = to_numpy(released.get_layer("contract3_conv1").kernel.value)
    assert 0.95 * np.sqrt(3 / 288) < np.abs(kernel).max() <= np.sqrt(3 / 288)


def test_concatenation_and_dropout_as_released(paper, released):
    for model in (paper, released):
        rates = {layer.name: layer.rate for layer in model.layers if hasattr(layer, "rate")}
        assert rates == {"contract4_dropout": 0.5, "contract5_dropout": 0.5}
        first, second = model.get_layer("expand4_concat").input
        assert first.shape[-1] == second.shape[-1]
        assert second is model.get_layer("expand4_crop").output  # up-sampled first, then the skip
        skip = model.get_layer("expand4_crop").input[0]
        assert skip is model.get_layer("contract4_dropout").output
    names = {layer.name for layer in paper.layers}
    assert not [name for name in names if name.endswith("up_act")]
