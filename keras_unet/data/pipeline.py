"""From annotated images to an endless `tf.data.Dataset` of augmented, encoded training tiles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from keras_unet.augmentation.augmentation import Augmentation
from keras_unet.augmentation.fused_warp import FusedWarp, Source
from keras_unet.data.fitting import Normalize, check_samples, target_for, tile_shapes, told_classes
from keras_unet.data.python_stage import python_stage
from keras_unet.geometry.base import Geometry
from keras_unet.normalization import Normalization
from keras_unet.sample import Sample
from keras_unet.targets.base import Target

SAMPLINGS = ("image", "area")

_FOREGROUND_POINTS = 4096
"""Foreground pixels of an image among which a favoured tile centre is drawn."""


class _Arena(NamedTuple):
    """All images one after the other in flat arrays, so that a compiled warp has one input shape.

    Attributes:
        image: `(N, C)` float32, normalized.
        labels: `(N, 1 or 3)` int32: instances, and, if any sample has them, classes (0 where there
            are none) and annotated (0 or 1).
        starts: First pixel of each image, `(S,)`.
        shapes: Spatial shapes, int32 `(S, rank)`.
    """

    image: tf.Tensor
    labels: tf.Tensor
    starts: tf.Tensor
    shapes: tf.Tensor


def training_dataset(
    samples: Sequence[Sample],
    geometry: Geometry,
    tile: int | Sequence[int] = 572,
    batch_size: int = 1,
    augmentation: Augmentation | None = None,
    target: Target | None = None,
    weights: Any = ...,
    normalization: Normalize | None = None,
    seed: int = 0,
    start: int = 0,
    *,
    sampling: str = "image",
    foreground_fraction: float = 0.0,
    num_parallel_calls: int = tf.data.AUTOTUNE,
    jit_compile: bool | None = None,
) -> tf.data.Dataset:
    """Endless batches of random tiles with what a network should learn from them.

    An epoch visits the samples in a random order; each visit places one tile, at random so that the
    pixels that the network writes lie inside the image as far as they fit, and warps image and
    labels by one field. What lies outside of an image is its mirror image. Classes and weight map
    are derived from the warped instances, on a window that includes the target's halo around the
    tile, so that cells just outside still count.

    Element `i` depends on `seed` and `i` alone: two runs, any number of parallel calls, and a run
    that resumes with `start` give the same bits on the same machine. Images are normalized whole
    and kept in memory as float32, with 4 bytes of labels per pixel (12 with classes or
    partial annotation).

    Args:
        samples: Annotated images, all with the same rank and number of channels.
        geometry: The network's sizes, `model.geometry`.
        tile: Input size of the network in pixels, a legal size of the geometry, one number or one
            per axis. Defaults to 572.
        batch_size: Tiles in a batch. Defaults to 1.
        augmentation: Random changes. Defaults to None: random positions only, pixels unchanged.
        target: What the network learns. Defaults to None: a `ClassTarget` of as many classes as the
            samples have (`data.num_classes`).
        weights: Weights of that default target, see `ClassTarget`; not beside `target`. Defaults to
            "paper".
        normalization: Called once with every whole image; returns floats of the same shape.
            Defaults to None, `Normalization()`, as in `Segmenter`; `Normalization("none")` leaves
            grey values as they are.
        seed: Seed of order, positions and augmentation. Defaults to 0.
        start: Index of the first tile (not batch): `steps * batch_size` to resume. Defaults to 0.
        sampling: "image", every image once an epoch, or "area", as often as tiles fit into it
            (rounded, at least once), so that pixels of large and small images count the same.
            Defaults to "image".
        foreground_fraction: Share of the tiles that are placed around a random foreground pixel,
            for images that are nearly empty. Defaults to 0.
        num_parallel_calls: Tiles that are prepared at the same time. Defaults to `AUTOTUNE`.
        jit_compile: Whether XLA compiles the warp. Defaults to None: where XLA works.

    Returns:
        An infinite dataset, whose `cardinality()` says so, of `(image, y, weights)` as `model.fit`
        takes it with `steps_per_epoch`: `image` float32 `(batch, *tile, C)`; `y` int32
        `(batch, *output)` or float32 `(batch, *output, K)`, as the target has it; `weights` float32
        `(batch, *output)`. `output` is `geometry.output_size` of each tile size.

    Raises:
        ValueError: If the samples do not fit together, to the geometry or to the target, or an
            argument is out of its range.

    Example:
        >>> from keras_unet.data import synthetic_cells
        >>> ds = training_dataset(synthetic_cells(2, shape=(96, 120)), UNetGeometry(depth=2), 92)
        >>> [tuple(part.shape) for part in next(iter(ds))]
        [(1, 92, 92, 1), (1, 52, 52), (1, 52, 52)]
    """
    samples = list(samples)
    _check_options(batch_size, start, sampling, foreground_fraction)
    tile_shape, output_shape = tile_shapes(geometry, tile)
    target = target_for(samples, target, "paper" if weights is ... else weights, weights is not ...)
    check_samples(samples, geometry, target)
    label_shape = tuple(size + 2 * target.halo for size in output_shape)
    smallest = np.min([sample.shape for sample in samples], axis=0)
    centred = np.all(smallest >= output_shape)  # then the centre of a tile lies in the image
    fused = FusedWarp(
        augmentation or Augmentation.none(),
        tile_shape,
        label_shape,
        smallest=smallest if centred else None,
        jit_compile=jit_compile,
    )
    encode = _encoder(target, output_shape, samples)
    with tf.device("CPU:0"):
        arena = _fill_arena(samples, normalization or Normalization())
        points = _foreground(samples, seed) if foreground_fraction else None
        place = _placer(arena, tile_shape, output_shape, foreground_fraction, points)

    @tf.autograph.experimental.do_not_convert
    def make(index: tf.Tensor, which: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        seeds = tf.random.split(tf.stack([tf.constant(seed, tf.int64), index]), 2, alg="philox")
        source = place(which, seeds[0])
        image, labels = fused(source, fused.draw(seeds[1], arena.image.shape[-1]))
        return (image, *encode(labels, which))

    order = _order(_visits(samples, output_shape, sampling), seed, start)
    dataset = tf.data.Dataset.zip(tf.data.Dataset.range(start, tf.int64.max), order)
    dataset = dataset.map(make, num_parallel_calls=num_parallel_calls, deterministic=True)
    dataset = dataset.batch(batch_size, drop_remainder=True).prefetch(tf.data.AUTOTUNE)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))
    options = tf.data.Options()  # one endless stream; a strategy must not cut it by its files
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return told_classes(dataset.with_options(options), target)


def _check_options(batch_size: int, start: int, sampling: str, foreground_fraction: float) -> None:
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1. Received: batch_size={batch_size}")
    if start < 0:
        raise ValueError(f"start must not be negative. Received: start={start}")
    if sampling not in SAMPLINGS:
        raise ValueError(f"sampling must be one of {SAMPLINGS}. Received: sampling={sampling!r}")
    if not 0 <= foreground_fraction <= 1:
        raise ValueError(
            "foreground_fraction must lie in 0..1. "
            f"Received: foreground_fraction={foreground_fraction}"
        )


def _fill_arena(samples: Sequence[Sample], normalization: Normalize) -> _Arena:
    shapes = np.array([sample.shape for sample in samples], np.int32)
    sizes = shapes.prod(axis=1, dtype=np.int64)
    channels = samples[0].channels
    images = np.empty((sizes.sum(), channels), np.float32)
    more = any(s.classes is not None or s.annotated is not None for s in samples)
    labels = np.zeros((sizes.sum(), 3 if more else 1), np.int32)
    ends = np.cumsum(sizes)
    for sample, stop, size in zip(samples, ends, sizes, strict=True):
        image = np.asarray(normalization(sample.image))
        if image.shape != sample.image.shape:
            raise ValueError(
                f"normalization must keep the shape of sample {sample.name!r}, "
                f"{sample.image.shape}. Received: {image.shape}"
            )
        rows = slice(stop - size, stop)
        images[rows] = image.reshape(-1, channels)
        if sample.instances is not None:
            labels[rows, 0] = sample.instances.ravel()
        if more:
            labels[rows, 1] = sample.class_map().ravel()
            labels[rows, 2] = 1 if sample.annotated is None else sample.annotated.ravel()
    index = np.int32 if ends[-1] * max(channels, 3) < 2**31 else np.int64
    return _Arena(
        tf.constant(images),
        tf.constant(labels),
        tf.constant((ends - sizes).astype(index)),
        tf.constant(shapes),
    )


def _foreground(samples: Sequence[Sample], seed: int) -> tf.RaggedTensor:
    """Random foreground pixels of every sample, `(S, points, rank)` int32; none where empty."""
    rows = []
    for index, sample in enumerate(samples):
        found = np.argwhere(sample.class_map() > 0).astype(np.int32)
        generator = np.random.Generator(np.random.Philox(key=[seed % 2**63, index]))
        few = min(len(found), _FOREGROUND_POINTS)
        rows.append(found[generator.choice(len(found), few, replace=False)] if few else found)
    return tf.RaggedTensor.from_row_lengths(np.concatenate(rows), [len(row) for row in rows])


def _placer(
    arena: _Arena,
    tile_shape: Sequence[int],
    output_shape: Sequence[int],
    foreground_fraction: float,
    points: tf.RaggedTensor | None,
) -> Callable[[tf.Tensor, tf.Tensor], Source]:
    """Draws where in an image a tile lies.

    `first` is the image's pixel at the output's first pixel. Along an axis of 10 pixels an output
    of 6 lies inside of the image at first = 0..4; an output of 14 holds the image at first = -4..0.
    """
    context = (np.array(tile_shape) - np.array(output_shape)) // 2

    def place(which: tf.Tensor, seed: tf.Tensor) -> Source:
        shape = arena.shapes[which]
        uniform = tf.random.stateless_uniform((len(tile_shape) + 2,), seed, alg="philox")
        anywhere, favour, choice = uniform[:-2], uniform[-2], uniform[-1]
        spare = shape - output_shape
        lowest, highest = tf.minimum(spare, 0), tf.maximum(spare, 0)
        first = lowest + _below(highest - lowest + 1, anywhere)
        if points is not None:
            row = points[which]
            count = tf.shape(row)[0]
            row = tf.concat([row, first[None]], axis=0)  # there is one to take in an empty image
            around = row[_below(count, choice)] - np.array(output_shape) // 2
            around = tf.clip_by_value(around, lowest, highest)
            first = tf.where((favour < foreground_fraction) & (count > 0), around, first)
        return Source(arena.image, arena.labels, arena.starts[which], shape, first - context)

    return place


def _below(count: tf.Tensor, uniform: tf.Tensor) -> tf.Tensor:
    """Whole numbers in `0..count - 1`, as uniform ones are 1 - 2**-23 at most; 0 for no count."""
    return tf.cast(tf.cast(count, tf.float32) * uniform, tf.int32)


def _visits(samples: Sequence[Sample], output_shape: Sequence[int], sampling: str) -> np.ndarray:
    """The sample of every visit of an epoch, before it is shuffled."""
    if sampling == "image":
        return np.arange(len(samples))
    tiles = [np.prod(sample.shape) / np.prod(output_shape) for sample in samples]
    return np.repeat(np.arange(len(samples)), [max(1, round(float(count))) for count in tiles])


def _order(visits: np.ndarray, seed: int, start: int) -> tf.data.Dataset:
    """Endless sample numbers, shuffled anew in every epoch, from element `start` on."""
    visits = visits.astype(np.int64)

    @tf.autograph.experimental.do_not_convert
    def epoch(number: tf.Tensor) -> tf.data.Dataset:
        # Elements use the seeds (seed, index >= 0), so negative numbers are free.
        seeds = tf.stack([tf.constant(seed, tf.int64), -1 - number])
        keys = tf.random.stateless_uniform((len(visits),), seeds, alg="philox")
        return tf.data.Dataset.from_tensor_slices(tf.gather(visits, tf.argsort(keys, stable=True)))

    epochs = tf.data.Dataset.range(start // len(visits), tf.int64.max)
    return epochs.flat_map(epoch).skip(start % len(visits))


def _encoder(
    target: Target, output_shape: tuple[int, ...], samples: Sequence[Sample]
) -> Callable[[tf.Tensor, tf.Tensor], list[tf.Tensor]]:
    """Makes `(y, weights)` of the output from a warped label window with the target's halo."""
    given = [(s.instances is not None, s.classes is not None) for s in samples]
    channels = target.target_channels
    inner = tuple(slice(target.halo, target.halo + size) for size in output_shape)
    specs = (
        tf.TensorSpec(output_shape, tf.int32)
        if channels is None
        else tf.TensorSpec((*output_shape, channels), tf.float32),
        tf.TensorSpec(output_shape, tf.float32),
    )

    def encode(labels: np.ndarray, which: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        instances, *others = np.moveaxis(labels, -1, 0)
        classes, annotated = others or (instances, np.ones(1))
        has_instances, has_classes = given[which]
        y, weights = target.encode(
            np.ascontiguousarray(instances) if has_instances else None,
            np.ascontiguousarray(classes) if has_classes else None,
            None if annotated.all() else annotated.astype(bool),
        )
        return (
            np.ascontiguousarray(y[inner], np.int32 if channels is None else np.float32),
            np.ascontiguousarray(weights[inner], np.float32),
        )

    return lambda labels, which: python_stage(encode, [labels, which], specs)
