"""What tiling costs: the work that overlapping tiles repeat, and the time of cutting and stitching.

    python benchmarks/tiling.py

Work is counted, not timed: multiply-accumulate operations of the paper's network (64 filters, depth
4) for the tiles that `Segmenter` plans within its default memory limit, over those of one pass over
the whole image. Target at 2048 x 2048: 1.10 or less. That pass runs more pixels than the image has,
for it sees a mirrored rim; how many for each pixel of the image is counted, too, for the paper's
network, which needs all of its margin, and for one of "same" padding, which does with fewer.

Glue is timed with a network that only crops, on one channel, single-threaded: reading tiles with
mirroring, batching, writing. The ratio is against the shortest code by hand (one `np.pad`, slice
views, the same tiles). Target at 2048 x 2048: 30 ms or less. MONAI is timed where it is installed,
with its default overlap and a network that keeps sizes, the only kind that it can stitch.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence

import numpy as np
from rich.console import Console
from rich.table import Table

import keras_unet as ku
from keras_unet.geometry.tiles import TilePlan, plan_tiles
from keras_unet.geometry.unet import UNetGeometry
from keras_unet.inference.memory import DEFAULT_LIMIT, estimate_memory, plan_within
from keras_unet.inference.tiling import predict_tiles

GEOMETRY = UNetGeometry()
FILTERS = 64
REPEATS = 9


def macs(tile_shape: Sequence[int]) -> int:
    """Multiply-accumulate operations of the paper's network for one tile."""
    levels = list(zip(*(GEOMETRY.level_sizes(size) for size in tile_shape), strict=True))
    depth = GEOMETRY.depth
    total = 0
    for index, sizes in enumerate(levels):
        into, out = (math.prod(part) for part in zip(*sizes, strict=True))
        between = math.prod(size[0] - 2 for size in sizes)
        level = depth - abs(depth - index)
        channels = FILTERS * 2**level
        if index <= depth:
            incoming = channels // 2 if index else 1
        else:
            incoming = 2 * channels
            total += into * incoming * channels  # up-convolution, one tap an output pixel
        total += 9 * (between * incoming * channels + out * channels * channels)
    return total + math.prod(size[1] for size in levels[-1]) * FILTERS * 2


def work_table() -> Table:
    model = ku.models.UNet(filters=FILTERS)
    table = Table(title=f"Work within {DEFAULT_LIMIT / 2**30:g} GiB of activations")
    names = ("image", "tiles", "tile", "GiB", "pixels run / pixel", "work / one pass")
    for name in (*names, "work / 572 tiles"):
        table.add_column(name, justify="right")
    for shape in [(512, 512), (1024, 1024), (1040, 1392), (2048, 2048), (4096, 4096)]:
        plan = plan_within(shape, GEOMETRY, lambda tile: estimate_memory(model, tile))
        tiles = plan_tiles(shape, GEOMETRY, 572)
        table.add_row(
            " x ".join(map(str, shape)),
            str(len(plan)),
            " x ".join(map(str, plan.tile_shape)),
            f"{estimate_memory(model, plan.tile_shape) / 2**30:.2f}",
            f"{plan.work:.3f}",
            f"{work(plan) / work(plan_tiles(shape, GEOMETRY)):.3f}",
            f"{work(plan) / work(tiles):.3f}",
        )
    return table


def margin_table() -> Table:
    """What a mirrored margin costs a network of "same" padding."""
    geometry = UNetGeometry(padding="same")
    margins = ("full", 2 * geometry.stride, geometry.stride, 0)
    table = Table(title='Pixels run / pixels of the image, "same" padding, tiles up to 1024')
    for name in ("image", *(f"margin {margin}" for margin in margins)):
        table.add_column(name, justify="right")
    for side in (256, 512, 1024, 2048, 4096):
        limit = None if side <= 1024 else 1024
        works = [plan_tiles((side, side), geometry, limit, margin).work for margin in margins]
        table.add_row(f"{side} x {side}", *(f"{work:.2f}" for work in works))
    return table


def work(plan: TilePlan) -> int:
    return len(plan) * macs(plan.tile_shape)


def crop(batch: np.ndarray) -> np.ndarray:
    margin = GEOMETRY.margin
    return batch[:, margin:-margin, margin:-margin]


def by_hand(image: np.ndarray, plan: TilePlan) -> np.ndarray:
    """One padded copy and slice views, as short as it gets."""
    margin = GEOMETRY.margin
    after = [
        (count - 1) * step + tile - margin - size
        for count, step, tile, size in zip(
            plan.counts, plan.step, plan.tile_shape, plan.shape, strict=True
        )
    ]
    padded = np.pad(image, [(margin, after[0]), (margin, after[1]), (0, 0)], "reflect")
    out = np.empty((*plan.shape, 1), np.float32)
    for tile in plan:
        (top, _), (left, _) = tile.write
        view = padded[top : top + plan.tile_shape[0], left : left + plan.tile_shape[1]]
        result = crop(view[None])[0]
        (_, bottom), (_, right) = tile.write
        out[top:bottom, left:right] = result[: bottom - top, : right - left]
    return out


def monai(image: np.ndarray) -> Callable[[], object] | None:
    try:
        import torch
        from monai.inferers import sliding_window_inference
    except ImportError:
        return None
    torch.set_num_threads(1)
    tensor = torch.from_numpy(image[None, None, ..., 0])
    return lambda: sliding_window_inference(tensor, (512, 512), 4, lambda batch: batch)


def milliseconds(function: Callable[[], object]) -> float:
    function()
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        function()
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


def glue_table() -> Table:
    image = np.random.default_rng(0).random((2048, 2048, 1), np.float32)
    table = Table(title="Glue for 2048 x 2048, one thread")
    for name in ("code", "tiles", "ms", "ratio to by hand"):
        table.add_column(name, justify="right")
    for max_tile in (None, 1212, 572):
        plan = plan_tiles(image.shape[:-1], GEOMETRY, max_tile)
        np.testing.assert_array_equal(predict_tiles(image, plan, crop), image)
        np.testing.assert_array_equal(by_hand(image, plan), image)
        hand = milliseconds(lambda plan=plan: by_hand(image, plan))
        ours = milliseconds(lambda plan=plan: predict_tiles(image, plan, crop))
        table.add_row("by hand", str(len(plan)), f"{hand:.1f}", "1.00")
        table.add_row("keras_unet", str(len(plan)), f"{ours:.1f}", f"{ours / hand:.2f}")
    peer = monai(image)
    if peer is not None:
        table.add_row("MONAI", "25", f"{milliseconds(peer):.1f}", "")
    return table


if __name__ == "__main__":
    console = Console()
    console.print(work_table())
    console.print(margin_table())
    console.print(glue_table())
