"""Decodes TIFF files."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import tifffile

from keras_unet.errors import UsageError
from keras_unet.files.axes import arrange, name_axes
from keras_unet.files.pages import no_frames
from keras_unet.files.stored import Stored

TIFF_MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def decode_tiff(
    path: Path,
    axes: str | None = None,
    frame: int | None = None,
    max_pixels: int | None = None,
    labels: bool = False,
) -> Stored:
    """The image of a TIFF; raises a `ValueError` that names a broken file."""
    try:
        with tifffile.TiffFile(path) as file:
            series, page = file.series[0], file.pages.first
            letters = name_axes(path, series.shape, series.axes, axes, labels)
            values, pages = arrange(series.asarray(), letters)
            alpha = values.shape[-1] > 1 and tuple(page.extrasamples)[-1:] in ((1,), (2,))
            stored = Stored(values, pages, alpha=alpha, palette=_palette_of(page))
    except UsageError:
        raise
    except Exception as error:  # tifffile, struct, zlib and index errors: all mean a broken file
        raise ValueError(f"{path} is truncated or not a valid TIFF: {error}") from error
    return stored if frame is None else _one_frame(path, stored, frame)


def _one_frame(path: Path, stored: Stored, frame: int) -> Stored:
    if "T" not in stored.pages:
        raise no_frames(path)
    count = stored.values.shape[0]
    if not 0 <= frame < count:
        raise ValueError(f"{path} has frames 0..{count - 1}. Received: frame={frame}")
    return dataclasses.replace(stored, values=stored.values[frame], pages=stored.pages[1:])


def tiff_pages(path: Path, axes: str | None = None) -> tuple[str, tuple[int, ...]]:
    """Letters and sizes of the axes before the rows, from the header."""
    with tifffile.TiffFile(path) as file:
        series = file.series[0]
        letters = name_axes(path, series.shape, series.axes, axes, labels=True)
        values, pages = arrange(np.broadcast_to(np.uint8(0), series.shape), letters)
        return pages, values.shape[: len(pages)]


def _palette_of(page: tifffile.TiffPage) -> np.ndarray | None:
    if page.photometric != tifffile.PHOTOMETRIC.PALETTE or page.colormap is None:
        return None
    return (page.colormap.T >> 8).astype(np.uint8)  # Pillow and ImageJ store 256 c, others 257 c
