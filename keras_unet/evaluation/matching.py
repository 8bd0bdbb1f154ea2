"""Finds out which file, or which page of a stack, is the prediction for which sample."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from keras_unet.files.names import (
    IMAGE_ENDINGS,
    MASK_ENDINGS,
    SUFFIXES,
    is_image,
    natural_key,
    split_number,
    stem_of,
    without_ending,
)
from keras_unet.files.reading import read_image

if TYPE_CHECKING:
    from keras_unet.sample import Sample

PathLike = str | os.PathLike[str]

ROLES = ("instances", "classes", "probabilities")
"""Endings `NAME_instances`, ... by which `keras-unet predict` tells what a file holds."""

NOT_PREDICTED = "overlay"
"""Ending of the pictures for the eye that it writes beside them."""

PREDICTION_ENDINGS = (*MASK_ENDINGS, "pred", "predictions?", "prob", "segmentation", "result")


class PageOfFile(NamedTuple):
    """A file, or one page (from 0) of it."""

    path: Path
    page: int | None = None

    def __str__(self) -> str:
        return str(self.path) if self.page is None else f"{self.path}, page {self.page}"


Key = str | int | None

Match = dict[str, PageOfFile]
"""Role -> source; the role is empty where the file's name does not tell it."""


def match_predictions(
    path: PathLike,
    samples: Sequence[Sample],
    *,
    places: Sequence[int] | None = None,
    partial: bool = False,
) -> list[Match]:
    """Finds every sample's prediction.

    The first of these rules that serves all samples decides:

    1. the names agree, without the suffix and without `_instances`, `_classes` or
       `_probabilities`;
    2. they agree without an ending such as `_mask`, `_cp_masks`, `_pred` (`_image` of samples);
    3. each name ends in a number, the same text precedes it in all predictions and in all samples,
       and the numbers agree: `mask007.tif` or `man_seg007.tif` belongs to `t007`;
    4. no name has a digit and there are as many predictions as samples: both in sorted order.

    A multi-page file is a stack of predictions of 2-D samples, by page number or, with as many
    pages as samples, in the order of names.

    Args:
        path: A folder, or one file. Files called `NAME_overlay` are passed over.
        samples: The annotated samples; of a name such as `"01/t007"` the last part counts.
        places: The page of every sample in a stack of all images. Defaults to None, not known.
        partial: Whether other images may have predictions too, which are left out. Defaults to
            False: they are an error.

    Returns:
        One `Match` a sample.

    Raises:
        FileNotFoundError: If the path does not exist or holds no image.
        ValueError: If a prediction is lacking, in excess or ambiguous; the message names it.
    """
    path = Path(path)
    if not samples:
        raise ValueError("samples must not be empty. Received: no sample")
    names = [PurePosixPath(s.name or str(index)).name for index, s in enumerate(samples)]
    if len(set(names)) < len(names):
        raise ValueError(f"samples need names that differ. Received: {_shown(names)}")
    files = [path] if path.is_file() else _files(path)
    if len(files) == 1 and samples[0].rank == 2:
        pages = read_image(files[0], rank=None).shape[:-3]
        if pages and (path.is_file() or len(samples) > 1):
            return _match_pages(files[0], pages[0], names, places, partial)
    if path.is_file() and len(samples) == 1:
        return [{"": PageOfFile(path)}]
    return _match_names(path, _by_name(files), names, partial)


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise FileNotFoundError(f"no such file or folder: {folder}")
    files = [
        file
        for file in sorted(folder.iterdir())
        if is_image(file)
        and not file.name.startswith(".")
        and not stem_of(file).endswith(f"_{NOT_PREDICTED}")
    ]
    if not files:
        raise FileNotFoundError(f"{folder} holds no predictions ({', '.join(SUFFIXES)})")
    return files


