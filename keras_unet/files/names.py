"""Names of files: which ones are images, and what a name is without its ending."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from keras_unet.files.nifti import NIFTI_SUFFIXES

SUFFIXES = (
    *(".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp", ".webp", ".gif"),
    *NIFTI_SUFFIXES,
)
"""Names (lower case) that the folder readers take for images."""

IMAGE_ENDINGS = ("img", "image", "raw")
MASK_ENDINGS = ("cp_masks", "mask", "masks", "label", "labels", "seg", "gt", "instances")
"""What programs put at the end of a name; see `without_ending`."""


def is_image(path: Path) -> bool:
    """Whether the name ends like an image's."""
    return path.name.lower().endswith(SUFFIXES)


def stem_of(path: Path) -> str:
    """The name without its suffix, of which `.nii.gz` and `.ome.tif` are one; composed (NFC).

    Example:
        >>> stem_of(Path("x.ome.tif")), stem_of(Path("v1.2.nii.gz"))
        ('x', 'v1.2')
    """
    name = unicodedata.normalize("NFC", path.name)  # macOS keeps accents as signs of their own
    double = re.fullmatch(r"(.+)\.(?:nii\.gz|ome\.tiff?)", name, flags=re.IGNORECASE)
    return double[1] if double else Path(name).stem


def without_ending(stem: str, endings: Sequence[str]) -> str:
    """The name without one of the endings, which follows `_`, `-` or `.`.

    Example:
        >>> without_ending("t007_Mask", MASK_ENDINGS), without_ending("unmask", MASK_ENDINGS)
        ('t007', 'unmask')
    """
    return re.sub(rf"[_.-]({'|'.join(endings)})$", "", stem, flags=re.IGNORECASE)


def split_number(stem: str) -> tuple[str, int | None]:
    """What precedes the number at the end, and the number.

    Example:
        >>> split_number("man_seg007"), split_number("cell")
        (('man_seg', 7), ('cell', None))
    """
    digits = re.search(r"\d*\Z", stem)[0]  # type: ignore[index]  # matches any text
    return stem.removesuffix(digits), int(digits) if digits else None


def natural_key(name: str) -> list[str | int]:
    """Sort key in which runs of digits count as numbers.

    Example:
        >>> sorted(["10.png", "9.png"], key=natural_key)
        ['9.png', '10.png']
    """
    parts = re.split(r"([0-9]+)", name)
    return [int(part) if index % 2 else part for index, part in enumerate(parts)]
