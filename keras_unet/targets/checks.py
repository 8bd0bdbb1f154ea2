"""What arrays must look like, checked in one place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np


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
            "If no two of them touch, keras_unet.targets.connected_components(mask) gives the ids. "
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


def check_channels(values: np.ndarray, channels: int, name: str) -> np.ndarray:
    """`values` as float32; raises a `ValueError` unless the last axis has `channels` entries."""
    values = np.asarray(values, np.float32)
    if values.ndim < 2 or values.shape[-1] != channels:
        raise ValueError(
            f"{name} must be (*spatial, {channels}). Received: {name}.shape={values.shape}"
        )
    return values


def check_components(connectivity: int, min_size: int) -> None:
    """Raises a `ValueError` unless these can describe connected components of some rank."""
    if connectivity not in (1, 2, 3):
        raise ValueError(
            "connectivity must be 1 (faces only) to the rank of the images (corners too). "
            f"Received: connectivity={connectivity}"
        )
    if min_size < 0:
        raise ValueError(f"min_size must be at least 0. Received: min_size={min_size}")


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
