"""What a network ends in: logits, probabilities, one channel or two, models of models."""

import warnings

import keras
import numpy as np
import pytest

import keras_unet as ku
from keras_unet.inference.memory import sizes_of_tensors
from keras_unet.inference.outputs import gives_logits
from keras_unet.targets import ClassTarget

pytestmark = pytest.mark.core

GEOMETRY = ku.UNetGeometry(depth=1, padding="same")
IMAGE = (np.random.default_rng(0).random((21, 30)) * 255).astype("uint8")


def logits_of(channels):
    """Input and logits of a small network that is the same every time."""
    inputs = keras.Input((None, None, 1))
    initializer = keras.initializers.RandomNormal(stddev=4, seed=1)
    outputs = keras.layers.Conv2D(channels, 1, kernel_initializer=initializer)(inputs)
    return inputs, outputs


def nested(function):
    def build(channels):
        inner = keras.Model(*logits_of(channels))
        inputs = keras.Input((None, None, 1))
        return keras.Model(inputs, function(inner(inputs)))

    return build


def around(function):
    """A model in a model that ends in the function."""

    def build(channels):
        inputs, logits = logits_of(channels)
        inner = keras.Model(inputs, function(logits))
        outer = keras.Input((None, None, 1))
        return keras.Model(outer, keras.layers.Identity()(inner(outer)))

    return build


def ends(function):
    def build(channels):
        inputs, logits = logits_of(channels)
        return keras.Model(inputs, function(logits))

    return build


def convolution(channels):
    inputs = keras.Input((None, None, 1))
    initializer = keras.initializers.RandomNormal(stddev=4, seed=1)
    options = {"kernel_initializer": initializer}
    activation = "softmax" if channels > 1 else "sigmoid"
    return keras.Model(
        inputs, keras.layers.Conv2D(channels, 1, activation=activation, **options)(inputs)
    )


def activation(x):
    name = "sigmoid" if x.shape[-1] == 1 else "softmax"
    return keras.layers.Activation(name, dtype="float32")(x)


def operation(x):
    return keras.ops.sigmoid(x) if x.shape[-1] == 1 else keras.ops.softmax(x)


def sequential(channels):
    inner = ends(activation)(channels)
    return keras.Sequential([keras.Input((None, None, 1)), inner])


PROBABILITIES = {
    "activation layer": ends(activation),
    "operation": ends(operation),
    "argument": convolution,
    "after a model": nested(activation),
    "in a model": around(operation),
    "sequential": sequential,
    "linear after it": ends(lambda x: keras.layers.Activation("linear")(activation(x))),
    "mean of two": ends(lambda x: keras.layers.Average()([activation(x), operation(x)])),
}


@pytest.mark.parametrize("form", PROBABILITIES)
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_probabilities_are_taken_as_they_are(form, channels, tmp_path):
    want = ku.Segmenter(keras.Model(*logits_of(channels)), geometry=GEOMETRY).predict(IMAGE)
    segmenter = ku.Segmenter(PROBABILITIES[form](channels), geometry=GEOMETRY)
    assert segmenter.from_logits is False
    found = segmenter.predict(IMAGE)
    assert found.probabilities.shape == (*IMAGE.shape, max(channels, 2))
    np.testing.assert_allclose(found.probabilities, want.probabilities, atol=1e-6)
    assert segmenter.replace(batch_size=1).from_logits is False
    if form == "activation layer":
        again = ku.Segmenter.load(segmenter.save(tmp_path / "run"))
        assert again.from_logits is False
        np.testing.assert_array_equal(again.predict(IMAGE).probabilities, found.probabilities)


def test_logits():
    for model in (keras.Model(*logits_of(2)), ends(keras.ops.log_softmax)(2)):
        assert gives_logits(model) is True
    for options in ({"padding": "same"}, {"padding": "valid"}):
        assert gives_logits(ku.models.UNet(filters=1, depth=1, **options)) is True
    assert gives_logits(ends(keras.layers.Softmax(axis=1))(2)) is None
    assert gives_logits(ends(keras.ops.relu)(2)) is None


