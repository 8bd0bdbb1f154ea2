"""Instance maps: integer ids, one per object, 0 = background; their checks and the care of ids."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_unet.objects.runs import ranks, runs


def as_instances(instances: Any, name: str = "instances") -> np.ndarray:
    """Checks an instance image and gives it as C-contiguous int32.

    Args:
        instances: Integer ids `(*spatial)` of rank 1 to 3, 0 = background, 0..2**31-1.
        name: What messages call it.

    Returns:
        The same ids, int32; not a copy where the array already fits.

    Raises:
        ValueError: For a boolean or floating-point array, an empty one, one of another rank, or ids
            that are negative or above 2**31-1.
    """
    array = np.asarray(instances)
    if array.dtype == bool:
        raise ValueError(
            f"{name} must be integer ids, one per object: in a mask, objects that touch are one. "
            "If no two of them touch, keras_unet.objects.connected_components(mask) gives the ids. "
            "Received: dtype=bool"
        )
    if not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"{name} must be integers. Received: dtype={array.dtype}")
    if array.ndim not in (1, 2, 3) or array.size == 0:
        raise ValueError(
            f"{name} must have 1 to 3 axes, none of them empty. Received: shape={array.shape}"
        )
    low, high = int(array.min()), int(array.max())
    if low < 0 or high > np.iinfo(np.int32).max:
        raise ValueError(f"{name} must lie in 0..2**31-1. Received: values {low}..{high}")
    return np.ascontiguousarray(array, dtype=np.int32)


def check_spacing(spacing: Sequence[float] | None) -> list[float] | None:
    """The pixel's size along each axis as plain numbers; raises unless they are positive."""
    if spacing is None:
        return None
    sizes = [float(size) for size in spacing]
    if not sizes or not all(math.isfinite(size) and size > 0 for size in sizes):
        raise ValueError(
            f"spacing must be a positive number for each axis. Received: spacing={spacing}"
        )
    return sizes


def remove_small(instances: np.ndarray, min_size: int) -> np.ndarray:
    """Drops instances with fewer than `min_size` pixels and numbers the others 1, 2, ...

    Args:
        instances: Integer ids `(*spatial)`, 0 = background.
        min_size: Number of pixels that an instance needs to stay.

    Returns:
        A new instance image, int32; the order of the ids is kept.

    Example:
        >>> remove_small(np.array([[7, 7, 0, 8], [0, 0, 0, 9], [9, 9, 9, 9]]), min_size=2)
        array([[1, 1, 0, 0],
               [0, 0, 0, 2],
               [2, 2, 2, 2]], dtype=int32)
    """
    return drop_small(relabel(instances), min_size)


def drop_small(dense: np.ndarray, min_size: int) -> np.ndarray:
    """`remove_small` of ids that are numbered without holes; the same array if all may stay."""
    if min_size <= 1:
        return dense
    starts, lengths = runs(dense)
    labels = dense.ravel()[starts]
    keep = np.bincount(labels, lengths, minlength=1) >= min_size
    keep[0] = False
    if keep[1:].all():
        return dense
    new = np.where(keep, np.cumsum(keep), 0).astype(np.int32)
    return np.repeat(new[labels], lengths).reshape(dense.shape)


def relabel(instances: np.ndarray) -> np.ndarray:
    """Numbers instances 1, 2, ... in the order of their ids.

    Args:
        instances: Integer ids `(*spatial)`, 0 = background.

    Returns:
        A new instance image, int32.

    Example:
        >>> relabel(np.array([[0, 40, 40], [7, 0, 1000000]]))
        array([[0, 2, 2],
               [1, 0, 3]], dtype=int32)
    """
    return dense_ids(instances)[0].astype(np.int32)


def dense_ids(instances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Instances numbered without holes, and the ids that the numbers stand for.

    Args:
        instances: Integer ids `(*spatial)`, 0 = background.

    Returns:
        `(dense, ids)`: `ids` is sorted, starts with 0 (background, whether or not it occurs), and
        `ids[dense] == instances`.
    """
    labels = as_instances(instances)
    highest = int(labels.max())
    if highest < 4 * labels.size:  # counting beats sorting, and needs no more than the image
        present = np.zeros(highest + 1, bool)
        present[labels.ravel()] = True
        present[0] = True
        ids = np.flatnonzero(present)
        return (np.cumsum(present) - 1)[labels], ids
    ids, dense = ranks(labels)
    if ids[0] != 0:
        ids, dense = np.append(0, ids), dense + 1
    return dense, ids
