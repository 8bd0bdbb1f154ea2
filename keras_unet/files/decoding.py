"""From a file to its stored numbers, before any rule about images or labels is applied."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np

from keras_unet.files.nifti import is_nifti, read_nifti
from keras_unet.files.stored import Stored, in_rgb_order, palette_indices, run_opencv
from keras_unet.files.tiff import TIFF_MAGICS, decode_tiff

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
JPEG_MAGIC = b"\xff\xd8\xff"
PNG_PALETTE, PNG_GREY_ALPHA = 3, 4


def decode(path: str | os.PathLike[str]) -> Stored:
    """Decodes an image file by its content, not by its name (but for NIfTI).

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is a folder, empty, truncated or no image; the message names the file.
    """
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"{path} is a folder, expected an image file")
    if not path.exists():
        raise FileNotFoundError(f"no such image file: {path}")
    with path.open("rb") as file:
        magic = file.read(4)
    if not magic:
        raise ValueError(f"{path} is empty (0 bytes)")
    if is_nifti(path):
        stored = Stored(read_nifti(path))
    elif magic in TIFF_MAGICS:
        stored = decode_tiff(path)
    else:
        stored = _decode_other(path, path.read_bytes())
    if 0 in stored.values.shape:
        raise ValueError(f"{path} has no pixels. Received: shape={stored.values.shape}")
    return stored


def _decode_other(path: Path, data: bytes) -> Stored:
    """PNG, JPEG, BMP and whatever else OpenCV reads. An EXIF orientation is not applied."""
    depth, colour, palette = 8, None, None
    lossy = data.startswith(JPEG_MAGIC)
    if data.startswith(PNG_MAGIC):
        depth, colour, palette = _check_png(path, data)
    elif lossy and data.rfind(b"\xff\xd9") < data.rfind(b"\xff\xda"):
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
    return Stored(values, alpha=alpha, lossy=lossy, levels=levels)


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
