"""Segments image files with a run folder and writes what was found."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import tifffile

from keras_unet.data import read_image, write_labels
from keras_unet.files.names import SUFFIXES, is_image, stem_of
from keras_unet.files.nifti import is_nifti
from keras_unet.inference.segmenter import Segmenter, opened
from keras_unet.report import pictures, volumes

if TYPE_CHECKING:
    from keras_unet.segmentation import Segmentation


class Prediction(NamedTuple):
    """What was found in one file.

    Attributes:
        name: File name.
        shape: Spatial shape of the image.
        instances: Number of instances.
        foreground: Share of the pixels that are not background.
        seconds: Time of the prediction.
    """

    name: str
    shape: tuple[int, ...]
    instances: int
    foreground: float
    seconds: float


def find_images(paths: Iterable[Path]) -> list[Path]:
    """The images among files and folders, those of a folder sorted by name.

    Raises:
        FileNotFoundError: If a path does not exist or a folder holds no image.
        ValueError: If two images would write the same output files.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if is_image(p))
            if not inside:
                raise FileNotFoundError(
                    f"no image in {path}; known endings are {' '.join(SUFFIXES)}"
                )
            found += inside
        elif path.exists():
            found.append(path)
        else:
            raise FileNotFoundError(f"no such file or folder: {path}")
    stems: dict[str, Path] = {}
    for path in found:
        stem = stem_of(path)
        if stem in stems:
            raise ValueError(
                f"{stems[stem]} and {path} would write the same files; "
                "predict them into different folders"
            )
        stems[stem] = path
    return found


def predict_files(
    run: str | Path | Segmenter,
    images: Iterable[Path],
    out: str | Path,
    *,
    probabilities: bool = False,
    overlays: bool = True,
    tta: str | None = None,
    max_tile: int | None = None,
) -> list[Prediction]:
    """Segments image files with a run folder's model.

    Writes for every image `NAME_instances` and `NAME_classes`: PNG; TIFF for volumes and for more
    than 65,535 objects; `.nii.gz` on the image's grid for NIfTI. On request also
    `NAME_probabilities.tif` (float32) and `NAME_overlay.png`, of a volume a montage of slices.

    Args:
        run: Run folder, or a segmenter.
        images: Files, or folders of images; colour is turned to grey, or grey to colour, where
            the model takes the other.
        out: Folder for the results, made if needed.
        probabilities: Whether to write probabilities. Defaults to False.
        overlays: Whether to write overlays. Defaults to True.
        tta: Test-time augmentation instead of the run's. Defaults to None.
        max_tile: Largest tile in pixels instead of the run's. Defaults to None.

    Returns:
        One `Prediction` an image.

    Raises:
        FileNotFoundError: If an image does not exist.
        ValueError: If an image cannot be read or does not fit the model; the message names it.
    """
    files = find_images(images)
    segmenter = opened(run, tta=tta, max_tile=max_tile)
    channels = segmenter.channels if segmenter.channels in (1, 3) else None
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    rows = []
    for path in files:
        image = read_image(path, rank=segmenter.geometry.rank, channels=channels)
        start = time.perf_counter()
        try:
            found = segmenter.predict(image, progress=True)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        seconds = time.perf_counter() - start
        _write(out, path, image, found, probabilities=probabilities, overlays=overlays)
        foreground = float(np.mean(found.classes > 0))
        rows.append(Prediction(path.name, found.classes.shape, found.count, foreground, seconds))
    return rows


def _write(
    out: Path,
    path: Path,
    image: np.ndarray,
    found: Segmentation,
    *,
    probabilities: bool,
    overlays: bool,
) -> None:
    stem, volume = stem_of(path), found.classes.ndim == 3
    like = path if volume and is_nifti(path) else None
    ending = ".nii.gz" if like else ".tif" if volume else ".png"
    wide = not volume and found.count > np.iinfo(np.uint16).max
    instances = out / f"{stem}_instances{'.tif' if wide else ending}"
    write_labels(instances, found.instances, like=like)
    write_labels(out / f"{stem}_classes{ending}", found.classes, like=like)
    if probabilities:
        planes = np.moveaxis(found.probabilities, -1, 0)
        file = out / f"{stem}_probabilities.tif"
        tifffile.imwrite(file, planes, photometric="minisblack", compression="zlib")
    if overlays:
        if volume:
            picture = volumes.enlarge(volumes.montage(image, found.instances))
        else:
            picture = pictures.overlay(image, found.instances)
        pictures.write_png(out / f"{stem}_overlay.png", picture)
