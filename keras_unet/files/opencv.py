"""Decodes PNG, JPEG and BMP files by OpenCV, and checks what OpenCV does not."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from keras_unet.files.stored import Stored

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
JPEG_MAGIC = b"\xff\xd8\xff"
JPEG_SCAN, JPEG_END = b"\xff\xda", b"\xff\xd9"
PNG_PALETTE, PNG_GREY_ALPHA = 3, 4


def decode_opencv(path: Path, data: bytes) -> Stored:
    """The numbers of a PNG, a JPEG, a BMP or whatever else OpenCV reads.

    An EXIF orientation is not applied.

    Args:
        path: The file, for messages.
        data: What it holds.

    Raises:
        ValueError: If it is truncated, damaged or no image; the message names the file.
    """
    depth, colour, palette = 8, None, None
    lossy = data.startswith(JPEG_MAGIC)
    if data.startswith(PNG_MAGIC):
        depth, colour, palette = _check_png(path, data)
    elif lossy and data.rfind(JPEG_END) < data.rfind(JPEG_SCAN):
        raise ValueError(f"{path} is truncated: its JPEG data has no end")
    buffer = np.frombuffer(data, np.uint8)
    values = run_opencv(path, lambda: cv2.imdecode(buffer, cv2.IMREAD_UNCHANGED))
    if values is None:
        raise ValueError(f"{path} is damaged or not an image (PNG, TIFF, JPEG or BMP expected)")
    values = in_rgb_order(values)
    alpha = values.shape[-1] == 4
    if colour == PNG_GREY_ALPHA:
        values = values[..., 2:]
    if palette is not None:
        indices = palette_indices(values[..., :3], palette)
        return Stored(indices, palette=palette)
    levels = 2**depth - 1 if depth < 8 else None
    return Stored(values, alpha=alpha, lossy="JPEG" if lossy else "", levels=levels)


def _check_png(path: Path, data: bytes) -> tuple[int, int, np.ndarray | None]:
    """Bit depth, colour type and palette; raises if a chunk is cut or its checksum is wrong.

    The decoder alone is not enough: depending on its version it fills what is missing with zeros.
    """
    position, depth, colour, palette = len(PNG_MAGIC), 8, 0, None
    while True:
        head = data[position : position + 8]
        length = int.from_bytes(head[:4], "big")
        body = data[position + 8 : position + 8 + length]
        checksum = data[position + 8 + length : position + 12 + length]
        if len(head) < 8 or len(checksum) < 4:
            raise ValueError(f"{path} is truncated: its PNG data ends after {len(data)} bytes")
        kind = head[4:]
        if zlib.crc32(kind + body) != int.from_bytes(checksum, "big"):
            raise ValueError(f"{path} is damaged: wrong checksum in PNG chunk {kind!r}")
        if kind == b"IHDR":
            depth, colour = struct.unpack(">BB", body[8:10])
        elif kind == b"PLTE" and colour == PNG_PALETTE:
            palette = np.frombuffer(body, np.uint8).reshape(-1, 3)
        elif kind == b"IEND":
            return depth, colour, palette
        position += 12 + length


def palette_indices(rgb: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """The first palette entry of each pixel's colour, `(H, W, 1)` uint8."""
    shifts = np.array([65536, 256, 1])
    entries, first = np.unique(palette @ shifts, return_index=True)
    return first[np.searchsorted(entries, rgb @ shifts)].astype(np.uint8)[..., None]


def run_opencv(path: Path, call: Callable[[], Any]) -> Any:
    """Runs an OpenCV decoder; its exceptions become a `ValueError` that names the file."""
    try:
        return call()
    except cv2.error as error:
        raise ValueError(f"{path} cannot be decoded: {error.err or error}") from error


def in_rgb_order(values: np.ndarray) -> np.ndarray:
    """OpenCV's `(H, W)` or BGR(A) to `(H, W, samples)` in RGB(A) order."""
    if values.ndim == 2:
        return values[..., None]
    order = [2, 1, 0, 3][: values.shape[-1]] if values.shape[-1] >= 3 else slice(None)
    return np.ascontiguousarray(values[..., order])
