"""A data set on disk: where it lies, how it is laid out, and which part of it is meant."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from keras_unet.data.cell_tracking import read_cell_tracking
from keras_unet.data.folder import read_folder
from keras_unet.data.isbi2012 import read_isbi2012
from keras_unet.errors import UsageError, counted
from keras_unet.files.channels import channel_of_option
from keras_unet.sample import Sample

if TYPE_CHECKING:
    import numpy as np

FORMATS = ("auto", "isbi2012", "cell-tracking", "folder")

READER_OPTIONS = (
    *("masks", "kind", "class_values", "ignore_class", "num_classes"),
    *("channel", "channels", "axes", "rank", "max_pixels", "sequence", "truth"),
)
"""Passed on to the layout's reader where they are given."""

_READERS: dict[str, tuple[Callable[..., list[Sample]], str | None]] = {
    "isbi2012": (read_isbi2012, "slices"),
    "cell-tracking": (read_cell_tracking, "frames"),
    "folder": (read_folder, None),
}
"""The reader of each format, and its argument that selects images."""


@dataclass(frozen=True)
class DataSet:
    """Annotated images on disk; nothing is read before it is asked for.

    Args:
        path: Folder of annotated images, or an image.
        format: auto, folder, isbi2012 or cell-tracking. The options from masks to rank are for
            folders. Defaults to "auto".
        masks: Folder of the masks, or the image's mask. Defaults to None.
        kind: Masks: auto, binary, instances or classes. Defaults to None, the reader's choice.
        class_values: Values in the masks in order of the class number, such as 0,127,254 or
            "#000000,#ff0000". Defaults to None, 0,1,2 and so on.
        ignore_class: Value in the masks of pixels without annotation, such as 255, -1 or
            "#ffffff".
            Defaults to None.
        num_classes: Number of classes with the background, some of which may not occur. Defaults to
            None, as many as the masks show.
        channel: Channels of the images, from 1 on, such as 2 or 2,1, or names of the file's.
            Defaults to None, all.
        channels: 1 or 3: turn all images to grey or RGB. Defaults to None.
        axes: Axes of the stored arrays in order, letters of T Z C Y X, such as YXC, where the files
            do not name them. Defaults to None.
        rank: 3: files are volumes, TIFF or NIfTI. Defaults to None, 2.
        max_pixels: Largest number of pixels of a file. Defaults to None, 268,435,456.
        sequence: Sequence (format cell-tracking). Defaults to None, the reader's choice.
        truth: GT, ST or GT+ST (format cell-tracking). Defaults to None, the reader's choice.
        select: Slices, frames or places in the folder, such as 0-17 or 6,7,14. Defaults to None,
            all.
    """

    path: Path
    format: str = "auto"
    masks: Path | None = None
    kind: str | None = None
    class_values: str | None = None
    ignore_class: str | None = None
    num_classes: int | None = None
    channel: str | None = None
    channels: int | None = None
    axes: str | None = None
    rank: int | None = None
    max_pixels: int | None = None
    sequence: str | None = None
    truth: str | None = None
    select: str | None = None

    @cached_property
    def samples(self) -> list[Sample]:
        """The samples, see `load_samples`.

        Raises:
            FileNotFoundError: If the folder does not exist or does not have the layout.
            ValueError: If an option does not fit.
        """
        options: dict[str, Any] = {name: getattr(self, name) for name in READER_OPTIONS}
        options["channel"] = channel_of_option(self.channel)
        given = {name: value for name, value in options.items() if value is not None}
        return load_samples(self.path, format=self.format, selection=self.selection, **given)

    @property
    def layout(self) -> str:
        """The format, found out where it is `"auto"`."""
        return detect_format(Path(self.path)) if self.format == "auto" else self.format

    @property
    def selection(self) -> list[int] | None:
        """The numbers in `select`."""
        return None if self.select is None else parse_selection(self.select)

    @property
    def is_part(self) -> bool:
        """Whether the samples may be a part of the images, as those of a tracking truth are."""
        return self.select is not None or self.layout == "cell-tracking"

    @property
    def places(self) -> Sequence[int] | None:
        """Each sample's page, from 0, in a stack of all images; None if nothing tells it."""
        if self.select is not None or self.layout == "folder":
            return self.selection
        return self._numbers()

    def markers(self) -> list[np.ndarray] | None:
        """The tracking markers of the samples; None where the data set has none."""
        from keras_unet.data.cell_tracking import read_cell_tracking_markers

        if self.layout != "cell-tracking":
            return None
        numbers = self._numbers()
        try:
            found = read_cell_tracking_markers(
                self.path, self.sequence or "01", numbers, self.max_pixels
            )
        except FileNotFoundError:
            return None
        return [found[number] for number in numbers]

    def _numbers(self) -> list[int]:
        """Slice or frame numbers, with which the readers of these layouts end every name."""
        return [int(re.findall(r"\d+$", sample.name)[0]) for sample in self.samples]


