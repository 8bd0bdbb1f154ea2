"""Plans of overlapping tiles that cover an image without a seam."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from keras_unet.errors import UsageError
from keras_unet.geometry.base import Geometry, Interval


@dataclass(frozen=True)
class Tile:
    """One pass through the network: what it reads and what it writes, in pixels of the image.

    Attributes:
        read: Box (start, stop per axis) that the network sees; it may reach outside the image,
            where the image is mirrored.
        write: Box of the image that this tile writes; the writes of a plan cover the image once.
        crop: Where the `write` box lies in the network's output for this tile.
    """

    read: tuple[Interval, ...]
    write: tuple[Interval, ...]
    crop: tuple[Interval, ...]


@dataclass(frozen=True)
class TilePlan:
    """Equal tiles that cover an image; iterate over it for its `Tile`s in row-major order.

    Attributes:
        shape: Spatial shape of the image.
        tile_shape: Input shape of every tile.
        counts: Number of tiles along each axis.
        step: Distance between neighbouring tiles along each axis, a multiple of the stride.
        geometry: The geometry of the network that runs the tiles.
    """

    shape: tuple[int, ...]
    tile_shape: tuple[int, ...]
    counts: tuple[int, ...]
    step: tuple[int, ...]
    geometry: Geometry

    def __len__(self) -> int:
        return math.prod(self.counts)

    def __iter__(self) -> Iterator[Tile]:
        axes = [self._axis(axis) for axis in range(len(self.shape))]
        for parts in itertools.product(*axes):
            read, write, crop = zip(*parts, strict=True)
            yield Tile(read=read, write=write, crop=crop)

    def _axis(self, axis: int) -> list[tuple[Interval, Interval, Interval]]:
        size, tile, step = self.shape[axis], self.tile_shape[axis], self.step[axis]
        margin = self.geometry.margin
        into_output = 0 if self.geometry.padding == "valid" else margin
        parts = []
        for index in range(self.counts[axis]):
            start = index * step
            stop = min(start + step, size)
            read = (start - margin, start - margin + tile)
            parts.append((read, (start, stop), (into_output, into_output + stop - start)))
        return parts


def plan_tiles(
    shape: Sequence[int],
    geometry: Geometry,
    max_tile: int | Sequence[int] | None = None,
) -> TilePlan:
    """Plans the passes that segment an image of any size without a seam.

    Along each axis: one pass where it fits into `max_tile`, otherwise the fewest equal tiles. Tiles
    start on the `2**depth` grid, so each one has the max-pooling phase of a single pass and their
    outputs agree with it exactly; the spare output pixels of a tile (4 of the paper's 388) are
    dropped for that.

    Args:
        shape: Spatial shape of the image, one size >= 1 per axis of the geometry.
        geometry: The network's geometry.
        max_tile: Largest input tile in pixels, one number or one per axis; need not be legal.
            Defaults to None, a single pass.

    Returns:
        A `TilePlan` whose tiles write every pixel exactly once.

    Raises:
        ValueError: If `shape` does not fit the geometry, or `max_tile` is too small to write at
            least one grid step.

    Example:
        >>> plan = plan_tiles((512, 512), UNetGeometry(), max_tile=572)
        >>> plan.tile_shape, plan.step, len(plan)
        ((444, 444), (256, 256), 4)
        >>> plan_tiles((512, 512), UNetGeometry(), max_tile=700).tile_shape
        (700, 700)
    """
    shape = tuple(int(size) for size in shape)
    if len(shape) != geometry.rank or min(shape) < 1:
        raise ValueError(
            f"shape needs {geometry.rank} sizes of at least 1 for a rank-{geometry.rank} geometry. "
            f"Received: shape={shape}"
        )
    limits: Sequence[int | None] = (
        [max_tile] * len(shape) if max_tile is None or isinstance(max_tile, int) else list(max_tile)
    )
    if len(limits) != len(shape):
        raise ValueError(
            f"max_tile needs one number or {len(shape)} of them. Received: max_tile={max_tile}"
        )
    axes = [_plan_axis(size, geometry, limit) for size, limit in zip(shape, limits, strict=True)]
    tile_shape, counts, step = zip(*axes, strict=True)
    return TilePlan(shape, tile_shape, counts, step, geometry)


def _plan_axis(size: int, geometry: Geometry, limit: int | None) -> tuple[int, int, int]:
    """Tile size, number of tiles and step along one axis."""
    stride, context = geometry.stride, 2 * geometry.margin
    single = geometry.nearest(size + context)[1]
    if limit is None or single <= limit:
        return single, 1, -(-size // stride) * stride
    largest = geometry.nearest(limit)[0]
    step = (largest - context) // stride * stride
    if largest > limit or step < stride:
        smallest = geometry.smallest_tile
        raise UsageError(
            f"a largest tile of {limit} px is too small for {geometry.description}, whose margin "
            f"is {geometry.margin} px on each side: the smallest one that writes a step of "
            f"{stride} px is {smallest}",
            f"give max_tile={smallest} or more",
            f"say --max-tile {smallest} or more",
        )
    count = -(-size // step)
    step = -(-size // (count * stride)) * stride
    count = -(-size // step)
    return geometry.nearest(step + context)[1], count, step


def plan_fixed(shape: Sequence[int], geometry: Geometry, tile_shape: Sequence[int]) -> TilePlan:
    """Plans tiles of exactly one shape, for networks that take no other.

    Args:
        shape: Spatial shape of the image.
        geometry: The network's geometry.
        tile_shape: Input shape of every tile.

    Returns:
        A `TilePlan`.

    Raises:
        ValueError: If the tile is not legal, or holds nothing besides its context.
    """
    stride, context = geometry.stride, 2 * geometry.margin
    for size in tile_shape:
        geometry.check(size)
    step = tuple((size - context) // stride * stride for size in tile_shape)
    if min(step) < stride:
        raise ValueError(
            f"tiles need more than {context} pixels of context and one step of {stride}; build the "
            "network for any size, input_shape=(None, ..., channels), and set its weights. "
            f"Received: tile_shape={tuple(tile_shape)}"
        )
    counts = tuple(-(-size // part) for size, part in zip(shape, step, strict=True))
    return TilePlan(tuple(shape), tuple(tile_shape), counts, step, geometry)
