"""From a file of any known format to its stored numbers."""

from __future__ import annotations

import os
from pathlib import Path

from keras_unet.files.nifti import is_nifti, read_nifti
from keras_unet.files.opencv import decode_opencv
from keras_unet.files.stored import Stored
from keras_unet.files.tiff import TIFF_MAGICS, decode_tiff


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
        stored = decode_opencv(path, path.read_bytes())
    if 0 in stored.values.shape:
        raise ValueError(f"{path} has no pixels. Received: shape={stored.values.shape}")
    return stored
