"""PNG files: chunks, checksums, and numbers exactly as they are stored."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import imagecodecs
import numpy as np
from PIL import PngImagePlugin

from keras_unet.files.failures import animation, decoder_errors
from keras_unet.files.limits import check_pixels
from keras_unet.files.stored import Stored

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
HEADER_BYTES = 33
"""Magic and the first chunk."""

GREY, PALETTE, GREY_ALPHA, RGB_ALPHA = 0, 3, 4, 6
CHANNELS = {2: 3, GREY_ALPHA: 2, RGB_ALPHA: 4}
"""Kinds of colour, and those of more than one channel."""


@dataclass(frozen=True)
class PngHeader:
    """Size and kind of a PNG's pixels."""

    width: int
    height: int
    depth: int
    colour: int


def png_header(path: Path, data: bytes) -> PngHeader:
    """The header from the first `HEADER_BYTES` of a file.

    Raises:
        ValueError: If there is none; the message names the file.
    """
    if len(data) < HEADER_BYTES:
        raise ValueError(f"{path} is truncated: its PNG data ends after {len(data)} bytes")
    if data[8:16] != b"\0\0\0\x0dIHDR":
        raise ValueError(f"{path} is damaged: its PNG data do not begin with a header")
    return PngHeader(*struct.unpack(">IIBB", data[16:26]))


def decode_png(path: Path, data: bytes, max_pixels: int | None = None) -> tuple[Stored, bytes]:
    """The numbers of a PNG, and its EXIF data.

    Pillow gives the stored indices of palettes, but only 8 of 16 bits where there are several
    channels; those come from imagecodecs.

    Raises:
        ValueError: If it is truncated, damaged, an animation or has too many pixels; the message
            names the file.
    """
    header = png_header(path, data)
    check_pixels(path, (header.height, header.width), max_pixels)
    pixels, colours, exif = _chunks(path, data)
    needed = (
        header.height * header.width * CHANNELS.get(header.colour, 1) * max(1, header.depth // 8)
    )
    with decoder_errors(path, "PNG", needed):
        if header.depth == 16 and header.colour != GREY:
            values = imagecodecs.png_decode(pixels)
        else:
            with PngImagePlugin.PngImageFile(io.BytesIO(pixels)) as picture:
                values = np.asarray(picture)
    values = values.reshape(header.height, header.width, -1)
    if header.colour == PALETTE:
        palette = np.zeros((256, 3), np.uint8)  # an index beyond the palette is black
        palette[: len(colours) // 3] = np.frombuffer(colours, np.uint8).reshape(-1, 3)
        return Stored(values, palette=palette), exif
    levels = 2**header.depth - 1 if header.depth in (2, 4) else None
    alpha = header.colour in (GREY_ALPHA, RGB_ALPHA)
    return Stored(values, alpha=alpha, levels=levels), exif


def _chunks(path: Path, data: bytes) -> tuple[bytes, bytes, bytes]:
    """The file without its ancillary chunks, its palette and its EXIF data.

    Decoders alone are not enough: depending on their version they fill what is missing with zeros.
    """
    position, pixels, colours, exif = len(PNG_MAGIC), [PNG_MAGIC], b"", b""
    while True:
        head = data[position : position + 8]
        end = position + 12 + int.from_bytes(head[:4], "big")
        if len(head) < 8 or len(data) < end:
            raise ValueError(f"{path} is truncated: its PNG data ends after {len(data)} bytes")
        kind, body = head[4:], data[position + 8 : end - 4]
        if zlib.crc32(kind + body) != int.from_bytes(data[end - 4 : end], "big"):
            raise ValueError(f"{path} is damaged: wrong checksum in PNG chunk {kind!r}")
        if kind == b"acTL" and int.from_bytes(body[:4], "big") > 1:
            raise animation(path)
        if kind == b"PLTE":
            colours = body[: len(body) // 3 * 3][:768]
        elif kind == b"eXIf":
            exif = body
        if kind[:1].isupper():  # critical: sizes, palette, pixels, end
            pixels.append(data[position:end])
        if kind == b"IEND":
            return b"".join(pixels), colours, exif
        position = end
