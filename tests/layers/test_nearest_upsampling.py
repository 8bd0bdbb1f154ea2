import keras
import numpy as np
import pytest
from layer_tester import run_layer, run_traced

from keras_unet.layers import NearestUpsampling

pytestmark = [pytest.mark.core, pytest.mark.backend]


def expected(x, factor):
    for axis in range(1, x.ndim - 1):
        x = np.repeat(x, factor, axis)
    return x


@pytest.mark.parametrize("shape", [(5,), (4, 3), (3, 2, 4)])
@pytest.mark.parametrize("factor", [1, 2, 3])
def test_repetition(shape, factor):
    x = np.random.default_rng(0).normal(size=(2, *shape, 3)).astype("float32")
    np.testing.assert_array_equal(run_layer(NearestUpsampling(factor), x), expected(x, factor))


def test_channels_stay_known_at_sizes_that_are_not():
    if keras.config.backend() != "tensorflow":
        pytest.skip("traces a tf.function")
    x = np.random.default_rng(0).normal(size=(1, 3, 4, 2)).astype("float32")
    outputs, shape = run_traced(NearestUpsampling(2), x)
    np.testing.assert_array_equal(outputs, expected(x, 2))
    assert shape[-1] == 2


@pytest.mark.parametrize("factor", [0, 1.5])
def test_errors(factor):
    with pytest.raises(ValueError, match=f"factor must be .* Received: factor={factor}"):
        NearestUpsampling(factor)
