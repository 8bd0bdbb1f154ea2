"""`Normalization` as TensorFlow graph operations, number for number."""

from __future__ import annotations

import tensorflow as tf

from keras_unet.normalization import MAX_VALUES, Normalization

LEVELS = 2**16
"""Grey levels of the integers that are told apart: 8 and 16 bits."""
TINY = 1.1754943508222875e-38
"""The smallest normal float32; less contrast than that is none."""


def normalize(normalization: Normalization, values: tf.Tensor, peak: tf.Tensor | None) -> tf.Tensor:
    """One whole image as the network sees it.

    The same float64 arithmetic in the same order as `Normalization.__call__`, so the result is the
    same to the last bit; in mode `"zscore"` up to the order of a sum (one unit in the last place).

    Args:
        normalization: What to do.
        values: `(*spatial, C)`, int32 from an image of 8 or 16 bits, or float32.
        peak: The largest grey level that the image's dtype can hold, float64 scalar; None for
            float images.

    Returns:
        `(*spatial, C)` float32.
    """
    image = tf.cast(values, tf.float32)
    if normalization.mode == "none" or (normalization.mode == "unit" and peak is None):
        return image
    channels = values.shape[-1]
    if normalization.mode == "unit":
        pairs = [(tf.constant(0.0, tf.float64), peak)]
    else:
        find = _percentiles if normalization.mode == "percentile" else _mean_and_deviation
        step = 1 if normalization.per_channel else channels
        pairs = [
            find(normalization, values[..., c : c + step], peak) for c in range(0, channels, step)
        ]
    offset, width = (tf.stack(numbers * (channels // len(pairs))) for numbers in _columns(pairs))
    contrast = width > TINY
    scale = tf.where(contrast, 1 / tf.where(contrast, width, 1), 0)
    return (image - tf.cast(offset, tf.float32)) * tf.cast(scale, tf.float32)


def _columns(pairs: list[tuple[tf.Tensor, tf.Tensor]]) -> tuple[list, list]:
    return [low for low, _ in pairs], [width for _, width in pairs]


def _percentiles(
    normalization: Normalization, values: tf.Tensor, peak: tf.Tensor | None
) -> tuple[tf.Tensor, tf.Tensor]:
    """The lower percentile and the distance to the upper one, float64."""
    fractions = (normalization.low / 100, normalization.high / 100)
    quantiles = _sampled if peak is None else _counted
    low, high = quantiles(values, fractions)
    same = low == high
    low = tf.where(same, tf.cast(tf.reduce_min(values), tf.float64), low)
    high = tf.where(same, tf.cast(tf.reduce_max(values), tf.float64), high)
    return low, high - low


def _counted(values: tf.Tensor, fractions: tuple[float, float]) -> list[tf.Tensor]:
    """Quantiles of integers, by a histogram."""
    flat = tf.reshape(values, [-1])
    counts = tf.math.bincount(flat, minlength=LEVELS, maxlength=LEVELS)
    below = tf.cast(tf.cumsum(counts), tf.float64)
    found = []
    for fraction in fractions:
        position = fraction * (below[-1] - 1)
        first = tf.floor(position)
        ends = tf.searchsorted(below, tf.stack([first, tf.math.ceil(position)]), side="right")
        left, right = tf.unstack(tf.cast(ends, tf.float64), num=2)
        found.append(left + (position - first) * (right - left))
    return found


def _sampled(values: tf.Tensor, fractions: tuple[float, float]) -> list[tf.Tensor]:
    """Quantiles of floats, of a large image on an even grid of its pixels."""
    rank = values.shape.rank - 1
    size = tf.cast(tf.size(values, tf.int64), tf.float64)
    root = 1 / max(rank, 2)  # a row is a plane of height 1 to `Segmenter.predict`
    step = tf.cast(tf.math.ceil(tf.pow(size / MAX_VALUES, tf.constant(root, tf.float64))), tf.int32)
    sampled = values[(slice(None, None, step),) * rank]
    flat = tf.reshape(sampled, [-1])
    last = tf.size(flat) - 1
    found = []
    for fraction in fractions:
        position = tf.cast(last, tf.float64) * fraction
        first = tf.floor(position)
        index = tf.cast(first, tf.int32)
        low, high = (tf.cast(v, tf.float64) for v in _neighbours(flat, index, fraction))
        part, difference = position - first, high - low
        # NumPy's own rule, which comes from whichever side is nearer
        near = tf.where(part >= 0.5, high - difference * (1 - part), low + difference * part)
        found.append(near)
    return found


def _neighbours(flat: tf.Tensor, index: tf.Tensor, fraction: float) -> tuple[tf.Tensor, tf.Tensor]:
    """The values at `index` and after it in ascending order, by sorting the shorter end only."""
    last = tf.size(flat) - 1
    following = tf.minimum(index + 1, last)
    if fraction < 0.5:
        ordered = -tf.math.top_k(-flat, following + 1).values
        return ordered[index], ordered[following]
    ordered = tf.math.top_k(flat, last - index + 1).values
    return ordered[last - index], ordered[last - following]


def _mean_and_deviation(
    normalization: Normalization, values: tf.Tensor, peak: tf.Tensor | None
) -> tuple[tf.Tensor, tf.Tensor]:
    exact = tf.cast(values, tf.float64)
    low, mean = tf.reduce_min(exact), tf.reduce_mean(exact)
    deviation = tf.sqrt(tf.reduce_mean(tf.square(exact - mean)))
    flat = low == tf.reduce_max(exact)
    return tf.where(flat, low, mean), tf.where(flat, tf.zeros_like(mean), deviation)