def test_outputs_that_nothing_tells_of_are_looked_at():
    unknown = ends(lambda x: keras.ops.softmax(x) * 1.0)(2)
    segmenter = ku.Segmenter(unknown, geometry=GEOMETRY)
    assert segmenter.from_logits is None
    with pytest.warns(UserWarning, match="from_logits=False"):
        segmenter.predict(IMAGE)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        segmenter.predict(IMAGE)
        taken = segmenter.replace(from_logits=False).predict(IMAGE)
        ku.Segmenter(ends(lambda x: x * 1.0)(2), geometry=GEOMETRY).predict(IMAGE)
        segmenter.replace(from_logits=True).predict(IMAGE)
    np.testing.assert_allclose(taken.probabilities.sum(axis=-1), 1, atol=1e-5)


def test_one_channel_end_to_end(tmp_path):
    sample = ku.Sample(IMAGE[..., None], classes=(IMAGE > 128).astype("int32"))
    model = ku.models.UNet((None, None, 1), num_classes=1, filters=1, depth=1, padding="same")
    segmenter = ku.Segmenter(model)
    assert segmenter.target.num_classes == 2
    assert segmenter.class_names == ["background", "object"]
    found = segmenter.predict(IMAGE)
    logits = segmenter.run(segmenter.prepare(IMAGE))
    np.testing.assert_array_equal(logits, found.probabilities)
    np.testing.assert_array_equal(found.classes, found.probabilities[..., 1] > 0.5)
    assert np.shape(segmenter.evaluate([sample])["confusion_matrix"]) == (2, 2)
    scores = segmenter.replace(average="scores", tta="flips").predict(IMAGE)
    assert scores.probabilities.shape == found.probabilities.shape
    again = ku.Segmenter.load(segmenter.save(tmp_path / "run")).predict(IMAGE)
    np.testing.assert_array_equal(again.probabilities, found.probabilities)
    with pytest.raises(ValueError, match="needs 3 outputs"):
        ku.Segmenter(model, ClassTarget(3))


STRUCTURES = {
    "list": list,
    "tuple": tuple,
    "dictionary": lambda x: {"a": x[0], "b": x[1]},
    "dictionary of one": lambda x: {"a": x[0]},
}


@pytest.mark.parametrize("structure", STRUCTURES.values(), ids=STRUCTURES)
def test_several_outputs(structure):
    inputs, outputs = logits_of(2)
    model = keras.Model(inputs, structure([outputs, operation(outputs)]))
    with pytest.raises(ValueError, match=r"output.*keras.Model\(model.input, model.outputs\[0\]\)"):
        ku.Segmenter(model, geometry=GEOMETRY)


def test_a_list_of_one_output():
    inputs, outputs = logits_of(2)
    want = ku.Segmenter(keras.Model(inputs, outputs), geometry=GEOMETRY).predict(IMAGE)
    found = ku.Segmenter(keras.Model(inputs, [outputs]), geometry=GEOMETRY).predict(IMAGE)
    np.testing.assert_array_equal(found.probabilities, want.probabilities)


def test_memory_of_a_model_in_a_model():
    inner = ku.models.UNet((None, None, 1), filters=4, depth=1, padding="same")
    inputs = keras.Input((None, None, 1))
    outer = keras.Model(inputs, activation(inner(inputs)))
    own, whole = (ku.inference.estimate_memory(model, (64, 64)) for model in (inner, outer))
    assert whole == own
    kept = [sum(sizes_of_tensors(model, (1, 64, 64))) for model in (inner, outer)]
    assert kept[1] > kept[0]  # the outer tensors come on top of all of the inner ones
    segmenter = ku.Segmenter(outer, geometry=inner.geometry)
    assert segmenter.predict(IMAGE).classes.shape == IMAGE.shape


def test_memory_that_is_not_known(monkeypatch):
    model = keras.Model(*logits_of(2))
    monkeypatch.setattr("keras_unet.inference.memory._peak", unknown_memory)
    segmenter = ku.Segmenter(model, geometry=GEOMETRY)
    with pytest.warns(UserWarning, match="max_tile"):
        segmenter.predict(IMAGE)


def unknown_memory(model, shape):
    raise ValueError("no graph")
