import keras
import numpy as np
import pytest
from model_tester import ModelTester, to_numpy

from keras_unet.models import UNet

pytestmark = [pytest.mark.core, pytest.mark.backend]


class TestValid(ModelTester):
    arguments = {"name": "unet", "filters": 4, "depth": 2, "dropout": 0.0}
    parameters = 7_402


class TestSame(ModelTester):
    arguments = {
        "name": "unet",
        "input_shape": (None, None, 3),
        "num_classes": 3,
        "filters": 4,
        "depth": 2,
        "padding": "same",
        "upsampling": "bilinear",
        "normalization": "batch",
        "dropout": 0.0,
    }
    parameters = 7_319


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
    from keras_unet.models.blocks import Blocks

    up = keras.Model(inputs, Blocks(rank=2, padding="valid").up_convolution(inputs, 32, "level"))
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


@pytest.mark.parametrize(
    ("shape", "padding", "upsampling", "size"),
    [
        ((None, 1), "valid", "transpose", 44),
        ((None, 2), "same", "bilinear", 5),
        ((None, None, None, 1), "same", "bilinear", 3),
        ((None, None, None, 1), "valid", "transpose", 18),
    ],
)
def test_other_ranks(shape, padding, upsampling, size):
    depth = 1 if size == 18 else 2
    model = UNet(shape, filters=2, depth=depth, padding=padding, upsampling=upsampling)
    rank = len(shape) - 1
    sizes = (size, size + 2**depth, size)[:rank]
    outputs = tuple(model.geometry.output_size(n) if padding == "valid" else n for n in sizes)
    logits = model(np.zeros((1, *sizes, shape[-1]), "float32"))
    assert tuple(logits.shape) == (1, *outputs, 2)


def test_a_multiple_of_the_stride_is_neither_padded_nor_cropped():
    arguments = {"filters": 2, "depth": 2, "padding": "same"}
    fixed = UNet(input_shape=(8, 12, 1), **arguments)
    assert not {"mirror", "crop"} & {layer.name for layer in fixed.layers}
    free = UNet(**arguments)
    free.set_weights(fixed.get_weights())
    x = np.random.default_rng(0).normal(size=(1, 8, 12, 1)).astype("float32")
    np.testing.assert_array_equal(to_numpy(free(x)), to_numpy(fixed(x)))
    odd = UNet(input_shape=(7, 12, 1), **arguments)
    odd.set_weights(fixed.get_weights())
    mirrored = np.concatenate([x[:, :7], x[:, 5:6]], axis=1)
    np.testing.assert_allclose(
        to_numpy(odd(x[:, :7])), to_numpy(fixed(mirrored))[:, :7], rtol=1e-5, atol=1e-6
    )


def test_depth_and_convolutions_as_asked():
    model = UNet(filters=2, depth=0, padding="same", convs_per_level=3, kernel_size=5)
    assert [layer.name for layer in model.layers if hasattr(layer, "kernel")] == [
        "contract1_conv1",
        "contract1_conv2",
        "contract1_conv3",
        "logits",
    ]
    assert model.get_layer("contract1_conv3").kernel_size == (5, 5)
    assert model.geometry.margin == 6


def test_group_normalisation_divides_any_width():
    model = UNet(filters=12, depth=1, padding="same", normalization="group", activation="gelu")
    assert model.get_layer("contract1_conv1_norm").groups == 4
    assert model.get_layer("contract2_conv1_norm").groups == 8
    assert model.get_layer("contract1_conv1_act").activation is keras.activations.gelu
    again = UNet.from_config(model.get_config())
    assert again.get_config() == model.get_config()


def test_channels_come_last_whatever_the_global_setting():
    before = keras.config.image_data_format()
    keras.config.set_image_data_format("channels_first")
    try:
        model = UNet((16, 20, 3), filters=2, depth=1, padding="same", normalization="batch")
    finally:
        keras.config.set_image_data_format(before)
    assert model.output_shape == (None, 16, 20, 2)


def test_a_graph_for_any_size_does_not_shift_illegal_ones():
    if keras.config.backend() != "tensorflow":
        pytest.skip("traces a tf.function")
    import tensorflow as tf

    model = UNet(filters=2, depth=2)
    spec = tf.TensorSpec((None, None, None, 1), tf.float32)
    run = tf.function(model, input_signature=[spec])
    assert run(np.zeros((1, 48, 52, 1), "float32")).shape == (1, 8, 12, 2)
    for size in (49, 50, 51):
        with pytest.raises(tf.errors.InvalidArgumentError):
            run(np.zeros((1, size, 52, 1), "float32"))


ILL_CASES = [
    ({"num_classes": 0}, "num_classes must be a positive integer. Received: num_classes=0"),
    ({"num_classes": 2.0}, "num_classes must be"),
    ({"filters": 0}, "filters must be a positive integer. Received: filters=0"),
    ({"depth": -1}, "depth must be between"),
    ({"padding": "valie"}, "padding must be one of"),
    ({"variant": "2016"}, "variant must be one of .*'release2015'.*Received: variant='2016'"),
    ({"normalization": "layer"}, "normalization must be one of"),
    ({"dropout": 1.0}, r"dropout must be in \[0, 1\)"),
    ({"dropout": -0.1}, "dropout must be in"),
    ({"upsampling": "nearest"}, "upsampling must be one of"),
    ({"upsampling": "bilinear"}, "use it with padding='same'"),
    ({"activation": "rlu"}, "rlu"),
    ({"convs_per_level": 0}, "convs_per_level must be"),
    ({"kernel_size": 2}, "kernel_size must be odd"),
    ({"input_shape": (None, None, None)}, "input_shape must be"),
    ({"input_shape": (3,)}, "input_shape must be"),
    ({"input_shape": (0, 8, 1), "padding": "same"}, "input_shape must be"),
    ({"input_shape": (572, 600, 1)}, r"input_shape\[1\]=600 is not a legal.*588 and 604"),
    ({"input_shape": (100, 572, 1)}, r"input_shape\[0\]=100 is not a legal.*188 \(the smallest\)"),
]


@pytest.mark.parametrize(("arguments", "message"), ILL_CASES)
def test_errors(arguments, message):
    with pytest.raises(ValueError, match=f"(?s){message}"):
        UNet(**arguments)
