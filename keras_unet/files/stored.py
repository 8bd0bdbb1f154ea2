"""Numbers of a file as they are stored, before any rule about images or labels is applied."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Stored:
    """The numbers and what the file says of them.

    Attributes:
        values: `(*pages, H, W, samples)`; RGB order; palette images as indices where `palette`
            is given.
        pages: A letter for each axis before H: `T` frames, `Z` slices, `?` where the file does
            not tell. Defaults to none, one image.
        channel_names: Names of the samples, where the file has them.
        alpha: Whether the last sample is an opacity.
        palette: `(entries, 3)` colours of the indices, or None.
        lossy: The format that changed the values, such as "JPEG"; empty where none did.
        levels: Largest value of a grey image of 1, 2 or 4 bits, which was stretched to 0..255;
            None otherwise.
        part: Where the file is but a part: what it holds of how many, in words.
        step: How far labels may lie from the whole numbers that they mean, where the file scales
            them or holds floats.
    """

    values: np.ndarray
    pages: str = ""
    channel_names: tuple[str, ...] = ()
    alpha: bool = False
    palette: np.ndarray | None = None
    lossy: str = ""
    levels: int | None = None
    part: str = ""
    step: float = 0.0

    def colors(self, values: np.ndarray) -> np.ndarray:
        """Values of the file without their opacity, indices as colours."""
        if self.palette is not None:
            return self.palette[values[..., 0]]
        return values[..., :-1] if self.alpha else values
