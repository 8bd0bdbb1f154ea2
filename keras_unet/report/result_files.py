"""The files that `predict` writes for an image: their names, and what is in them."""

from __future__ import annotations

import contextlib
import re
import unicodedata
from collections.abc import Container, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tifffile

from keras_unet.files.atomic import new_file
from keras_unet.files.names import stem_of
from keras_unet.files.nifti import is_nifti
from keras_unet.files.writing import write_labels
from keras_unet.report import pictures, volumes

if TYPE_CHECKING:
    from keras_unet.segmentation import Segmentation

LABEL_ENDINGS = (".png", ".tif", ".nii.gz")
ENDINGS = {
    "classes": LABEL_ENDINGS,
    "probabilities": (".tif",),
    "overlay": (".png",),
    "instances": LABEL_ENDINGS,
}
"""Role of a file -> endings that it may have: `NAME_classes.png`. In the order of writing."""

_RESULT = re.compile(
    "(.+)_(?:{})".format(
        "|".join(rf"{role}(?:{'|'.join(map(re.escape, ends))})" for role, ends in ENDINGS.items())
    ),
    re.DOTALL,
)
_FRAME = re.compile(r"_t\d{4,}$")


def names_of(stem: str) -> set[str]:
    """All names that results of an image may have."""
    return {f"{stem}_{role}{ending}" for role, ends in ENDINGS.items() for ending in ends}


def stems_behind(path: Path) -> set[str]:
    """Stems of the images of which a file may be a result, by its name alone.

    Example:
        >>> sorted(stems_behind(Path("film_t0003_instances.tif"))), stems_behind(Path("film.tif"))
        (['film', 'film_t0003'], set())
    """
    found = _RESULT.fullmatch(unicodedata.normalize("NFC", path.name))
    return {found[1], _FRAME.sub("", found[1])} if found else set()


def stem_for(path: Path, frame: int | None = None) -> str:
    """What the names of an image's results begin with."""
    return stem_of(path) if frame is None else f"{stem_of(path)}_t{frame:04d}"


def write_results(
    out: Path,
    path: Path,
    image: np.ndarray,
    found: Segmentation,
    roles: Container[str],
    *,
    frame: int | None = None,
    stale: Iterable[str] = (),
) -> dict[str, str]:
    """Writes what was found in one image.

    Each file appears complete or not at all, and the instance map is the last one: where it is, the
    others are.

    Args:
        out: The folder.
        path: The image's file.
        image: `(*spatial, C)`, for the overlay.
        found: The segmentation.
        roles: What is written besides classes and instances: "probabilities", "overlay" (of a
            volume a montage).
        frame: Number of the frame, of a film. Defaults to None.
        stale: Names of the files that an earlier call has written for this image; those that are
            not written again are removed. Defaults to none.

    Returns:
        Role -> name of the file, the instance map last.
    """
    stem, volume = stem_for(path, frame), found.classes.ndim == 3
    like = path if volume and is_nifti(path) else None
    ending = ".nii.gz" if like else ".tif" if volume or frame is not None else ".png"
    wide = ending == ".png" and found.count > np.iinfo(np.uint16).max
    names = {"classes": f"{stem}_classes{ending}"}
    if "probabilities" in roles:
        names["probabilities"] = f"{stem}_probabilities.tif"
    if "overlay" in roles:
        names["overlay"] = f"{stem}_overlay.png"
        picture = _overlay(image, found.instances, volume)
    names["instances"] = f"{stem}_instances{'.tif' if wide else ending}"
    _remove(out, {*stale, names["instances"]})
    try:
        write_labels(out / names["classes"], found.classes, like=like)
        if "probabilities" in roles:
            with new_file(out / names["probabilities"]) as temporary:
                planes = np.moveaxis(found.probabilities, -1, 0)
                tifffile.imwrite(temporary, planes, photometric="minisblack", compression="zlib")
        if "overlay" in roles:
            pictures.write_png(out / names["overlay"], picture)
        write_labels(out / names["instances"], found.instances, like=like)
    except BaseException:
        _remove(out, names.values())
        raise
    return names


def _overlay(image: np.ndarray, instances: np.ndarray, volume: bool) -> np.ndarray:
    if volume:
        return volumes.enlarge(volumes.montage(image, instances))
    return pictures.overlay(image, instances)


def _remove(out: Path, names: Iterable[str]) -> None:
    for name in names:
        with contextlib.suppress(OSError):  # what cannot be removed cannot be written either
            (out / name).unlink()
