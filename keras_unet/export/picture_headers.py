"""Sizes of picture files from their headers, as TensorFlow graph operations; nothing is decoded."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from keras_unet.export.gif import gif_picture

HEADER = 32
"""Bytes at the start of a file in which its kind and its size are looked for."""
PNG = b"\x89PNG\r\n\x1a\n"
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""Little and big endian; those of BigTIFF."""
BASE64 = (
    *(b"iVBORw0KGg", b"/9j/", b"R0lGOD", b"UklGR", b"Qk0", b"Qk1", b"Qk2", b"Qk3"),
    *(b"SUkqA", b"TU0AK", b"SUkrA", b"data:image/"),
)
"""How the kinds begin where their bytes were sent as text."""
NO_TIFF = (
    "TIFF cannot be decoded inside a TensorFlow graph; send PNG (8 or 16 bits), the numbers "
    "(`serving_default`, `classes`), or use RestClient.segment('x.tif'), which decodes it here"
)
NOT_WRAPPED = (
    'this is a picture as base64 text, which JSON takes for the picture itself; wrap it: {"b64": '
    '"..."}, without a "data:...," before it'
)
UNKNOWN = "not a PNG, JPEG, BMP, GIF or WebP file"


def check_pictures(files: tf.Tensor, max_pixels: int) -> tf.Tensor:
    """Picture files, if together they are not too large; what waits for them decodes no bomb.

    Sizes are those of the files' headers. A file whose header does not tell its size is refused,
    whatever `tf.io.decode_image` would make of it.

    Args:
        files: The files' bytes, string `(N)`. What is refused fails with INVALID_ARGUMENT when the
            graph runs.
        max_pixels: Largest number of pixels of all files together.

    Returns:
        The files, string `(N)`; of a GIF only what its first picture needs.
    """
    pixels, files = measure_pictures(files)
    fitting = tf.reduce_sum(pixels) <= tf.constant(max_pixels, tf.int64)
    with tf.control_dependencies([tf.debugging.Assert(fitting, [too_large(max_pixels)])]):
        return tf.identity(files)


def too_large(max_pixels: int) -> str:
    """What is said of pictures that are too large together."""
    return (
        f"the pictures of a request may have {max_pixels} pixels in all; send fewer or smaller "
        "ones, or export with a larger max_pixels (`keras-unet serve --max-pixels`)"
    )


def measure_pictures(files: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Number of pixels of each file, int64 `(N)`, and the files as `check_pictures` gives them."""
    pixels, ends, tails = tf.map_fn(
        _measure, files, fn_output_signature=(tf.int64, tf.int32, tf.string), parallel_iterations=1
    )
    pixels = tf.minimum(pixels, 2**40)  # so that their sum is no number below zero
    return pixels, tf.strings.substr(files, tf.zeros_like(ends), ends) + tails


def header(contents: tf.Tensor) -> tf.Tensor:
    """The first bytes of a file, zeros where there are none, int64 `(HEADER,)`."""
    padded = tf.strings.substr(contents, 0, HEADER) + tf.constant(b"\0" * HEADER)
    digits = tf.io.decode_raw(tf.strings.substr(padded, 0, HEADER), tf.uint8)
    return tf.cast(tf.ensure_shape(digits, [HEADER]), tf.int64)


def starts(head: tf.Tensor, signature: bytes, at: int = 0) -> tf.Tensor:
    """Whether a header holds these bytes at a place."""
    return tf.reduce_all(tf.equal(head[at : at + len(signature)], list(signature)))


def _measure(contents: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Pixels of one file, how many of its bytes are needed, and what must follow them."""
    head = header(contents)
    kinds = _kinds(contents, head)
    known = tf.reduce_any([found for found, _ in kinds])
    is_tiff = tf.reduce_any([starts(head, magic) for magic in TIFF])
    is_text = tf.reduce_any([starts(head, text) for text in BASE64])
    checks = [
        tf.debugging.Assert(~is_tiff, [NO_TIFF]),
        tf.debugging.Assert(~is_text, [NOT_WRAPPED]),
        tf.debugging.Assert(known | is_tiff | is_text, [UNKNOWN]),
    ]
    with tf.control_dependencies(checks):
        whole = tf.strings.length(contents)
    return tf.case(
        [(found, lambda read=read: read(whole)) for found, read in kinds],
        default=lambda: _plain(tf.constant(0), tf.constant(0), whole),
    )


Reading = Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor, tf.Tensor]]


def _kinds(contents: tf.Tensor, head: tf.Tensor) -> list[tuple[tf.Tensor, Reading]]:
    """Pairs of whether the file is of a kind, and what measures it; its whole length is given."""
    webp = starts(head, b"RIFF") & starts(head, b"WEBP", 8)
    packing = _little(head[30:32])  # 0: none, 3: masks of bits; others the decoder takes for none
    is_bitmap = starts(head, b"BM") & (_little(head[14:18]) >= 40)
    is_bitmap &= tf.equal(packing, 0) | tf.equal(packing, 3)

    def sized(height: tf.Tensor, width: tf.Tensor) -> Reading:
        return lambda whole: _plain(height, width, whole)

    def jpeg(whole: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        with tf.control_dependencies([whole]):
            shape = tf.image.extract_jpeg_shape(contents)
        return _plain(shape[0], shape[1], whole)

    return [
        (
            starts(head, PNG) & starts(head, b"\0\0\0\rIHDR", 8),
            sized(_little(head[23:19:-1]), _little(head[19:15:-1])),
        ),
        (starts(head, b"\xff\xd8\xff"), jpeg),
        (is_bitmap, sized(_signed(head[22:26]), _little(head[18:22]))),
        (
            starts(head, b"GIF87a") | starts(head, b"GIF89a"),
            lambda whole: gif_picture(contents, whole),
        ),
        (
            webp & starts(head, b"VP8 ", 12) & starts(head, b"\x9d\x01\x2a", 23),
            sized(_little(head[28:30]) % 2**14, _little(head[26:28]) % 2**14),
        ),
        (
            webp & starts(head, b"VP8L", 12) & starts(head, b"\x2f", 20),
            sized(1 + _little(head[21:25]) // 2**14 % 2**14, 1 + _little(head[21:25]) % 2**14),
        ),
        (
            webp & starts(head, b"VP8X", 12),  # the canvas, also of an animation
            sized(1 + _little(head[27:30]), 1 + _little(head[24:27])),
        ),
    ]


def _plain(
    height: tf.Tensor, width: tf.Tensor, whole: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """What is told of a file that is decoded as it is."""
    pixels = tf.cast(height, tf.int64) * tf.cast(width, tf.int64)
    return pixels, whole, tf.constant(b"")


def _little(digits: tf.Tensor) -> tf.Tensor:
    """Bytes, the lowest first, as one number; limited so that two of them can be multiplied."""
    total = tf.constant(0, tf.int64)
    for digit in reversed(tf.unstack(digits, num=digits.shape[0])):
        total = 256 * total + digit
    return tf.minimum(total, 2**31)


def _signed(digits: tf.Tensor) -> tf.Tensor:
    """The size of a number of 32 bits that may be negative: a BMP file from top to bottom."""
    total = _little(digits[:3]) + 2**24 * digits[3]
    return tf.where(total >= 2**31, 2**32 - total, total)
