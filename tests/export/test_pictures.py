"""Sizes of picture files, read inside the graph before anything is decoded."""

from __future__ import annotations

import base64
import io
import struct

import cv2
import imagecodecs
import numpy as np
import pytest
import tensorflow as tf
import tifffile
from PIL import Image

from keras_unet.export.graph_decoding import decode_picture
from keras_unet.export.picture_headers import UNKNOWN, check_pictures, measure_pictures

IMAGE = np.random.default_rng(0).integers(0, 256, (37, 52, 3), np.uint8)
LARGE = np.zeros((3000, 2000, 3), np.uint8)
TOO_LARGE = "may have 2500 pixels in all"

measure = tf.function(measure_pictures, input_signature=[tf.TensorSpec([None], tf.string)])
decode = tf.function(
    lambda file: decode_picture(file, 3, 2500), input_signature=[tf.TensorSpec((), tf.string)]
)


def saved(kind: str, image: np.ndarray = IMAGE, frames: int = 1, **options) -> bytes:
    pictures = [Image.fromarray(np.roll(image, 3 * shift, 0)) for shift in range(frames)]
    more = {"save_all": True, "append_images": pictures[1:]} if frames > 1 else {}
    found = io.BytesIO()
    pictures[0].save(found, kind, **more, **options)
    return found.getvalue()


def with_bytes(file: bytes, at: int, value: bytes) -> bytes:
    return file[:at] + value + file[at + len(value) :]


TOP_DOWN = with_bytes(saved("BMP"), 22, struct.pack("<i", -37))
OPAQUE = np.dstack([IMAGE, np.arange(37 * 52, dtype=np.uint8).reshape(37, 52)])
DECODES_WEBP = hasattr(tf.raw_ops, "DecodeWebP")
GOOD = {
    "PNG": saved("PNG"),
    "PNG, 16 bits": cv2.imencode(".png", IMAGE.astype(np.uint16) * 200)[1].tobytes(),
    "animated PNG": saved("PNG", frames=3),
    "JPEG": saved("JPEG"),
    "progressive JPEG": saved("JPEG", progressive=True),
    "BMP": saved("BMP"),
    "BMP from top to bottom": TOP_DOWN,
    "GIF": saved("GIF"),
    "GIF with a comment": saved("GIF", comment=b"a word " * 90),
    "animated GIF": saved("GIF", frames=4),
    "WebP VP8": saved("WEBP"),
    "WebP VP8L": saved("WEBP", lossless=True),
    "WebP VP8X": saved("WEBP", OPAQUE),
}


@pytest.mark.parametrize("kind", GOOD)
def test_sizes_are_those_of_the_decoded_picture(kind):
    file = GOOD[kind]
    if "WebP" in kind and not DECODES_WEBP:
        pytest.skip("this release of TensorFlow decodes no WebP")
    assert measure(tf.constant([file]))[0].numpy().tolist() == [37 * 52]
    values, peak = decode(tf.constant(file))
    assert values.shape == IMAGE.shape
    expected = tf.io.decode_image(file, expand_animations=False).numpy()[..., :3]
    if peak == 255:
        np.testing.assert_array_equal(values, expected)


def test_the_kinds_are_all_met():
    assert {GOOD[kind][12:16] for kind in GOOD if "WebP" in kind} == {b"VP8 ", b"VP8L", b"VP8X"}


def gif_with(screen: tuple[int, int]) -> bytes:
    """A GIF whose screen says another size than its picture has."""
    file = saved("GIF", np.zeros((300, 200), np.uint8) + IMAGE[:1, :1, 0])
    return with_bytes(file, 6, struct.pack("<HH", *screen))


