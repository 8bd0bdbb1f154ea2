"""The geometry's margin against what the network really reads, impulse by impulse."""

import itertools

import keras
import numpy as np
import pytest
from model_tester import to_numpy

from keras_unet.models import UNet

pytestmark = pytest.mark.core

CASES = [
    *itertools.product(["same"], ["transpose", "bilinear"], [1, 2, 3], [1, 2, 3]),
    *itertools.product(["valid"], ["transpose"], [1, 2, 3], [1, 2]),
]


def reach(model, size):
    """Which of `size` input pixels (columns) reach which output pixels (rows), in one dimension.

    All weights are positive and all biases zero, so nothing cancels: an output is positive exactly
    where the impulse is seen.
    """
    model.set_weights([np.full(w.shape, w.name == "kernel", "float32") for w in model.weights])
    outputs = to_numpy(model(np.eye(size, dtype="float32")[..., None], training=False))
    return outputs[..., 0].T > 0


@pytest.mark.parametrize(("padding", "upsampling", "depth", "convs"), CASES)
def test_margin_is_what_a_window_on_the_grid_reads(padding, upsampling, depth, convs):
    model = UNet((None, 1), 1, 1, depth, padding, upsampling=upsampling, convs_per_level=convs)
    geometry = model.geometry
    stride, margin = geometry.stride, geometry.margin
    size = geometry.nearest(2 * margin + 2 * stride)[1]
    matrix = reach(model, size)
    assert matrix.shape == (geometry.output_size(size), size)
    if padding == "valid":
        tile = geometry.nearest(2 * margin + stride)[1]
        read = np.flatnonzero(matrix[:stride].any(axis=0))
        assert read[0] == 0
        assert tile - stride <= read[-1] < tile
    else:
        window = np.arange(margin, margin + stride)
        read = np.flatnonzero(matrix[window].any(axis=0))
        context = max(window[0] - read[0], read[-1] - window[-1])
        assert margin == -(-context // stride) * stride


@pytest.mark.parametrize(
    ("upsampling", "depth", "convs"), [("transpose", 3, 2), ("bilinear", 2, 3), ("bilinear", 3, 1)]
)
def test_context_beyond_the_margin_does_not_matter(upsampling, depth, convs):
    keras.utils.set_random_seed(0)
    model = UNet(
        filters=3, depth=depth, padding="same", upsampling=upsampling, convs_per_level=convs
    )
    stride, margin = model.geometry.stride, model.geometry.margin
    height, width = 2 * margin + stride, 2 * margin + 2 * stride
    image = np.random.default_rng(0).normal(size=(1, height + 2 * stride, width + stride, 1))
    image = image.astype("float32")
    whole = to_numpy(model(image, training=False))
    tile = to_numpy(model(image[:, stride : stride + height, :width], training=False))
    expected = whole[:, stride : stride + height, :width]
    kept = np.s_[:, margin:-margin, margin:-margin]
    scale = np.abs(expected).max()
    np.testing.assert_allclose(tile[kept], expected[kept], atol=1e-6 * scale)
    assert np.abs(tile - expected).max() > 0.01 * scale  # nearer the rim it does
