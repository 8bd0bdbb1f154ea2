"""NIfTI files (`.nii`, `.nii.gz`) as volumes `(D, H, W, C)`, and label maps back into NIfTI.

A NIfTI array is stored `(X, Y, Z)`, column first; a volume here is its transpose, so that the last
axis is the fastest one as in images. Nothing is turned to another orientation: a result is written
with the affine of its image, and lies where the image lies; for masks of images see `files.grids`.
"""

from __future__ import annotations

import gzip
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from keras_unet._extras import import_extra
from keras_unet.files.failures import decoder_errors
from keras_unet.files.limits import check_pixels
from keras_unet.files.stored import Stored

NIFTI_SUFFIXES = (".nii", ".nii.gz")

GZIP_MAGIC = b"\x1f\x8b"
HEADER_BYTES = 540
"""Of the second version, whose header is the longer one."""

LARGEST_RATIO = 1040
"""Bytes that one packed byte can hold, at most 1032."""

LARGEST_OFFSET = 2**26
"""Bytes before the numbers: what programs add to the header is text."""

CHANNELS = 16
"""A fourth axis of more entries than that is a series in time, whose entries count as pages."""

ROUNDING = 1e-3
"""How far labels in a file of floats may lie from the whole number that they mean."""


def is_nifti(path: Path) -> bool:
    """Whether the name ends in `.nii` or `.nii.gz`."""
    return path.name.lower().endswith(NIFTI_SUFFIXES)


def read_nifti(path: Path, max_pixels: int | None = None) -> Stored:
    """The volume with its stored numbers, scaled as the header says.

    Args:
        path: The file.
        max_pixels: Largest number of voxels. Defaults to None, see `files.limits`.

    Returns:
        Values `(D, H, W, C)`, where a single slice has D = 1; a fourth axis of the file, such as
        several contrasts, becomes the channels.

    Raises:
        ImportError: If nibabel is not installed.
        ValueError: If the file is damaged, not real-valued, has other than 2 to 4 axes or too many
            voxels; the message names it.
    """
    with _opened(path) as (header, file):
        shape, dtype = header.get_data_shape(), header.get_data_dtype()
        if dtype.kind not in "biuf":
            raise ValueError(f"{path} must hold real numbers. Received: dtype={dtype}")
        while len(shape) > 3 and shape[-1] == 1:
            shape = shape[:-1]
        if len(shape) not in (2, 3, 4):
            raise ValueError(f"{path} is not a volume. Received: shape={shape} (X, Y, Z, ...)")
        pages = slice(None) if shape[3:] > (CHANNELS,) else slice(3)
        check_pixels(path, shape[pages][::-1], max_pixels)
        data = _numbers(path, file, math.prod(shape) * dtype.itemsize)
        slope, inter = header.get_slope_inter()
    stored = np.frombuffer(data, dtype).reshape((*shape, 1, 1)[: max(4, len(shape))], order="F")
    values = _nibabel().volumeutils.apply_read_scaling(stored, slope, inter)
    step = 0.0
    if values.dtype.kind == "f":
        step = max(ROUNDING, abs(slope) if dtype.kind != "f" and abs(slope) < 0.1 else 0)
    values = values.transpose(2, 1, 0, 3)
    values = np.ascontiguousarray(values, values.dtype.newbyteorder("="))
    return Stored(values, pages="Z", step=step)


def _numbers(path: Path, file: IO[bytes], size: int) -> bytes:
    """The bytes from the file's position on; raises if there are fewer, or more are packed."""
    packed = isinstance(file, gzip.GzipFile)
    if size > path.stat().st_size * (LARGEST_RATIO if packed else 1):
        raise ValueError(f"{path} is truncated: its header declares {size:,} bytes of numbers")
    try:
        with decoder_errors(path, "gzip"):
            data = file.read(size)
            more = packed and bool(file.read(1))
    except ValueError as error:
        if isinstance(error.__cause__, EOFError):
            raise ValueError(f"{path} is truncated: its gzip data have no end") from error
        raise
    if len(data) < size:
        raise ValueError(
            f"{path} is truncated: it holds {len(data):,} bytes of numbers, its header declares "
            f"{size:,}"
        )
    if more:
        raise ValueError(f"{path} is damaged: it unpacks to more than its header declares")
    return data


def nifti_spacing(path: Path) -> tuple[float, ...] | None:
    """Size of a voxel along `(D, H, W)` in the file's unit, mostly mm; None if it has no D."""
    zooms = nifti_header(path).get_zooms()[:3]
    return tuple(float(size) for size in reversed(zooms)) if len(zooms) == 3 else None


def nifti_header(path: Path) -> Any:
    """The header, of nibabel's class, without what programs have added to it.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged; the message names it.
    """
    with _opened(path) as (header, _):
        return header


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, IO[bytes]]]:
    """Header, and the unpacked file at the place where its numbers begin."""
    nibabel = _nibabel()
    if not path.exists():
        raise FileNotFoundError(f"no such image file: {path}")
    with path.open("rb") as raw:
        packed = raw.read(2) == GZIP_MAGIC
        raw.seek(0)
        file: Any = gzip.GzipFile(fileobj=raw) if packed else raw
        try:
            block = file.read(HEADER_BYTES)
            kinds = (nibabel.Nifti1Header, nibabel.Nifti2Header)
            kind = next((one for one in kinds if one.may_contain_header(block)), None)
            if kind is None:
                raise ValueError("it has no NIfTI header")
            header = kind(block[: kind.template_dtype.itemsize])
            if header["magic"].item() != kind.single_magic:
                raise ValueError("its numbers are in another file")
            if header.get_data_offset() > LARGEST_OFFSET:
                raise ValueError(f"{header.get_data_offset()} bytes come before its numbers")
            file.seek(header.get_data_offset())
        except Exception as error:  # nibabel's own, gzip, EOF and value errors: a broken file
            raise ValueError(f"{path} is truncated or not a valid NIfTI file: {error}") from error
        yield header, file


def write_nifti(path: Path, labels: np.ndarray, like: Path | None = None) -> None:
    """Writes a label volume.

    Args:
        path: Ends in `.nii` or `.nii.gz`.
        labels: `(D, H, W)` integers.
        like: NIfTI file whose position, orientation and voxel size are taken. Defaults to None,
            voxels of size 1 from the origin on.

    Raises:
        ValueError: If `like` has another shape.
    """
    array = labels.transpose(2, 1, 0)
    if like is None:
        image = _nibabel().Nifti1Image(array, np.eye(4))
    else:
        header = nifti_header(like)
        shape = header.get_data_shape()[:3]
        if shape != array.shape:
            raise ValueError(
                f"labels must have the shape of {like}, {shape[::-1]}. "
                f"Received: labels.shape={labels.shape}"
            )
        # An affine alone loses what the header says of it (scanner, aligned, template).
        header.set_data_dtype(array.dtype)
        header.set_slope_inter(None)
        header["cal_max"] = header["cal_min"] = header["vox_offset"] = 0
        image = _nibabel().Nifti1Image(array, header.get_best_affine(), header)
    image.to_filename(path)


def _nibabel() -> Any:
    return import_extra("nibabel", "NIfTI files", "'keras-unet-bio[volumes]'")
