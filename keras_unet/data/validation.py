"""From annotated images to a finite `tf.data.Dataset` of tiles that cover every pixel once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from keras_unet.data.fitting import Normalize, check_samples, target_for, tile_shapes, told_classes
from keras_unet.data.python_stage import python_stage
from keras_unet.geometry.base import Geometry
from keras_unet.geometry.mirrored import mirrored_box
from keras_unet.geometry.tiles import Tile, plan_fixed, plan_tiles
from keras_unet.normalization import Normalization
from keras_unet.sample import Sample
from keras_unet.targets.base import Target

LARGEST = {1: 2**16, 2: 572, 3: 132}
"""Sides of the largest tiles, in pixels, that are chosen here, by the number of axes."""

Annotated = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Normalized image `(*spatial, C)`, `y` and weights of a whole sample."""


def validation_dataset(
    samples: Sequence[Sample],
    geometry: Geometry,
    tile: int | Sequence[int] | None = None,
    batch_size: int = 1,
    target: Target | None = None,
    weights: Any = None,
    normalization: Normalize | None = None,
) -> tf.data.Dataset:
    """Tiles of all samples in their order, not augmented, for `model.fit(validation_data=...)`.

    Every pixel of every sample counts once: where tiles overlap or reach outside of an image, which
    is mirrored there as in training, weights are 0. Keras passes weights to the loss and to
    `weighted_metrics`, not to `metrics`. Images are normalized whole and kept in memory with their
    encoded labels.

    Args:
        samples: Annotated images, all with the same rank and number of channels.
        geometry: The network's sizes, `model.geometry`.
        tile: Input size of the network in pixels, a legal size of the geometry with room for its
            margin on each side, one number or one per axis. Defaults to None: one that takes the
            largest sample whole, up to about 572 pixels (132 for volumes).
        batch_size: Tiles in a batch. Defaults to 1.
        target: What the network learns. Defaults to None: a `ClassTarget` of as many classes as the
            samples have (`data.num_classes`).
        weights: Weights of that default target, see `ClassTarget`; not beside `target`. Defaults to
            None: every pixel counts the same.
        normalization: As in `training_dataset`. Defaults to None, `Normalization()`.

    Returns:
        A finite dataset, with a length, of `(image, y, weights)` as `training_dataset` gives them;
        its last batch may be smaller.

    Raises:
        ValueError: If the samples do not fit together, to the geometry or to the target, or an
            argument is out of its range.

    Example:
        >>> samples = keras_unet.data.synthetic_cells(2, shape=(96, 120))
        >>> dataset = validation_dataset(samples, UNetGeometry(depth=2), tile=92)
        >>> len(dataset), int(sum((weights > 0).numpy().sum() for _, _, weights in dataset))
        (12, 23040)
        >>> 2 * 96 * 120
        23040
    """
    samples = list(samples)
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1. Received: batch_size={batch_size}")
    target = target_for(samples, target, weights, weights is not None)
    check_samples(samples, geometry, target)
    tile_shape, output_shape = tile_shapes(geometry, tile or _tile_for(samples, geometry))
    normalize = normalization or Normalization()
    whole: list[Annotated] = [
        (
            np.asarray(normalize(sample.image), np.float32),
            *target.encode(sample.instances, sample.classes, sample.annotated),
        )
        for sample in samples
    ]
    tiles = [
        (number, one)
        for number, sample in enumerate(samples)
        for one in plan_fixed(sample.shape, geometry, tile_shape)
    ]
    dtype, channels = (
        (tf.int32, ())
        if target.target_channels is None
        else (tf.float32, (target.target_channels,))
    )
    specs = (
        tf.TensorSpec((*tile_shape, samples[0].channels), tf.float32),
        tf.TensorSpec((*output_shape, *channels), dtype),
        tf.TensorSpec(output_shape, tf.float32),
    )

    def cut(index: np.ndarray) -> tuple[np.ndarray, ...]:
        number, one = tiles[int(index)]
        return _cut(whole[number], one, output_shape)

    @tf.autograph.experimental.do_not_convert
    def make(index: tf.Tensor) -> tuple[tf.Tensor, ...]:
        return tuple(python_stage(cut, [index], specs))

    dataset = tf.data.Dataset.range(len(tiles)).map(make, num_parallel_calls=tf.data.AUTOTUNE)
    return told_classes(dataset.batch(batch_size).prefetch(tf.data.AUTOTUNE), target)


def _tile_for(samples: Sequence[Sample], geometry: Geometry) -> tuple[int, ...]:
    """A tile that takes the largest sample whole, or as much of it as is sensible."""
    largest = np.max([sample.shape for sample in samples], axis=0)
    limit = max(geometry.nearest(LARGEST[geometry.rank])[0], geometry.smallest_tile)
    return plan_tiles(largest, geometry, limit).tile_shape


def _cut(sample: Annotated, tile: Tile, output_shape: Sequence[int]) -> tuple[np.ndarray, ...]:
    """Image, `y` and weights of a tile; weights are 0 where another tile, or none, writes."""
    image, y, weights = sample
    starts = [w[0] - c[0] for w, c in zip(tile.write, tile.crop, strict=True)]
    box = [(start, start + size) for start, size in zip(starts, output_shape, strict=True)]
    counted = np.zeros(output_shape, np.float32)
    inner = tuple(slice(*interval) for interval in tile.crop)
    counted[inner] = weights[tuple(slice(*interval) for interval in tile.write)]
    return mirrored_box(image, tile.read), mirrored_box(y, box), counted
