"""A patch classifier at every pixel of an image, one window after the other."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np


def predict_windows(
    classifier: keras.Model, image: np.ndarray, batch_size: int = 512
) -> np.ndarray:
    """Classifies every pixel by the window around it; the image is mirrored at its borders.

    This is how networks segmented before they were made fully convolutional. It is here to be
    compared with: the dense `SlidingWindow` gives the same logits, hundreds of times faster.

    Args:
        classifier: `SlidingWindow.patch_classifier()`, or another model of `(batch, *window, C)`
            with odd sizes.
        image: `(*spatial, C)`, normalised, float32.
        batch_size: Windows that are classified at once. Defaults to 512.

    Returns:
        Logits `(*spatial, num_classes)`, float32.

    Raises:
        ValueError: If the image does not have the classifier's number of axes and channels.
    """
    *window, channels = classifier.input_shape[1:]
    if image.ndim != len(window) + 1 or image.shape[-1] != channels:
        raise ValueError(
            f"image must have {len(window)} spatial axes and {channels} channel(s). "
            f"Received: image.shape={image.shape}"
        )
    rims = [(size // 2, size // 2) for size in window]
    padded = np.pad(image, [*rims, (0, 0)], mode="reflect")
    axes = tuple(range(len(window)))
    views = np.lib.stride_tricks.sliding_window_view(padded, window, axes)
    views = np.moveaxis(views, len(window), -1)  # (*spatial, *window, C)
    pixels = np.indices(image.shape[:-1]).reshape(len(window), -1)
    logits = np.empty((pixels.shape[1], classifier.output_shape[-1]), np.float32)
    for start in range(0, len(logits), batch_size):
        batch: Any = views[tuple(pixels[:, start : start + batch_size])]
        logits[start : start + batch_size] = classifier.predict_on_batch(batch)
    return logits.reshape(*image.shape[:-1], -1)
