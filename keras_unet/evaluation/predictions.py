"""Predictions of any program, read from files and brought into the form of our own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import tifffile

from keras_unet.evaluation.matching import ROLES, Match, PageOfFile, PathLike, match_predictions
from keras_unet.evaluation.prediction_kinds import (
    CONVERTERS,
    Maps,
    StoredMap,
    guess_kind,
    num_classes_of,
)
from keras_unet.files.reading import read_image, read_labels
from keras_unet.files.writing import TIFF_SUFFIXES
from keras_unet.segmentation import Segmentation
from keras_unet.targets.classes import ClassTarget

if TYPE_CHECKING:
    from keras_unet.sample import Sample

KINDS = ("auto", *ROLES)


Foreground = Callable[[np.ndarray], np.ndarray]


class Predictions(NamedTuple):
    """What `read_predictions` gives.

    Attributes:
        found: One `Segmentation` a sample.
        class_names: Names of the classes, background first.
        kind: What the files were taken for, in words.
        foreground: Probabilities `(*spatial, K)` -> that of everything but background.
    """

    found: list[Segmentation]
    class_names: list[str]
    kind: str
    foreground: Foreground


def read_predictions(
    path: PathLike,
    samples: Sequence[Sample],
    *,
    kind: str = "auto",
    threshold: float | None = None,
    membrane: bool = False,
    grey_is_probability: bool = False,
    places: Sequence[int] | None = None,
    partial: bool = False,
) -> Predictions:
    """Reads the predictions for annotated samples.

    What the files hold is told by their names where `keras-unet predict` wrote them. Otherwise,
    with `kind="auto"`, by all their numbers together: fractions are probabilities; 0 and 1, or 0
    and 255, are a binary mask; other integers are instances if the samples have instances and
    nearly every id is in one piece, and classes if the samples have classes only. What fits none
    of these is an error.

    Objects that the files do not tell apart are the 4-connected (3-D: 6-connected) parts of each
    class.

    Args:
        path: Folder or file, see `match_predictions`.
        samples: The annotated samples.
        kind: `"instances"`: an id per object. `"classes"`: class numbers, or a binary mask.
            `"probabilities"`: of the foreground, or a plane for each class, background first;
            integers are divided by 255 or 65,535 unless all are 0 or 1. Defaults to `"auto"`.
        threshold: Probabilities above it are foreground. Defaults to None, 0.5.
        membrane: Whether masks and maps show the background instead, as many of membranes do.
            Defaults to False.
        grey_is_probability: Whether `"auto"` takes 8-bit images of many values for probabilities.
            Defaults to False.
        places: See `match_predictions`.
        partial: See `match_predictions`.

    Returns:
        `Predictions`. Where there are no probabilities, those of a `Segmentation` are 0 and 1.

    Raises:
        FileNotFoundError: If there is no prediction.
        ValueError: If predictions and samples do not match, differ in size, or hold what `kind`
            does not allow; the message names the file.
    """
    if kind not in KINDS:
        raise ValueError(f"predictions must be one of {KINDS}. Received: predictions={kind!r}")
    matches = match_predictions(path, samples, places=places, partial=partial)
    with_instances = any(sample.instances is not None for sample in samples)
    maps = {
        role: _read([match[role] for match in matches], samples)
        for role in _common_roles(matches, kind, with_instances)
    }
    if "" in maps:
        nameless = maps.pop("")
        chosen = guess_kind(nameless, grey_is_probability) if kind == "auto" else kind
        maps[chosen] = nameless
    if threshold is not None and list(maps) != ["probabilities"]:
        raise ValueError(
            "a threshold is for probabilities; say --predictions probabilities if these are. "
            f"Received: threshold={threshold} for {', '.join(maps)}"
        )
    words = []
    for role in maps:
        maps[role], described = CONVERTERS[role](maps[role], membrane)
        words.append(described)
    target = ClassTarget(_num_classes(maps), threshold=0.5 if threshold is None else threshold)
    found = [
        _assemble({role: stored[index].values for role, stored in maps.items()}, target)
        for index in range(len(samples))
    ]
    names = [f"class {number}" for number in range(target.num_classes)]
    class_names = ["background", "object"] if len(names) == 2 else names
    return Predictions(found, class_names, "; ".join(words), _foreground)


def _common_roles(matches: Sequence[Match], kind: str, with_instances: bool) -> list[str]:
    """The roles to read, which every sample must have."""
    roles = [role for role in ("", *ROLES) if any(role in match for match in matches)]
    if kind == "auto" and len(roles) > 1 and not with_instances:
        roles = [role for role in roles if role != "instances"]  # there is no truth for them
    if roles != [""] and kind != "auto":
        roles = [kind]
    for match in matches:
        if ("" in roles and len(roles) > 1) or not set(roles) <= set(match):
            wanted = ", ".join(f"NAME_{role}" if role else "NAME" for role in roles)
            raise ValueError(
                f"all samples need predictions of one kind, here {wanted}. "
                f"Received: {', '.join(map(str, match.values()))}"
            )
    return roles


# === Reading ===


def _read(sources: Sequence[PageOfFile], samples: Sequence[Sample]) -> Maps:
    stacks = {s.path: _numbers(s, rank=3) for s in sources if s.page is not None}
    found = []
    for source, sample in zip(sources, samples, strict=True):
        if source.page is None:
            values, bits = _numbers(source, rank=None)
        else:
            stack, bits = stacks[source.path]
            values = stack[source.page]
        if values.shape[1:] == sample.shape:
            values = np.moveaxis(values, 0, -1)
        planes = values.ndim > sample.rank
        if values.shape[: sample.rank] != sample.shape or (bits and planes):
            raise ValueError(
                f"{source} must have the size {sample.shape} of sample {sample.name!r}. "
                f"Received: {values.shape}"
            )
        found.append(StoredMap(source, values, bits, sample))
    return found


def _numbers(source: PageOfFile, rank: int | None) -> tuple[np.ndarray, int]:
    """Integers and their bits, or floats and 0; a channel axis only where it is needed."""
    path = source.path
    if path.stem.endswith("_probabilities") and path.suffix.lower() in TIFF_SUFFIXES:
        planes = tifffile.imread(path)  # also those of volumes, which `read_image` refuses
        if np.issubdtype(planes.dtype, np.floating):
            return planes, 0
    values = read_image(path, rank=rank)
    if np.issubdtype(values.dtype, np.integer):
        return read_labels(path, rank=rank), 8 * values.dtype.itemsize
    return (values[..., 0] if values.shape[-1] == 1 else values), 0


# === Assembly ===


def _foreground(planes: np.ndarray) -> np.ndarray:
    """Probability of everything but background, of planes whose target the files do not tell."""
    if planes.shape[-1] == 2 and not np.allclose(planes.sum(axis=-1), 1, atol=1e-3):
        return planes[..., 0]  # as `keras-unet predict` writes them of a `SeedTarget`
    return ClassTarget(planes.shape[-1]).foreground(planes)


def _num_classes(maps: dict[str, Maps]) -> int:
    """Classes of truth and prediction together."""
    known = num_classes_of(next(iter(maps.values())))
    if "classes" in maps:
        return max(known, *(1 + int(stored.values.max()) for stored in maps["classes"]))
    if "instances" in maps:
        return known
    for stored in maps["probabilities"]:
        planes = stored.values.shape[-1]
        complete = np.allclose(stored.values.sum(axis=-1), 1, atol=1e-3)
        if not complete or planes < known or planes != maps["probabilities"][0].values.shape[-1]:
            raise ValueError(
                f"{stored.source} must hold one plane, or a plane for each of {known} classes or "
                "more that sum to 1, as many in every file. "
                f"Received: {planes} planes{'' if complete else ' with other sums'}"
            )
    return planes


def _assemble(maps: dict[str, np.ndarray], target: ClassTarget) -> Segmentation:
    """A `Segmentation` of what there is; the rest follows by the target's rule."""
    labels = maps["classes"] if "classes" in maps else maps.get("instances")
    if labels is None:
        return Segmentation(maps["probabilities"], *target.decode(maps["probabilities"]))
    classes = labels if "classes" in maps else (labels > 0).astype(np.int32)
    certain = np.eye(target.num_classes, dtype=np.float32)[classes]
    instances = maps["instances"] if "instances" in maps else target.decode(certain).instances
    return Segmentation(maps.get("probabilities", certain), classes, instances)
