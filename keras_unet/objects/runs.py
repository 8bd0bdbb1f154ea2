"""Runs of equal pixels: ids are counted and sorted a run at a time, of which an image has few."""

from __future__ import annotations

import numpy as np


def runs(*images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the pixels of images, in row-major order, change, and for how long they do not.

    Args:
        *images: Label images of one shape.

    Returns:
        `(starts, lengths)`, int64: index of the first pixel of each run in the flat image, and its
        number of pixels. In a run no image changes.
    """
    changes = np.zeros(images[0].size, bool)
    changes[:1] = True
    for image in images:
        flat = image.ravel()
        changes[1:] |= flat[1:] != flat[:-1]
    starts = np.flatnonzero(changes)
    return starts, np.diff(starts, append=changes.size)


def distinct(image: np.ndarray) -> np.ndarray:
    """`np.unique` of a label image."""
    return np.unique(image.ravel()[runs(image)[0]])


def ranks(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`np.unique(image, return_inverse=True)` of a label image.

    Returns:
        `(values, places)`: the ids that occur, sorted, and the index of each pixel's id in them, of
        the image's shape.
    """
    starts, lengths = runs(image)
    values, places = np.unique(image.ravel()[starts], return_inverse=True)
    return values, np.repeat(places.ravel(), lengths).reshape(image.shape)
