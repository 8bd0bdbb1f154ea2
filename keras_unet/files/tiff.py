"""Decodes TIFF files: tifffile reads their structure, imagecodecs their compressions."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import tifffile

from keras_unet.errors import UsageError
from keras_unet.files.axes import CHANNELS, PAGES, UNNAMED, arrange, check_axes, name_axes
from keras_unet.files.failures import decoder_errors
from keras_unet.files.limits import check_pixels, named_memory
from keras_unet.files.notes import note
from keras_unet.files.pages import no_frames
from keras_unet.files.stored import Stored
from keras_unet.files.tiff_compression import compression_name, lossy_name
from keras_unet.files.tiff_file import check_tags, open_tiff
from keras_unet.files.tiff_series import (
    channel_names,
    check_planes,
    check_promises,
    choose_series,
)

TOP_LEFT, TURNED = 1, range(2, 9)
OPACITIES = ((1,), (2,))
FIRST_BYTES = 4096


def decode_tiff(
    path: Path,
    axes: str | None = None,
    frame: int | None = None,
    max_pixels: int | None = None,
    labels: bool = False,
) -> Stored:
    """The image of a TIFF, or one of its frames.

    Args:
        path: The file.
        axes: What the user says of the axes, or None.
        frame: The frame that is read, or None for all.
        max_pixels: See `files.limits`.
        labels: Whether it is a label map: it has no channels, and nothing is said of colours.

    Raises:
        ValueError: If it is damaged, incomplete, too large, or holds several images; the message
            names the file.
    """
    with open_tiff(path) as file:
        series = choose_series(path, file)
        page = series.keyframe
        check_tags(path, page)
        part = check_promises(path, file, series)
        check_planes(path, file, series)
        shape, letters, own = _named(path, series, axes, labels)
        time = _time_axis(path, shape, letters, frame)
        spatial = [n for k, n in enumerate(shape) if letters[k] not in CHANNELS and k != time]
        check_pixels(path, spatial, max_pixels)
        if time is None or frame is None:
            with _decoding(path, page, series.nbytes):
                values = series.asarray().reshape(shape)
        else:
            with _decoding(path, page, series.nbytes // shape[time]):
                values = _frame(series, shape, time, frame)
            letters = letters.replace("T", "")
        values, pages = arrange(values, letters)
        if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE and not labels:
            note("zero_is_white", path)
        if page.tags.valueof("Orientation", TOP_LEFT) in TURNED:
            note("tiff_orientation", path)
        palette = _palette_of(path, page, values)
        if palette is not None and values.dtype == bool:
            values = values.astype(np.uint8)
        opacity = tuple(page.extrasamples)[-1:] in OPACITIES and values.shape[-1] > 1
        return Stored(
            values,
            pages,
            channel_names=channel_names(file, series),
            alpha=opacity and own == "S",
            palette=palette,
            lossy=lossy_name(page, _first_bytes(file, page)),
            part=part,
        )


def tiff_pages(path: Path, axes: str | None = None) -> tuple[str, tuple[int, ...]]:
    """Letters and sizes of the axes before the rows, from the header."""
    with open_tiff(path) as file:
        shape, letters, _ = _named(path, choose_series(path, file), axes, labels=True)
        sizes = dict(zip(letters, shape, strict=True))
        pages = "".join(a for a in PAGES + UNNAMED if sizes.get(a, 1) > 1)
        return pages, tuple(sizes[letter] for letter in pages)


def _named(
    path: Path, series: tifffile.TiffPageSeries, axes: str | None, labels: bool
) -> tuple[tuple[int, ...], str, str]:
    """Shape of the stored array, a letter for each axis, and what the file calls its channels.

    Axes of size 1 are counted only where the user's letters do.
    """
    fits = axes is not None and len(series.shape) == len(check_axes(axes))
    squeeze = None if fits else True
    shape, own = tuple(series.get_shape(squeeze)), series.get_axes(squeeze)
    letters = name_axes(path, shape, own, axes, labels)
    named = zip(own, letters, strict=True)
    return shape, letters, "".join(of_file for of_file, letter in named if letter in CHANNELS)


def _time_axis(path: Path, shape: tuple[int, ...], letters: str, frame: int | None) -> int | None:
    """The place of the frames in the array where one of them is read."""
    if frame is None:
        return None
    if "T" not in letters:
        raise no_frames(path)
    time = letters.index("T")
    if not isinstance(frame, int | np.integer) or not 0 <= frame < shape[time]:
        raise ValueError(f"{path} has frames 0..{shape[time] - 1}. Received: frame={frame!r}")
    return time


def _frame(
    series: tifffile.TiffPageSeries, shape: tuple[int, ...], time: int, frame: int
) -> np.ndarray:
    """One frame of the array; where frames are pages of their own, no other one is decoded."""
    if series.dataoffset is not None and series.keyframe.is_memmappable:
        stored = series.asarray(out="memmap").reshape(shape).take(frame, time)
        return stored.astype(stored.dtype.newbyteorder("="))
    count = len(series)
    leading = [k for k in range(1, len(shape)) if math.prod(shape[:k]) == count and k > time]
    if leading and series.transform is None and series.parent is not None:
        pages = np.arange(count).reshape(shape[: leading[0]]).take(frame, time).ravel()
        values = series.parent.asarray(key=pages.tolist(), series=series)
        return values.reshape(shape[:time] + shape[time + 1 :])
    return series.asarray().reshape(shape).take(frame, time)


@contextmanager
def _decoding(path: Path, page: tifffile.TiffPage, needed: int) -> Iterator[None]:
    """Errors of the codecs, each of which has its own, with the file and the compression."""
    name = compression_name(page)
    missing = UsageError(
        f"{path}: no decoder for {name} is installed",
        "update imagecodecs, or save the file with LZW or uncompressed",
    )
    if page.compression != 1 and page.compression not in tifffile.TIFF.DECOMPRESSORS:
        raise missing
    with decoder_errors(path, name):
        try:
            with named_memory(path, needed):
                yield
        except ImportError as error:
            raise missing from error


def _first_bytes(file: tifffile.TiffFile, page: tifffile.TiffPage) -> bytes:
    file.filehandle.seek(page.dataoffsets[0])
    return bytes(file.filehandle.read(min(page.databytecounts[0], FIRST_BYTES)))


def _palette_of(path: Path, page: tifffile.TiffPage, values: np.ndarray) -> np.ndarray | None:
    if page.photometric != tifffile.PHOTOMETRIC.PALETTE or page.colormap is None:
        return None
    palette = (page.colormap.T >> 8).astype(np.uint8)  # Pillow, ImageJ: 256 c; others: 257 c
    if values.dtype.kind not in "bu" or values.max(initial=0) >= len(palette):
        raise ValueError(f"{path} is damaged: it has pixels outside its {len(palette)} colours")
    return palette
