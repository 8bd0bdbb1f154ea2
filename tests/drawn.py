"""Small pictures whose objects can be counted, and the names of what was written."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def picture(number: int = 0, shape: tuple[int, ...] = (9, 14)) -> np.ndarray:
    """As many objects of two pixels as the number says, and one more."""
    image = np.full(shape, 50, np.uint8)
    for index in range(number + 1):
        image[
            ..., 2 * (index // 5) : 2 * (index // 5) + 1, 3 * (index % 5) : 3 * (index % 5) + 2
        ] = 200
    return image


def written(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
