import keras
import numpy as np
import pytest
from answers import answer
from model_tester import ModelTester, to_numpy

from keras_unet.models import UNet

pytestmark = [pytest.mark.core, pytest.mark.backend]


class TestValid(ModelTester, name="unet", parameters=7_402, filters=4, depth=2, dropout=0.0):
    pass


class TestSame(
    ModelTester,
    name="unet",
    parameters=7_319,
    input_shape=(None, None, 3),
    num_classes=3,
    filters=4,
    depth=2,
    padding="same",
    upsampling="bilinear",
    normalization="batch",
    dropout=0.0,
):
    pass


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
    logits = answer(model, np.zeros((1, *sizes, shape[-1]), "float32"))
    assert tuple(logits.shape) == (1, *outputs, 2)


def test_without_skip_connections_fine_detail_is_lost():
    arguments = {"filters": 4, "depth": 2, "padding": "same", "dropout": 0.0}
    model = UNet((16, 24, 1), skip_connections=False, **arguments)
    assert not [layer for layer in model.layers if layer.name.endswith("_concat")]
    # An hourglass of conv, up-convolution and head layers; each concatenation missing saves half
    # of the first convolution's inputs: 8 of 16 and 4 of 8 channels.
    missing = 9 * 8 * 8 + 9 * 4 * 4
    whole = UNet((16, 24, 1), **arguments)
    assert whole.count_params() - model.count_params() == missing
    assert UNet.from_config(model.get_config()).count_params() == model.count_params()


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


def test_group_normalization_divides_any_width():
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
    ({"input_shape": (572, 600, 1)}, r"input_shape\[1\] of 600 px is not a legal.*588 and 604"),
    (
        {"input_shape": (100, 572, 1)},
        r"input_shape\[0\] of 100 px is not a .*188 \(the smallest\)",
    ),
]


@pytest.mark.parametrize(("arguments", "message"), ILL_CASES)
def test_errors(arguments, message):
    with pytest.raises(ValueError, match=f"(?s){message}"):
        UNet(**arguments)


def test_compile_does_not_choose_xla_on_a_cpu():
    if keras.config.backend() != "tensorflow":
        pytest.skip("a question of TensorFlow on a CPU")
    import tensorflow as tf

    if len(tf.config.list_physical_devices()) > len(tf.config.list_physical_devices("CPU")):
        pytest.skip("there is an accelerator")
    model = UNet(filters=2, depth=1)
    model.compile("sgd", "mse")
    assert model.jit_compile is False
