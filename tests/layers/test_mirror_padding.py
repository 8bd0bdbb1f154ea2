import keras
import numpy as np
import pytest
from layer_tester import run_layer, run_traced

from keras_unet.layers import MirrorPadding

pytestmark = [pytest.mark.core, pytest.mark.backend]

on_tensorflow = pytest.mark.skipif(
    keras.config.backend() != "tensorflow", reason="traces a tf.function"
)


def image(*spatial):
    shape = (2, *spatial, 3)
    return np.arange(np.prod(shape), dtype="float32").reshape(shape)


def numpy_padded(x, pairs):
    return np.pad(x, [(0, 0), *pairs, (0, 0)], mode="reflect")


def test_by_hand():
    row = np.array([1.0, 2.0, 3.0], "float32")[None, :, None]
    padded = run_layer(MirrorPadding(padding=((2, 5),)), row)
    assert padded[0, :, 0].tolist() == [3, 2, 1, 2, 3, 2, 1, 2, 3, 2]


CASES = [  # spatial shape, padding, the same as pairs
    ((5,), 2, [(2, 2)]),
    ((4, 7), 3, [(3, 3), (3, 3)]),
    ((4, 7), (0, 6), [(0, 0), (6, 6)]),
    ((4, 7), ((1, 0), (0, 2)), [(1, 0), (0, 2)]),
    ((3, 2), ((7, 11), (5, 4)), [(7, 11), (5, 4)]),  # exceeds the size several times
    ((1, 2), 4, [(4, 4), (4, 4)]),  # a single pixel
    ((2, 3, 1), (1, (2, 5), 3), [(1, 1), (2, 5), (3, 3)]),
]


@pytest.mark.parametrize(("shape", "padding", "pairs"), CASES)
def test_equals_numpy_reflect(shape, padding, pairs):
    x = image(*shape)
    np.testing.assert_array_equal(run_layer(MirrorPadding(padding), x), numpy_padded(x, pairs))


MULTIPLES = [
    ((5,), 4, [3]),
    ((1, 8), 4, [3, 0]),
    ((3, 17), 16, [13, 15]),
    ((2, 1, 6), 3, [1, 2, 0]),
]


@pytest.mark.parametrize(("shape", "multiple", "after"), MULTIPLES)
def test_pads_the_end_to_a_multiple(shape, multiple, after):
    x = image(*shape)
    expected = numpy_padded(x, [(0, n) for n in after])
    np.testing.assert_array_equal(run_layer(MirrorPadding(multiple=multiple), x), expected)


@on_tensorflow
@pytest.mark.parametrize("shape", [(1, 1), (8, 4), (5, 7), (3, 16)])
def test_any_size_in_one_graph(shape):
    x = image(*shape)
    for layer in (MirrorPadding(multiple=4), MirrorPadding(padding=((3, 9), 1))):
        outputs, traced = run_traced(layer, x)
        np.testing.assert_array_equal(outputs, keras.ops.convert_to_numpy(layer(x)))
        assert traced[-1] == 3


ILL_CASES = [
    (lambda: MirrorPadding(), "either padding or multiple"),
    (lambda: MirrorPadding(padding=1, multiple=2), "either padding or multiple"),
    (lambda: MirrorPadding(multiple=0), "multiple must be a positive integer"),
    (lambda: MirrorPadding(multiple=2.0), "multiple must be a positive integer"),
    (lambda: MirrorPadding(padding=1.5), "padding must be an integer >= 0"),
    (lambda: MirrorPadding(padding=-1), "padding must be an integer >= 0"),
    (lambda: MirrorPadding(padding=((1, 2, 3),)), "padding must be"),
    (lambda: MirrorPadding(padding=((1, -2),)), "padding must be"),
    (lambda: MirrorPadding(padding=()), "padding must be"),
    (lambda: MirrorPadding(padding=(1, 2))(image(5)), "padding must be.*for 1 spatial axes"),
]


@pytest.mark.parametrize(("make", "message"), ILL_CASES)
def test_errors(make, message):
    with pytest.raises(ValueError, match=f"(?s){message}"):
        make()
