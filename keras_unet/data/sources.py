"""One door to all readers, for the command line and recipes: finds out what a folder holds."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from keras_unet.data.cell_tracking import read_cell_tracking
from keras_unet.data.folder import read_folder
from keras_unet.data.isbi2012 import read_isbi2012
from keras_unet.data.sample import Sample

FORMATS = ("auto", "isbi2012", "cell-tracking", "folder")
_OWN = ("path", "images", "slices", "frames")  # given by `load_samples` itself


def load_samples(
    path: str | os.PathLike[str],
    format: str = "auto",
    selection: Iterable[int] | None = None,
    **options: Any,
) -> list[Sample]:
    """Reads annotated images of any known layout.

    Args:
        path: The data set's folder.
        format: `"isbi2012"`, `"cell-tracking"`, `"folder"`, or `"auto"`, which recognises the
            first two by their files and takes everything else as a folder. Defaults to `"auto"`.
        selection: Slices, frames, or places in the sorted folder to read. Defaults to None, all.
        **options: Further arguments of `read_isbi2012`, `read_cell_tracking` or `read_folder`.

    Returns:
        A list of `Sample`s.

    Raises:
        FileNotFoundError: If the folder does not exist or does not have the layout.
        ValueError: If the format is unknown, or as the reader says.

    Example:
        >>> load_samples("isbi2012", selection=parse_selection("0-17"))  # doctest: +SKIP
    """
    path = Path(path)
    if format not in FORMATS:
        raise ValueError(f"format must be one of {FORMATS}. Received: format={format!r}")
    if not path.is_dir():
        raise FileNotFoundError(f"no such folder: {path}")
    if format == "auto":
        format = detect_format(path)
    _check_options(format, options)
    readers: dict[str, Callable[..., list[Sample]]] = {
        "isbi2012": lambda: read_isbi2012(path, slices=selection, **options),
        "cell-tracking": lambda: read_cell_tracking(path, frames=selection, **options),
        "folder": lambda: _read_folder(path, selection, options),
    }
    return readers[format]()


def _check_options(format: str, options: dict[str, Any]) -> None:
    readers: dict[str, Callable[..., Any]]
    readers = {"isbi2012": read_isbi2012, "cell-tracking": read_cell_tracking}
    reader = readers.get(format, read_folder)
    known = [name for name in inspect.signature(reader).parameters if name not in _OWN]
    for name in options:
        if name not in known:
            raise ValueError(
                f"format {format!r} has no option {name!r}; its options are {', '.join(known)}"
            )


def detect_format(path: Path) -> str:
    """The format whose files the folder holds; `"folder"` if none is recognised."""
    if (path / "train-volume.tif").is_file() or (path / "train" / "image").is_dir():
        return "isbi2012"
    sequences = [f for f in path.iterdir() if re.fullmatch(r"\d\d", f.name) and f.is_dir()]
    if any(re.fullmatch(r"t\d+\.tif", f.name) for s in sequences for f in s.iterdir()):
        return "cell-tracking"
    return "folder"


def _read_folder(
    path: Path, selection: Iterable[int] | None, options: dict[str, Any]
) -> list[Sample]:
    samples = read_folder(path, **options)
    if selection is None:
        return samples
    wanted = list(selection)
    missing = [place for place in wanted if not 0 <= place < len(samples)]
    if missing:
        raise ValueError(
            f"{path} has images 0 to {len(samples) - 1}. Received: selection with {missing}"
        )
    return [samples[place] for place in wanted]


def parse_selection(text: str) -> list[int]:
    """Numbers and inclusive ranges: `"0-2,20"` is `[0, 1, 2, 20]`.

    Args:
        text: Non-negative numbers and ranges `low-high`, separated by commas.

    Returns:
        The numbers in the order given.

    Raises:
        ValueError: If the text is no such list, a range runs backwards, or a number repeats.
    """
    numbers: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", part)
        low, high = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if low > high:
            raise ValueError(
                "a selection is a list such as '0-17,20' of numbers and rising ranges. "
                f"Received: {text!r}"
            )
        numbers += range(low, high + 1)
    if len(set(numbers)) < len(numbers):
        raise ValueError(f"a selection must not name a number twice. Received: {text!r}")
    return numbers
