"""Finds out which file, or which page of a stack, is the prediction for which sample."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from keras_unet.errors import counted
from keras_unet.files.names import MASK_ENDINGS, SUFFIXES, is_image, natural_key, stem_of
from keras_unet.files.pairing import Pairing
from keras_unet.files.reading import read_image

if TYPE_CHECKING:
    from keras_unet.sample import Sample

PathLike = str | os.PathLike[str]

ROLES = ("instances", "classes", "probabilities")
"""Endings `NAME_instances`, ... by which `keras-unet predict` tells what a file holds."""

NOT_PREDICTED = "overlay"
"""Ending of the pictures for the eye that it writes beside them."""

PREDICTION_ENDINGS = (
    *MASK_ENDINGS,
    *("pred", "prediction", "predictions", "prob", "segmentation", "result"),
)


class PageOfFile(NamedTuple):
    """A file, or one page (from 0) of it."""

    path: Path
    page: int | None = None

    def __str__(self) -> str:
        return str(self.path) if self.page is None else f"{self.path}, page {self.page}"


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

    Names are paired as in training, see `Pairing`, without `_instances`, `_classes` or
    `_probabilities` and with further endings such as `_pred`; where no name has a digit and as many
    predictions as samples are there, also in sorted order. The first rule that serves all samples
    decides.

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
        raise ValueError(f"samples need names that differ. Received: {counted(names)}")
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
    pair = Pairing("samples", f"predictions in {path}", PREDICTION_ENDINGS, partial, by_order=True)
    return [found[name] for name in pair(names, list(found))]


def _match_pages(
    path: Path, count: int, names: list[str], places: Sequence[int] | None, partial: bool
) -> list[Match]:
    if places is not None and max(places) < count and (partial or count == len(names)):
        return [{"": PageOfFile(path, page)} for page in places]
    if count != len(names):
        raise ValueError(
            f"{path} has {count} pages for {len(names)} samples; give one page a sample, or "
            "select images by the numbers of their pages. "
            f"Received: samples {counted(names)}"
        )
    order = sorted(range(count), key=lambda index: natural_key(names[index]))
    page = {index: page for page, index in enumerate(order)}
    return [{"": PageOfFile(path, page[index])} for index in range(count)]
