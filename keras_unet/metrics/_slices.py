"""Input checks, thresholds and the sweep over slices that all ISBI 2012 measures share."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")


THRESHOLDS = tuple(itertools.accumulate([0.0, *[0.1] * 10]))
"""The 11 thresholds of all measures but the warping error: 0.0 and on in steps of 0.1.

They are added up in double precision, and the sums are part of the challenge's definition: the
fourth is 0.30000000000000004, and the eleventh, the last that is not above 1, 0.9999999999999999.
"""

WARPING_THRESHOLDS = THRESHOLDS[:10]
"""The 10 thresholds of the warping error, not above 0.9."""


def check_images(labels: np.ndarray, proposals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Checks a pair of images and makes stacks of them.

    Args:
        labels: `(H, W)` or `(Z, H, W)`: boolean, or numbers 0 (membrane) and 1 or 255 (cell).
        proposals: Same shape, boolean, or float probability of cell in [0, 1].

    Returns:
        `(labels, proposals)`, bool and float32, `(Z, H, W)` both.

    Raises:
        ValueError: If shapes differ or are not 2-D or 3-D, a label is not binary, or a proposal is
            an integer, NaN or outside [0, 1].
    """
    labels, proposals = np.asarray(labels), np.asarray(proposals)
    if labels.ndim not in (2, 3) or labels.size == 0:
        raise ValueError(
            f"labels must be (H, W) or (Z, H, W). Received: labels.shape={labels.shape}"
        )
    if proposals.shape != labels.shape:
        raise ValueError(
            "proposals must have the shape of the labels, one probability of cell a pixel. "
            f"Received: labels.shape={labels.shape}, proposals.shape={proposals.shape}"
        )
    if not np.isin(labels, (0, 1, 255)).all():
        raise ValueError(
            "labels must be 0 on membrane and 1 or 255 in cells (instances > 0 makes them so). "
            f"Received: values from {labels.min()} to {labels.max()}"
        )
    if proposals.dtype != bool and not np.issubdtype(proposals.dtype, np.floating):
        raise ValueError(
            "proposals must be boolean or floating; divide an 8-bit image by 255. "
            f"Received: proposals.dtype={proposals.dtype}"
        )
    # Written so that NaN fails too.
    if not (proposals.min() >= 0 and proposals.max() <= 1):
        raise ValueError(
            "proposals must be probabilities of cell in [0, 1] without NaN; divide 0..255 by 255. "
            f"Received: values from {proposals.min()} to {proposals.max()}"
        )
    stack = (-1, *labels.shape[-2:])
    return (labels > 0).reshape(stack), proposals.astype(np.float32).reshape(stack)


def check_slice(label: np.ndarray, proposal: np.ndarray) -> None:
    """Checks that two images are 2-D and of one shape."""
    if np.ndim(label) != 2 or np.shape(label) != np.shape(proposal):
        raise ValueError(
            "needs two images (H, W) of one shape. "
            f"Received: shapes {np.shape(label)} and {np.shape(proposal)}"
        )


def above(proposal: np.ndarray, threshold: float) -> np.ndarray:
    """Where float32 probabilities are strictly above a double precision threshold."""
    # NumPy alone would round the threshold to float32 first, and 0.3 would not be above 0.3.
    return np.asarray(proposal, dtype=np.float32).astype(np.float64) > threshold


def choose_thresholds(
    proposals: np.ndarray, threshold: float | None, sweep: Sequence[float]
) -> tuple[float, ...]:
    """The given threshold, or 0.0 alone for binary proposals, or the whole sweep."""
    if threshold is not None:
        if not 0 <= threshold <= 1:
            raise ValueError(f"threshold must lie in [0, 1]. Received: threshold={threshold}")
        return (float(threshold),)
    return (0.0,) if np.isin(proposals, (0, 1)).all() else tuple(sweep)


def score_slices(
    score: Callable[..., T], thresholds: Sequence[float], *stacks: Iterable[Any]
) -> list[list[T]]:
    """Calls `score(threshold, *slices)` on all slices at all thresholds, in threads.

    Returns:
        One list of scores, in the order of the slices, for each threshold.
    """
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        slices = list(zip(*stacks, strict=True))
        rows = [
            [pool.submit(score, threshold, *images) for images in slices]
            for threshold in thresholds
        ]
        return [[task.result() for task in row] for row in rows]
