"""From a file to its stored numbers, before any rule about images or labels is applied."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tifffile

from keras_unet.data.nifti import NIFTI_SUFFIXES, is_nifti, read_nifti

SUFFIXES = (
    *(".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp", ".webp", ".gif"),
    *NIFTI_SUFFIXES,
)
"""Names (lower case) that the folder readers take for images."""

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
JPEG_MAGIC = b"\xff\xd8\xff"
TIFF_MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
PNG_PALETTE, PNG_GREY_ALPHA = 3, 4


@dataclass(frozen=True)
class Stored:
    """Numbers of a file as they are stored.

    Attributes:
        values: `(*pages, H, W, samples)`; RGB order; palette images as indices where `palette`
            is given.
        alpha: Whether the last sample is an opacity.
        palette: `(entries, 3)` colours of the indices, or None.
        lossy: Whether the format changes values (JPEG).
        levels: Largest value of a grey image of 1, 2 or 4 bits, which was stretched to 0..255;
            None otherwise.
    """

    values: np.ndarray
    alpha: bool = False
    palette: np.ndarray | None = None
    lossy: bool = False
    levels: int | None = None


def is_image(path: Path) -> bool:
    """Whether the name ends like an image's."""
    return path.name.lower().endswith(SUFFIXES)


def stem_of(path: Path) -> str:
    """The name without its ending, of which `.nii.gz` is one."""
    return path.name[:-7] if path.name.lower().endswith(".nii.gz") else path.stem


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
        stored = _decode_tiff(path)
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
    values = _opencv(path, lambda: cv2.imdecode(buffer, cv2.IMREAD_UNCHANGED))
    if values is None:
        raise ValueError(f"{path} is damaged or not an image (PNG, TIFF, JPEG or BMP expected)")
    values = _rgb(values)
    alpha = values.shape[-1] == 4
    if colour == PNG_GREY_ALPHA:
        values = values[..., 2:]
    if palette is not None:
        indices = _palette_indices(values[..., :3], palette)
        return Stored(indices, palette=palette)
    levels = 2**depth - 1 if depth < 8 else None
    return Stored(values, alpha=alpha, lossy=lossy, levels=levels)


def _opencv(path: Path, call: Callable[[], Any]) -> Any:
    """Runs an OpenCV decoder; its exceptions become a `ValueError` that names the file."""
    try:
        return call()
    except cv2.error as error:
        raise ValueError(f"{path} cannot be decoded: {error.err or error}") from error


def _rgb(values: np.ndarray) -> np.ndarray:
    """OpenCV's `(H, W)` or BGR(A) to `(H, W, samples)` in RGB(A) order."""
    if values.ndim == 2:
        return values[..., None]
    order = [2, 1, 0, 3][: values.shape[-1]] if values.shape[-1] >= 3 else slice(None)
    return np.ascontiguousarray(values[..., order])


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


def _palette_indices(rgb: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """The first palette entry of each pixel's colour, `(H, W, 1)` uint8."""
    shifts = np.array([65536, 256, 1])
    entries, first = np.unique(palette @ shifts, return_index=True)
    return first[np.searchsorted(entries, rgb @ shifts)].astype(np.uint8)[..., None]


def _decode_tiff(path: Path) -> Stored:
    try:
        with tifffile.TiffFile(path) as file:
            series, page = file.series[0], file.pages.first
            try:
                values = _samples_last(series.asarray(), series.axes)
            except ValueError as error:
                if "imagecodecs" not in str(error):
                    raise
                return _decode_tiff_opencv(path, page)
            alpha = values.shape[-1] > 1 and tuple(page.extrasamples)[-1:] in ((1,), (2,))
            return Stored(values, alpha=alpha, palette=_tiff_palette(page))
    except Exception as error:  # tifffile, struct, zlib and index errors: all mean a broken file
        raise ValueError(f"{path} is truncated or not a valid TIFF: {error}") from error


def _tiff_palette(page: tifffile.TiffPage) -> np.ndarray | None:
    if page.photometric != tifffile.PHOTOMETRIC.PALETTE or page.colormap is None:
        return None
    return (page.colormap.T // 257).astype(np.uint8)


def _samples_last(values: np.ndarray, axes: str) -> np.ndarray:
    """Moves samples and channels to the end and drops other axes of size 1."""
    if "Y" not in axes or "X" not in axes:
        raise ValueError(f"no image axes among {axes!r}")
    channels = [axis for axis in "CS" if axis in axes]
    pages = [a for a in axes if a not in "YXCS" and values.shape[axes.index(a)] != 1]
    order = [axes.index(axis) for axis in [*pages, "Y", "X", *channels]]
    dropped = tuple(axis for axis in range(values.ndim) if axis not in order)
    values = values.transpose(*dropped, *order)[(0,) * len(dropped)]
    spatial = values.shape[: len(pages) + 2]
    return values.reshape(*spatial, int(np.prod(values.shape[len(spatial) :])))


def _decode_tiff_opencv(path: Path, page: tifffile.TiffPage) -> Stored:
    """LZW, fax and other compressions that tifffile leaves to an extra package."""
    buffer = np.fromfile(path, np.uint8)
    decoded = _opencv(path, lambda: cv2.imdecodemulti(buffer, cv2.IMREAD_UNCHANGED)[1])
    pages = [_rgb(values) for values in decoded or ()]
    if not pages or any(values.shape != pages[0].shape for values in pages):
        raise ValueError("its compression cannot be decoded, save it uncompressed")
    values = pages[0] if len(pages) == 1 else np.stack(pages)
    palette = _tiff_palette(page)
    if palette is not None and values.shape[-1] >= 3:
        return Stored(_palette_indices(values[..., :3], palette), palette=palette)
    if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE:
        values = np.iinfo(values.dtype).max - values  # OpenCV has turned the stored numbers round
    levels = 2**page.bitspersample - 1 if page.bitspersample < 8 else None
    return Stored(values, alpha=values.shape[-1] == 4, levels=levels)
