"""How fast the ISBI 2012 measures are: the whole evaluation, and its steps against plain Python.

    python benchmarks/isbi_metrics.py [--slices 30] [--size 512]

First the five measures at 11 thresholds on a made-up stack of membranes with a noisy proposal.
Target for 30 slices of 512 x 512 on two cores: under 60 s. Compilation is not counted, as numba
keeps what it compiled.

Then one slice at one threshold against the same definitions in Python and NumPy, written the
shortest way: every mismatch is tested again in every pass, pixels are looked up one by one. Both
must agree exactly; the tests run the same plain code as an oracle.
"""

from __future__ import annotations

import argparse
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy import ndimage, spatial

from keras_unet.metrics import isbi

SQUARE = np.ones((3, 3))


def plain_warping(label: np.ndarray, proposal: np.ndarray, threshold: float) -> np.ndarray:
    """Homotopic warping, a labelling of the neighbourhood for each test."""
    values = np.float32(proposal).astype(float)
    source, target = np.pad(label > 0, 1), np.pad(values > threshold, 1)
    gap = np.pad(np.float32(np.abs(values - threshold)), 1)
    left = -1
    while True:
        pixels = [(y, x) for x, y in np.argwhere((source != target).T)]
        if len(pixels) in (0, left):
            return source[1:-1, 1:-1]
        left = len(pixels)
        for y, x in sorted(pixels, key=lambda pixel: -gap[pixel]):
            if plain_is_simple(source[y - 1 : y + 2, x - 1 : x + 2]):
                source[y, x] = not source[y, x]


def plain_is_simple(square: np.ndarray) -> bool:
    objects, background = square.copy(), ~square
    objects[1, 1] = background[1, 1] = False
    regions = ndimage.label(objects)[0]
    touching = {regions[0, 1], regions[1, 0], regions[1, 2], regions[2, 1]} - {0}
    return len(touching) == 1 and ndimage.label(background, SQUARE)[1] == 1


def plain_classes(
    warped: np.ndarray, proposal: np.ndarray, threshold: float, radius: int = 20
) -> np.ndarray:
    """Mismatch classes, a labelling of the window for each possible cut."""
    regions = ndimage.label(warped)[0]
    classes = np.zeros(warped.shape, np.uint8)
    if radius < 1 or radius > min(warped.shape):
        radius = max(warped.shape)
    for y, x in np.argwhere(warped != (np.float32(proposal).astype(float) > threshold)):
        around = plain_neighbours(regions, y, x)
        inside = bool(warped[y, x])
        if around <= {0}:
            classes[y, x] = 8 if inside else 16
        elif len(around) == 1:
            classes[y, x] = 4 if inside else 32
        elif len(around) > 2:
            classes[y, x] = 2 if inside else 1
        elif not inside:
            classes[y, x] = 4
        else:
            top, first = max(y - radius, 0), max(x - radius, 0)
            window = warped[top : y + radius + 1, first : x + radius + 1].copy()
            window[y - top, x - first] = False
            pieces = plain_neighbours(ndimage.label(window)[0], y - top, x - first)
            classes[y, x] = 2 if len(pieces) > 2 else 32
    return classes


def plain_neighbours(regions: np.ndarray, y: int, x: int) -> set[int]:
    """Values of the neighbours of a pixel inside the image."""
    square = regions[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2].copy()
    square[min(y, 1), min(x, 1)] = -1
    return set(square.ravel().tolist()) - {-1}


def plain_thinning(cells: np.ndarray) -> np.ndarray:
    """Two-level flooding with a dictionary of labels, keys (x, y)."""
    if not cells.any():
        return np.ones(cells.shape, np.int32)
    regions = ndimage.label(cells.T)[0]
    labels = {(x, y): int(v) if v else -1 for (x, y), v in np.ndenumerate(regions)}

    def sides(x: int, y: int) -> list[tuple[int, int]]:
        four = [(x - 1, y), (x, y - 1), (x + 1, y), (x, y + 1)]
        return [pixel for pixel in four if pixel in labels]

    waiting = [p for p in labels if labels[p] == -1 and any(labels[q] > 0 for q in sides(*p))]
    labels.update(dict.fromkeys(waiting, -2))
    queue, flag = deque(waiting), False
    while queue:
        pixel = queue.popleft()
        for side in sides(*pixel):
            if labels[side] > 0:
                if labels[pixel] == -2 or (labels[pixel] == 0 and flag):
                    labels[pixel] = labels[side]
                elif labels[pixel] > 0 and labels[pixel] != labels[side]:
                    labels[pixel], flag = 0, False
            elif labels[side] == 0:
                if labels[pixel] == -2:
                    labels[pixel], flag = 0, True
            elif labels[side] == -1:
                labels[side] = -2
                queue.append(side)
    return np.array(list(labels.values()), np.int32).reshape(regions.shape).T


def membranes(slices: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Cells of a random Voronoi diagram, and a blurred, noisy probability of cell."""
    rng = np.random.default_rng(0)
    grid = np.stack(np.mgrid[:size, :size], axis=-1) + ndimage.gaussian_filter(
        rng.normal(0, 60, (size, size, 2)), (8, 8, 0)
    )
    labels, proposals = [], []
    for _ in range(slices):
        tree = spatial.cKDTree(rng.uniform(0, size, (size * size // 1200, 2)))
        near = tree.query(grid, k=2)[0]
        label = near[..., 1] - near[..., 0] > 4
        noise = ndimage.gaussian_filter(rng.normal(0, 1.2, label.shape), 2)
        labels.append(label)
        proposals.append(np.clip(ndimage.gaussian_filter(label * 1.0, 1.5) + noise, 0, 1))
    return np.array(labels), np.array(proposals, np.float32)


def seconds(function: Callable[..., Any], *args: Any) -> tuple[float, Any]:
    start = time.perf_counter()
    result = function(*args)
    return time.perf_counter() - start, result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slices", type=int, default=30)
    parser.add_argument("--size", type=int, default=512)
    options = parser.parse_args()
    console = Console()
    labels, proposals = membranes(options.slices, options.size)
    isbi.evaluate(labels[:1], proposals[:1])  # compiles
    taken, result = seconds(isbi.evaluate, labels, proposals)
    console.print(f"evaluate, {options.slices} x {options.size} x {options.size}: {taken:.1f} s")
    console.print({name: round(value, 6) for name, value in result.headline().items()})

    label, proposal, threshold = labels[0], proposals[0], 0.2
    warped = isbi.homotopic_warping(label, proposal, threshold)
    table = Table(title=f"One slice of {options.size} x {options.size}, one threshold")
    for name in ("step", "keras_unet", "plain Python", "ratio"):
        table.add_column(name, justify="right")
    for name, ours, plain, args in [
        ("warping", isbi.homotopic_warping, plain_warping, (label, proposal, threshold)),
        ("classes", isbi.mismatch_classes, plain_classes, (warped, proposal, threshold)),
        ("thinning", isbi.thin_borders, plain_thinning, (isbi.above(proposal, threshold),)),
    ]:
        fast, image = min((seconds(ours, *args) for _ in range(3)), key=lambda run: run[0])
        slow, expected = seconds(plain, *args)
        if not np.array_equal(image, expected):
            raise SystemExit(f"{name}: the two implementations disagree")
        table.add_row(name, f"{fast * 1e3:.1f} ms", f"{slow * 1e3:.0f} ms", f"{slow / fast:.0f}")
    console.print(table)


if __name__ == "__main__":
    main()
