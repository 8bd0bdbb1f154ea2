"""Exports of networks of one channel, and of those that end in probabilities."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from export_cases import make, picture

import keras_unet as ku

for package in ("tf2onnx", "onnx", "onnxruntime", "openvino", "ai_edge_litert"):
    pytest.importorskip(package)

# What Keras's exporters and tf2onnx call themselves
pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

IMAGE = picture(37, 50)
FILES = {"tflite": "m.tflite", "onnx": "m.onnx", "openvino": "m.xml"}


def ending(function, channels):
    plain = make(depth=1, num_classes=channels)
    if function is None:
        return plain.replace(max_tile=40)
    model = keras.Model(plain.model.input, function(plain.model.outputs[0]))
    return ku.Segmenter(model, geometry=plain.geometry, max_tile=40)


NETWORKS = {
    "one logit": (None, 1),
    "sigmoid": (keras.ops.sigmoid, 1),
    "soft-max": (keras.ops.softmax, 2),
}


@pytest.fixture(scope="module", params=NETWORKS)
def segmenter(request):
    return ending(*NETWORKS[request.param])


@pytest.mark.parametrize("name", FILES)
def test_engines(name, segmenter, tmp_path):
    loaded = ku.Segmenter.load(segmenter.export(tmp_path / FILES[name], name)).replace(max_tile=40)
    expected, found = segmenter.predict(IMAGE), loaded.predict(IMAGE)
    assert found.probabilities.shape == (37, 50, 2)
    np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=1e-5)
    assert (found.classes == expected.classes).mean() > 0.999


def test_saved_model(segmenter, tmp_path):
    folder = segmenter.export(tmp_path / "cells", "saved_model", warmup_sizes=[])
    signatures = tf.saved_model.load(str(folder)).signatures
    expected = segmenter.predict(IMAGE)
    found = signatures["classes"](images=tf.constant(IMAGE[None]))["classes"].numpy()[0]
    np.testing.assert_array_equal(found, expected.classes)
    batch = tf.constant(IMAGE[None].astype(np.float32))
    maps = signatures["serving_default"](images=batch)["probabilities"].numpy()[0]
    np.testing.assert_array_equal(maps, expected.probabilities)
