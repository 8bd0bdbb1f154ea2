import keras
import numpy as np
import pytest
from margin_tester import check_margin
from model_tester import ModelTester, to_numpy

from keras_unet.models import AttentionUNet, UNet

# These take long to build: what the oldest versions and the other backends run again is chosen
# test by test.


class TestSame(ModelTester, name="attention_unet", parameters=8_116, filters=4, depth=2):
    pass


@pytest.mark.core
@pytest.mark.backend
class TestColour(
    ModelTester,
    name="attention_unet",
    parameters=1_800,
    input_shape=(None, None, 3),
    num_classes=3,
    filters=4,
    depth=1,
    normalization=None,
):
    pass


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_margin(depth):
    check_margin("attention_unet", filters=1, depth=depth)


def test_parameters_are_those_of_a_unet_and_its_gates():
    """A gate on C channels with D below: W_x 4 C C/2, W_g D C/2 + C/2, psi C/2 + 1, out C C + C."""
    options = {"filters": 8, "depth": 3, "normalization": None}
    gates = 0
    for c, d in ((8, 16), (16, 32), (32, 64)):
        gates += 4 * c * c // 2 + d * c // 2 + c // 2 + c // 2 + 1 + c * c + c
    unet = UNet(padding="same", dropout=0.0, **options)
    assert AttentionUNet(**options).count_params() == unet.count_params() + gates


def test_gates_open_and_close():
    """A bias of psi far below zero closes the skip connection, far above zero it opens."""
    model = AttentionUNet((8, 12, 1), filters=2, depth=1, normalization=None)
    probe = keras.Model(
        model.inputs[0],
        [model.get_layer(f"gate1_{part}").output for part in ("gated", "attention")],
    )
    skip = keras.Model(model.inputs[0], model.get_layer("contract1_conv2_act").output)
    x = np.random.default_rng(0).normal(size=(1, 8, 12, 1)).astype("float32")
    psi = model.get_layer("gate1_psi")
    for bias, opening in ((-100.0, 0.0), (100.0, 1.0)):
        psi.set_weights([np.zeros(psi.kernel.shape, "float32"), np.full((1,), bias, "float32")])
        gated, attention = probe(x)
        assert tuple(attention.shape) == (1, 8, 12, 1)
        np.testing.assert_allclose(to_numpy(attention), opening, atol=1e-6)
        np.testing.assert_allclose(to_numpy(gated), opening * to_numpy(skip(x)), atol=1e-5)


ILL_CASES = [
    ({"depth": 0}, "depth must be a positive integer. Received: depth=0"),
    ({"num_classes": 0}, "num_classes must be"),
    ({"dropout": 1.0}, r"dropout must be in \[0, 1\)"),
    ({"activation": "rlu"}, "rlu"),
]


@pytest.mark.core
@pytest.mark.parametrize(("arguments", "message"), ILL_CASES)
def test_errors(arguments, message):
    with pytest.raises(ValueError, match=f"(?s){message}"):
        AttentionUNet(**arguments)
