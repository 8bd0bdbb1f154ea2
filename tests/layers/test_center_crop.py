import keras
import numpy as np
import pytest
from layer_tester import run_layer, run_traced

from keras_unet.layers import CenterCrop, StartCrop

pytestmark = [pytest.mark.core, pytest.mark.backend]

on_tensorflow = pytest.mark.skipif(
    keras.config.backend() != "tensorflow", reason="traces a tf.function"
)


def image(*spatial, channels=2):
    shape = (3, *spatial, channels)
    return np.arange(np.prod(shape), dtype="float32").reshape(shape)


CASES = [  # layer, spatial shape, reference's spatial shape, slices that are kept
    (CenterCrop, (5,), (3,), np.s_[:, 1:4]),
    (CenterCrop, (8, 5), (4, 3), np.s_[:, 2:6, 1:4]),
    (CenterCrop, (8, 5), (8, 1), np.s_[:, :, 2:3]),
    (CenterCrop, (4, 6, 9), (2, 6, 3), np.s_[:, 1:3, :, 3:6]),
    (StartCrop, (5,), (2,), np.s_[:, :2]),
    (StartCrop, (8, 5), (7, 5), np.s_[:, :7]),
    (StartCrop, (4, 6, 9), (1, 3, 8), np.s_[:, :1, :3, :8]),
]


@pytest.mark.parametrize(("layer", "shape", "target", "kept"), CASES)
def test_crops_to_a_reference_and_to_a_size(layer, shape, target, kept):
    x = image(*shape)
    reference = np.zeros((3, *target, 7), "float32")
    np.testing.assert_array_equal(run_layer(layer(), [x, reference]), x[kept])
    np.testing.assert_array_equal(run_layer(layer(target), x), x[kept])


def test_one_size_holds_for_all_axes():
    np.testing.assert_array_equal(run_layer(CenterCrop(2), image(6, 4)), image(6, 4)[:, 2:4, 1:3])


@on_tensorflow
@pytest.mark.parametrize(("layer", "shape", "target", "kept"), CASES)
def test_any_size_in_one_graph(layer, shape, target, kept):
    x = image(*shape)
    outputs, traced = run_traced(layer(), [x, np.zeros((3, *target, 7), "float32")])
    np.testing.assert_array_equal(outputs, x[kept])
    assert traced[-1] == 2


@on_tensorflow
def test_an_odd_difference_stays_visible_in_a_graph():
    outputs, _ = run_traced(CenterCrop(), [image(7, 6), np.zeros((3, 4, 4, 1), "float32")])
    assert outputs.shape == (3, 5, 4, 2)


ILL_CASES = [
    (lambda: CenterCrop(0), "size must be positive"),
    (lambda: CenterCrop((3, -1)), "size must be positive"),
    (lambda: CenterCrop(()), "size must be positive"),
    (lambda: CenterCrop(2.5), "size must be positive"),
    (lambda: CenterCrop((3, 3))(image(5)), "one number for each of the 1 spatial axes"),
    (lambda: CenterCrop()(image(5)), r"called with \[x, reference\]"),
    (lambda: CenterCrop()([image(5), image(3, 3)]), "same rank"),
    (lambda: CenterCrop()([image(5), image(2)]), "must be even.*size=5, kept=2"),
    (lambda: CenterCrop()([image(5), image(7)]), "not negative.*size=5, kept=7"),
    (lambda: CenterCrop(2)(keras.Input((5, 2))), "must be even"),
    (lambda: StartCrop(6)(image(5)), "more pixels than there are.*size=5, kept=6"),
]


@pytest.mark.parametrize(("make", "message"), ILL_CASES)
def test_errors(make, message):
    with pytest.raises(ValueError, match=f"(?s){message}"):
        make()
