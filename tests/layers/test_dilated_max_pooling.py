import itertools

import keras
import numpy as np
import pytest
from layer_tester import run_layer, run_traced

from keras_unet.layers import DilatedMaxPooling

pytestmark = [pytest.mark.core, pytest.mark.backend]


def expected(x, size, dilation):
    lost = (size - 1) * dilation
    sizes = [n - lost for n in x.shape[1:-1]]
    windows = []
    for offsets in itertools.product(range(0, lost + 1, dilation), repeat=len(sizes)):
        box = [slice(offset, offset + n) for offset, n in zip(offsets, sizes, strict=True)]
        windows.append(x[(slice(None), *box)])
    return np.max(windows, axis=0)


@pytest.mark.parametrize("shape", [(9,), (9, 12), (9, 7, 8)])
@pytest.mark.parametrize(("size", "dilation"), [(1, 1), (2, 1), (2, 4), (3, 2)])
def test_maxima(shape, size, dilation):
    x = np.random.default_rng(0).normal(size=(2, *shape, 3)).astype("float32")
    outputs = run_layer(DilatedMaxPooling(size, dilation), x)
    np.testing.assert_array_equal(outputs, expected(x, size, dilation))


def test_sizes_that_are_known_only_when_the_graph_runs():
    if keras.config.backend() != "tensorflow":
        pytest.skip("traces a tf.function")
    x = np.random.default_rng(0).normal(size=(1, 6, 9, 2)).astype("float32")
    outputs, shape = run_traced(DilatedMaxPooling(2, 3), x)
    np.testing.assert_array_equal(outputs, expected(x, 2, 3))
    assert shape[-1] == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"pool_size": 0}, "pool_size must be a positive integer. Received: pool_size=0"),
        ({"dilation": 1.5}, "dilation must be a positive integer. Received: dilation=1.5"),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        DilatedMaxPooling(**arguments)
