"""From masks to instances: connected components, seeded watershed, and the care of ids."""

from __future__ import annotations

import heapq
from typing import Any

import numpy as np
from scipy import ndimage

from keras_unet._compiled import compiled
from keras_unet.targets.checks import as_instances


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
    return remove_small(instances, min_size) if min_size > 1 else instances


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
    dense, ids = dense_ids(instances)
    keep = np.bincount(dense.ravel(), minlength=len(ids)) >= min_size
    keep[0] = False
    new = np.where(keep, np.cumsum(keep), 0).astype(np.int32)
    return new[dense]


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
    ids, dense = np.unique(labels, return_inverse=True)
    if ids[0] != 0:
        ids, dense = np.append(0, ids), dense + 1
    return dense.reshape(labels.shape), ids


def watershed_from_seeds(
    landscape: np.ndarray, seeds: np.ndarray, mask: np.ndarray, connectivity: int = 1
) -> np.ndarray:
    """Floods a landscape from seeds: every pixel of the mask goes to one of them.

    Water rises from all seeds at once; a pixel belongs to the seed whose water reaches it first,
    over the lowest pass. Where the landscape is flat, that is the seed the fewest steps away. It
    never leaves the mask, so seeds reach only the parts of it that they lie in.

    Args:
        landscape: Heights `(*spatial)`, any real dtype, no NaN; basins are low.
        seeds: Integer ids of the same shape, 0 = not a seed. Seeds outside the mask are ignored.
        mask: Boolean map of the same shape: where instances may be.
        connectivity: How many coordinates of two neighbours may differ, 1..rank. Defaults to 1.

    Returns:
        Ids of the seeds, int32 `(*spatial)`; 0 outside the mask and in parts without a seed.

    Raises:
        ValueError: If shapes differ, the landscape has NaN, or `connectivity` is not in 1..rank.

    Example:
        >>> landscape = np.array([[0, 1, 3, 2, 0, 0]])
        >>> watershed_from_seeds(landscape, np.array([[4, 0, 0, 0, 7, 0]]), landscape >= 0)
        array([[4, 4, 4, 7, 7, 7]], dtype=int32)

    Reference:
        Meyer. "Un algorithme optimal pour la ligne de partage des eaux." 8e congrès de
        reconnaissance des formes et intelligence artificielle, 1991.
    """
    labels = as_instances(seeds, "seeds")
    heights, allowed = np.asarray(landscape, np.float64), np.asarray(mask).astype(bool)
    if not heights.shape == labels.shape == allowed.shape:
        raise ValueError(
            "landscape, seeds and mask must have one shape. "
            f"Received: {heights.shape}, {labels.shape}, {allowed.shape}"
        )
    if np.isnan(heights).any():
        raise ValueError(f"landscape has {int(np.isnan(heights).sum())} NaN values")
    # a rim of one pixel outside the mask spares the flood every test for the image's border
    shape = tuple(size + 2 for size in labels.shape)
    inner = (slice(1, -1),) * labels.ndim
    flooded, open_pixels = np.zeros(shape, np.int32), np.zeros(shape, bool)
    surface = np.zeros(shape, np.float64)
    flooded[inner], open_pixels[inner], surface[inner] = labels * allowed, allowed, heights
    strides = np.asarray(flooded.strides) // flooded.itemsize
    around = np.argwhere(neighbourhood(labels.ndim, connectivity)) - 1
    _flood(surface.ravel(), flooded.ravel(), open_pixels.ravel(), around @ strides)
    return np.ascontiguousarray(flooded[inner])


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


@compiled
def _flood(heights, ids, open_pixels, steps):  # pragma: no cover (compiled)
    """Meyer's flooding: the lowest waiting pixel first, of equal ones the longest waiting."""
    waiting = [(0.0, np.int64(0), np.int64(0)) for _ in range(0)]
    for seed in range(ids.size):
        if ids[seed] != 0:
            waiting.append((heights[seed], np.int64(len(waiting)), np.int64(seed)))
    age = len(waiting)
    heapq.heapify(waiting)
    while len(waiting) > 0:
        level, _, pixel = heapq.heappop(waiting)
        for step in steps:
            other = pixel + step
            if open_pixels[other] and ids[other] == 0:
                ids[other] = ids[pixel]
                rise = max(level, heights[other])
                heapq.heappush(waiting, (rise, np.int64(age), np.int64(other)))
                age += 1
