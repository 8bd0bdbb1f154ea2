"""The Cell Tracking Challenge layout: frames, gold truth, silver truth and tracking markers."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import cast

import numpy as np
from scipy import ndimage

from keras_unet.errors import UsageError
from keras_unet.files.reading import read_image, read_labels
from keras_unet.sample import Sample

PathLike = str | os.PathLike[str]
TRUTHS = ("GT", "ST", "GT+ST", None)

SPARSE = 0.2
"""Share of a frame's cells without a mask above which only the surroundings of masks are known."""

OBJECT_BORDER = 3
"""Pixels around the objects of a sparse frame that still count as annotated."""

LACKING_REACH = 2.0
"""In other frames, background within this many median cell radii of a lacking cell is unknown."""

Files = dict[int, Path]


def read_cell_tracking(
    path: PathLike,
    sequence: str = "01",
    truth: str | None = "GT",
    frames: Iterable[int] | None = None,
    max_pixels: int | None = None,
) -> list[Sample]:
    """Reads the frames of one sequence that have the wanted truth.

    The challenge's gold truth (`GT`, by hand) covers few frames, often with some cells only; its
    silver truth (`ST`, fused from the participants' results) covers most frames and lacks or
    blurs some cells. What a frame lacks is found by its tracking markers, which exist for every
    cell: a cell is segmented if more than half of its marker lies on objects. Where markers are
    absent, the silver truth takes their place. `Sample.annotated` then says where the annotation
    can be trusted:

    - all cells segmented: everywhere;
    - at most a fifth of the cells lacking: everywhere but the background within two median cell
      radii of their markers;
    - more cells lacking: on the objects and 3 px around them, except on the markers of the others.

    Args:
        path: Folder of the data set, which holds `01/t000.tif`, `01_GT/SEG/man_seg000.tif`,
            `01_GT/TRA/man_track000.tif`, `01_ST/SEG/man_seg000.tif`, ...
        sequence: The sequence. Defaults to `"01"`.
        truth: `"GT"`: gold frames. `"ST"`: silver frames. `"GT+ST"`: every frame that has any
            truth: gold where it is complete; otherwise silver, in which the objects of a partial
            gold frame replace those that they cover. None: all frames, without truth. Defaults
            to `"GT"`.
        frames: Numbers of the frames to read, in this order. Defaults to None, all that have the
            truth.
        max_pixels: Largest number of pixels of a file, as in `read_image`. Defaults to None.

    Returns:
        A list of `Sample`s: `image` `(H, W, 1)` or `(D, H, W, 1)` in the file's dtype, `instances`
        int32, named like `"01/t002"`.

    Raises:
        FileNotFoundError: If the sequence or the wanted truth does not exist.
        ValueError: If a wanted frame does not exist or its files differ in size.

    Reference:
        Maška et al. "The Cell Tracking Challenge: 10 years of objective benchmarking." Nature
        Methods 2023. doi:10.1038/s41592-023-01879-y
    """
    path = Path(path)
    if truth not in TRUTHS:
        raise UsageError(
            f"there is no truth {truth!r}",
            "give truth='GT', 'ST', 'GT+ST' or None",
            "say --truth GT, ST or GT+ST",
        )
    images = _frames(path, sequence)
    gold = _truth_files(path / f"{sequence}_GT" / "SEG") if truth in ("GT", "GT+ST") else {}
    # Silver files are also asked for "GT", as references where no markers exist.
    silver = _truth_files(path / f"{sequence}_ST" / "SEG") if truth else {}
    available = {"GT": gold, "ST": silver, "GT+ST": {**silver, **gold}, None: images}[truth]
    if not available:
        raise FileNotFoundError(f"{path} has no {truth} truth for sequence {sequence}")
    markers = _numbered(path / f"{sequence}_GT" / "TRA", r"man_track(\d+)\.tif")
    samples = []
    for frame in _select(frames, available, f"{path}, {truth or 'images'} of {sequence}"):
        if frame not in images:
            raise ValueError(f"{path}: {available[frame].name} has no image in {sequence}")
        image = read_image(images[frame], rank=None, channels=1, max_pixels=max_pixels)
        instances = annotated = None
        if truth is not None:
            instances, annotated = _annotation(
                _labels(gold.get(frame), image, max_pixels),
                _labels(silver.get(frame), image, max_pixels),
                _labels(markers.get(frame), image, max_pixels),
                use_silver=truth != "GT",
            )
        name = f"{sequence}/{images[frame].stem}"
        samples.append(Sample(image, instances=instances, annotated=annotated, name=name))
    return samples


