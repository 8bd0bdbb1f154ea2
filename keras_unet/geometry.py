"""Sizes, margins and tiles of a network as plain integers: model, data, tiler, exporter ask it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

PADDINGS = ("valid", "same")

Interval = tuple[int, int]
"""Half-open range of pixels along one axis."""


class Geometry:
    """Which input sizes a network takes and which pixels come out, along one axis.

    What every network of this package tells about itself; a subclass says by what numbers.

    Attributes:
        padding: "valid" (the output is smaller than the input) or "same".
        rank: Number of spatial axes.
        stride: Period in pixels after which the network does the same again: tiles start at
            multiples of it.
        margin: Pixels of context on each side of the pixels that are written.
        offset: Legal sizes are `stride * k + offset`.
        min_size: The smallest legal input size.
        depth: Number of halvings of the resolution.
        description: The network in a few words, for messages.
    """

    padding: str
    rank: int

    if TYPE_CHECKING:  # attributes or properties, as it suits the subclass

        @property
        def stride(self) -> int:
            """See above."""

        @property
        def margin(self) -> int:
            """See above."""

        @property
        def offset(self) -> int:
            """See above."""

        @property
        def min_size(self) -> int:
            """See above."""

        @property
        def depth(self) -> int:
            """See above."""

        @property
        def description(self) -> str:
            """See above."""

        def get_config(self) -> dict[str, Any]:
            """The constructor's arguments."""

    def is_legal(self, size: int) -> bool:
        """Whether the network takes `size` input pixels without padding or cropping."""
        return size >= self.min_size and (size - self.offset) % self.stride == 0

    def nearest(self, size: int) -> tuple[int, int]:
        """The nearest legal sizes: the largest <= `size` and the smallest >= `size`.

        Below the smallest legal size both are that one.
        """
        size = max(int(size), self.min_size)
        below = size - (size - self.offset) % self.stride
        return below, below if below == size else below + self.stride

    def check(self, size: int, name: str = "tile") -> None:
        """Raises a `ValueError` that names the nearest legal sizes unless `size` is legal."""
        if not self.is_legal(size):
            below, above = self.nearest(size)
            near = f"{below} and {above}" if below != above else f"{below} (the smallest)"
            raise ValueError(
                f"{name}={size} is not a legal input size for {self.description}; nearest are "
                f"{near}. Received: {name}={size}"
            )

    def output_size(self, size: int) -> int:
        """Output pixels for `size` input pixels; raises a `ValueError` if `size` is not legal."""
        self.check(size, "size")
        return size - 2 * self.margin if self.padding == "valid" else size

    def usable_size(self, size: int) -> int:
        """Output pixels that no border of the tile has touched: `size - 2 * margin`."""
        self.check(size, "size")
        return size - 2 * self.margin

    def input_size(self, output: int) -> int:
        """The smallest legal input whose `output_size` is at least `output`."""
        if output < 1:
            raise ValueError(f"output must be at least 1. Received: output={output}")
        context = 2 * self.margin if self.padding == "valid" else 0
        return self.nearest(output + context)[1]

    def level_sizes(self, size: int) -> list[tuple[int, int]]:
        """Sizes (into, out of) every level's convolutions; here of the network as a whole."""
        return [(size, self.output_size(size))]


def check_ranges(padding: str, ranges: dict[str, tuple[int, int, int]]) -> None:
    """Raises a `ValueError` for another padding or a value that is not between its two limits."""
    if padding not in PADDINGS:
        raise ValueError(f"padding must be one of {PADDINGS}. Received: padding={padding!r}")
    for name, (value, low, high) in ranges.items():
        if not low <= value <= high:
            raise ValueError(f"{name} must be between {low} and {high}. Received: {name}={value}")