@dataclass(frozen=True)
class SampleSet:
    """Samples that are in memory already, as a data set.

    Args:
        samples: The samples.
    """

    samples: list[Sample]
    layout: ClassVar[str] = "folder"
    places: ClassVar[None] = None
    is_part: ClassVar[bool] = False

    def markers(self) -> None:
        """There are none."""


def load_samples(
    path: str | os.PathLike[str],
    format: str = "auto",
    selection: Iterable[int] | None = None,
    **options: Any,
) -> list[Sample]:
    """Reads annotated images of any known layout.

    Args:
        path: The data set's folder; or an image, with its mask in `masks`.
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
        >>> samples = load_samples("images", masks="masks", kind="instances", selection=[0, 2])
        >>> [sample.name for sample in samples]
        ['synthetic-0000', 'synthetic-0002']
    """
    path = Path(path)
    if format not in FORMATS:
        raise ValueError(f"format must be one of {FORMATS}. Received: format={format!r}")
    if not path.exists():
        raise FileNotFoundError(f"no such folder: {path}")
    if format not in ("auto", "folder") and path.is_file():
        raise UsageError(f"{path} is a file", f"give the folder of the format {format}")
    if format == "auto":
        format = detect_format(path)
    _check_options(format, options)
    reader, selects = _READERS[format]
    if selects is not None:
        return reader(path, **{selects: selection}, **options)
    samples = reader(path, **options)
    return samples if selection is None else _at_places(samples, list(selection), path)


def detect_format(path: Path) -> str:
    """The format whose files the folder holds; `"folder"` if none is recognized, or for a file."""
    if not path.is_dir():
        return "folder"
    if (path / "train-volume.tif").is_file() or (path / "train" / "image").is_dir():
        return "isbi2012"
    sequences = [f for f in path.iterdir() if re.fullmatch(r"\d\d", f.name) and f.is_dir()]
    if any(re.fullmatch(r"t\d+\.tif", f.name) for s in sequences for f in s.iterdir()):
        return "cell-tracking"
    return "folder"


def _check_options(format: str, options: dict[str, Any]) -> None:
    """Raises a `ValueError` for an option that the format's reader does not have."""
    reader, selects = _READERS[format]
    given = ("path", "images", selects)  # by `load_samples` itself
    known = [name for name in inspect.signature(reader).parameters if name not in given]
    for name in options:
        if name not in known:
            listed = [f"--{one.replace('_', '-')}" for one in known if one in READER_OPTIONS]
            raise UsageError(
                f"{name.replace('_', ' ')} is no option of the format {format}",
                f"its options are {', '.join(known)}",
                f"its options are {', '.join(listed)}",
            )


def _at_places(samples: list[Sample], places: list[int], path: Path) -> list[Sample]:
    missing = [place for place in places if not 0 <= place < len(samples)]
    if missing:
        raise UsageError(
            f"{path} has images 0 to {len(samples) - 1}, not {counted(map(str, missing))}",
            "select among these",
        )
    return [samples[place] for place in places]


def parse_selection(text: str) -> list[int]:
    """Numbers and inclusive ranges: `"0-2,20"` is `[0, 1, 2, 20]`.

    Args:
        text: Non-negative numbers and ranges `low-high`, separated by commas.

    Returns:
        The numbers in the order given.

    Raises:
        ValueError: If the text is no such list, a range runs backwards, or a number repeats.

    Example:
        >>> parse_selection("0-2,20")
        [0, 1, 2, 20]
    """
    numbers: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", part)
        low, high = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if low > high:
            raise UsageError(
                f"{text[:80]!r} does not select images",
                "a selection is a list such as 0-17,20 of numbers and rising ranges",
            )
        numbers += range(low, high + 1)
    if len(set(numbers)) < len(numbers):
        raise UsageError(f"{text[:80]!r} selects an image twice", "name every number once")
    return numbers
