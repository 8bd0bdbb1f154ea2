"""Plans of overlapping tiles that cover an image without a seam."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from keras_unet.errors import UsageError
from keras_unet.geometry.base import Geometry, Interval
from keras_unet.geometry.margins import mirrored_margin


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

    One pass would see the image with a mirrored rim, the canvas. Tiles lie inside it and give what
    that pass gives: where one ends within the canvas, its outer `geometry.margin` pixels are not
    written, and where it ends with the canvas, the network pads there just as in one pass.

    Attributes:
        shape: Spatial shape of the image.
        tile_shape: Input shape of every tile.
        counts: Number of tiles along each axis.
        step: Distance between neighbouring tiles along each axis, a multiple of the stride; the
            last tile may lie closer, so that it ends with the canvas.
        geometry: The geometry of the network that runs the tiles.
        margin: Mirrored pixels of the canvas before the image, along each axis.
        canvas: Spatial shape of the canvas, from `margin` pixels before the image on.
    """

    shape: tuple[int, ...]
    tile_shape: tuple[int, ...]
    counts: tuple[int, ...]
    step: tuple[int, ...]
    geometry: Geometry
    margin: int
    canvas: tuple[int, ...]

    def __len__(self) -> int:
        return math.prod(self.counts)

    def __iter__(self) -> Iterator[Tile]:
        axes = [self._axis(axis) for axis in range(len(self.shape))]
        for parts in itertools.product(*axes):
            read, write, crop = zip(*parts, strict=True)
            yield Tile(read=read, write=write, crop=crop)

    def _axis(self, axis: int) -> list[tuple[Interval, Interval, Interval]]:
        size, tile, step = self.shape[axis], self.tile_shape[axis], self.step[axis]
        context = self.geometry.margin
        lost = context if self.geometry.padding == "valid" else 0
        parts, stop = [], 0
        for index in range(self.counts[axis]):
            start = min(index * step, self.canvas[axis] - tile) - self.margin
            begin, stop = stop, start + context + step
            if index == self.counts[axis] - 1:
                stop = size
            first = start + lost  # the pixel of the image that comes out first
            parts.append(((start, start + tile), (begin, stop), (begin - first, stop - first)))
        return parts

    @property
    def work(self) -> float:
        """Pixels that run, of all tiles together, for every pixel of the image."""
        return len(self) * math.prod(self.tile_shape) / math.prod(self.shape)


