import keras
import numpy as np
import pytest
from layer_tester import run_layer, run_traced

from keras_unet.layers import BilinearUpConvolution
from keras_unet.layers.bilinear_up_convolution import bilinear_kernel

pytestmark = [pytest.mark.core, pytest.mark.backend]


def image(*shape):
    return np.random.default_rng(0).normal(size=(2, *shape, 3)).astype("float32")


def expected(x, factor):
    """The sum over source pixels, axis by axis."""
    for axis in range(1, x.ndim - 1):
        shape = list(x.shape)
        shape[axis] = (shape[axis] + 1) * factor
        outputs = np.zeros(shape)
        for place in range(x.shape[axis]):
            box = [slice(None)] * x.ndim
            box[axis] = slice(place * factor, (place + 2) * factor)
            kernel = bilinear_kernel(factor).reshape([-1] + [1] * (x.ndim - 1 - axis))
            outputs[tuple(box)] += np.take(x, [place], axis) * kernel
        x = outputs
    return x


def test_kernel():
    np.testing.assert_array_equal(bilinear_kernel(2), [0.25, 0.75, 0.75, 0.25])


@pytest.mark.parametrize("shape", [(5,), (4, 3), (3, 2, 4)])
@pytest.mark.parametrize("factor", [1, 2, 5])
def test_interpolation(shape, factor):
    x = image(*shape)
    outputs = run_layer(BilinearUpConvolution(factor), x)
    np.testing.assert_allclose(outputs, expected(x, factor), atol=1e-6)


def test_sizes_that_are_known_only_when_the_graph_runs():
    if keras.config.backend() != "tensorflow":
        pytest.skip("traces a tf.function")
    x = image(3, 4)
    outputs, shape = run_traced(BilinearUpConvolution(2), x)
    np.testing.assert_allclose(outputs, expected(x, 2), atol=1e-6)
    assert shape[-1] == 3


@pytest.mark.parametrize("factor", [0, 1.5])
def test_errors(factor):
    with pytest.raises(ValueError, match=f"factor must be .* Received: factor={factor}"):
        BilinearUpConvolution(factor)