BAD = {
    "WebP VP8": (saved("WEBP", LARGE), TOO_LARGE),
    "WebP VP8L": (saved("WEBP", LARGE, lossless=True), TOO_LARGE),
    "animated WebP": (saved("WEBP", LARGE[:400, :300], frames=2), TOO_LARGE),
    "small animated WebP": (saved("WEBP", frames=3), "animated WebP"),
    "WebP of another chunk": (with_bytes(GOOD["WebP VP8"], 12, b"VP8Y"), UNKNOWN),
    "WebP without the start of a frame": (with_bytes(GOOD["WebP VP8"], 23, b"\0"), UNKNOWN),
    "head of a WebP": (GOOD["WebP VP8"][:15], UNKNOWN),
    "BMP": (saved("BMP", LARGE[:60, :60]), TOO_LARGE),
    "BMP from top to bottom": (with_bytes(TOP_DOWN, 22, struct.pack("<i", -(2**31))), TOO_LARGE),
    "BMP of negative width": (with_bytes(TOP_DOWN, 18, struct.pack("<i", -52)), TOO_LARGE),
    "packed BMP": (with_bytes(GOOD["BMP"], 30, b"\1"), UNKNOWN),
    "BMP with a head of old": (with_bytes(GOOD["BMP"], 14, b"\x0c"), UNKNOWN),
    "PNG": (saved("PNG", LARGE), TOO_LARGE),
    "PNG with a longer head": (with_bytes(GOOD["PNG"], 11, b"\x0e"), UNKNOWN),
    "JPEG": (saved("JPEG", LARGE), TOO_LARGE),
    "GIF": (saved("GIF", LARGE[..., 0]), TOO_LARGE),
    "GIF whose picture is larger than its screen": (gif_with((5, 5)), "must fill its screen"),
    "JPEG XL": (imagecodecs.jpegxl_encode(IMAGE), UNKNOWN),
    "JPEG XL in a box": (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(40), UNKNOWN),
    "JPEG 2000": (imagecodecs.jpeg2k_encode(IMAGE), UNKNOWN),
    "text": (b"no picture", UNKNOWN),
    "nothing": (b"", UNKNOWN),
    "PNG as text": (base64.b64encode(GOOD["PNG"]), "wrap it"),
    "JPEG as text": (base64.b64encode(GOOD["JPEG"]), "wrap it"),
    "BMP as text": (base64.b64encode(GOOD["BMP"]), "wrap it"),
    "WebP as text": (base64.b64encode(GOOD["WebP VP8"]), "wrap it"),
    "address of data": (b"data:image/png;base64," + base64.b64encode(GOOD["PNG"]), "wrap it"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_files_are_refused_before_they_are_decoded(kind):
    file, words = BAD[kind]
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        decode(tf.constant(file))
    assert words in caught.value.message
    assert "Decode" not in caught.value.message.split("assertion failed")[0]


@pytest.mark.parametrize("options", [{}, {"byteorder": ">"}, {"bigtiff": True}])
def test_tiff_is_refused_by_its_name(options):
    file = io.BytesIO()
    tifffile.imwrite(file, IMAGE, **options)
    with pytest.raises(tf.errors.InvalidArgumentError, match="TIFF cannot be decoded inside"):
        decode(tf.constant(file.getvalue()))
    with pytest.raises(tf.errors.InvalidArgumentError, match="wrap it"):
        decode(tf.constant(base64.b64encode(file.getvalue())))


def test_the_sum_of_all_pictures_is_limited():
    files = tf.constant([GOOD["PNG"], GOOD["WebP VP8X"], GOOD["JPEG"]])
    check_pictures(files, 3 * 37 * 52)
    with pytest.raises(tf.errors.InvalidArgumentError, match="may have 5771 pixels in all"):
        check_pictures(files, 3 * 37 * 52 - 1)


def test_sums_do_not_overflow():
    bomb = with_bytes(GOOD["PNG"], 16, b"\x7f\xff\xff\xff" * 2)
    with pytest.raises(tf.errors.InvalidArgumentError, match="in all"):
        check_pictures(tf.constant([bomb] * 4), 2**41)


def uneven(blocks: int) -> bytes:
    """A GIF whose comment has blocks of one and two bytes in turn."""
    comment = b"\x21\xfe" + b"\x01a\x02bb" * (blocks // 2) + b"\0"
    file = GOOD["GIF"]
    start = 13 + 3 * 2 ** (1 + file[10] % 8)
    return file[:start] + comment + file[start:]


def test_a_gif_is_walked_in_few_steps():
    assert measure(tf.constant([uneven(100)]))[0].numpy().tolist() == [37 * 52]
    with pytest.raises(tf.errors.InvalidArgumentError, match="too uneven"):
        measure(tf.constant([uneven(2000)]))
    many = GOOD["GIF"][:-1] + GOOD["animated GIF"][13 + 768 :]
    [kept] = measure(tf.constant([many]))[1].numpy()
    assert kept == GOOD["GIF"]
    for cut in (13, 400, len(GOOD["GIF"]) - 40):
        with pytest.raises(tf.errors.InvalidArgumentError):
            decode(tf.constant(GOOD["GIF"][:cut]))
