"""Writes images and label maps so that no number changes and no half-written file remains."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import tifffile

from keras_unet.files.atomic import new_file, write_atomically
from keras_unet.files.nifti import is_nifti, write_nifti

PathLike = str | os.PathLike[str]
TIFF_SUFFIXES = (".tif", ".tiff")


def write_image(path: PathLike, image: np.ndarray) -> None:
    """Writes an image with its dtype; the file appears only when it is complete.

    Args:
        path: Ends in `.png` (uint8, uint16) or `.tif` / `.tiff` (any real dtype, volumes too).
        image: `(H, W)`, `(H, W, C)` or `(D, H, W, C)`; C = 3 is RGB. PNG takes C = 1 or 3.

    Raises:
        ValueError: If the format cannot hold the array.
    """
    path, image = Path(path), np.asarray(image)
    if image.ndim not in (2, 3, 4) or 0 in image.shape:
        raise ValueError(
            f"image must be (H, W), (H, W, C) or (D, H, W, C). Received: shape={image.shape}"
        )
    image = image[..., None] if image.ndim == 2 else image
    suffix = path.suffix.lower()
    if suffix == ".png":
        if image.ndim != 3 or image.shape[-1] not in (1, 3) or image.dtype not in ("u1", "u2"):
            raise ValueError(
                f"{path}: PNG holds uint8 or uint16 with 1 or 3 channels; use .tif. "
                f"Received: shape={image.shape}, dtype={image.dtype}"
            )
        write_atomically(path, cv2.imencode(".png", image[..., ::-1])[1].tobytes())
    elif suffix in TIFF_SUFFIXES:
        if image.dtype == bool or not np.issubdtype(image.dtype, np.number):
            raise ValueError(f"{path}: image must be numeric. Received: dtype={image.dtype}")
        _write_tiff(path, image)
    else:
        raise ValueError(f"path must end in .png, .tif or .tiff. Received: path={str(path)!r}")


def write_labels(path: PathLike, labels: np.ndarray, like: PathLike | None = None) -> None:
    """Writes ids or classes: 16 bits, or a 32-bit TIFF where an id exceeds 65535.

    Args:
        path: Ends in `.png`, `.tif` / `.tiff`, or for volumes `.nii` / `.nii.gz`; PNG takes none.
        labels: `(H, W)` or `(D, H, W)` integers or booleans, not negative.
        like: Only for NIfTI: the image's NIfTI file, whose position, orientation and voxel size are
            taken. Defaults to None, voxels of size 1.

    Raises:
        ValueError: If the array holds no labels or the format cannot hold them.
    """
    path, labels = Path(path), np.asarray(labels)
    if labels.ndim not in (2, 3) or 0 in labels.shape:
        raise ValueError(f"labels must be (H, W) or (D, H, W). Received: shape={labels.shape}")
    if not (np.issubdtype(labels.dtype, np.integer) or labels.dtype == bool):
        raise ValueError(f"labels must be integers. Received: dtype={labels.dtype}")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= 2**32:
        raise ValueError(f"labels must lie in 0..2**32-1. Received: {low}..{high}")
    if path.suffix.lower() == ".png" and high > 65535:
        raise ValueError(f"{path}: PNG holds ids to 65535, use .tif. Received: largest id {high}")
    labels = labels.astype(np.uint16 if high <= 65535 else np.uint32)
    if not is_nifti(path):
        if like is not None:
            raise ValueError(f"like is for NIfTI. Received: like={str(like)!r} for {path}")
        write_image(path, labels[..., None])
        return
    if labels.ndim != 3:
        raise ValueError(f"{path}: NIfTI takes (D, H, W). Received: labels.shape={labels.shape}")
    with new_file(path) as temporary:
        write_nifti(temporary, labels, None if like is None else Path(like))


def _write_tiff(path: Path, image: np.ndarray) -> None:
    channels = image.shape[-1]
    colour = channels == 3 and image.dtype in ("u1", "u2")
    with new_file(path) as temporary:
        tifffile.imwrite(
            temporary,
            image[..., 0] if channels == 1 else image,
            photometric="rgb" if colour else "minisblack",
            planarconfig=None if channels == 1 else "contig",
            compression="zlib",
        )
