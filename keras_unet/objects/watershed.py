"""Seeded watershed: from seeds to whole instances."""

from __future__ import annotations

import heapq
import math

import numpy as np

from keras_unet._compiled import compiled
from keras_unet.objects.instance_maps import as_instances
from keras_unet.objects.labelling import neighbourhood

_OUTSIDE = -1
"""In place of an id: not in the mask."""

_MOST_PIXELS = 2**31
_AGE = np.uint64(2**32 - 1)
_LEVEL = np.uint64(2**64 - 2**32)


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
    heights, allowed = np.asarray(landscape), np.asarray(mask).astype(bool)
    if not heights.shape == labels.shape == allowed.shape:
        raise ValueError(
            "landscape, seeds and mask must have one shape. "
            f"Received: {heights.shape}, {labels.shape}, {allowed.shape}"
        )
    # what float32 holds exactly goes through the quicker flood
    shape = tuple(size + 2 for size in labels.shape)
    short = np.can_cast(heights.dtype, np.float32) and math.prod(shape) < _MOST_PIXELS
    heights = heights.astype(np.float32 if short else np.float64)
    if np.isnan(heights).any():
        raise ValueError(f"landscape has {int(np.isnan(heights).sum())} NaN values")
    # a rim of one pixel outside the mask spares the flood every test for the image's border
    inner = (slice(1, -1),) * labels.ndim
    flooded, surface = np.full(shape, _OUTSIDE, np.int32), np.zeros(shape, heights.dtype)
    flooded[inner], surface[inner] = np.where(allowed, labels, _OUTSIDE), heights
    strides = np.asarray(flooded.strides) // flooded.itemsize
    steps = (np.argwhere(neighbourhood(labels.ndim, connectivity)) - 1) @ strides
    if short:
        _flood_by_keys(surface.view(np.int32).ravel(), flooded.ravel(), steps)
    else:
        _flood(surface.ravel(), flooded.ravel(), steps)
    return np.maximum(flooded[inner], 0)


@compiled
def _flood(heights, ids, steps):  # pragma: no cover (compiled)
    """Meyer's flooding: the lowest waiting pixel first, of equal ones the longest waiting."""
    waiting = [(0.0, np.int64(0), np.int64(0)) for _ in range(0)]
    for seed in range(ids.size):
        if ids[seed] > 0:
            waiting.append((heights[seed], np.int64(len(waiting)), np.int64(seed)))
    age = len(waiting)
    heapq.heapify(waiting)
    while len(waiting) > 0:
        level, _, pixel = heapq.heappop(waiting)
        for step in steps:
            other = pixel + step
            if ids[other] == 0:
                ids[other] = ids[pixel]
                rise = max(level, heights[other])
                heapq.heappush(waiting, (rise, np.int64(age), np.int64(other)))
                age += 1


@compiled
def _flood_by_keys(bits, ids, steps):  # pragma: no cover
    """The same flooding of float32 heights, given as their bits.

    Pixels come in the same order as in `_flood`, but fewer wait, and most of them in no order:

    * A pixel all of whose neighbours are taken would do nothing in its turn: it does not wait.
    * `key << 32 | age` is one integer that sorts like (height, age); the age is also where
      `pixels` has the pixel.
    * A pixel that is not above the present level joins a `line`, first come, first served. Those
      in the heap that are at this level came before the water did, so they go first.
    """
    waiting = [np.uint64(0) for _ in range(0)]
    pixels, line = np.empty(ids.size, np.int32), np.empty(ids.size, np.int32)
    age, first, last, level = 0, 0, 0, np.uint64(0)
    for seed in range(ids.size):
        if ids[seed] > 0 and _can_flow(seed, ids, steps):
            pixels[age] = seed
            waiting.append(_key(bits[seed]) | np.uint64(age))
            age += 1
    heapq.heapify(waiting)
    while len(waiting) > 0 or first < last:
        if first == last or (len(waiting) > 0 and waiting[0] & _LEVEL == level):
            entry = heapq.heappop(waiting)
            level, pixel = entry & _LEVEL, pixels[np.int64(entry & _AGE)]
        else:
            pixel = line[first]
            first += 1
        for step in steps:
            other = pixel + step
            if ids[other] != 0:
                continue
            ids[other] = ids[pixel]
            if not _can_flow(other, ids, steps):
                continue
            key = _key(bits[other])
            if key <= level:
                line[last] = other
                last += 1
            else:
                pixels[age] = other
                heapq.heappush(waiting, key | np.uint64(age))
                age += 1


@compiled
def _can_flow(pixel, ids, steps):  # pragma: no cover
    """Whether a neighbour is inside the mask and still dry."""
    dry = False
    for step in steps:
        dry |= ids[pixel + step] == 0
    return dry


@compiled
def _key(bits):  # pragma: no cover
    """An integer, in the upper half of 64 bits, that sorts like the float32 of these bits.

    Floats of one sign sort like their bits, negative ones the wrong way round; -0.0 is 0.0.
    """
    if bits >= 0:
        upper = np.int64(bits) + 2**31
    elif bits == -(2**31):
        upper = np.int64(2**31)
    else:
        upper = np.int64(-1) - bits
    return np.uint64(upper) << np.uint64(32)
