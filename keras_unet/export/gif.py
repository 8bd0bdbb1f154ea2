"""The first picture of a GIF file, as TensorFlow graph operations.

The decoder believes the sizes of every picture in the file and unpacks them all, while the header
tells the size of the screen only. So the file is walked to the end of its first picture, which must
fill the screen, and cut off there.
"""

from __future__ import annotations

import tensorflow as tf

MAX_STEPS = 512
"""Runs of blocks of one size that are walked; a usual file has a few."""
WINDOW = 1024
"""Blocks of one size that are passed over at once."""
EXTENSION, PICTURE, TRAILER = 0x21, 0x2C, b";"


def gif_picture(contents: tf.Tensor, whole: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Size and place of the first picture.

    Args:
        contents: The file's bytes, string scalar, which begin with `GIF87a` or `GIF89a`. Where the
            first picture does not fill the screen, or is not to be found, the graph fails with
            INVALID_ARGUMENT when it runs.
        whole: Number of the bytes, int32 scalar.

    Returns:
        `(pixels, end, tail)`: int64, int32 and string scalars. The first `end` bytes of the file
        and `tail` are a GIF of the first picture alone.
    """
    with tf.control_dependencies([whole]):
        data = tf.io.decode_raw(contents + tf.constant(b"\0" * 24), tf.uint8)
    width, height = _pair(data, 6), _pair(data, 8)
    start = _walk(data, whole, 13 + _table(data, 10), blocks=True)
    left, top, wide, high = (_pair(data, start + place) for place in (1, 3, 5, 7))
    full = tf.equal(tf.stack([left, top, wide, high]), tf.stack([0, 0, width, height]))
    found = tf.equal(_byte(data, start), PICTURE)
    # A file without a picture counts with its screen and is refused for that if it is large.
    check = tf.debugging.Assert(
        ~found | tf.reduce_all(full), ["the first picture of a GIF file must fill its screen"]
    )
    with tf.control_dependencies([check]):
        end = _walk(data, whole, start + 11 + _table(data, start + 9), blocks=False)
    pixels = tf.cast(width, tf.int64) * tf.cast(height, tf.int64)
    return pixels, tf.minimum(end, whole), tf.constant(TRAILER)


def _walk(data: tf.Tensor, whole: tf.Tensor, start: tf.Tensor, blocks: bool) -> tf.Tensor:
    """Where the extensions end that begin at `start`, or else the data blocks there."""

    def goes_on(at: tf.Tensor, inside: tf.Tensor, _: tf.Tensor) -> tf.Tensor:
        extension = tf.equal(_byte(data, at), EXTENSION) if blocks else tf.constant(False)
        return (at < whole) & (inside | extension)

    def step(
        at: tf.Tensor, inside: tf.Tensor, number: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        few = tf.debugging.Assert(number < MAX_STEPS, ["the blocks of a GIF file are too uneven"])
        with tf.control_dependencies([few]):
            size = _byte(data, at)
        stride = size + 1
        places = at + stride * tf.range(WINDOW)
        same = tf.equal(tf.gather(data, tf.minimum(places, whole)), tf.cast(size, tf.uint8))
        same &= places < whole
        run = tf.reduce_sum(tf.math.cumprod(tf.cast(same, tf.int32)))
        last = tf.equal(size, 0)
        after = tf.where(last, at + 1, at + stride * run)
        return tf.where(inside, after, at + 2), ~inside | ~last, number + 1

    start, inside = tf.minimum(start, whole), tf.constant(not blocks)
    return tf.while_loop(goes_on, step, (start, inside, tf.constant(0)), parallel_iterations=1)[0]


def _byte(data: tf.Tensor, at: tf.Tensor | int) -> tf.Tensor:
    """The byte at a place, the last one for all places behind the end, int32."""
    return tf.cast(data[tf.minimum(at, tf.size(data) - 1)], tf.int32)


def _pair(data: tf.Tensor, at: tf.Tensor | int) -> tf.Tensor:
    return _byte(data, at) + 256 * _byte(data, at + 1)


def _table(data: tf.Tensor, at: tf.Tensor | int) -> tf.Tensor:
    """Bytes of the table of colours that the flags at a place announce."""
    flags = _byte(data, at)
    return tf.where(flags >= 128, 3 * tf.bitwise.left_shift(2, flags % 8), 0)
