"""PNG, JPEG, BMP, GIF and WebP: the decoder by the content, limits, and the EXIF orientation."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import GifImagePlugin, JpegImagePlugin

from keras_unet.errors import UsageError
from keras_unet.files.bmp import decode_bmp
from keras_unet.files.failures import animation, decoder_errors
from keras_unet.files.limits import check_pixels
from keras_unet.files.notes import note
from keras_unet.files.orientation import AS_STORED, orientation_of, turned
from keras_unet.files.png import PNG_MAGIC, decode_png
from keras_unet.files.stored import Stored
from keras_unet.files.webp import decode_webp

JPEG_MAGIC, JPEG_SCAN, JPEG_END = b"\xff\xd8\xff", b"\xff\xda", b"\xff\xd9"
GIF_MAGICS = (b"GIF87a", b"GIF89a")

HEAD_BYTES = 32
FOREIGN = {
    b"\0\0\0\x0cjP  ": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"\0\0\0\x0cJXL ": "JPEG XL",
    b"\xff\x0a": "JPEG XL",
    b"II\xbc": "JPEG XR",
    b"\x89HDF\r\n\x1a\n": "HDF5",
    b"%PDF": "PDF",
    b"8BPS": "Photoshop",
    b"PK\3\4": "ZIP",
    b"\x1f\x8b": "gzip",
}
"""What else is called an image, by its first bytes, for the message."""


def decode_raster(path: Path, max_pixels: int | None = None) -> Stored:
    """The numbers of a PNG, JPEG, BMP, GIF or WebP, turned by its EXIF orientation.

    Args:
        path: The file.
        max_pixels: Largest height x width. Defaults to None, see `files.limits`.

    Raises:
        ValueError: If it is truncated, damaged, an animation, too large or none of these; the
            message names the file.
    """
    stored, exif = _decode(path, max_pixels)
    orientation = orientation_of(exif)
    if orientation == AS_STORED:
        return stored
    note("exif", path)
    return replace(stored, values=turned(stored.values, orientation))


def why_sizes_differ(
    path: str | os.PathLike[str], shape: Sequence[int], mask_shape: Sequence[int]
) -> str:
    """What to add to the error about an image and a mask of other sizes.

    Args:
        path: The image file.
        shape: Spatial shape of the image as it was read.
        mask_shape: That of its mask.

    Returns:
        The reason, from "; " on, where the mask fits the image before it was turned, else "".
    """
    if len(shape) != 2 or tuple(shape) != tuple(mask_shape)[::-1]:
        return ""
    path = Path(path)
    if not is_raster(path) or orientation_of(_decode(path, None)[1]) == AS_STORED:
        return ""
    return (
        "; the image has an EXIF orientation and was turned as viewers show it, the mask fits the "
        "unturned one: turn the mask, or save the image without its EXIF data"
    )


def is_raster(path: Path) -> bool:
    """Whether the content is that of a format of this module."""
    return _format_of(_head(path)) is not None


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD_BYTES)


def _format_of(head: bytes) -> str | None:
    if head.startswith(PNG_MAGIC):
        return "PNG"
    if head.startswith(JPEG_MAGIC):
        return "JPEG"
    if head.startswith(GIF_MAGICS):
        return "GIF"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "WebP"
    return "BMP" if head.startswith(b"BM") else None


def _decode(path: Path, max_pixels: int | None) -> tuple[Stored, bytes]:
    """Numbers as they are stored, and EXIF data."""
    head = _head(path)
    format_ = _format_of(head)
    if format_ is None:
        raise _unknown(path, head)
    data = path.read_bytes()
    if format_ == "PNG":
        return decode_png(path, data, max_pixels)
    if format_ == "WebP":
        return decode_webp(path, data, max_pixels)
    if format_ == "JPEG":
        return _decode_jpeg(path, data, max_pixels)
    if format_ == "GIF":
        return _decode_gif(path, data, max_pixels), b""
    return decode_bmp(path, data, max_pixels), b""


def _decode_jpeg(path: Path, data: bytes, max_pixels: int | None) -> tuple[Stored, bytes]:
    if data.rfind(JPEG_END) < data.rfind(JPEG_SCAN):
        raise ValueError(f"{path} is truncated: its JPEG data has no end")
    with decoder_errors(path, "JPEG"):
        picture = JpegImagePlugin.JpegImageFile(io.BytesIO(data))
    check_pixels(path, picture.size[::-1], max_pixels)
    with decoder_errors(path, "JPEG", 4 * math.prod(picture.size)), picture:
        values = np.asarray(picture if picture.mode != "CMYK" else picture.convert("RGB"))
    exif = picture.info.get("exif", b"")
    return Stored(np.atleast_3d(values), lossy="JPEG"), exif


def _decode_gif(path: Path, data: bytes, max_pixels: int | None) -> Stored:
    with decoder_errors(path, "GIF"):
        picture = GifImagePlugin.GifImageFile(io.BytesIO(data))
        animated = picture.is_animated
    check_pixels(path, picture.size[::-1], max_pixels)
    if animated:
        raise animation(path)
    with decoder_errors(path, "GIF", 4 * math.prod(picture.size)), picture:
        values = np.asarray(picture)[..., None]
        colours = picture.getpalette("RGB") if picture.mode == "P" else None
    if colours is None:
        return Stored(values)
    palette = np.zeros((256, 3), np.uint8)  # an index beyond the palette is black
    palette[: len(colours) // 3] = np.reshape(colours, (-1, 3))
    return Stored(values, palette=palette)


def _unknown(path: Path, head: bytes) -> ValueError:
    for magic, name in FOREIGN.items():
        if head.startswith(magic):
            return UsageError(
                f"{path} is a {name} file, which is not read", "export it as TIFF or PNG"
            )
    return ValueError(
        f"{path} is damaged or not an image (PNG, TIFF, JPEG, BMP, GIF, WebP or NIfTI expected)"
    )
