import keras
import numpy as np
import pytest
from margin_tester import check_margin
from model_tester import ModelTester, to_numpy

from keras_unet.models import VNet

# These take long to build: what the oldest versions and the other backends run again is chosen
# test by test.


class TestPaper(
    ModelTester,
    name="vnet",
    parameters=9_756,
    input_shape=(None, None, 1),
    filters=2,
    depth=2,
    margin=None,
):
    pass


@pytest.mark.core
@pytest.mark.backend
class TestRelease(
    ModelTester,
    name="vnet",
    parameters=678,
    input_shape=(None, 2),
    num_classes=3,
    filters=3,
    depth=1,
    variant="release",
    normalization="batch",
    margin=None,
):
    pass


@pytest.mark.parametrize(("variant", "count"), [("paper", 65_175_314), ("release", 61_982_682)])
def test_published_parameters(variant, count):
    assert VNet(variant=variant).count_params() == count


def test_sizes_of_the_paper():
    """Figure 2: 16 to 256 channels on the left, twice the width on the right."""
    model = VNet((128, 128, 64, 1))

    def shape(name):
        return tuple(model.get_layer(name).output.shape)[1:]

    for stage, count in enumerate((1, 2, 3, 3, 3)):
        size = 128 >> stage
        assert shape(f"left{stage + 1}_conv{count}") == (size, size, size // 2, 16 << stage)
    for stage, count in zip((4, 3, 2, 1), (3, 3, 2, 1), strict=True):
        size = 128 >> (stage - 1)
        assert shape(f"right{stage}_conv{count}") == (size, size, size // 2, 16 << stage)
    assert shape("logits") == (128, 128, 64, 2)
    slopes = [layer for layer in model.layers if layer.name.endswith("_act")]
    assert {tuple(layer.alpha.shape[:-1]) for layer in slopes} == {(1, 1, 1)}


@pytest.mark.core
@pytest.mark.backend
def test_the_image_is_added_in_the_first_stage():
    model = VNet((8, 12, 8, 1), filters=3, depth=1)
    probe = keras.Model(model.inputs[0], model.get_layer("left1_add").output)
    model.set_weights([np.zeros(w.shape, "float32") for w in model.weights])
    x = np.random.default_rng(0).normal(size=(1, 8, 12, 8, 1)).astype("float32")
    np.testing.assert_array_equal(to_numpy(probe(x)), np.repeat(x, 3, axis=-1))


@pytest.mark.parametrize("variant", ["paper", "release"])
@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_margin(depth, variant):
    check_margin("vnet", filters=1, depth=depth, variant=variant, margin=None)


def test_volumes_of_any_size():
    model = VNet(filters=2, depth=1)
    assert tuple(model(np.zeros((1, 7, 5, 1, 1), "float32")).shape) == (1, 7, 5, 1, 2)


def test_a_smaller_margin_for_tiles():
    assert VNet(filters=1).geometry.margin == 32
    assert VNet(filters=1, margin=None).geometry.margin == 288
    assert VNet(filters=1, depth=2, margin=8).get_config()["margin"] == 8


ILL_CASES = [
    ({"margin": 24}, "margin must be a multiple of stride=16.*Received: margin=24"),
    ({"depth": 5}, "depth must be between 1 and 4. Received: depth=5"),
    ({"variant": "2016"}, "variant must be one of .*'release'.*Received: variant='2016'"),
    ({"filters": 0}, "filters must be"),
]


@pytest.mark.core
@pytest.mark.parametrize(("arguments", "message"), ILL_CASES)
def test_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        VNet(**arguments)
