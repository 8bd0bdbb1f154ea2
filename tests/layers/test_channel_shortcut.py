import keras
import numpy as np
import pytest
from layer_tester import run_layer, run_traced

from keras_unet.layers import ChannelShortcut

pytestmark = [pytest.mark.core, pytest.mark.backend]


def image(*shape):
    return np.arange(1, np.prod(shape) + 1, dtype="float32").reshape(1, *shape)


@pytest.mark.parametrize("shape", [(5, 3), (4, 5, 3), (3, 4, 2, 3)])
def test_pixels_are_skipped_and_channels_filled_or_cut(shape):
    x = image(*shape)
    kept = x[(slice(None), *[slice(None, None, 2)] * (len(shape) - 1))]
    zeros = np.zeros_like(kept[..., :2])
    expected = np.concatenate([kept, zeros], axis=-1)
    np.testing.assert_array_equal(run_layer(ChannelShortcut(5, 2), x), expected)
    expected = np.concatenate([kept, kept], axis=-1)[..., :5]
    np.testing.assert_array_equal(run_layer(ChannelShortcut(5, 2, "repeat"), x), expected)
    np.testing.assert_array_equal(run_layer(ChannelShortcut(2), x), x[..., :2])
    np.testing.assert_array_equal(run_layer(ChannelShortcut(3), x), x)


def test_sizes_that_are_known_only_when_the_graph_runs():
    if keras.config.backend() != "tensorflow":
        pytest.skip("traces a tf.function")
    outputs, shape = run_traced(ChannelShortcut(4, 2), image(5, 7, 3))
    assert outputs.shape == (1, 3, 4, 4)
    assert shape[-1] == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"filters": 0}, "filters must be a positive integer. Received: filters=0"),
        ({"filters": 2, "strides": 1.5}, "strides must be a positive integer"),
        ({"filters": 2, "fill": "ones"}, "fill must be one of .*'repeat'.*Received: fill='ones'"),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        ChannelShortcut(**arguments)
