"""Carries out a tile plan: reads tiles with a mirrored border, runs them in batches, stitches.

NumPy only: the network is a function on arrays, the image and the result are anything that can be
sliced (arrays, memory maps, zarr and dask arrays).
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from keras_unet.geometry.mirrored import mirrored_box
from keras_unet.geometry.tiles import Tile, TilePlan

Progress = Callable[[int, int], object]
"""Called with the numbers of finished and of all tiles."""


def run_tiles(
    source: Any,
    plan: TilePlan,
    run: Callable[[np.ndarray], np.ndarray],
    batch_size: int = 1,
) -> Iterator[tuple[Tile, np.ndarray]]:
    """Runs every tile of a plan and yields it with the output pixels that it writes.

    All batches have the same shape, so that a traced function is traced once: the tiles are shared
    out evenly, and the last batch is filled up with old tiles whose outputs are dropped. One batch
    is in memory at a time.

    Args:
        source: The image, array-like `(*spatial, C)`.
        plan: From `keras_unet.plan_tiles`.
        run: The network: float32 `(batch, *tile_shape, C)` -> `(batch, *output_shape, K)`. It must
            not keep its argument, which is overwritten.
        batch_size: Largest number of tiles that run at once. Defaults to 1.

    Yields:
        `(tile, block)`: a `Tile` and its outputs `(*write_shape, K)`, to be used before the next
        one is asked for.

    Raises:
        ValueError: If the image does not fit the plan, or the network's output is too small.
    """
    if tuple(source.shape[:-1]) != plan.shape:
        raise ValueError(
            f"source must be (*spatial, channels) with the plan's spatial shape {plan.shape}. "
            f"Received: source.shape={tuple(source.shape)}"
        )
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1. Received: batch_size={batch_size}")
    rounds = -(-len(plan) // batch_size)
    batch_size = -(-len(plan) // rounds)
    batch = np.zeros((batch_size, *plan.tile_shape, source.shape[-1]), np.float32)
    for tiles in _chunks(plan, batch_size):
        for tile, part in zip(tiles, batch, strict=False):
            part[...] = mirrored_box(source, tile.read)
        outputs = run(batch)
        _check_output(outputs, plan, batch_size)
        for tile, output in zip(tiles, outputs, strict=False):
            yield tile, output[tuple(slice(*interval) for interval in tile.crop)]


def predict_tiles(
    source: Any,
    plan: TilePlan,
    run: Callable[[np.ndarray], np.ndarray],
    out: Any = None,
    batch_size: int = 1,
    progress: Progress | None = None,
) -> Any:
    """Runs a network over an image tile by tile and stitches the outputs.

    Args:
        source: The image, array-like `(*spatial, C)`: anything with a shape that can be sliced.
        plan: From `keras_unet.plan_tiles`.
        run: The network: float32 `(batch, *tile_shape, C)` -> `(batch, *output_shape, K)`.
        out: Array-like `(*spatial, K)` that is written; defaults to a new float32 array.
        batch_size: Largest number of tiles that run at once. Defaults to 1.
        progress: Called with (finished tiles, all tiles) after each one. Defaults to None.

    Returns:
        `out`, every pixel written exactly once.

    Raises:
        ValueError: If the image does not fit the plan, or the network's output is too small.

    Example:
        >>> geometry = UNetGeometry(depth=1, convs_per_level=1)
        >>> margin = geometry.margin
        >>> crop = lambda batch: batch[:, margin:-margin, margin:-margin]
        >>> image = np.random.rand(70, 33, 1).astype("float32")
        >>> plan = plan_tiles(image.shape[:-1], geometry, max_tile=30)
        >>> np.array_equal(predict_tiles(image, plan, crop), image)
        True
    """
    for done, (tile, block) in enumerate(run_tiles(source, plan, run, batch_size), start=1):
        if out is None:
            out = np.empty((*plan.shape, block.shape[-1]), np.float32)
        out[tuple(slice(*interval) for interval in tile.write)] = block
        if progress is not None:
            progress(done, len(plan))
    return out


def _chunks(tiles: Iterable[Tile], size: int) -> Iterator[list[Tile]]:
    iterator = iter(tiles)
    while chunk := list(itertools.islice(iterator, size)):
        yield chunk


def _check_output(outputs: np.ndarray, plan: TilePlan, batch_size: int) -> None:
    expected = (batch_size, *(plan.geometry.output_size(size) for size in plan.tile_shape))
    if outputs.shape[:-1] != expected:
        raise ValueError(
            f"the network's output must be (batch, *spatial) = {expected} and channels for tiles "
            f"of {plan.tile_shape} pixels; the geometry does not belong to this network. "
            f"Received: output shape {outputs.shape}"
        )


@contextlib.contextmanager
def reporting(progress: bool | Progress) -> Iterator[Progress | None]:
    """The function to call with (finished, all) tiles, if any."""
    if callable(progress):
        yield progress
    elif not progress:
        yield None
    else:
        from rich.console import Console
        from rich.progress import Progress as Bar

        console = Console(stderr=True)
        with Bar(console=console, transient=True, disable=not console.is_terminal) as bar:
            task = bar.add_task("tiles")
            yield lambda done, total: bar.update(task, completed=done, total=total)
