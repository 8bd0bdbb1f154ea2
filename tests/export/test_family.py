"""Every architecture leaves Python: SavedModel and TFLite give what `Segmenter.predict` gives."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from export_cases import picture
from family import SMALL

import keras_unet as ku
from keras_unet.export.to_saved_model import saved_model
from keras_unet.export.to_tflite import tflite

IMAGE = picture(37, 50)
MODELS = [
    pytest.param(name, marks=[pytest.mark.slow] if name == "res_unet_a" else []) for name in SMALL
]
"""One compiles for a minute; in quick runs its TFLite model is enough."""


@pytest.fixture(scope="module", params=SMALL)
def segmenter(request):
    keras.utils.set_random_seed(1)
    arguments = {"input_shape": (None, None, 1), **SMALL[request.param]}
    model = ku.models.create(request.param, **arguments)
    heads = [layer for layer in model.layers if layer.name.startswith(("logits", "score"))]
    for layer in heads:  # scores that start at zero would compare zeros
        kernel = np.random.default_rng(0).normal(size=layer.kernel.shape)
        layer.set_weights([kernel, *layer.get_weights()[1:]])
    x = np.random.default_rng(0).random((1, *[model.geometry.min_size] * 2, 1), np.float32)
    scale = np.abs(keras.ops.convert_to_numpy(model(x, training=False))).max()
    for layer in heads:  # steep probabilities would show rounding only
        layer.set_weights([layer.get_weights()[0] / scale, *layer.get_weights()[1:]])
    return ku.Segmenter(model)


@pytest.mark.parametrize("segmenter", MODELS, indirect=True)
def test_saved_model(segmenter, tmp_path):
    folder = saved_model(segmenter, tmp_path / "cells", warmup_sizes=[])
    run = tf.saved_model.load(str(folder)).signatures["serving_default"]
    found = run(images=tf.constant(IMAGE[None].astype(np.float32)))["probabilities"].numpy()[0]
    expected = segmenter.predict(IMAGE.astype(np.float32)).probabilities
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.ptp(expected[..., 1]) > 1e-3


def test_tflite(segmenter, tmp_path):
    pytest.importorskip("ai_edge_litert")
    from keras_unet.export import TFLiteSegmenter

    found = TFLiteSegmenter(tflite(segmenter, tmp_path / "cells.tflite")).predict(IMAGE)
    expected = segmenter.predict(IMAGE)
    assert np.abs(found.probabilities - expected.probabilities).max() < 1e-5
