"""From a file of any known format to its stored numbers."""

from __future__ import annotations

import os
from pathlib import Path

from keras_unet.files.axes import check_axes
from keras_unet.files.microscopes import refuse_microscope
from keras_unet.files.nifti import is_nifti, read_nifti
from keras_unet.files.pages import no_frames
from keras_unet.files.rasters import decode_raster
from keras_unet.files.stored import Stored
from keras_unet.files.tiff import decode_tiff, tiff_pages
from keras_unet.files.tiff_file import TIFF_MAGICS


def decode(
    path: str | os.PathLike[str],
    *,
    axes: str | None = None,
    frame: int | None = None,
    max_pixels: int | None = None,
    labels: bool = False,
) -> Stored:
    """Decodes an image file by its content, not by its name (but for NIfTI).

    Args:
        path: The file.
        axes: Names of a TIFF's axes, see `read_image`. Defaults to None, as it says itself.
        frame: The one frame that is read. Defaults to None, all.
        max_pixels: Largest number of pages x height x width. Defaults to None, see `files.limits`.
        labels: Whether labels are expected, which have no channels. Defaults to False.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is a folder, empty, truncated or no image; the message names the file.
    """
    path, magic = Path(path), _magic(path)
    if magic in TIFF_MAGICS and not is_nifti(path):
        stored = decode_tiff(path, axes, frame, max_pixels, labels)
    else:
        if axes is not None:
            check_axes(axes)
        if frame is not None:
            raise no_frames(path)
        read = read_nifti if is_nifti(path) else decode_raster
        stored = read(path, max_pixels)
    if 0 in stored.values.shape:
        raise ValueError(f"{path} has no pixels. Received: shape={stored.values.shape}")
    return stored


def pages_in(
    path: str | os.PathLike[str], *, axes: str | None = None
) -> tuple[str, tuple[int, ...]]:
    """Letters and sizes of the axes before `H` from the header: `("TZ", (5, 8))`.

    Only a TIFF can have frames; for all else there are none.
    """
    path, magic = Path(path), _magic(path)
    if axes is not None:
        check_axes(axes)
    return tiff_pages(path, axes) if magic in TIFF_MAGICS and not is_nifti(path) else ("", ())


def _magic(path: str | os.PathLike[str]) -> bytes:
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"{path} is a folder, expected an image file")
    if not path.exists():
        raise FileNotFoundError(f"no such image file: {path}")
    with path.open("rb") as file:
        magic = file.read(4)
    if not magic:
        raise ValueError(f"{path} is empty (0 bytes)")
    refuse_microscope(path, magic)
    return magic