def _by_name(files: Iterable[Path]) -> dict[str, Match]:
    """Files by name without role."""
    found: dict[str, Match] = {}
    for file in files:
        named = re.fullmatch(rf"(.+)_({'|'.join(ROLES)})", stem_of(file))
        name, role = named.groups() if named else (stem_of(file), "")
        match = found.setdefault(name, {})
        if role in match:
            raise ValueError(f"two predictions for one name: {match[role]} and {file}")
        match[role] = PageOfFile(file)
    return found


def _match_names(
    path: Path, found: dict[str, Match], names: list[str], partial: bool
) -> list[Match]:
    best: dict[str, str] = {}
    for pair in (_by_equality, _by_ending, _by_number, _by_order):
        paired = pair(list(found), names)
        if len(paired) > len(best):
            best = paired
        if len(best) == len(names):
            break
    lacking = [name for name in names if name not in best]
    used = set(best.values())
    surplus = [name for name in found if name not in used]
    if lacking:
        raise ValueError(
            f"predictions in {path} and samples do not match by name. Samples without a "
            f"prediction: {_shown(lacking)}; predictions without a sample: {_shown(surplus)}"
        )
    # Not even a part of the data may have two files that could be meant.
    doubtful = [name for name in surplus if without_ending(name, PREDICTION_ENDINGS) in names]
    if (surplus and not partial) or doubtful:
        raise ValueError(
            f"{path} has more predictions than samples; move those of no sample away, or "
            f"select a part of the images. Received: {_shown(doubtful or surplus)}"
        )
    return [found[best[name]] for name in names]


# === The rules: sample -> prediction, as far as they go ===


def _by_equality(found: list[str], names: list[str]) -> dict[str, str]:
    known = set(found)
    return {name: name for name in names if name in known}


def _by_ending(found: list[str], names: list[str]) -> dict[str, str]:
    return _by_key(
        {name: without_ending(name, PREDICTION_ENDINGS) for name in found},
        {name: without_ending(name, IMAGE_ENDINGS) for name in names},
    )


def _by_number(found: list[str], names: list[str]) -> dict[str, str]:
    predictions = {name: split_number(without_ending(name, PREDICTION_ENDINGS)) for name in found}
    samples = {name: split_number(without_ending(name, IMAGE_ENDINGS)) for name in names}
    for parts in (predictions.values(), samples.values()):
        if len({text for text, _ in parts}) > 1 or any(number is None for _, number in parts):
            return {}
    return _by_key(
        {name: number for name, (_, number) in predictions.items()},
        {name: number for name, (_, number) in samples.items()},
    )


def _by_order(found: list[str], names: list[str]) -> dict[str, str]:
    if len(found) != len(names) or any(re.search(r"\d", name) for name in (*found, *names)):
        return {}
    return dict(zip(sorted(names), sorted(found), strict=True))


def _by_key(found: dict[str, Key], names: dict[str, Key]) -> dict[str, str]:
    """Pairs names whose keys agree."""
    if len(set(names.values())) < len(names):
        return {}
    keyed: dict[Key, list[str]] = {}
    for name, key in found.items():
        keyed.setdefault(key, []).append(name)
    for name, key in names.items():
        if len(keyed.get(key, ())) > 1:
            raise ValueError(
                f"sample {name!r} has more than one prediction. Received: {_shown(keyed[key])}"
            )
    return {name: keyed[key][0] for name, key in names.items() if key in keyed}


def _match_pages(
    path: Path, count: int, names: list[str], places: Sequence[int] | None, partial: bool
) -> list[Match]:
    if places is not None and max(places) < count and (partial or count == len(names)):
        return [{"": PageOfFile(path, page)} for page in places]
    if count != len(names):
        raise ValueError(
            f"{path} has {count} pages for {len(names)} samples; give one page a sample, or "
            "select images by the numbers of their pages. "
            f"Received: samples {_shown(names)}"
        )
    order = sorted(range(count), key=lambda index: natural_key(names[index]))
    page = {index: page for page, index in enumerate(order)}
    return [{"": PageOfFile(path, page[index])} for index in range(count)]


def _shown(names: Sequence[str]) -> str:
    return (", ".join(names[:8]) or "none") + (f", ... ({len(names)})" if len(names) > 8 else "")
