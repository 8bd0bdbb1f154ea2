"""Random grey-value changes of one image, in TensorFlow: blur, gamma, gain, offset, noise."""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf

from keras_unet.augmentation import field


def vary_gamma(image: tf.Tensor, gamma: tf.Tensor) -> tf.Tensor:
    """Bends the grey values of each channel between its lowest and highest, which stay.

    Args:
        image: `(*spatial, C)` float32.
        gamma: Exponent, scalar; above 1 darkens the middle.

    Returns:
        Same shape and dtype.
    """
    axes = list(range(image.shape.rank - 1))
    low = tf.reduce_min(image, axes)
    width = tf.reduce_max(image, axes) - low
    unit = (image - low) / tf.where(width > 0, width, 1.0)
    return tf.exp(gamma * tf.math.log(unit)) * width + low  # XLA's power is twice as slow


def blur(image: tf.Tensor, sigma: tf.Tensor, largest: float) -> tf.Tensor:
    """Gaussian blur, separable, mirrored at the borders; the kernel ends at three `largest`.

    Args:
        image: `(*spatial, C)` float32 of known spatial shape.
        sigma: Standard deviation in pixels, scalar; 0 leaves the image as it is.
        largest: The largest `sigma` that is ever drawn; sets the size of the kernel.

    Returns:
        Same shape and dtype.
    """
    radius = math.ceil(3 * largest)
    taps = np.arange(-radius, radius + 1)
    kernel = tf.exp(-0.5 * (taps.astype(np.float32) / tf.maximum(sigma, 1e-3)) ** 2)
    kernel /= tf.reduce_sum(kernel)
    for axis in range(image.shape.rank - 1):
        size = image.shape[axis]
        padded = _mirror_pad(image, radius, axis)
        windows = [
            padded[(slice(None),) * axis + (slice(start, start + size),)]
            for start in range(2 * radius + 1)
        ]
        image = tf.add_n(
            [weight * w for weight, w in zip(tf.unstack(kernel), windows, strict=True)]
        )
    return image


def _mirror_pad(image: tf.Tensor, width: int, axis: int) -> tf.Tensor:
    """Pads one axis on both sides; XLA is faster with `tf.pad`, which wants `width < size`."""
    size = image.shape[axis]
    if width < size:
        widths = [[width * (i == axis)] * 2 for i in range(image.shape.rank)]
        return tf.pad(image, widths, mode="REFLECT")
    source = field.mirror_fold(np.arange(-width, size + width), size).astype(np.int32)
    return tf.gather(image, source, axis=axis)
