"""From masks to instances: connected components."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import ndimage

from keras_unet._arguments import check_not_negative
from keras_unet.objects.instance_maps import drop_small, relabel


def connected_components(mask: np.ndarray, connectivity: int = 1, min_size: int = 0) -> np.ndarray:
    """One id for each connected part of a mask.

    Args:
        mask: Boolean array `(*spatial)`, or numbers of which anything but 0 counts.
        connectivity: How many coordinates of two neighbours may differ: 1 is faces only (4
            neighbours in a plane, 6 in space), the rank is all (8, 26). Defaults to 1.
        min_size: Smaller parts, in pixels, are dropped. Defaults to 0.

    Returns:
        Ids 1, 2, ... in the order of each part's first pixel (row-major), int32 `(*spatial)`.

    Raises:
        ValueError: If `connectivity` is not in 1..rank or the mask has no axes.

    Example:
        >>> connected_components(np.array([[1, 0, 1], [0, 1, 1]]))
        array([[1, 0, 2],
               [0, 2, 2]], dtype=int32)
        >>> connected_components(np.array([[1, 0, 1], [0, 1, 1]]), connectivity=2)
        array([[1, 0, 1],
               [0, 1, 1]], dtype=int32)
    """
    mask = np.asarray(mask)
    instances = np.empty(mask.shape, np.int32)
    ndimage.label(mask, neighbourhood(mask.ndim, connectivity), output=instances)
    return drop_small(instances, min_size)


def neighbourhood(rank: int, connectivity: Any) -> np.ndarray:
    """Boolean `(3, ...)` array: a pixel and its neighbours.

    Raises:
        ValueError: If `connectivity` is not in 1..rank.
    """
    if rank < 1 or connectivity not in range(1, rank + 1):
        raise ValueError(
            f"connectivity must be between 1 (faces only) and the rank, {rank} here (corners "
            f"too). Received: connectivity={connectivity}"
        )
    return ndimage.generate_binary_structure(rank, int(connectivity))


def check_components(connectivity: int, min_size: int) -> None:
    """Raises a `ValueError` unless these can describe connected components of some rank."""
    if connectivity not in (1, 2, 3):
        raise ValueError(
            "connectivity must be 1 (faces only) to the rank of the images (corners too). "
            f"Received: connectivity={connectivity}"
        )
    check_not_negative(min_size=min_size)


def pieces_per_id(instances: np.ndarray) -> float:
    """Mean number of connected regions of an id, diagonals included."""
    labels = relabel(instances)
    around = np.ones((3,) * labels.ndim)
    windows = ndimage.find_objects(labels)
    pieces = [ndimage.label(labels[w] == i, around)[1] for i, w in enumerate(windows, start=1)]
    return float(np.mean(pieces))
