"""Two label images of one scene, compared once: tables that serve every measure of objects.

A data set is a list of such tables. They are small; the images are not needed any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from keras_unet.metrics._cell_tracking import det_of as det_of, seg_of
from keras_unet.metrics._matching import Matching, aggregate, match_overlap
from keras_unet.metrics._overlap import Overlap, check_pair, overlap, overlaps as overlaps
from keras_unet.metrics._rims import rim_scores
from keras_unet.metrics._split_merge import split_merge_of

DSB2018_THRESHOLDS = tuple(percent / 100 for percent in range(50, 100, 5))
"""0.50, 0.55, ... 0.95."""

RIM = 2
"""Width in pixels of the rims that a Boundary IoU compares, unless another one is asked for."""


@dataclass(frozen=True)
class Compared:
    """What measures need to know of a true and a predicted label image.

    Attributes:
        pairs: Areas of objects and of their intersections.
        rims: Boundary IoU of every true object that is found; None where nobody asked for it.
    """

    pairs: Overlap
    rims: tuple[float, ...] | None = None


def compare(true: np.ndarray, pred: np.ndarray, rim: int | None = None) -> Compared:
    """Compares two label images.

    Args:
        true: Integer ids `(*spatial)`, 0 = background, any rank.
        pred: Integer ids of the same shape.
        rim: Width in pixels of the rims to compare. Defaults to None, no rims.

    Returns:
        A `Compared`, which holds neither image.

    Raises:
        ValueError: If shapes differ, an image is not of integers, or an id is negative.
    """
    true, pred = check_pair(true, pred)
    pairs = overlap(true, pred)
    return Compared(pairs, None if rim is None else rim_scores(true, pred, pairs, rim))


def counted(tables: Iterable[Overlap], threshold: float = 0.5) -> list[Matching]:
    """The numbers of `match` for each image, without its pairs and scores."""
    return [match_overlap(table, threshold, listed=False) for table in tables]


def average_precision_of(
    tables: Sequence[Overlap], cuts: Iterable[float], by_image: bool = False
) -> np.ndarray:
    """`average_precision` at each of some thresholds, float64 `(T,)`."""
    return np.array([aggregate(counted(tables, cut), by_image)["accuracy"] for cut in cuts])


def dsb2018_of(tables: Iterable[Overlap]) -> float:
    """`dsb2018_score`."""
    cuts = DSB2018_THRESHOLDS
    matchings = [
        [match_overlap(table, cut, strict=True, listed=False) for cut in cuts] for table in tables
    ]
    return float(np.mean([[one.accuracy for one in of_image] for of_image in matchings]))


def boundary_iou_of(images: Iterable[Compared]) -> float:
    """`boundary_iou` of images whose rims were compared."""
    found, objects = 0.0, 0
    for image in images:
        for score in image.rims or ():
            found += score
        objects += len(image.pairs.true_ids)
    return found / objects if objects else 0.0


def measures_of(images: Sequence[Compared], threshold: float = 0.5) -> dict[str, float]:
    """`instances.evaluate` of images whose rims were compared."""
    tables = [image.pairs for image in images]
    counts, names = split_merge_of(tables), ("correct", "split", "merged", "missed", "spurious")
    return {
        **aggregate([match_overlap(table, threshold) for table in tables]),
        "seg": seg_of(tables),
        "dsb2018": dsb2018_of(tables),
        "boundary_iou": boundary_iou_of(images),
        **{name: getattr(counts, name) for name in names},
    }
