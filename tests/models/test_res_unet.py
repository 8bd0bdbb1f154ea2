import keras
import numpy as np
import pytest
from margin_tester import check_margin
from model_tester import ModelTester

from keras_unet.models import ResUNet

# These take long to build: what the oldest versions and the other backends run again is chosen
# test by test.


class TestProjection(ModelTester, name="res_unet", parameters=8_426, filters=4, depth=2):
    pass


@pytest.mark.core
@pytest.mark.backend
class TestIdentity(
    ModelTester,
    name="res_unet",
    parameters=1_739,
    input_shape=(None, None, 3),
    num_classes=3,
    filters=4,
    depth=1,
    shortcut="identity",
    normalization=None,
):
    pass


@pytest.mark.parametrize(
    ("shortcut", "count"), [("identity", 7_782_913), ("projection", 8_214_593)]
)
def test_published_parameters(shortcut, count):
    """The paper's 7.8 million: convolutions only."""
    model = ResUNet((None, None, 3), num_classes=1, shortcut=shortcut, normalization=None)
    assert model.count_params() == count
    convolutions = [layer for layer in model.layers if getattr(layer, "kernel_size", 0) == (3, 3)]
    assert len(convolutions) == 14


def test_sizes_of_the_paper():
    model = ResUNet((224, 224, 3), num_classes=1, filters=2)
    sizes = [(f"contract{n}_add", 224 // 2 ** (n - 1), 2**n) for n in (1, 2, 3, 4)]
    sizes += [(f"expand{n}_add", 224 // 2 ** (n - 1), 2**n) for n in (3, 2, 1)]
    for name, size, channels in sizes:
        assert tuple(model.get_layer(name).output.shape) == (None, size, size, channels)
    assert model.get_layer("expand3_concat").output.shape[-1] == 16 + 8
    first = model.get_layer("contract1_conv1")
    assert first.input is model.inputs[0]  # the image is neither normalized nor rectified


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("shortcut", ["identity", "projection"])
def test_margin(depth, shortcut):
    check_margin("res_unet", filters=1, depth=depth, shortcut=shortcut)


@pytest.mark.core
@pytest.mark.backend
def test_without_its_convolutions_a_unit_passes_its_input():
    model = ResUNet((8, 12, 1), filters=2, depth=1, shortcut="identity", normalization=None)
    model.set_weights([np.zeros(w.shape, "float32") for w in model.weights])
    probe = keras.Model(model.inputs[0], model.get_layer("contract2_add").output)
    x = np.random.default_rng(0).normal(size=(1, 8, 12, 1)).astype("float32")
    features = keras.ops.convert_to_numpy(probe(x))
    np.testing.assert_array_equal(features[..., 0], x[:, ::2, ::2, 0])
    assert not features[..., 1:].any()


def test_volumes():
    model = ResUNet((None, None, None, 2), filters=2, depth=1)
    assert tuple(model(np.zeros((1, 5, 4, 3, 2), "float32")).shape) == (1, 5, 4, 3, 2)


ILL_CASES = [
    ({"depth": 0}, "depth must be a positive integer. Received: depth=0"),
    ({"filters": 1.5}, "filters must be"),
    ({"shortcut": "none"}, "shortcut must be one of .*'identity'.*Received: shortcut='none'"),
    ({"normalization": "layer"}, "normalization must be one of"),
    ({"input_shape": (3,)}, "input_shape must be"),
]


@pytest.mark.core
@pytest.mark.parametrize(("arguments", "message"), ILL_CASES)
def test_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        ResUNet(**arguments)
