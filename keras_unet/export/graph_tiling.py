"""The overlap-tile strategy as TensorFlow graph operations, planned where the image's size is."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf

from keras_unet.augmentation.field import mirror_fold
from keras_unet.geometry.base import Geometry
from keras_unet.geometry.tiles import plan_fixed, plan_tiles

LARGE = 2**20
"""An image larger than any tile, to check that a limit can be kept."""


class Axis(NamedTuple):
    """The tiles along one axis, int32 scalars, as in a `TilePlan`.

    Attributes:
        size: Pixels of the image.
        tile: Input pixels of a tile.
        count: Number of tiles.
        step: Pixels between neighbouring tiles.
    """

    size: tf.Tensor
    tile: tf.Tensor
    count: tf.Tensor
    step: tf.Tensor


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

    Raises:
        ValueError: If a tile is too small for one step of the network.
    """

    def __init__(
        self,
        geometry: Geometry,
        max_tile: Sequence[int],
        fixed: Sequence[int] | None,
        batch_of: Callable[[tf.Tensor], tf.Tensor],
    ) -> None:
        many = (LARGE,) * geometry.rank
        if fixed is None:
            plan_tiles(many, geometry, list(max_tile))
        self.geometry = geometry
        self.max_tile = tuple(max_tile)
        self.fixed = None if fixed is None else plan_fixed(many, geometry, fixed)
        self.batch_of = batch_of

    def plan(self, shape: tf.Tensor) -> list[Axis]:
        """The tiles for an image of spatial shape `shape`, int32 `(rank,)`."""
        return [self._axis(axis, shape[axis]) for axis in range(self.geometry.rank)]

    def _axis(self, axis: int, size: tf.Tensor) -> Axis:
        stride, context = self.geometry.stride, 2 * self.geometry.margin
        if self.fixed is not None:
            step = self.fixed.step[axis]
            tile = tf.constant(self.fixed.tile_shape[axis])
            return Axis(size, tile, _parts(size, step), tf.constant(step))
        single = self._legal(size + context)
        limit = self.max_tile[axis]
        largest = (self.geometry.nearest(limit)[0] - context) // stride * stride
        count = _parts(size, max(largest, stride))
        step = _parts(size, count * stride) * stride
        fits = single <= limit
        step = tf.where(fits, _parts(size, stride) * stride, step)
        count = tf.where(fits, 1, _parts(size, step))
        return Axis(size, tf.where(fits, single, self._legal(step + context)), count, step)

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
        block_spec = tf.TensorSpec((None,) * (rank + 1) + (outputs,), tf.float32)

        def run(number: tf.Tensor) -> tf.Tensor:
            indices = tf.minimum(tf.range(number * batch, (number + 1) * batch), total - 1)
            tiles = tf.map_fn(
                lambda index: self._read(image, plan, index), indices, fn_output_signature=tile_spec
            )
            return self._crop(network(tiles), plan)

        blocks = tf.map_fn(
            run, tf.range(rounds), fn_output_signature=block_spec, parallel_iterations=1
        )
        return _stitch(blocks, plan, outputs)

    def _read(self, image: tf.Tensor, plan: list[Axis], index: tf.Tensor) -> tf.Tensor:
        """One tile, mirrored where it reaches outside of the image."""
        tile = image
        for axis in reversed(range(len(plan))):
            size, length, count, step = plan[axis]
            start = index % count * step - self.geometry.margin
            index = index // count
            tile = tf.gather(tile, mirror_fold(tf.range(start, start + length), size), axis=axis)
        return tile

    def _crop(self, outputs: tf.Tensor, plan: list[Axis]) -> tf.Tensor:
        """The pixels that the tiles of a batch write, with spare ones beyond the image's end."""
        start = 0 if self.geometry.padding == "valid" else self.geometry.margin
        return outputs[(slice(None), *[slice(start, start + axis.step) for axis in plan])]


def _parts(size: tf.Tensor, part: tf.Tensor | int) -> tf.Tensor:
    """How many parts cover `size`."""
    return -(-size // part)


def _stitch(blocks: tf.Tensor, plan: list[Axis], outputs: int) -> tf.Tensor:
    """`(rounds, batch, *step, K)` in row-major order -> the image's `(*spatial, K)`."""
    rank = len(plan)
    counts, steps = [axis.count for axis in plan], [axis.step for axis in plan]
    total = math.prod(counts, start=tf.constant(1))
    flat = tf.reshape(blocks, [-1, *steps, outputs])[:total]
    grid = tf.reshape(flat, [*counts, *steps, outputs])
    order = [axis for pair in zip(range(rank), range(rank, 2 * rank), strict=True) for axis in pair]
    sizes = [count * step for count, step in zip(counts, steps, strict=True)]
    whole = tf.reshape(tf.transpose(grid, [*order, 2 * rank]), [*sizes, outputs])
    return whole[tuple(slice(axis.size) for axis in plan)]