def read_cell_tracking_markers(
    path: PathLike,
    sequence: str = "01",
    frames: Iterable[int] | None = None,
    max_pixels: int | None = None,
) -> dict[int, np.ndarray]:
    """Reads the tracking markers, one per cell of every frame, that the DET measure needs.

    Args:
        path: Folder of the data set.
        sequence: The sequence. Defaults to `"01"`.
        frames: Numbers of the frames to read. Defaults to None, all.
        max_pixels: Largest number of pixels of a file, as in `read_image`. Defaults to None.

    Returns:
        Frame number -> int32 map `(H, W)` or `(D, H, W)`; ids are tracks, the same cell has the
        same id in all frames.

    Raises:
        FileNotFoundError: If the sequence has no markers.
        ValueError: If a wanted frame has none.
    """
    folder = Path(path) / f"{sequence}_GT" / "TRA"
    files = _numbered(folder, r"man_track(\d+)\.tif")
    if not files:
        raise FileNotFoundError(f"{folder} holds no man_trackNNN.tif")
    wanted = _select(frames, files, str(folder))
    return {frame: read_labels(files[frame], rank=None, max_pixels=max_pixels) for frame in wanted}


def _frames(path: Path, sequence: str) -> Files:
    images = _numbered(path / sequence, r"t(\d+)\.tif")
    if not images:
        found = sorted(f.name for f in path.glob("[0-9][0-9]") if f.is_dir())
        raise FileNotFoundError(
            f"{path} has no frames {sequence}/tNNN.tif; sequences found: {found}. "
            f"Received: sequence={sequence!r}"
        )
    return images


def _truth_files(folder: Path) -> Files:
    slices = sorted(folder.glob("man_seg_*_*.tif"))
    if slices:
        warnings.warn(
            f"{folder}: {len(slices)} files that annotate a single slice of a volume are left "
            f"out ({slices[0].name}, ...)",
            stacklevel=3,
        )
    return _numbered(folder, r"man_seg(\d+)\.tif")


def _numbered(folder: Path, pattern: str) -> Files:
    """Files whose whole name matches, by their number; three or more digits are in use."""
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    matches = [(re.fullmatch(pattern, file.name), file) for file in files]
    return {int(match[1]): file for match, file in matches if match}


def _select(frames: Iterable[int] | None, available: Files, what: str) -> list[int]:
    if frames is None:
        return sorted(available)
    wanted = [int(frame) for frame in frames]
    missing = [frame for frame in wanted if frame not in available]
    if missing:
        raise ValueError(f"{what}: frames {sorted(available)}. Received: frames with {missing}")
    return wanted


def _labels(file: Path | None, image: np.ndarray, max_pixels: int | None) -> np.ndarray | None:
    if file is None:
        return None
    labels = read_labels(file, rank=None, max_pixels=max_pixels)
    if labels.shape != image.shape[:-1]:
        raise ValueError(
            f"{file} and its image differ in size. Received: {labels.shape} and {image.shape[:-1]}"
        )
    return labels


def _annotation(
    gold: np.ndarray | None,
    silver: np.ndarray | None,
    markers: np.ndarray | None,
    use_silver: bool,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Instances of a frame and where they can be trusted; None = everywhere."""
    references = silver if markers is None else markers
    instances = cast(np.ndarray, silver if gold is None else gold)
    lacking, share = _lacking(instances, references)
    if gold is not None and silver is not None and use_silver and share > 0:
        instances = _replace_objects(silver, gold)
        lacking, share = _lacking(instances, references)
    if share == 0:
        return instances, None
    if share > SPARSE:
        near = ndimage.distance_transform_edt(instances == 0) <= OBJECT_BORDER
        return instances, near & ~lacking & instances.any()  # without objects: unknown everywhere
    reach = LACKING_REACH * _median_radius(instances)
    far = ndimage.distance_transform_edt(~lacking) > reach
    return instances, far | (instances > 0)


def _lacking(instances: np.ndarray, references: np.ndarray | None) -> tuple[np.ndarray, float]:
    """Background pixels of the references that lie on no object, and their share of all."""
    if references is None:
        return np.zeros(instances.shape, bool), 0.0
    total = np.bincount(references.ravel())
    hit = np.bincount(references.ravel(), weights=(instances > 0).ravel())
    open_ids = hit <= 0.5 * total
    open_ids &= total > 0
    open_ids[0] = False
    count = np.count_nonzero(total[1:])
    return open_ids[references] & (instances == 0), open_ids.sum() / max(count, 1)


def _replace_objects(silver: np.ndarray, gold: np.ndarray) -> np.ndarray:
    """Puts the gold objects into the silver map; silver ones that mostly coincide leave."""
    overlap = np.zeros((silver.max() + 1, gold.max() + 1), np.int64)
    np.add.at(overlap, (silver.ravel(), gold.ravel()), 1)
    areas, gold_areas = overlap.sum(axis=1), overlap.sum(axis=0)
    same = overlap > 0.5 * np.minimum(areas[:, None], gold_areas[None])
    replaced = same[:, 1:].any(axis=1)
    replaced[0] = False
    merged = np.where(replaced[silver], 0, silver)
    return np.where(gold > 0, gold + silver.max(), merged)


def _median_radius(instances: np.ndarray) -> float:
    """Radius of a disc (ball) that has the size of the median object; 0 without objects."""
    areas = np.bincount(instances.ravel())[1:]
    areas = areas[areas > 0]
    if not areas.size:
        return 0.0
    area = float(np.median(areas))
    return np.sqrt(area / np.pi) if instances.ndim == 2 else np.cbrt(0.75 * area / np.pi)
