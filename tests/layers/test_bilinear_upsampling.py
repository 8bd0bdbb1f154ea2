import keras
import numpy as np
import pytest
from layer_tester import run_layer, run_traced

from keras_unet.layers import BilinearUpsampling

pytestmark = [pytest.mark.core, pytest.mark.backend]

on_tensorflow = pytest.mark.skipif(
    keras.config.backend() != "tensorflow", reason="traces a tf.function"
)


def image(*spatial):
    return np.random.default_rng(0).normal(size=(2, *spatial, 3)).astype("float32")


def interpolated(x, factor):
    """Linear interpolation at half-integer pixel centres, one axis after the other."""
    for axis in range(1, x.ndim - 1):
        size = x.shape[axis]
        where = (np.arange(size * factor) + 0.5) / factor - 0.5
        x = np.apply_along_axis(
            lambda row, w=where, n=size: np.interp(w, np.arange(n), row), axis, x
        )
    return x


def test_by_hand():
    row = np.array([0.0, 4.0, 8.0], "float32")[None, :, None]
    assert run_layer(BilinearUpsampling(), row)[0, :, 0].tolist() == [0, 1, 3, 5, 7, 8]


@pytest.mark.parametrize("factor", [1, 2, 3, 4])
@pytest.mark.parametrize("shape", [(5,), (4, 7), (1, 2), (3, 1, 2)])
def test_equals_linear_interpolation(shape, factor):
    x = image(*shape)
    outputs = run_layer(BilinearUpsampling(factor), x)
    np.testing.assert_allclose(outputs, interpolated(x, factor), atol=1e-6)


def test_equals_keras_where_keras_can():
    x = image(4, 7)
    theirs = keras.layers.UpSampling2D(2, interpolation="bilinear")(x)
    np.testing.assert_allclose(
        run_layer(BilinearUpsampling(), x), keras.ops.convert_to_numpy(theirs), atol=1e-6
    )


def test_keeps_half_precision():
    outputs = BilinearUpsampling(dtype="bfloat16")(np.array([[[1.0], [3.0]]]))
    assert keras.backend.standardize_dtype(outputs.dtype) == "bfloat16"


@on_tensorflow
@pytest.mark.parametrize("shape", [(1, 1), (4, 7), (2, 3, 5)])
def test_any_size_in_one_graph(shape):
    x = image(*shape)
    outputs, traced = run_traced(BilinearUpsampling(), x)
    np.testing.assert_allclose(outputs, interpolated(x, 2), atol=1e-6)
    assert traced[-1] == 3


@pytest.mark.parametrize("factor", [0, -1, 1.5])
def test_errors(factor):
    with pytest.raises(ValueError, match=f"positive integer. Received: factor={factor}"):
        BilinearUpsampling(factor)
