"""ISBI 2012: segmentation of neuronal structures in electron microscopic stacks."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from keras_unet._arguments import check_one_of
from keras_unet.files.names import SUFFIXES
from keras_unet.files.reading import read_image, read_labels
from keras_unet.objects.labelling import connected_components
from keras_unet.sample import Sample

PathLike = str | os.PathLike[str]
Sources = dict[int, "Path | np.ndarray"]
POLARITIES = ("cell", "membrane")
SPLITS = ("train", "test")
LAYOUTS = (
    "train/image/N.png with train/label/N.png and test/N.png, or train-volume.tif with "
    "train-labels.tif and test-volume.tif"
)


def read_isbi2012(
    path: PathLike,
    slices: Iterable[int] | None = None,
    polarity: str = "cell",
    split: str = "train",
    max_pixels: int | None = None,
) -> list[Sample]:
    """Reads slices of the ISBI 2012 challenge, whose labels are cells and membranes.

    Instances are the 4-connected components of cell pixels within a slice; the class map follows
    from them (cell = 1, membrane = 0), so `Sample.class_map()` is the published label.

    Args:
        path: Folder with either single slices, `train/image/N.png`, `train/label/N.png` and
            `test/N.png` (sorted by number), or the challenge's stacks `train-volume.tif`,
            `train-labels.tif` and `test-volume.tif`.
        slices: Numbers of the slices to read, in this order. Defaults to None, all.
        polarity: What 255 means in the labels: `"cell"` (the published files) or `"membrane"`
            (relatives of this data set). Defaults to `"cell"`.
        split: `"train"` or `"test"`, which has no labels. Defaults to `"train"`.
        max_pixels: Largest number of pixels of a file, as in `read_image`. Defaults to None.

    Returns:
        A list of `Sample`s, one per slice: `image` `(H, W, 1)` uint8, `instances` `(H, W)` int32.

    Raises:
        FileNotFoundError: If the folder has neither layout.
        ValueError: If a slice does not exist, or a label has other values than 0 and 255.

    Reference:
        Arganda-Carreras et al. "Crowdsourcing the creation of image segmentation algorithms for
        connectomics." Frontiers in Neuroanatomy 2015. doi:10.3389/fnana.2015.00142
    """
    path = Path(path)
    check_one_of("polarity", polarity, POLARITIES)
    check_one_of("split", split, SPLITS)
    volume = path / f"{split}-volume.tif"
    images, labels = (
        _open_stack(path, split, max_pixels) if volume.is_file() else _open_folder(path, split)
    )
    numbers = sorted(images) if slices is None else [int(number) for number in slices]
    missing = [number for number in numbers if number not in images]
    if missing:
        raise ValueError(
            f"{path} has {split} slices {min(images)} to {max(images)}. "
            f"Received: slices with {missing}"
        )
    samples = []
    for number in numbers:
        name = f"{split}/{number}"
        image, label = images[number], labels.get(number)
        if isinstance(image, Path):
            image = read_image(image, channels=1, max_pixels=max_pixels)
        if isinstance(label, Path):
            label = read_labels(label, max_pixels=max_pixels)
        instances = None
        if label is not None:
            instances = connected_components(_cells(label, polarity, path, name))
        samples.append(Sample(image, instances=instances, name=name))
    return samples


def _open_stack(path: Path, split: str, max_pixels: int | None) -> tuple[Sources, Sources]:
    """Slices of the challenge's stacks; the number of a slice is its place."""
    images = read_image(path / f"{split}-volume.tif", rank=3, max_pixels=max_pixels)
    if split == "test":
        return dict(enumerate(images)), {}
    labels = read_labels(path / "train-labels.tif", rank=3, max_pixels=max_pixels)
    if len(labels) != len(images):
        raise ValueError(
            f"{path}: train-volume.tif and train-labels.tif differ in length. "
            f"Received: {len(images)} and {len(labels)} slices"
        )
    return dict(enumerate(images)), dict(enumerate(labels))


def _open_folder(path: Path, split: str) -> tuple[Sources, Sources]:
    """Slices that are files of their own, by number."""
    images = _numbered(path / ("train/image" if split == "train" else "test"))
    if not images:
        raise FileNotFoundError(f"{path} holds no ISBI 2012 {split} data; expected {LAYOUTS}")
    if split == "test":
        return images, {}
    labels = _numbered(path / "train" / "label")
    unmatched = sorted(set(images) ^ set(labels))
    if unmatched:
        raise ValueError(f"{path}/train: image or label lacks for the slices {unmatched}")
    return images, labels


def _numbered(folder: Path) -> Sources:
    """Image files called by a number; "10.png" comes after "9.png"."""
    files = folder.iterdir() if folder.is_dir() else ()
    return {int(f.stem): f for f in files if f.stem.isdigit() and f.suffix.lower() in SUFFIXES}


def _cells(label: np.ndarray, polarity: str, path: Path, name: str) -> np.ndarray:
    values = np.unique(label)
    if not set(values.tolist()) <= {0, 255}:
        shown = values[:8].tolist()
        raise ValueError(f"{path}: label {name} must hold 0 and 255 only. Received: values {shown}")
    return label == (255 if polarity == "cell" else 0)
