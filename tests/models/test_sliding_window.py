import keras
import numpy as np
import pytest
from answers import answer
from model_tester import ModelTester, to_numpy

from keras_unet.data import Normalization, synthetic_cells
from keras_unet.inference import Segmenter
from keras_unet.models import SlidingWindow, predict_windows

# These take long to build: what the oldest versions and the other backends run again is chosen
# test by test.


class TestGrey(ModelTester, name="sliding_window", parameters=695, filters=3, units=4):
    pass


@pytest.mark.core
@pytest.mark.backend
class TestLine(
    ModelTester,
    name="sliding_window",
    parameters=301,
    input_shape=(None, 3),
    num_classes=3,
    filters=3,
    units=5,
    normalization="batch",
):
    pass


def test_published_parameters():
    assert SlidingWindow().count_params() == 219_290


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return SlidingWindow(filters=5, units=7)


def test_sizes_of_the_published_network(model):
    """95 -> 92, 46 -> 42, 21 -> 18, 9 -> 6, 3 -> 1."""
    layers = [layer for layer in model.patch_classifier().layers if hasattr(layer, "kernel")]
    assert [layer.output.shape[1] for layer in layers] == [92, 42, 18, 6, 1, 1]
    assert [layer.kernel.shape[0] for layer in layers] == [4, 5, 4, 4, 3, 1]


@pytest.mark.core
@pytest.mark.backend
def test_dense_and_windows_are_the_same_function(model):
    image = np.random.default_rng(0).normal(size=(97, 101, 1)).astype("float32")
    dense = to_numpy(answer(model, image[None]))[0]
    assert dense.shape == (3, 7, 2)
    windows = np.lib.stride_tricks.sliding_window_view(image[..., 0], (95, 95))
    logits = to_numpy(answer(model.patch_classifier(), windows.reshape(-1, 95, 95, 1)))
    scale = np.abs(dense).max()
    np.testing.assert_allclose(logits.reshape(dense.shape), dense, atol=1e-5 * scale)


def test_windows_at_every_pixel_are_what_a_segmenter_gives(model):
    image = np.random.default_rng(0).random((6, 5, 1), np.float32)
    logits = predict_windows(model.patch_classifier(), image, batch_size=7)
    assert logits.shape == (6, 5, 2)
    segmenter = Segmenter(model, normalization=Normalization("none"))
    expected = segmenter.predict(image).probabilities
    np.testing.assert_allclose(segmenter.target.activate(logits), expected, atol=1e-5)


def test_training_on_single_windows():
    if keras.config.backend() != "tensorflow":
        pytest.skip("the data pipeline is TensorFlow's")
    from keras_unet.data import training_dataset
    from keras_unet.losses import WeightedCrossentropy

    model = SlidingWindow(filters=2, units=3)
    samples = synthetic_cells(2, shape=(64, 80), radius=8)
    data = training_dataset(samples, model.geometry, tile=95, batch_size=4, weights=None)
    images, labels, _ = next(iter(data))
    assert (tuple(images.shape), tuple(labels.shape)) == ((4, 95, 95, 1), (4, 1, 1))
    model.compile("sgd", WeightedCrossentropy())
    history = model.fit(data, steps_per_epoch=1, shuffle=False, verbose=0).history
    assert np.isfinite(history["loss"][0])


ILL_CASES = [
    ({"units": 0}, "units must be a positive integer. Received: units=0"),
    ({"filters": -1}, "filters must be"),
    ({"dropout": 1}, r"dropout must be in \[0, 1\)"),
    (
        {"input_shape": (94, 200, 1)},
        r"input_shape\[0\] of 94 px is not a .*95 \(the smallest\)",
    ),
]


@pytest.mark.core
@pytest.mark.parametrize(("arguments", "message"), ILL_CASES)
def test_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        SlidingWindow(**arguments)


def test_an_image_of_other_channels(model):
    with pytest.raises(ValueError, match=r"2 spatial axes and 1 channel.*\(6, 5, 3\)"):
        predict_windows(model.patch_classifier(), np.zeros((6, 5, 3), np.float32))