@dataclass(frozen=True)
class UNetGeometry(Geometry):
    """Which input sizes a U-Net takes and which pixels come out.

    Every level of the network has `convs_per_level` convolutions, so that with "valid" padding it
    loses `r = convs_per_level * (kernel_size - 1)` pixels; between the levels lie `depth` poolings
    of 2 and as many up-convolutions. Legal input sizes and their outputs are then

        N = 2**depth * k + r * (2**depth - 1),    M = N - r * (3 * 2**depth - 2)

    for a size `k >= 2 r` of the deepest level's input; the paper's network (r = 4, depth = 4) has
    N = 16 k + 60 and M = N - 184, so 572 -> 388. With "same" padding M = N, legal sizes are the
    multiples of `2**depth`, and the margin is the receptive field's radius, counted from windows
    on the `2**depth` grid and rounded up to that grid: what a tile must see around the pixels that
    it writes so that no zero of a convolution's padding reaches them.

    All sizes are in pixels along one axis and hold for each of the `rank` axes.

    Args:
        depth: Number of poolings (and up-convolutions). Defaults to 4.
        padding: "valid" (the paper) or "same". Defaults to "valid".
        rank: Number of spatial axes, 1 to 3. Defaults to 2.
        convs_per_level: Convolutions on each level of each path. Defaults to 2.
        kernel_size: Odd size of these convolutions' kernels. Defaults to 3.
        upsampling_reach: Pixels that the up-sampling reads beyond the nearest source pixel: 0 for a
            2x2 up-convolution or nearest neighbour, 1 for bilinear (only with "same" padding).

    Raises:
        ValueError: If an argument is out of its range.

    Example:
        >>> geometry = UNetGeometry(depth=4, padding="valid")
        >>> geometry.output_size(572), geometry.margin, geometry.stride, geometry.nearest(600)
        (388, 92, 16, (588, 604))

    Reference:
        Ronneberger, Fischer, Brox. "U-Net: Convolutional Networks for Biomedical Image
        Segmentation." MICCAI 2015. doi:10.1007/978-3-319-24574-4_28
    """

    depth: int = 4
    padding: str = "valid"
    rank: int = 2
    convs_per_level: int = 2
    kernel_size: int = 3
    upsampling_reach: int = 0

    def __post_init__(self) -> None:
        limits = {"depth": (0, 12), "rank": (1, 3), "convs_per_level": (1, 16)}
        check_ranges(self.padding, {k: (getattr(self, k), *v) for k, v in limits.items()})
        if self.kernel_size < 1 or self.kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd. Received: kernel_size={self.kernel_size}")
        if self.upsampling_reach not in (0, 1):
            raise ValueError(
                "upsampling_reach must be 0 (up-convolution, nearest) or 1 (bilinear). "
                f"Received: upsampling_reach={self.upsampling_reach}"
            )
        if self.upsampling_reach and self.padding == "valid":
            raise ValueError(
                "A valid network needs up-convolutions (upsampling_reach=0): bilinear up-sampling "
                "clamps at the rim of a tile. Received: upsampling_reach=1 with padding='valid'"
            )

    @property
    def stride(self) -> int:
        """Period of the pooling grid, `2**depth`: tiles start at multiples of it."""
        return 2**self.depth

    @property
    def loss_per_level(self) -> int:
        """Pixels that the convolutions of one level take off, `convs_per_level * (k - 1)`."""
        return self.convs_per_level * (self.kernel_size - 1)

    @cached_property
    def margin(self) -> int:
        """Pixels of context on each side of the pixels that are written."""
        if self.padding == "valid":
            return self.loss_per_level * (3 * self.stride - 2) // 2
        return -(-self._aligned_radius() // self.stride) * self.stride

    def _aligned_radius(self) -> int:
        """Farthest pixel that a window starting on the grid reads to its left, zero-padded net."""
        reach, position = self.loss_per_level // 2, 0
        farthest = 0
        for offset in range(self.stride):
            position = offset - reach if self.depth else offset
            for level in range(1, self.depth + 1):
                # Bilinear: pixel 2 i reads i - 1 and i, pixel 2 i + 1 reads i and i + 1.
                position = (position - self.upsampling_reach) // 2
                position -= reach if level < self.depth else 0
            for _ in range(self.depth):
                position = 2 * (position - reach)
            farthest = max(farthest, reach - position)
        return farthest

    @property
    def offset(self) -> int:
        """Legal sizes are `stride * k + offset`."""
        return self.loss_per_level * (self.stride - 1) if self.padding == "valid" else 0

    @property
    def min_size(self) -> int:
        """The smallest legal input size."""
        if self.padding == "same":
            return self.stride
        smallest = self.stride * 2 * self.loss_per_level + self.offset
        return smallest - (smallest - 2 * self.margin - 1) // self.stride * self.stride

    @property
    def description(self) -> str:
        """The network in a few words, for messages."""
        return f"depth={self.depth} {self.padding} convolutions"

    def level_sizes(self, size: int) -> list[tuple[int, int]]:
        """Sizes (into, out of) every level's convolutions, down and up again, as in Figure 1."""
        self.check(size, "size")
        lost = self.loss_per_level if self.padding == "valid" else 0
        sizes = [(size, size - lost)]
        for _ in range(self.depth):
            size = sizes[-1][1] // 2
            sizes.append((size, size - lost))
        for _ in range(self.depth):
            size = sizes[-1][1] * 2
            sizes.append((size, size - lost))
        return sizes

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return asdict(self)


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
        geometry: The geometry that was asked.
    """

    shape: tuple[int, ...]
    tile_shape: tuple[int, ...]
    counts: tuple[int, ...]
    step: tuple[int, ...]
    geometry: Geometry

    def __len__(self) -> int:
        total = 1
        for count in self.counts:
            total *= count
        return total

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
        smallest = geometry.nearest(stride + context)[1]
        raise ValueError(
            f"max_tile={limit} is too small for {geometry.description}, whose margin is "
            f"{geometry.margin} px a side; the smallest tile that writes one step of {stride} px "
            f"is {smallest}. Received: max_tile={limit}"
        )
    count = -(-size // step)
    step = -(-size // (count * stride)) * stride
    count = -(-size // step)
    return geometry.nearest(step + context)[1], count, step
