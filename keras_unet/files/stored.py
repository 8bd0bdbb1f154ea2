"""Numbers of a file as they are stored, before any rule about images or labels is applied."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np


@dataclass(frozen=True)
class Stored:
    """Numbers of a file as they are stored.

    Attributes:
        values: `(*pages, H, W, samples)`; RGB order; palette images as indices where `palette`
            is given.
        alpha: Whether the last sample is an opacity.
        palette: `(entries, 3)` colours of the indices, or None.
        lossy: Whether the format changes values (JPEG).
        levels: Largest value of a grey image of 1, 2 or 4 bits, which was stretched to 0..255;
            None otherwise.
    """

    values: np.ndarray
    alpha: bool = False
    palette: np.ndarray | None = None
    lossy: bool = False
    levels: int | None = None


def palette_indices(rgb: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """The first palette entry of each pixel's colour, `(H, W, 1)` uint8."""
    shifts = np.array([65536, 256, 1])
    entries, first = np.unique(palette @ shifts, return_index=True)
    return first[np.searchsorted(entries, rgb @ shifts)].astype(np.uint8)[..., None]


def run_opencv(path: Path, call: Callable[[], Any]) -> Any:
    """Runs an OpenCV decoder; its exceptions become a `ValueError` that names the file."""
    try:
        return call()
    except cv2.error as error:
        raise ValueError(f"{path} cannot be decoded: {error.err or error}") from error


def in_rgb_order(values: np.ndarray) -> np.ndarray:
    """OpenCV's `(H, W)` or BGR(A) to `(H, W, samples)` in RGB(A) order."""
    if values.ndim == 2:
        return values[..., None]
    order = [2, 1, 0, 3][: values.shape[-1]] if values.shape[-1] >= 3 else slice(None)
    return np.ascontiguousarray(values[..., order])
