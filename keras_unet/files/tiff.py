"""Decodes TIFF files."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import tifffile

from keras_unet.files.opencv import in_rgb_order, palette_indices, run_opencv
from keras_unet.files.stored import Stored

TIFF_MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def decode_tiff(path: Path) -> Stored:
    """The first series of a TIFF; raises a `ValueError` that names a broken file."""
    try:
        with tifffile.TiffFile(path) as file:
            series, page = file.series[0], file.pages.first
            try:
                values = _samples_last(series.asarray(), series.axes)
            except ValueError as error:
                if "imagecodecs" not in str(error):
                    raise
                return _decode_by_opencv(path, page)
            alpha = values.shape[-1] > 1 and tuple(page.extrasamples)[-1:] in ((1,), (2,))
            return Stored(values, alpha=alpha, palette=_palette_of(page))
    except Exception as error:  # tifffile, struct, zlib and index errors: all mean a broken file
        raise ValueError(f"{path} is truncated or not a valid TIFF: {error}") from error


def _palette_of(page: tifffile.TiffPage) -> np.ndarray | None:
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


def _decode_by_opencv(path: Path, page: tifffile.TiffPage) -> Stored:
    """LZW, fax and other compressions that tifffile leaves to an extra package."""
    buffer = np.fromfile(path, np.uint8)
    decoded = run_opencv(path, lambda: cv2.imdecodemulti(buffer, cv2.IMREAD_UNCHANGED)[1])
    pages = [in_rgb_order(values) for values in decoded or ()]
    if not pages or any(values.shape != pages[0].shape for values in pages):
        raise ValueError("its compression cannot be decoded, save it uncompressed")
    values = pages[0] if len(pages) == 1 else np.stack(pages)
    palette = _palette_of(page)
    if palette is not None and values.shape[-1] >= 3:
        return Stored(palette_indices(values[..., :3], palette), palette=palette)
    if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE:
        values = np.iinfo(values.dtype).max - values  # OpenCV has turned the stored numbers round
    levels = 2**page.bitspersample - 1 if page.bitspersample < 8 else None
    return Stored(values, alpha=values.shape[-1] == 4, levels=levels)
