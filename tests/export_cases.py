"""Small segmenters and images for the tests of exports."""

import keras
import numpy as np

import keras_unet as ku


def make(channels=1, filters=3, depth=2, shape=None, num_classes=2, **options):
    """A segmenter with random weights, whose answers are not all the same."""
    keras.utils.set_random_seed(1)
    arguments = {
        name: options.pop(name)
        for name in ("padding", "normalization_layer", "dtype", "upsampling")
        if name in options
    }
    arguments["normalization"] = arguments.pop("normalization_layer", None)
    model = ku.models.UNet(
        input_shape=shape or (None, None, channels),
        num_classes=num_classes,
        filters=filters,
        depth=depth,
        dropout=0.0,
        **{"padding": "same", **arguments},
    )
    return ku.Segmenter(model, **options)


def picture(height, width, channels=1, seed=0):
    """A raw image of 8 bits with structure."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    waves = 90 + 60 * np.sin(rows / 5) * np.cos(columns / 7)
    noise = random.normal(0, 12, (height, width, channels))
    return np.clip(waves[..., None] + noise, 0, 255).astype(np.uint8)