def plan_tiles(
    shape: Sequence[int],
    geometry: Geometry,
    max_tile: int | Sequence[int] | None = None,
    margin: int | str | None = "full",
    canvas: Sequence[int] | None = None,
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
        margin: Mirrored pixels on each side of the image, see `geometry.mirrored_margin`: a network
            of "same" padding may have fewer than its `geometry.margin`, which tiles keep between
            each other in any case. Defaults to `"full"`, all of them.
        canvas: Spatial shape of the image with its mirrored rim, of legal sizes, such as
            `few_canvases` gives. Defaults to None, the smallest one.

    Returns:
        A `TilePlan` whose tiles write every pixel exactly once.

    Raises:
        ValueError: If `shape` or `margin` does not fit the geometry, or `max_tile` is too small to
            write at least one grid step.

    Example:
        >>> plan = plan_tiles((512, 512), UNetGeometry(), max_tile=572)
        >>> plan.tile_shape, plan.step, len(plan)
        ((444, 444), (256, 256), 4)
        >>> plan_tiles((512, 512), UNetGeometry(), max_tile=700).tile_shape
        (700, 700)
        >>> geometry = UNetGeometry(padding="same")
        >>> [plan_tiles((256, 256), geometry, margin=margin).work for margin in ("full", 32, 0)]
        [3.0625, 1.5625, 1.0]
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
    rim = mirrored_margin(geometry, margin)
    wholes = _canvas(shape, geometry, rim) if canvas is None else tuple(canvas)
    axes = [
        _plan_axis(size, whole, rim, geometry, limit)
        for size, whole, limit in zip(shape, wholes, limits, strict=True)
    ]
    tile_shape, counts, step = zip(*axes, strict=True)
    return TilePlan(shape, tile_shape, counts, step, geometry, rim, wholes)


def _canvas(shape: Sequence[int], geometry: Geometry, rim: int) -> tuple[int, ...]:
    """The image with its mirrored rim, rounded up to a legal size."""
    return tuple(geometry.nearest(size + 2 * rim)[1] for size in shape)


def few_canvases(
    shape: Sequence[int], geometry: Geometry, margin: int | str | None = "full"
) -> tuple[int, ...]:
    """A canvas that images of other sizes have, too, where every size of a tile costs something.

    Sizes are rounded up in steps of a sixteenth to an eighth of themselves: there are 8 from 256 to
    511 px, for about 5 % more pixels along an axis, mirrored ones at the image's end.

    Args:
        shape: Spatial shape of the image.
        geometry: The network's geometry.
        margin: As for `plan_tiles`. Defaults to `"full"`.

    Returns:
        Legal sizes, one per axis.

    Example:
        >>> few_canvases((300, 401), UNetGeometry(padding="same"), 32)
        (384, 480)
    """
    sizes = []
    for size in _canvas(shape, geometry, mirrored_margin(geometry, margin)):
        step, rest = geometry.stride, geometry.offset % geometry.stride
        while 16 * step <= size:
            step *= 2
        sizes.append(-(-(size - rest) // step) * step + rest)
    return tuple(sizes)


def _plan_axis(
    size: int, canvas: int, rim: int, geometry: Geometry, limit: int | None
) -> tuple[int, int, int]:
    """Tile size, number of tiles and step along one axis."""
    stride, context = geometry.stride, 2 * geometry.margin
    if limit is None or canvas <= limit:
        return canvas, 1, -(-size // stride) * stride
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
    count = _count(size, canvas, rim, geometry, step)
    step = _count(size, canvas, rim, geometry, count * stride) * stride
    return geometry.nearest(step + context)[1], count, step


def _count(size: int, canvas: int, rim: int, geometry: Geometry, step: int) -> int:
    """Tiles of a step that cover an axis.

    The last one of a padded network ends with the canvas, or shows its context behind the image
    where the canvas is far larger.
    """
    inner = size
    if geometry.padding != "valid":
        inner = min(canvas - 2 * geometry.margin, size + rim - geometry.margin)
    return max(-(-inner // step), 1)


def plan_fixed(
    shape: Sequence[int],
    geometry: Geometry,
    tile_shape: Sequence[int],
    margin: int | str | None = "full",
) -> TilePlan:
    """Plans tiles of exactly one shape, for networks that take no other.

    Args:
        shape: Spatial shape of the image.
        geometry: The network's geometry.
        tile_shape: Input shape of every tile.
        margin: As for `plan_tiles`. Defaults to `"full"`.

    Returns:
        A `TilePlan`.

    Raises:
        ValueError: If the tile is not legal, or holds nothing besides its context, or the margin
            does not fit the geometry.
    """
    stride, context = geometry.stride, 2 * geometry.margin
    for size in tile_shape:
        geometry.check(size)
    step = tuple((size - context) // stride * stride for size in tile_shape)
    rim = mirrored_margin(geometry, margin)
    canvas = _canvas(shape, geometry, rim)
    sizes = zip(canvas, tile_shape, step, strict=True)
    if any(whole > tile and part < stride for whole, tile, part in sizes):
        raise ValueError(
            f"tiles need more than {context} pixels of context and one step of {stride}; build the "
            "network for any size, input_shape=(None, ..., channels), and set its weights. "
            f"Received: tile_shape={tuple(tile_shape)}"
        )
    counts = tuple(
        _count(size, whole, rim, geometry, part) if whole > tile else 1
        for size, whole, part, tile in zip(shape, canvas, step, tile_shape, strict=True)
    )
    canvas = tuple(map(max, canvas, tile_shape))
    return TilePlan(tuple(shape), tuple(tile_shape), counts, step, geometry, rim, canvas)
