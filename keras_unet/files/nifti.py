"""NIfTI files (`.nii`, `.nii.gz`) as volumes `(D, H, W, C)`, and label maps back into NIfTI.

A NIfTI array is stored `(X, Y, Z)`, column first; a volume here is its transpose, so that the last
axis is the fastest one as in images. Nothing is turned to another orientation: a result is written
with the affine of its image, and lies where the image lies.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from keras_unet._extras import import_extra

NIFTI_SUFFIXES = (".nii", ".nii.gz")


def is_nifti(path: Path) -> bool:
    """Whether the name ends in `.nii` or `.nii.gz`."""
    return path.name.lower().endswith(NIFTI_SUFFIXES)


def read_nifti(path: Path) -> np.ndarray:
    """The volume with its stored numbers, scaled as the header says.

    Args:
        path: The file.

    Returns:
        `(D, H, W, C)`; a fourth axis of the file, such as several contrasts, becomes the channels.

    Raises:
        ImportError: If nibabel is not installed.
        ValueError: If the file is damaged, not real-valued, or has other than 3 or 4 axes.
    """
    stored = _load(path)
    try:
        values = np.asanyarray(stored.dataobj)
    except Exception as error:  # zlib, gzip, EOF, OS and value errors: all mean a broken file
        raise ValueError(f"{path} is truncated or damaged: {error}") from error
    if values.dtype.kind not in "biuf":
        raise ValueError(f"{path} must hold real numbers. Received: dtype={values.dtype}")
    while values.ndim > 3 and values.shape[-1] == 1:
        values = values[..., 0]
    if values.ndim == 3:
        values = values[..., None]
    if values.ndim != 4:
        raise ValueError(f"{path} is not a volume. Received: shape={stored.shape} (X, Y, Z, ...)")
    values = values.transpose(2, 1, 0, 3)
    return np.ascontiguousarray(values, values.dtype.newbyteorder("="))


def nifti_spacing(path: Path) -> tuple[float, ...]:
    """Size of a voxel along `(D, H, W)` in the file's unit, which is mostly mm."""
    zooms = _load(path).header.get_zooms()[:3]
    return tuple(float(size) for size in reversed(zooms))


def same_grid(first: Path, second: Path) -> bool:
    """Whether voxels of two files of one shape lie at the same places, to a tenth of a voxel."""
    one, other = _load(first), _load(second)
    corner = np.append(one.shape[:3], 1)
    away = abs(one.affine @ corner - other.affine @ corner).max()
    away = max(away, abs(one.affine - other.affine)[:3, 3].max())
    return bool(away < 0.1 * min(one.header.get_zooms()[:3]))


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
        model = _load(like)
        if model.shape[:3] != array.shape:
            raise ValueError(
                f"labels must have the shape of {like}, {model.shape[2::-1]}. "
                f"Received: labels.shape={labels.shape}"
            )
        # An affine alone loses what the header says of it (scanner, aligned, template).
        header = model.header.copy()
        header.set_data_dtype(array.dtype)
        header["cal_max"] = header["cal_min"] = 0
        image = _nibabel().Nifti1Image(array, model.affine, header)
    image.to_filename(path)


def _load(path: Path) -> Any:
    """The header; numbers are read when they are asked for."""
    nibabel = _nibabel()
    if not path.exists():
        raise FileNotFoundError(f"no such image file: {path}")
    try:
        image = nibabel.load(path)
    except Exception as error:  # nibabel's own, gzip, EOF and value errors: a broken file
        raise ValueError(f"{path} is truncated or not a valid NIfTI file: {error}") from error
    return image


def _nibabel() -> Any:
    return import_extra("nibabel", "NIfTI files", "'keras-unet-bio[volumes]'")
