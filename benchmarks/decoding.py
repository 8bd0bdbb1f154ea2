"""What does it cost to get from logits to objects, and how much less than it did?

* Soft-max of 2 and 3 classes against the formula over the last axis, as it was.
* The highest of 3 classes against `max` and `argmax` over the last axis.
* Decoding of seeds (foreground and depth to instances) against the way it was done before: a flood
  of the whole image with a heap of tuples, ids made dense again each time. Also of what the preset
  `nuclei` gives for images of DSB 2018, where `KERAS_UNET_DATA` has them.
* The flood against scikit-image's watershed, where that is installed.

CPU time of one thread, in turn in one process, the best of several runs after one that is not
counted. Results must be equal bit for bit. Ends with 1 if they are not, or a target is missed.

    python benchmarks/decoding.py
"""

from __future__ import annotations

import heapq
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numba import njit
from rich.console import Console
from rich.table import Table
from scipy import ndimage

from keras_unet.objects import watershed_from_seeds
from keras_unet.targets import SeedTarget
from keras_unet.targets.activations import highest, softmax

try:
    from skimage.segmentation import watershed
except ImportError:  # then it is left out
    watershed = None

SIZE = 1024
REPEATS = 7


def former_softmax(logits: np.ndarray) -> np.ndarray:
    exact = logits.astype(np.float64)
    powers = np.exp(exact - exact.max(axis=-1, keepdims=True))
    return (powers / powers.sum(axis=-1, keepdims=True)).astype(np.float32)


