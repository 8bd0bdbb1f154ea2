"""How much faster is the weight map than one distance transform per cell?

Compares `keras_unet.targets.weight_map` with the usual recipe (SciPy's exact transform for every
cell, stacked, sorted) and with that recipe's frugal form (two running minima instead of the stack),
at 512 x 512 pixels. All must give the same float32 weights, bit for bit. CPU time, and nothing here
starts threads. The recipes run once per case (1000 cells take some 20 s and 2 GB), ours is the best
of several runs; the target is for the usual recipe.

    python benchmarks/weight_map.py
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy import ndimage

from keras_unet.targets import weight_map

W0, SIGMA = 10.0, 5.0
TARGETS = {100: 40, 1000: 1000}
"""Cells -> ratio to the stacked recipe that is aimed at."""


def cells(count: int, size: int, seed: int = 0) -> np.ndarray:
    """`count` ids in discs that cover about a third of the image; none is covered whole."""
    rng = np.random.default_rng(seed)
    rows, columns = np.ogrid[:size, :size]
    image = np.zeros((size, size), np.int32)
    spread = 0.4 * size / np.sqrt(count)
    centres = rng.uniform(0, size, (count, 2))
    for i, (y, x) in enumerate(centres, 1):
        radius = spread * rng.uniform(0.6, 1)
        image[(rows - y) ** 2 + (columns - x) ** 2 < radius**2] = i
    for i, (y, x) in enumerate(centres, 1):
        image[int(y), int(x)] = i
    return image


def weights_of(image: np.ndarray, both: np.ndarray) -> np.ndarray:
    border = np.where(image > 0, 0, W0 * np.exp(-np.square(both) / (2 * SIGMA**2)))
    return (1 + border).astype(np.float32)


def stacked(image: np.ndarray) -> np.ndarray:
    ids = np.unique(image[image > 0])
    distances = np.stack([ndimage.distance_transform_edt(image != i) for i in ids], axis=-1)
    distances.sort(axis=-1)
    return weights_of(image, distances[..., 0] + distances[..., 1])


def running(image: np.ndarray) -> np.ndarray:
    first, second = np.full(image.shape, np.inf), np.full(image.shape, np.inf)
    for i in np.unique(image[image > 0]):
        distance = ndimage.distance_transform_edt(image != i)
        second = np.minimum(second, np.maximum(first, distance))
        first = np.minimum(first, distance)
    return weights_of(image, first + second)


def timed(function, image: np.ndarray, repeats: int = 1) -> tuple[np.ndarray, float]:
    """Result and the least CPU time of one call, in ms."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        result = function(image)
        times.append(time.process_time() - start)
    return result, 1e3 * min(times)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--size", type=int, default=512)
    arguments = parser.parse_args()

    def ours(image: np.ndarray) -> np.ndarray:
        return weight_map(image, W0, SIGMA)

    ours(cells(3, 32))  # compiles
    table = Table(title=f"weight map, {arguments.size} x {arguments.size}, one thread, CPU ms")
    headings = (
        "cells",
        "stacked",
        "running",
        "ours",
        "vs stacked",
        "vs running",
        "target",
        "equal",
    )
    for heading in headings:
        table.add_column(heading, justify="right")
    good = True
    for count in arguments.cells:
        image = cells(count, arguments.size)
        result, own = timed(ours, image, repeats=15)
        naive, slow = timed(stacked, image)
        frugal, medium = timed(running, image)
        equal = np.array_equal(result, naive) and np.array_equal(result, frugal)
        aim = TARGETS.get(count)
        good &= equal and (aim is None or slow / own >= aim)
        table.add_row(
            f"{count}",
            f"{slow:.0f}",
            f"{medium:.0f}",
            f"{own:.1f}",
            f"{slow / own:.0f}x",
            f"{medium / own:.0f}x",
            "-" if aim is None else f">= {aim}x",
            "bit for bit" if equal else "NO",
        )
    Console(width=100).print(table)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
