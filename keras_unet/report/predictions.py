"""Segments files and scores samples with a run folder; what `predict` and `evaluate` print."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import tifffile

from keras_unet.data import read_image, write_labels
from keras_unet.data.decoding import SUFFIXES
from keras_unet.inference.evaluation import evaluate
from keras_unet.inference.segmenter import Segmenter
from keras_unet.report import pictures

if TYPE_CHECKING:
    from keras_unet.data.sample import Sample
    from keras_unet.inference.segmenter import Segmentation


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
            inside = sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES)
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
        if path.stem in stems:
            raise ValueError(
                f"{stems[path.stem]} and {path} would write the same files; "
                "predict them into different folders"
            )
        stems[path.stem] = path
    return found


def _segmenter(run: str | Path | Segmenter, tta: str | None, max_tile: int | None) -> Segmenter:
    segmenter = run if isinstance(run, Segmenter) else Segmenter.load(run)
    if tta is not None:
        segmenter.tta = tta
    if max_tile is not None:
        segmenter.max_tile = max_tile
    return segmenter


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

    Writes for every image `NAME_instances` and `NAME_classes` (PNG, TIFF for volumes and for more
    than 65,535 objects), on request `NAME_probabilities.tif` (float32) and `NAME_overlay.png`.

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
    segmenter = _segmenter(run, tta, max_tile)
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
        _write(out, path.stem, image, found, probabilities=probabilities, overlays=overlays)
        foreground = float(np.mean(found.classes > 0))
        rows.append(Prediction(path.name, found.classes.shape, found.count, foreground, seconds))
    return rows


def _write(
    out: Path,
    stem: str,
    image: np.ndarray,
    found: Segmentation,
    *,
    probabilities: bool,
    overlays: bool,
) -> None:
    volume = found.classes.ndim == 3
    wide = volume or found.count > np.iinfo(np.uint16).max
    write_labels(out / f"{stem}_instances{'.tif' if wide else '.png'}", found.instances)
    write_labels(out / f"{stem}_classes{'.tif' if volume else '.png'}", found.classes)
    if probabilities:
        planes = np.moveaxis(found.probabilities, -1, 0)
        tifffile.imwrite(out / f"{stem}_probabilities.tif", planes, compression="zlib")
    if overlays:
        pictures.write_png(out / f"{stem}_overlay.png", pictures.overlay(image, found.instances))


def evaluate_samples(
    run: str | Path,
    samples: Sequence[Sample],
    *,
    tta: str | None = None,
    max_tile: int | None = None,
    isbi: bool = False,
    pictures_to: str | Path | None = None,
) -> dict[str, Any]:
    """Scores a run folder's model on annotated samples.

    Args:
        run: Run folder.
        samples: Annotated samples.
        tta: Test-time augmentation instead of the run's. Defaults to None.
        max_tile: Largest tile in pixels instead of the run's. Defaults to None.
        isbi: Whether to add the ISBI 2012 challenge's measures of the slices, under names such as
            `isbi.v_rand`. Defaults to False.
        pictures_to: Folder for one PNG a sample: instances found beside the pixel errors. Defaults
            to None, no pictures.

    Returns:
        `Segmenter.evaluate`'s scores without the confusion matrix, NaN as None, nested scores under
        names such as `iou.background`; `"samples"` holds the rows of the samples.
    """
    segmenter = _segmenter(run, tta, max_tile)
    found: list[Segmentation] = []

    def predict(image: np.ndarray) -> Segmentation:
        found.append(segmenter.predict(image))
        return found[-1]

    scores = evaluate(predict, samples, segmenter.class_names)
    if isbi:
        scores |= _isbi_measures(samples, found)
    if pictures_to is not None:
        _write_pictures(Path(pictures_to), samples, found)
    rows = [_flat(row) for row in scores.pop("samples")]
    del scores["confusion_matrix"]
    return {**_flat(scores), "samples": rows}


def _isbi_measures(samples: Sequence[Sample], found: Sequence[Segmentation]) -> dict[str, float]:
    """The ISBI 2012 challenge's five numbers, of all slices together."""
    from keras_unet.metrics import isbi

    if len({sample.shape for sample in samples}) > 1:
        raise ValueError("the ISBI 2012 measures need slices of one shape")
    labels = np.stack([sample.class_map() > 0 for sample in samples])
    proposals = np.stack([1 - one.probabilities[..., 0] for one in found])
    headline = isbi.evaluate(labels, proposals).headline()
    return {f"isbi.{name}": value for name, value in headline.items()}


def _write_pictures(folder: Path, samples: Sequence[Sample], found: Sequence[Segmentation]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for index, (sample, one) in enumerate(zip(samples, found, strict=True)):
        instances = pictures.overlay(sample.image, one.instances)
        errors = pictures.errors(sample.image, sample.class_map(), one.classes)
        stem = (sample.name or str(index)).replace("/", "_")
        pictures.write_png(folder / f"{stem}.png", pictures.side_by_side([instances, errors]))


def _flat(values: dict[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= {f"{name}.{key}": entry for key, entry in _flat(value).items()}
        else:
            missing = isinstance(value, float) and math.isnan(value)
            flat[name] = None if missing else value
    return flat
