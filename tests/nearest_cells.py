"""What tests of distances and weights share: random cells, and the slow way to the right answer."""

from __future__ import annotations

import numpy as np
from scipy import ndimage


def random_cells(seed: int, shape: tuple[int, ...], count: int) -> np.ndarray:
    """Up to `count` boxes with random ids, some of them covering others or torn in pieces."""
    rng = np.random.default_rng(seed)
    cells = np.zeros(shape, np.int64)
    for _ in range(count):
        corner = [rng.integers(0, size) for size in shape]
        box = tuple(slice(at, at + rng.integers(1, 5)) for at in corner)
        cells[box] = rng.integers(1, 2**31)
    return cells


def naive_distances(
    instances: np.ndarray, spacing: tuple[float, ...] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """One Euclidean distance transform per cell, and the two smallest of them."""
    nearest = np.full(instances.shape, np.inf)
    second = nearest.copy()
    for i in np.unique(instances[instances > 0]):
        distance = ndimage.distance_transform_edt(instances != i, sampling=spacing)
        second = np.minimum(second, np.maximum(nearest, distance))
        nearest = np.minimum(nearest, distance)
    return nearest, second
