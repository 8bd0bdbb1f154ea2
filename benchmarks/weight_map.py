"""How fast is the weight map, beside the usual recipe, one distance transform, and its former self?

Compares `keras_unet.targets.weight_map` at 512 x 512 pixels with

* stacked: the usual recipe, SciPy's exact transform for every cell, stacked, sorted;
* running: that recipe's frugal form, two running minima instead of the stack;
* former: the general transform and the formula in NumPy, which stays for volumes and spacings;
* one transform: SciPy's `distance_transform_edt(image == 0)`, which knows no second cell and no
  weights. It is the yardstick that does not change with this package.

The first three must give the same float32 weights, bit for bit. CPU time of one thread. The
recipes run once per case (1000 cells take some 20 s and 2 GB), the others in turn, the best of
several runs. Ends with 1 if a result differs or a target is missed.

    python benchmarks/weight_map.py
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy import ndimage

from keras_unet.objects.distance import general_squares
from keras_unet.targets import weight_map
from keras_unet.targets.weight_terms import Terms, by_formula
from keras_unet.targets.weights import _constants, _terms

W0, SIGMA = 10.0, 5.0
TARGETS = {100: 40, 1000: 1000}
"""Cells -> ratio to the stacked recipe that is aimed at."""

FORMER, TRANSFORM = 4.0, 0.42
"""Aims: times faster than the former way, and the share of one transform (geometric means)."""

COUNTED = (100, 300, 1000)
"""Numbers of cells for which these aims hold."""


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


TERMS: Terms = _terms(_constants("paper", None))


def former(image: np.ndarray) -> np.ndarray:
    wanted, classes = image == 0, (image > 0).astype(np.int32)
    reach, border, rim = TERMS.reach, TERMS.border[-1], TERMS.rim[-1]
    squares = general_squares(image, wanted, reach=reach, sum_reach=border, first_reach=rim)
    known = np.ones(image.shape, bool)
    return by_formula(*squares.pair, TERMS, np.ones(2, np.float32), classes, known)


def ours(image: np.ndarray) -> np.ndarray:
    return weight_map(image, W0, SIGMA)


def one_transform(image: np.ndarray) -> np.ndarray:
    return ndimage.distance_transform_edt(image == 0)


def timed(
    functions: list[Callable], image: np.ndarray, repeats: int = 1
) -> tuple[list[np.ndarray], list[float]]:
    """Results, and the least CPU time of one call of each, called in turn, in ms."""
    times = np.full(len(functions), np.inf)
    for _ in range(repeats):
        results = []
        for index, function in enumerate(functions):
            start = time.process_time()
            results.append(function(image))
            times[index] = min(times[index], time.process_time() - start)
    return results, (1e3 * times).tolist()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cells", type=int, nargs="+", default=[10, *COUNTED])
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--quick", action="store_true", help="without the recipes")
    arguments = parser.parse_args()

    ours(cells(3, 32))  # compiles
    former(cells(3, 32))
    table = Table(title=f"weight map, {arguments.size} x {arguments.size}, one thread, CPU ms")
    headings = "cells,stacked,running,former,one transform,ours,vs stacked,vs former,of one,equal"
    for heading in headings.split(","):
        table.add_column(heading, justify="right")
    good, gains, shares = True, [], []
    for count in arguments.cells:
        image = cells(count, arguments.size)
        results, (own, before, transform) = timed([ours, former, one_transform], image, repeats=15)
        same, slow, medium = results[:2], float("nan"), float("nan")
        if not arguments.quick:
            recipes, (slow, medium) = timed([stacked, running], image)
            same += recipes
            good &= slow / own >= TARGETS.get(count, 0)
        equal = all(np.array_equal(same[0], other) for other in same[1:])
        good &= equal
        if count in COUNTED:
            gains.append(before / own)
            shares.append(own / transform)
        cases = [slow, medium, before, transform]
        table.add_row(
            f"{count}",
            *(f"{value:.1f}" if value < 100 else f"{value:.0f}" for value in (*cases, own)),
            f"{slow / own:.0f}x",
            f"{before / own:.1f}x",
            f"{own / transform:.2f}",
            "bit for bit" if equal else "NO",
        )
    console = Console(width=110)
    console.print(table)
    if shares:
        gain, share = (float(np.exp(np.log(part).mean())) for part in (gains, shares))
        good &= gain >= FORMER and share <= TRANSFORM
        console.print(f"geometric means at {COUNTED} cells: {gain:.2f}x, {share:.2f} of one")
    aims = ", ".join(f">= {ratio}x at {count}" for count, ratio in TARGETS.items())
    console.print(f"aims: stacked {aims}; former >= {FORMER}x, one transform <= {TRANSFORM}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
