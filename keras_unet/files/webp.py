"""WebP files: what their chunks tell, and their numbers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import imagecodecs

from keras_unet.files.failures import animation, decoder_errors
from keras_unet.files.limits import check_pixels
from keras_unet.files.stored import Stored

LOSSY, LOSSLESS, EXTENDED = b"VP8 ", b"VP8L", b"VP8X"
HEADER_BYTES = 30
ANIMATION = 0x02
"""Bit of an extended header."""


@dataclass(frozen=True)
class WebpHeader:
    """Size and kind of a WebP's pixels."""

    width: int
    height: int
    animated: bool


def webp_header(path: Path, data: bytes) -> WebpHeader:
    """The header from the first `HEADER_BYTES` of a file.

    Raises:
        ValueError: If there is none; the message names the file.
    """
    kind, body = data[12:16], data[20:HEADER_BYTES]
    if len(body) < 10:
        raise ValueError(f"{path} is truncated: its WebP data ends after {len(data)} bytes")
    if kind == EXTENDED:
        sizes = [1 + int.from_bytes(body[k : k + 3], "little") for k in (4, 7)]
    elif kind == LOSSLESS and body[0] == 0x2F:
        bits = int.from_bytes(body[1:5], "little")
        sizes = [1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)]
    elif kind == LOSSY and body[3:6] == b"\x9d\x01\x2a":
        sizes = [int.from_bytes(body[k : k + 2], "little") & 0x3FFF for k in (6, 8)]
    else:
        raise ValueError(f"{path} is damaged: its WebP data do not begin with a header")
    return WebpHeader(sizes[0], sizes[1], kind == EXTENDED and bool(body[0] & ANIMATION))


def decode_webp(path: Path, data: bytes, max_pixels: int | None = None) -> tuple[Stored, bytes]:
    """The numbers of a WebP, and its EXIF data.

    Raises:
        ValueError: If it is truncated, damaged, an animation or has too many pixels; the message
            names the file.
    """
    header = webp_header(path, data)
    check_pixels(path, (header.height, header.width), max_pixels)
    if header.animated:
        raise animation(path)
    position, lossy, exif = 12, "", b""
    stop = 8 + int.from_bytes(data[4:8], "little")
    if stop > len(data):
        raise ValueError(f"{path} is truncated: its WebP data ends after {len(data)} bytes")
    while position + 8 <= stop:
        kind = data[position : position + 4]
        length = int.from_bytes(data[position + 4 : position + 8], "little")
        if kind == LOSSY:
            lossy = "WebP"
        elif kind == b"EXIF":
            exif = data[position + 8 : position + 8 + length]
        position += 8 + length + length % 2
    with decoder_errors(path, "WebP", 4 * header.height * header.width):
        values = imagecodecs.webp_decode(data)
    return Stored(values, alpha=values.shape[-1] == 4, lossy=lossy), exif
