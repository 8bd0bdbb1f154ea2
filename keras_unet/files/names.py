"""Names of image files."""

from __future__ import annotations

from pathlib import Path

from keras_unet.files.nifti import NIFTI_SUFFIXES

SUFFIXES = (
    *(".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp", ".webp", ".gif"),
    *NIFTI_SUFFIXES,
)
"""Names (lower case) that the folder readers take for images."""


def is_image(path: Path) -> bool:
    """Whether the name ends like an image's."""
    return path.name.lower().endswith(SUFFIXES)


def stem_of(path: Path) -> str:
    """The name without its ending, of which `.nii.gz` is one."""
    return path.name[:-7] if path.name.lower().endswith(".nii.gz") else path.stem
