"""Seeded watershed: from seeds to whole instances."""

from __future__ import annotations

import math

import numpy as np

from keras_unet.objects.flooding import OUTSIDE, SEVERAL, flood, flood_disputed
from keras_unet.objects.instance_maps import as_instances
from keras_unet.objects.labelling import connected_components, neighbourhood
from keras_unet.objects.runs import runs

_MOST_PIXELS = 2**31


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
    heights, allowed = np.asarray(landscape), np.asarray(mask)
    if not heights.shape == labels.shape == allowed.shape:
        raise ValueError(
            "landscape, seeds and mask must have one shape. "
            f"Received: {heights.shape}, {labels.shape}, {allowed.shape}"
        )
    return flood_parts(heights, labels, connected_components(allowed, connectivity), connectivity)


def flood_parts(
    landscape: np.ndarray,
    seeds: np.ndarray,
    parts: np.ndarray,
    connectivity: int = 1,
    unseeded: bool = False,
) -> np.ndarray:
    """`watershed_from_seeds` in a mask whose connected parts are known.

    Only parts with several seeds are flooded: in others there is nothing to decide.

    Args:
        landscape: Heights `(*spatial)`.
        seeds: Ids of the same shape, int32, C-contiguous.
        parts: Connected parts of the mask, by `connected_components` with that connectivity.
        connectivity: As there. Defaults to 1.
        unseeded: Whether a part without a seed is an instance, numbered after the seeds. Defaults
            to False.

    Returns:
        Ids, int32 `(*spatial)`.

    Raises:
        ValueError: If the landscape has NaN.
    """
    shape = tuple(size + 2 for size in parts.shape)
    # what float32 holds exactly goes through the quicker flood
    short = np.can_cast(landscape.dtype, np.float32) and math.prod(shape) < _MOST_PIXELS
    heights = np.ascontiguousarray(landscape, np.float32 if short else np.float64)
    if np.isnan(heights).any():
        raise ValueError(f"landscape has {int(np.isnan(heights).sum())} NaN values")
    owners, sizes = _owners(parts, seeds)
    if unseeded:
        alone = owners == 0
        alone[0] = False
        owners[alone] = np.arange(1, np.count_nonzero(alone) + 1) + seeds.max(initial=0)
    strides = np.array([math.prod(shape[axis + 1 :]) for axis in range(parts.ndim)])
    steps = (np.argwhere(neighbourhood(parts.ndim, connectivity)) - 1) @ strides
    steps = steps[steps != 0]
    disputed = int(sizes[owners == SEVERAL].sum())
    if short and disputed:
        rows = np.ones(1, np.int64)  # where each row of the image begins in one with a rim
        for size, stride in zip(parts.shape[:-1], strides[:-1], strict=True):
            rows = (rows[:, None] + stride * np.arange(1, size + 1)).ravel()
        state = np.full(math.prod(shape), OUTSIDE, np.int64)
        bits, instances = heights.view(np.int32).ravel(), np.empty(parts.shape, np.int32)
        flat = (parts.ravel(), seeds.ravel())
        flood_disputed(*flat, owners, bits, instances.ravel(), state, rows, steps, disputed)
        return instances
    instances = owners[parts]
    if not disputed:
        return instances
    inner = (slice(1, -1),) * parts.ndim
    ids, surface = np.full(shape, OUTSIDE, np.int32), np.zeros(shape)
    ids[inner], surface[inner] = np.where(instances == SEVERAL, seeds, OUTSIDE), heights
    flood(surface.ravel(), ids.ravel(), steps)
    return np.where(instances == SEVERAL, ids[inner], instances)


def _owners(parts: np.ndarray, seeds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The one id of the seeds in every part, 0 where there is none, or `SEVERAL`; and its size."""
    starts, lengths = runs(parts, seeds)
    part, seed = parts.ravel()[starts], seeds.ravel()[starts]
    sizes = np.bincount(part, lengths)
    owners = np.zeros(len(sizes), np.int32)
    seeded = (part > 0) & (seed > 0)
    part, seed = part[seeded], seed[seeded]
    owners[part] = seed  # one of them
    owners[part[owners[part] != seed]] = SEVERAL
    return owners, sizes
