import keras
import numpy as np
import pytest
from margin_tester import check_margin
from model_tester import ModelTester, to_numpy

from keras_unet.models import FCN

# These take long to build: what the oldest versions and the other backends run again is chosen
# test by test.


@pytest.mark.core
@pytest.mark.backend
class TestFine(
    ModelTester,
    name="fcn",
    parameters=5337,
    input_shape=(None, 1),
    filters=2,
    units=3,
    dropout=0.0,
    score_initializer="he_normal",
):
    pass


class TestCoarse(
    ModelTester,
    name="fcn",
    parameters=76227,
    input_shape=(None, None, 3),
    num_classes=3,
    filters=3,
    variant="32s",
    units=5,
    normalization="batch",
    dropout=0.0,
    learned_upsampling=True,
    score_initializer="he_normal",
):
    pass


@pytest.mark.parametrize(
    ("variant", "classes", "count"),
    [
        ("32s", 2, 134_268_738),
        ("16s", 2, 134_269_764),
        ("8s", 2, 134_270_278),
        ("8s", 21, 134_362_751),
    ],
)
def test_published_parameters(variant, classes, count):
    assert FCN(num_classes=classes, variant=variant).count_params() == count


def test_sizes_of_the_authors_network():
    model = FCN((96, 128, 3), filters=1, units=2)

    def shape(name):
        return tuple(model.get_layer(name).output.shape)[1:3]

    sizes = {"conv1_1": 198, "stage1_pool": 99}
    assert shape("conv1_1") == (96 + sizes["conv1_1"], 128 + sizes["conv1_1"])
    for stage, more in enumerate((99, 50, 25, 13, 7), start=1):
        assert shape(f"stage{stage}_pool") == (96 // 2**stage + more, 128 // 2**stage + more)
    assert shape("fc6") == (3 + 1, 4 + 1)
    assert shape("fuse_pool4") == (6 + 4, 8 + 4)
    assert shape("fuse_pool3") == (12 + 10, 16 + 10)
    assert shape("crop_scores") == (96, 128)
    rates = {layer.name: layer.rate for layer in model.layers if hasattr(layer, "rate")}
    assert rates == {"fc6_dropout": 0.5, "fc7_dropout": 0.5}


@pytest.mark.parametrize("variant", ["32s", "16s", "8s"])
def test_margin(variant):
    check_margin(
        "fcn", filters=1, units=1, variant=variant, score_initializer="he_normal", dropout=0.0
    )


VOLUME = pytest.param((None, None, None, 1), marks=pytest.mark.slow)


@pytest.mark.parametrize("shape", [(None, None, 1), (None, 1), VOLUME])
def test_learned_kernels_start_bilinear(shape):
    arguments = {"filters": 1, "units": 2, "score_initializer": "he_normal", "num_classes": 3}
    fixed = FCN(shape, variant="16s", **arguments)
    learned = FCN(shape, variant="16s", learned_upsampling=True, **arguments)
    assert len(learned.weights) == len(fixed.weights) + 2
    for layer in fixed.layers:
        if layer.weights:
            learned.get_layer(layer.name).set_weights(layer.get_weights())
    size = (33, 40, 32)[: len(shape) - 1]
    x = np.random.default_rng(0).normal(size=(1, *size, 1)).astype("float32")
    expected = to_numpy(fixed(x))
    assert expected.shape == (1, *size, 3)
    assert np.ptp(expected) > 0
    np.testing.assert_allclose(to_numpy(learned(x)), expected, atol=1e-5 * np.abs(expected).max())


def test_scores_start_at_zero():
    model = FCN(filters=1, units=2, variant="8s")
    assert not to_numpy(model(np.ones((1, 20, 30, 3), "float32"))).any()
    for name in ("score_fr", "score_pool4", "score_pool3"):
        assert not to_numpy(model.get_layer(name).kernel.value).any()


def test_slim():
    assert FCN(filters=16).get_layer("fc6").filters == 1024
    assert FCN(filters=16, units=256).get_layer("fc7").filters == 256
    config = FCN(filters=16, units=256).get_config()
    assert FCN.from_config(config).get_config() == config


ILL_CASES = [
    ({"variant": "4s"}, "variant must be one of .*'8s'.*Received: variant='4s'"),
    ({"units": 0}, "units must be a positive integer. Received: units=0"),
    ({"score_initializer": "ones"}, "score_initializer must be one of"),
    ({"dropout": 1.0}, r"dropout must be in \[0, 1\)"),
    ({"num_classes": 0}, "num_classes must be"),
]


@pytest.mark.core
@pytest.mark.parametrize(("arguments", "message"), ILL_CASES)
def test_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        FCN(**arguments)


def test_random_scores_are_as_asked():
    keras.utils.set_random_seed(0)
    model = FCN(filters=1, units=2, score_initializer="he_normal")
    assert to_numpy(model.get_layer("score_fr").kernel.value).any()
