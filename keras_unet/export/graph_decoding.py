"""Files of pictures as TensorFlow graph operations: any size, refused before memory is taken."""

from __future__ import annotations

import tensorflow as tf

from keras_unet.files.channels import LUMA

HEADER = 32
"""Bytes at the start of a file in which its kind and size are looked for."""
PNG = b"\x89PNG\r\n\x1a\n"
GIF = b"GIF8"
JPEG = b"\xff\xd8\xff"


def decode_picture(
    contents: tf.Tensor, channels: int, max_pixels: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Grey values of one file: PNG (8 and 16 bits), JPEG, BMP, GIF (its first frame) or WebP.

    Transparency is dropped. Where the network takes three channels, grey is repeated; where it
    takes one, colour is turned to grey as by `data.read_image`.

    Args:
        contents: The file's bytes, string scalar. What cannot be decoded fails with
            INVALID_ARGUMENT when the graph runs.
        channels: 1 or 3.
        max_pixels: Largest picture. PNG, GIF and JPEG tell their size before they are unpacked.

    Returns:
        `(values, peak)`: int32 `(H, W, channels)`, and 255 or 65535, float64 scalar.
    """
    head = _header(contents)
    is_png = _starts(head, PNG)
    pixels = tf.case(
        [
            (is_png, lambda: _number(head[16:20]) * _number(head[20:24])),
            (_starts(head, GIF), lambda: _number(head[7:5:-1]) * _number(head[9:7:-1])),
            (_starts(head, JPEG), lambda: _jpeg_pixels(contents)),
        ],
        default=lambda: tf.constant(0, tf.int64),
    )
    with tf.control_dependencies([_limit(pixels, max_pixels)]):
        contents = tf.identity(contents)
    deep = is_png & tf.equal(head[24], 16)
    values = tf.cond(
        deep,
        lambda: tf.cast(tf.io.decode_png(contents, channels=0, dtype=tf.uint16), tf.int32),
        lambda: tf.cast(tf.io.decode_image(contents, expand_animations=False), tf.int32),
    )
    values = tf.ensure_shape(values, [None, None, None])
    shape = tf.shape(values, tf.int64)
    with tf.control_dependencies([_limit(shape[0] * shape[1], max_pixels)]):
        values = tf.identity(values)
    return _with_channels(values, channels), tf.where(deep, tf.constant(65535.0, tf.float64), 255)


def _header(contents: tf.Tensor) -> tf.Tensor:
    """The first bytes, zeros where there are none, int64 `(HEADER,)`."""
    padded = tf.strings.substr(contents, 0, HEADER) + tf.constant(b"\0" * HEADER)
    digits = tf.io.decode_raw(tf.strings.substr(padded, 0, HEADER), tf.uint8)
    return tf.cast(tf.ensure_shape(digits, [HEADER]), tf.int64)


def _starts(head: tf.Tensor, signature: bytes) -> tf.Tensor:
    return tf.reduce_all(tf.equal(head[: len(signature)], list(signature)))


def _number(digits: tf.Tensor) -> tf.Tensor:
    """Bytes, the highest first, as one number, limited so that two of them can be multiplied."""
    total = tf.constant(0, tf.int64)
    for digit in tf.unstack(digits, num=digits.shape[0]):
        total = 256 * total + digit
    return tf.minimum(total, 2**31)


def _jpeg_pixels(contents: tf.Tensor) -> tf.Tensor:
    shape = tf.cast(tf.image.extract_jpeg_shape(contents), tf.int64)
    return shape[0] * shape[1]


def _limit(pixels: tf.Tensor, max_pixels: int) -> tf.Operation:
    return tf.debugging.assert_less_equal(
        pixels,
        tf.constant(max_pixels, tf.int64),
        f"a picture may have {max_pixels} pixels; cut it, or export with a larger max_pixels",
    )


def _with_channels(values: tf.Tensor, channels: int) -> tf.Tensor:
    """`(H, W, 1 to 4)` -> `(H, W, channels)`, int32."""
    colour = tf.shape(values)[-1] >= 3  # one and two are grey, without and with transparency
    rgb = tf.gather(values, tf.where(colour, [0, 1, 2], [0, 0, 0]), axis=-1)
    if channels == 3:
        return rgb
    exact = tf.cast(rgb, tf.float64) * tf.constant(LUMA, tf.float64)
    grey = tf.round(exact[..., :1] + exact[..., 1:2] + exact[..., 2:])
    return tf.cast(grey, tf.int32)
