"""The margin of a network of "same" padding against what it really reads, impulse by impulse."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from model_tester import to_numpy

from keras_unet import models

POSITIVE = {"gamma": 1.0, "moving_variance": 1.0, "alpha": 0.25}
"""Weights for which nothing cancels; kernels take means, all others are zero."""


def check_margin(name: str, **arguments: Any) -> None:
    """Asserts that the margin is what a window on the grid reads on a side, rounded up to the grid.

    The network has one spatial axis and one channel. Its kernels take means of their two ends, so
    that an impulse is still to be seen after many of them, in float64, where a fast convolution
    does not smear it.
    """
    if keras.config.backend() == "jax":
        pytest.skip("JAX computes in float32")
    model = models.create(name, input_shape=(None, 1), num_classes=1, dtype="float64", **arguments)
    geometry = model.geometry
    stride, margin = geometry.stride, geometry.margin
    model.set_weights([_positive(weight) for weight in model.weights])
    size = 2 * margin + 3 * stride
    window = slice(margin + stride, margin + 2 * stride)

    def outputs(images: np.ndarray) -> np.ndarray:
        return to_numpy(model(images[..., None], training=False))[:, window, 0]

    # Only the last steps of the margin and those beyond it matter.
    places = np.r_[: 2 * stride, size - 2 * stride : size]
    images = np.ones((len(places) + 1, size))
    images[np.arange(len(places)), places] += 1e15
    found = outputs(images)
    read = places[(found[:-1] != found[-1]).any(axis=1)]
    assert len(read), "nothing reaches as far as the margin"
    context = max(window.start - read.min(), read.max() - (window.stop - 1))
    assert -(-context // stride) * stride == margin


def _positive(weight: Any) -> np.ndarray:
    if weight.name != "kernel":
        return np.full(weight.shape, POSITIVE.get(weight.name, 0.0))
    kernel = np.zeros(weight.shape)
    kernel[[0, -1]] = 1 / (min(len(kernel), 2) * kernel.shape[1])
    return kernel
