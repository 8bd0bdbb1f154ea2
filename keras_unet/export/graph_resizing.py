"""The grids of `data.resolution` as TensorFlow graph operations, for sizes known when it runs."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from keras_unet.data.resolution import Resolution, cubic_weights

Taps = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]
"""(old size, new size, number of the tap) -> index int32 and weight float64, each `(new,)`."""


def working_shape(shape: tf.Tensor, resolution: Resolution) -> tf.Tensor:
    """`data.resolution.working_shape` of an int32 shape `(rank,)`."""
    sizes = tf.round(tf.cast(shape, tf.float64) * tf.constant(resolution, tf.float64))
    return tf.maximum(tf.cast(sizes, tf.int32), 1)


def resize_image(values: tf.Tensor, shape: tf.Tensor) -> tf.Tensor:
    """`data.resolution.resize_image`.

    Args:
        values: `(*spatial, C)`, int32 or float32.
        shape: New spatial shape, int32 `(rank,)`.

    Returns:
        `(*shape, C)` of the same dtype.
    """
    resized = _resample(tf.cast(values, tf.float32), shape, _cubic, 4)
    if values.dtype.is_integer:
        resized = tf.round(resized)
    places = list(range(values.shape.rank - 1))
    low, high = (
        tf.cast(find(values, places), tf.float32) for find in (tf.reduce_min, tf.reduce_max)
    )
    return tf.cast(tf.minimum(tf.maximum(resized, low), high), values.dtype)


def resize_maps(maps: tf.Tensor, shape: tf.Tensor) -> tf.Tensor:
    """`data.resolution.resize_maps` of float32 maps `(*spatial, K)`."""
    return _resample(maps, shape, _linear, 2)


def _resample(values: tf.Tensor, shape: tf.Tensor, enlarge: Taps, taps: int) -> tf.Tensor:
    for axis in range(values.shape.rank - 1):
        old, new = tf.shape(values)[axis], shape[axis]

        def smaller(values=values, axis=axis, old=old, new=new):
            # one tap more than pixels that fit: parts of pixels lie at both ends
            return _combine(values, axis, old, new, _area, -(-old // new) + 1)

        def larger(values=values, axis=axis, old=old, new=new):
            return _combine(values, axis, old, new, enlarge, tf.constant(taps))

        resized = tf.cond(new <= old, smaller, larger)
        resized.set_shape([None] * (values.shape.rank - 1) + [values.shape[-1]])
        values = resized
    return values


def _combine(
    values: tf.Tensor, axis: int, old: tf.Tensor, new: tf.Tensor, weigh: Taps, taps: tf.Tensor
) -> tf.Tensor:
    """Weighted sums of slices across an axis, one tap after the other as in NumPy."""
    column = [-1] + [1] * (values.shape.rank - axis - 1)
    shape = tf.tensor_scatter_nd_update(tf.shape(values), [[axis]], [new])
    unknown = tf.TensorShape([None] * (values.shape.rank - 1) + [values.shape[-1]])

    def add(tap: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        index, weight = weigh(old, new, tap)
        part = tf.gather(values, tf.clip_by_value(index, 0, old - 1), axis=axis)
        return tap + 1, total + part * tf.reshape(tf.cast(weight, tf.float32), column)

    start = tf.zeros(shape, tf.float32)
    start.set_shape(unknown)
    _, total = tf.while_loop(
        lambda tap, _: tap < taps,
        add,
        (tf.constant(0), start),
        shape_invariants=(tf.TensorShape([]), unknown),
        parallel_iterations=1,
    )
    return total


def _area(old: tf.Tensor, new: tf.Tensor, tap: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Mean over the area of each new pixel; the weights of all taps sum to 1."""
    before, after = tf.cast(old, tf.float64), tf.cast(new, tf.float64)
    edges = tf.range(after + 1, dtype=tf.float64) * before / after
    start, stop = edges[:-1], edges[1:]
    first = tf.floor(start)

    def overlap(number: tf.Tensor) -> tf.Tensor:
        index = first + tf.cast(number, tf.float64)
        return tf.maximum(tf.minimum(index + 1, stop) - tf.maximum(index, start), 0)

    _, whole = tf.while_loop(
        lambda number, _: number < -(-old // new) + 1,
        lambda number, total: (number + 1, total + overlap(number)),
        (tf.constant(0), tf.zeros_like(start)),
    )
    return tf.cast(first, tf.int32) + tap, overlap(tap) / whole


def _linear(old: tf.Tensor, new: tf.Tensor, tap: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    whole, part = _centres(old, new)
    return whole + tap, tf.stack([1 - part, part])[tap]


def _cubic(old: tf.Tensor, new: tf.Tensor, tap: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    whole, part = _centres(old, new)
    return whole - 1 + tap, tf.stack(cubic_weights(part))[tap]


def _centres(old: tf.Tensor, new: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Centres of the new pixels among those of the old: whole pixels and parts, each `(new,)`."""
    before, after = tf.cast(old, tf.float64), tf.cast(new, tf.float64)
    centres = (tf.range(after, dtype=tf.float64) + 0.5) * before / after - 0.5
    whole = tf.floor(centres)
    return tf.cast(whole, tf.int32), centres - whole