def former_highest(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return values.max(axis=-1), values.argmax(axis=-1).astype(np.int32)


def former_small(instances: np.ndarray, min_size: int) -> np.ndarray:
    """Drops small ids and numbers the others."""
    present = np.zeros(int(instances.max()) + 1, bool)
    present[instances.ravel()] = True
    present[0] = True
    dense = (np.cumsum(present) - 1)[instances]
    keep = np.bincount(dense.ravel()) >= min_size
    keep[0] = False
    return np.where(keep, np.cumsum(keep), 0).astype(np.int32)[dense]


def seeds_of(maps: np.ndarray, target: SeedTarget) -> tuple[np.ndarray, np.ndarray]:
    """Seeds and cells, by the rule of `SeedTarget`."""
    cells, depth = maps[..., 0] > target.threshold, maps[..., 1]
    cross = ndimage.generate_binary_structure(2, 1)
    deep = ndimage.label(cells & (depth > target.seed_threshold), cross, output=np.int32)[0]
    seeds = former_small(deep, target.min_seed_size)
    parts = ndimage.label(cells, cross, output=np.int32)[0]
    seeded = np.zeros(parts.max() + 1, bool)
    seeded[parts[seeds > 0]] = True
    alone = cells & ~seeded[parts]
    seeds[alone] = parts[alone] + seeds.max()
    return seeds, cells


@njit
def former_flood(heights: np.ndarray, ids: np.ndarray, steps: np.ndarray) -> None:
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
                heapq.heappush(
                    waiting, (max(level, heights[other]), np.int64(age), np.int64(other))
                )
                age += 1


def former_decode(maps: np.ndarray, target: SeedTarget) -> np.ndarray:
    seeds, cells = seeds_of(maps, target)
    shape = (cells.shape[0] + 2, cells.shape[1] + 2)
    ids, heights = np.full(shape, -1, np.int32), np.zeros(shape)
    ids[1:-1, 1:-1], heights[1:-1, 1:-1] = np.where(cells, seeds, -1), -maps[..., 1]
    former_flood(heights.ravel(), ids.ravel(), np.array([-shape[1], -1, 1, shape[1]]))
    return former_small(np.maximum(ids[1:-1, 1:-1], 0), target.min_size)


def real_maps() -> tuple[list[np.ndarray], SeedTarget] | None:
    """What the preset `nuclei` gives for some images of DSB 2018; None without them."""
    folder = Path(os.environ.get("KERAS_UNET_DATA", "data")) / "dsb2018_full" / "images"
    files = sorted(folder.glob("*"))[::25][:18]
    if not files:
        return None
    from keras_unet import Segmenter

    segmenter = Segmenter.from_preset("nuclei").replace(tta=None)
    images = [cv2.imread(str(file))[..., ::-1] for file in files]
    return [segmenter.predict(image).probabilities for image in images], segmenter.target


def cells_and_depth(noise: float) -> np.ndarray:
    """Maps as a network gives them: smooth depth with some noise, hundreds of cells that touch."""
    rng = np.random.default_rng(0)
    depth = ndimage.gaussian_filter(rng.normal(size=(SIZE, SIZE)), 7)
    depth = (depth - np.quantile(depth, 0.4)) / (depth.max() - np.quantile(depth, 0.4))
    cells = (depth > 0).astype(np.float64)
    noisy = 1.5 * depth + noise * rng.normal(size=depth.shape)
    return np.stack([cells, noisy.clip(0, 1)], axis=-1, dtype=np.float32)


def timed(*functions: Callable) -> tuple[list, list[float]]:
    """Results, and the least CPU time of one call of each, called in turn, in ms."""
    results = [function() for function in functions]
    times = np.full(len(functions), np.inf)
    for _ in range(REPEATS):
        for index, function in enumerate(functions):
            start = time.process_time()
            function()
            times[index] = min(times[index], time.process_time() - start)
    return results, (1e3 * times).tolist()


def main() -> int:
    table = Table(title=f"{SIZE} x {SIZE} pixels, one thread, CPU ms")
    for heading in ("step", "before", "ours", "ratio", "target", "equal"):
        table.add_column(heading, justify="right")
    good = True

    def row(name: str, before: Callable, ours: Callable, aim: float | None) -> None:
        nonlocal good
        results, times = timed(before, ours)
        equal = all(
            np.array_equal(*pair) for pair in zip(*map(np.atleast_2d, results), strict=True)
        )
        ratio = times[0] / times[1]
        good &= equal and (aim is None or ratio >= aim)
        cells = (*(f"{value:.1f}" for value in times), f"{ratio:.1f}")
        table.add_row(name, *cells, "" if aim is None else f">= {aim:g}", "yes" if equal else "NO")

    rng = np.random.default_rng(0)
    for classes in (2, 3):
        logits = rng.normal(0, 4, (SIZE, SIZE, classes)).astype(np.float32)
        name = f"soft-max of {classes} classes"
        row(name, lambda x=logits: former_softmax(x), lambda x=logits: softmax(x), 4)
    values = softmax(rng.normal(0, 4, (SIZE, SIZE, 4)).astype(np.float32))[..., 1:]
    row("highest of 3 classes", lambda: np.concatenate(former_highest(values)),
        lambda: np.concatenate(highest(values)), None)  # fmt: skip
    target = SeedTarget()
    for name, noise in (("smooth", 0.0), ("noisy", 0.05)):
        maps = cells_and_depth(noise)
        row(f"decode seeds, {name}", lambda m=maps: former_decode(m, target),
            lambda m=maps: target.decode(m).instances, 2)  # fmt: skip
        if watershed is None:
            continue
        seeds, inside = seeds_of(maps, target)
        heights = -maps[..., 1]
        row(f"flood alone, {name} (before: scikit-image)",
            lambda h=heights, s=seeds, c=inside: watershed(h, s, mask=c),
            lambda h=heights, s=seeds, c=inside: watershed_from_seeds(h, s, c), None)  # fmt: skip
    real = real_maps()
    if real is not None:
        found, target = real
        size = sum(maps[..., 0].size for maps in found) / 1e6
        row(f"decode seeds, real ({size:.1f} MP)",
            lambda: np.concatenate([former_decode(maps, target).ravel() for maps in found]),
            lambda: np.concatenate([target.decode(maps).instances.ravel() for maps in found]),
            2)  # fmt: skip
    Console(width=110).print(table)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
