"""Seeded watershed: from seeds to whole instances."""

from __future__ import annotations

import heapq

import numpy as np

from keras_unet._compiled import compiled
from keras_unet.objects.instance_maps import as_instances
from keras_unet.objects.labelling import neighbourhood


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
