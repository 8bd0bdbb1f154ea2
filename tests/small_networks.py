"""Networks whose answer is known, small U-Nets, and noise."""

from __future__ import annotations

import keras
import numpy as np

from keras_unet import UNetGeometry
from keras_unet.data import Normalization
from keras_unet.models import UNet
from keras_unet.targets import ClassTarget

RAW = Normalization("none")
PLAIN = ClassTarget(weights=None)


def sigmoid(x):
    return 1 / (1 + np.exp(-np.asarray(x)))


def rng_image(*shape, seed=0):
    return np.random.default_rng(seed).random(shape, np.float32)


def compare_model(rank=2, channels=1, shape=None, **options):
    """Logits 0 and the mean of the channels, as a network of some geometry: it only crops."""
    geometry = UNetGeometry(rank=rank, **{"depth": 1, "convs_per_level": 1, **options})
    inputs = keras.Input(shape or (*(None,) * rank, channels))
    x = inputs
    if geometry.padding == "valid":
        x = getattr(keras.layers, f"Cropping{rank}D")(geometry.margin)(x)
    outputs = getattr(keras.layers, f"Conv{rank}D")(2, 1)(x)
    model = keras.Model(inputs, outputs, name="compare")
    kernel = np.zeros((*(1,) * rank, channels, 2), np.float32)
    kernel[..., 1] = 1 / channels
    model.set_weights([kernel, np.zeros(2, np.float32)])
    model.geometry = geometry
    return model


def tiny_unet(**options):
    keras.utils.set_random_seed(7)
    return UNet(**{"filters": 4, "depth": 2, "dropout": 0, **options})
