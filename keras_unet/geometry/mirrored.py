"""Boxes of an image that goes on beyond its borders as its own mirror image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_unet.augmentation.field import mirror_fold
from keras_unet.geometry.base import Interval


def mirrored_box(source: Any, box: Sequence[Interval]) -> np.ndarray:
    """A box of an image that goes on as its own mirror image.

    One slice of the image is read: what the box shows of it, and what the mirror needs besides.

    Args:
        source: Array-like `(*spatial, ...)` that can be sliced: an array, a memory map, zarr, dask.
        box: Half-open range of pixels along each spatial axis, which may reach outside.

    Returns:
        An array of the box's shape and of `source`'s further axes; a view where nothing is
        mirrored.

    Example:
        >>> mirrored_box(np.arange(5), [(-2, 3)])
        array([2, 1, 0, 1, 2])
    """
    pixels = [
        mirror_fold(np.arange(start, stop), size)
        for (start, stop), size in zip(box, source.shape, strict=False)
    ]
    part = np.asarray(source[tuple(slice(p.min(), p.max() + 1) for p in pixels)])
    for axis, shown in enumerate(pixels):
        rows = shown - shown.min()
        if not np.array_equal(rows, np.arange(part.shape[axis])):  # there is a mirror
            part = part.take(rows, axis)
    return part
