"""The overlap-tile strategy as TensorFlow graph operations, planned where the image's size is."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf

from keras_unet.augmentation.field import mirror_fold
from keras_unet.geometry.base import Geometry
from keras_unet.geometry.margins import mirrored_margin
from keras_unet.geometry.tiles import plan_fixed, plan_tiles
from keras_unet.inference.tile_runner import LARGE


class Axis(NamedTuple):
    """The tiles along one axis, int32 scalars, as in a `TilePlan`.

    Attributes:
        size: Pixels of the image.
        tile: Input pixels of a tile.
        count: Number of tiles.
        step: Pixels between neighbouring tiles.
        last: Start of the last tile, in pixels of the canvas.
        block: Output pixels of a tile that are kept, the largest number that one writes.
    """

    size: tf.Tensor
    tile: tf.Tensor
    count: tf.Tensor
    step: tf.Tensor
    last: tf.Tensor
    block: tf.Tensor


class Tiler:
    """Runs a network over one image of any size, with one batch of tiles in memory at a time.

    The plan is that of `plan_tiles` (or `plan_fixed`), the mirror that of `mirrored_box`, the
    batches those of `run_tiles`, so the numbers are those of `Segmenter.predict`.

    Args:
        geometry: The network's geometry.
        max_tile: Largest input tile in pixels for each axis.
        fixed: The only tile shape that the network takes. Defaults to None, any legal one.
        batch_of: Largest number of tiles that run together, from the number of pixels of one,
            int32 scalars.
        margin: Mirrored pixels on each side of the image, as for `plan_tiles`. Defaults to "full".

    Raises:
        ValueError: If a tile is too small for one step of the network.
    """

    def __init__(
        self,
        geometry: Geometry,
        max_tile: Sequence[int],
        fixed: Sequence[int] | None,
        batch_of: Callable[[tf.Tensor], tf.Tensor],
        margin: int | str = "full",
    ) -> None:
        many = (LARGE,) * geometry.rank
        if fixed is None:
            plan_tiles(many, geometry, list(max_tile))
        self.geometry = geometry
        self.margin = mirrored_margin(geometry, margin)
        self.max_tile = tuple(max_tile)
        self.fixed = None if fixed is None else plan_fixed(many, geometry, fixed)
        self.batch_of = batch_of

    def plan(self, shape: tf.Tensor) -> list[Axis]:
        """The tiles for an image of spatial shape `shape`, int32 `(rank,)`."""
        return [self._axis(axis, shape[axis]) for axis in range(self.geometry.rank)]

    def _axis(self, axis: int, size: tf.Tensor) -> Axis:
        geometry, stride = self.geometry, self.geometry.stride
        context, inner = 2 * geometry.margin, size - 2 * self._spared
        canvas = self._legal(size + 2 * self.margin)
        if self.fixed is not None:
            step = tf.constant(self.fixed.step[axis])
            tile = tf.constant(self.fixed.tile_shape[axis])
            count = tf.where(canvas <= tile, 1, _parts(inner, step))
        else:
            limit = self.max_tile[axis]
            largest = (geometry.nearest(limit)[0] - context) // stride * stride
            fits = canvas <= limit
            count = tf.where(fits, 1, _parts(inner, max(largest, stride)))
            step = tf.maximum(_parts(inner, count * stride), 1) * stride
            tile = tf.where(fits, canvas, self._legal(step + context))
        last = tf.minimum((count - 1) * step, tf.maximum(canvas - tile, 0))
        block = tf.where(count == 1, size, step + self._spared)
        return Axis(size, tile, count, step, last, block)

    @property
    def _spared(self) -> int:
        """Pixels of context that the canvas has less than the network could see on a side."""
        return self.geometry.margin - self.margin

    @property
    def _lost(self) -> int:
        """Pixels that the network loses on a side."""
        return self.geometry.margin if self.geometry.padding == "valid" else 0

    def _legal(self, size: tf.Tensor) -> tf.Tensor:
        """The smallest legal input size of at least `size`."""
        geometry = self.geometry
        size = tf.maximum(size, geometry.min_size)
        return size + (geometry.offset - size) % geometry.stride

    def __call__(self, image: tf.Tensor, network: Callable, outputs: int) -> tf.Tensor:
        """Runs the network over an image and stitches what comes out.

        Args:
            image: `(*spatial, C)` float32.
            network: `(batch, *tile, C)` -> `(batch, *output, outputs)`, float32.
            outputs: Channels that the network gives.

        Returns:
            `(*spatial, outputs)` float32.
        """
        rank = self.geometry.rank
        plan = self.plan(tf.shape(image)[:rank])
        total = math.prod([axis.count for axis in plan], start=tf.constant(1))
        pixels = math.prod([axis.tile for axis in plan], start=tf.constant(1))
        rounds = _parts(total, self.batch_of(pixels))
        batch = _parts(total, rounds)
        shape = self.fixed.tile_shape if self.fixed else (None,) * rank
        tile_spec = tf.TensorSpec((*shape, image.shape[-1]), tf.float32)
        block_spec = tf.TensorSpec((None,) * rank + (outputs,), tf.float32)
        batch_spec = tf.TensorSpec((None, *block_spec.shape), tf.float32)

        def run(number: tf.Tensor) -> tf.Tensor:
            indices = tf.minimum(tf.range(number * batch, (number + 1) * batch), total - 1)
            tiles = tf.map_fn(
                lambda index: self._read(image, plan, index), indices, fn_output_signature=tile_spec
            )
            return tf.map_fn(
                lambda pair: self._crop(pair[0], plan, pair[1]),
                (network(tiles), indices),
                fn_output_signature=block_spec,
            )

        blocks = tf.map_fn(
            run, tf.range(rounds), fn_output_signature=batch_spec, parallel_iterations=1
        )
        return self._stitch(blocks, plan, outputs)

    def _read(self, image: tf.Tensor, plan: list[Axis], index: tf.Tensor) -> tf.Tensor:
        """One tile, mirrored where it reaches outside of the image."""
        tile = image
        for axis in reversed(range(len(plan))):
            start = self._start(plan[axis], index % plan[axis].count)
            index = index // plan[axis].count
            pixels = tf.range(start, start + plan[axis].tile)
            tile = tf.gather(tile, mirror_fold(pixels, plan[axis].size), axis=axis)
        return tile

    def _start(self, axis: Axis, number: tf.Tensor) -> tf.Tensor:
        """The first pixel of the image that a tile reads, of its number along the axis."""
        return tf.minimum(number * axis.step, axis.last) - self.margin

    def _kept(self, axis: Axis, number: tf.Tensor) -> tf.Tensor:
        """The first output pixel of a tile that is kept: what it writes lies in `block` pixels."""
        begin = tf.where(number == 0, 0, number * axis.step + self._spared)
        first = self._start(axis, number) + self._lost
        return tf.minimum(begin - first, axis.tile - 2 * self._lost - axis.block)

    def _crop(self, output: tf.Tensor, plan: list[Axis], index: tf.Tensor) -> tf.Tensor:
        """The block of one tile's outputs that is kept."""
        begins = []
        for axis in reversed(plan):
            begins.append(self._kept(axis, index % axis.count))
            index = index // axis.count
        begin = tf.stack([*reversed(begins), 0])
        return tf.slice(output, begin, tf.stack([*(axis.block for axis in plan), -1]))

    def _stitch(self, blocks: tf.Tensor, plan: list[Axis], outputs: int) -> tf.Tensor:
        """`(rounds, batch, *block, K)` in row-major order -> the image's `(*spatial, K)`."""
        rank = len(plan)
        counts, sides = [axis.count for axis in plan], [axis.block for axis in plan]
        total = math.prod(counts, start=tf.constant(1))
        flat = tf.reshape(blocks, [-1, *sides, outputs])[:total]
        grid = tf.reshape(flat, [*counts, *sides, outputs])
        pairs = zip(range(rank), range(rank, 2 * rank), strict=True)
        grid = tf.transpose(grid, [*(axis for pair in pairs for axis in pair), 2 * rank])
        sizes = [count * side for count, side in zip(counts, sides, strict=True)]
        whole = tf.reshape(grid, [*sizes, outputs])
        for number, axis in enumerate(plan):
            whole = tf.gather(whole, self._places(axis), axis=number)
        return whole

    def _places(self, axis: Axis) -> tf.Tensor:
        """Where each pixel of the image lies in the blocks, which stand side by side."""
        pixels = tf.range(axis.size)
        tile = tf.clip_by_value((pixels - self._spared) // axis.step, 0, axis.count - 1)
        inside = pixels - self._start(axis, tile) - self._lost - self._kept(axis, tile)
        return tile * axis.block + inside


def _parts(size: tf.Tensor, part: tf.Tensor | int) -> tf.Tensor:
    """How many parts cover `size`."""
    return -(-size // part)
