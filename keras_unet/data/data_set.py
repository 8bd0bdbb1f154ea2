"""A data set as a command line names it: where it lies, how it is laid out, which part is meant."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from keras_unet.data.sample import Sample

READER_OPTIONS = ("masks", "kind", "channels", "rank", "sequence", "truth")
"""Passed on to the layout's reader where they are given."""


@dataclass(frozen=True)
class DataSet:
    """Annotated images on disk; nothing is read before it is asked for.

    Args:
        path: The data set's folder.
        format: As in `load_samples`. Defaults to `"auto"`.
        masks: Folder of the masks (folder). Defaults to None.
        kind: What the masks hold (folder). Defaults to None, the reader's choice.
        channels: 1 or 3 turns images to grey or RGB (folder). Defaults to None.
        rank: 2 for images, 3 for volumes (folder). Defaults to None, 2.
        sequence: The sequence (cell-tracking). Defaults to None, the reader's choice.
        truth: The truth (cell-tracking). Defaults to None, the reader's choice.
        select: Slices, frames or places as `parse_selection` takes them. Defaults to None, all.
    """

    path: Path
    format: str = "auto"
    masks: Path | None = None
    kind: str | None = None
    channels: int | None = None
    rank: int | None = None
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
        from keras_unet.data.sources import load_samples

        options: dict[str, Any] = {name: getattr(self, name) for name in READER_OPTIONS}
        given = {name: value for name, value in options.items() if value is not None}
        return load_samples(self.path, format=self.format, selection=self.selection, **given)

    @property
    def layout(self) -> str:
        """The format, found out where it is `"auto"`."""
        from keras_unet.data.sources import detect_format

        return detect_format(Path(self.path)) if self.format == "auto" else self.format

    @property
    def selection(self) -> list[int] | None:
        """The numbers in `select`."""
        from keras_unet.data.sources import parse_selection

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
            found = read_cell_tracking_markers(self.path, self.sequence or "01", numbers)
        except FileNotFoundError:
            return None
        return [found[number] for number in numbers]

    def _numbers(self) -> list[int]:
        """Slice or frame numbers, with which the readers of these layouts end every name."""
        return [int(re.findall(r"\d+$", sample.name)[0]) for sample in self.samples]
