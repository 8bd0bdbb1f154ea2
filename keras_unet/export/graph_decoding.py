"""Files of pictures as TensorFlow graph operations: any size, refused before memory is taken."""

from __future__ import annotations

import tensorflow as tf

from keras_unet.export.picture_headers import PNG, check_pictures, header, starts
from keras_unet.files.channels import LUMA

ANIMATED = (
    "an animated WebP file cannot be decoded inside TensorFlow, whose decoder writes behind its "
    "memory; send one picture of it as PNG"
)


def decode_picture(
    contents: tf.Tensor, channels: int, max_pixels: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Grey values of one file: PNG (8 and 16 bits), JPEG, BMP, GIF (its first picture) or WebP.

    Transparency is dropped. Where the network takes three channels, grey is repeated; where it
    takes one, colour is turned to grey as by `data.read_image`.

    Args:
        contents: The file's bytes, string scalar. What cannot be decoded fails with
            INVALID_ARGUMENT when the graph runs.
        channels: 1 or 3.
        max_pixels: Largest picture; its header is asked before memory is taken.

    Returns:
        `(values, peak)`: int32 `(H, W, channels)`, and 255 or 65535, float64 scalar.
    """
    return decode_checked(check_pictures(contents[None], max_pixels)[0], channels)


def decode_checked(contents: tf.Tensor, channels: int) -> tuple[tf.Tensor, tf.Tensor]:
    """`decode_picture` of a file that `check_pictures` has let through."""
    head = header(contents)
    still = tf.debugging.Assert(~_is_animated_webp(head), [ANIMATED])
    with tf.control_dependencies([still]):
        contents = tf.identity(contents)
    deep = starts(head, PNG) & tf.equal(head[24], 16)
    values = tf.cond(
        deep,
        lambda: tf.cast(tf.io.decode_png(contents, channels=0, dtype=tf.uint16), tf.int32),
        lambda: tf.cast(tf.io.decode_image(contents, expand_animations=False), tf.int32),
    )
    values = tf.ensure_shape(values, [None, None, None])
    return _with_channels(values, channels), tf.where(deep, tf.constant(65535.0, tf.float64), 255)


def _is_animated_webp(head: tf.Tensor) -> tf.Tensor:
    flags = head[20]
    return starts(head, b"WEBPVP8X", 8) & tf.equal(flags // 2 % 2, 1)


def _with_channels(values: tf.Tensor, channels: int) -> tf.Tensor:
    """`(H, W, 1 to 4)` -> `(H, W, channels)`, int32."""
    colour = tf.shape(values)[-1] >= 3  # one and two are grey, without and with transparency
    rgb = tf.gather(values, tf.where(colour, [0, 1, 2], [0, 0, 0]), axis=-1)
    if channels == 3:
        return rgb
    exact = tf.cast(rgb, tf.float64) * tf.constant(LUMA, tf.float64)
    grey = tf.round(exact[..., :1] + exact[..., 1:2] + exact[..., 2:])
    return tf.cast(grey, tf.int32)
