import keras
import numpy as np
import pytest
from margin_tester import check_margin
from model_tester import ModelTester, to_numpy

from keras_unet.losses import DeepSupervision, WeightedCrossentropy
from keras_unet.metrics import MeanIoU, MeanOfHeads
from keras_unet.models import UNetPlusPlus

# These take long to build: what the oldest versions and the other backends run again is chosen
# test by test.


class TestOneHead(
    ModelTester, name="unet_plus_plus", parameters=8_118, filters=4, depth=2, dropout=0.0
):
    pass


@pytest.mark.core
@pytest.mark.backend
class TestDeepSupervision(
    ModelTester,
    name="unet_plus_plus",
    parameters=2_292,
    input_shape=(None, None, 3),
    num_classes=3,
    filters=2,
    depth=2,
    dropout=0.0,
    deep_supervision=True,
    normalization="batch",
):
    pass


@pytest.mark.parametrize(("deep", "count"), [(False, 9_041_601), (True, 9_041_700)])
def test_published_parameters(deep, count):
    assert UNetPlusPlus(num_classes=1, deep_supervision=deep).count_params() == count


def test_nodes_see_the_upsampled_one_and_all_before():
    model = UNetPlusPlus((16, 24, 1), filters=2, depth=3)
    inputs = model.get_layer("node0_3_concat").input
    layers = ["node0_3_up", *[f"node0_{j}_conv2_dropout" for j in range(3)]]
    assert [id(x) for x in inputs] == [id(model.get_layer(name).output) for name in layers]
    assert model.get_layer("node1_2_concat").output.shape[1:] == (8, 12, 4 * 3)
    rates = [layer.rate for layer in model.layers if layer.name.endswith("_dropout")]
    assert rates == [0.5] * 2 * 10  # after each convolution
    kernels = [layer for layer in model.layers if layer.name.rpartition("_")[2].startswith("conv")]
    assert len(kernels) == 20
    assert all(abs(float(layer.kernel_regularizer.l2) - 1e-4) < 1e-9 for layer in kernels)


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_margin(depth, deep):
    check_margin("unet_plus_plus", filters=1, depth=depth, deep_supervision=deep)


@pytest.fixture(scope="module")
def deep():
    keras.utils.set_random_seed(0)
    return UNetPlusPlus(filters=2, depth=3, dropout=0.0, deep_supervision=True)


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).normal(size=(1, 13, 22, 1)).astype("float32")


def test_the_logits_are_the_mean_of_the_heads(deep, image):
    heads = to_numpy(deep.training_model()(image)).reshape(1, 13, 22, 3, 2)
    assert deep.num_heads == 3
    assert deep.heads == ()
    np.testing.assert_allclose(to_numpy(deep(image)), heads.mean(axis=-2), atol=1e-6)
    assert [w.path for w in deep.training_model().weights] == [w.path for w in deep.weights]


def test_a_pruned_network_is_one_head(deep, image):
    heads = to_numpy(deep.training_model()(image)).reshape(1, 13, 22, 3, 2)
    counts = []
    for level in (1, 2, 3):
        small = deep.pruned(level)
        assert small.geometry.depth == level
        assert small.geometry.margin == UNetPlusPlus(filters=1, depth=level).geometry.margin
        counts.append(small.count_params())
        # the smaller network mirrors to a smaller multiple: compare where both see the image
        np.testing.assert_allclose(
            to_numpy(small(image[:, :8, :16])),
            to_numpy(deep.training_model()(image[:, :8, :16]))[..., 2 * level - 2 : 2 * level],
            atol=1e-5,
        )
    assert counts == sorted(counts)
    assert counts[-1] < deep.count_params()
    np.testing.assert_allclose(to_numpy(deep.pruned(3)(image)), heads[..., 2, :], atol=1e-5)


def test_one_head_can_be_pruned_to_itself_only():
    model = UNetPlusPlus(filters=1, depth=2)
    loss, metric = WeightedCrossentropy(), MeanIoU(2)
    assert model.training_model() is model
    assert model.training_loss(loss) is loss
    assert model.training_metrics((metric,)) == [metric]
    assert model.pruned(2).count_params() == model.count_params()
    with pytest.raises(ValueError, match=r"level must be between 2 and 2.*Received: level=1"):
        model.pruned(1)


@pytest.mark.core
@pytest.mark.backend
def test_deep_supervision_trains_every_head(image):
    keras.utils.set_random_seed(0)
    model = UNetPlusPlus(filters=2, depth=2, dropout=0.0, deep_supervision=True)
    training = model.training_model()
    loss = model.training_loss(WeightedCrossentropy())
    metrics = model.training_metrics([MeanIoU(2, name="iou")])
    assert isinstance(loss, DeepSupervision)
    assert isinstance(metrics[0], MeanOfHeads)
    training.compile("sgd", loss, metrics=metrics)
    before = [to_numpy(weight) for weight in model.weights]
    labels = (image[..., 0] > 0).astype("int32")
    history = training.fit(image, labels, sample_weight=np.ones(labels.shape), verbose=0).history
    assert np.isfinite(history["loss"][0])
    assert 0 <= history["iou"][0] <= 1
    for weight, old in zip(model.weights, before, strict=True):
        assert not np.array_equal(to_numpy(weight), old), weight.path


ILL_CASES = [
    ({"depth": 0}, "depth must be a positive integer. Received: depth=0"),
    ({"dropout": 1.0}, r"dropout must be in \[0, 1\)"),
    ({"l2": -1.0}, "l2 must be at least 0. Received: l2=-1.0"),
]


@pytest.mark.core
@pytest.mark.parametrize(("arguments", "message"), ILL_CASES)
def test_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        UNetPlusPlus(**arguments)
