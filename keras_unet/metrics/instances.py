"""Measures of instance segmentation: of the Cell Tracking Challenge, of DSB 2018, and general ones.

Label images hold integers, 0 = background and one id per object, of any rank. Every measure takes
one image (two arrays) or a data set (two lists of arrays); **a list is several images, an array is
one**, so the frames of a stack `(T, H, W)` are given as `list(stack)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
from scipy import ndimage

from keras_unet.metrics._cell_tracking import (
    det_measure as det_measure,
    field_of_interest as field_of_interest,
    op_csb as op_csb,
    seg_measure,
)
from keras_unet.metrics._matching import (
    Matching as Matching,
    aggregate,
    check_threshold,
    match as match,
    match_overlap,
)
from keras_unet.metrics._overlap import (
    LabelImages,
    Overlap,
    image_pairs,
    overlap,
    overlaps,
)

DSB2018_THRESHOLDS = tuple(percent / 100 for percent in range(50, 100, 5))
"""0.50, 0.55, ... 0.95."""


@overload
def average_precision(
    true: LabelImages, pred: LabelImages, thresholds: float, *, by_image: bool = ...
) -> float: ...
@overload
def average_precision(
    true: LabelImages, pred: LabelImages, thresholds: Sequence[float] = ..., *, by_image: bool = ...
) -> np.ndarray: ...
def average_precision(
    true: LabelImages,
    pred: LabelImages,
    thresholds: float | Sequence[float] = DSB2018_THRESHOLDS,
    *,
    by_image: bool = False,
) -> float | np.ndarray:
    """AP: TP / (TP + FP + FN) of a one-to-one matching, at each threshold.

    Args:
        true: Label image, or a list of them.
        pred: The same for the prediction.
        thresholds: Intersection over union that a pair must reach, one or several, each in (0, 1].
            Defaults to 0.50, 0.55, ... 0.95.
        by_image: False sums counts over images first, True averages the images' values. Defaults
            to False.

    Returns:
        A float for one threshold, float64 `(T,)` for several.

    Raises:
        ValueError: If there is no threshold or one is not in (0, 1], and as in `seg_measure`.
    """
    cuts = np.atleast_1d(np.asarray(thresholds, dtype=np.float64))
    if cuts.size == 0:
        raise ValueError(f"needs at least one threshold. Received: thresholds={thresholds}")
    for cut in cuts:
        check_threshold(cut)
    tables = list(overlaps(true, pred))
    values = np.array(
        [aggregate([match_overlap(t, c) for t in tables], by_image)["accuracy"] for c in cuts]
    )
    return float(values[0]) if np.ndim(thresholds) == 0 else values


def dsb2018_score(true: LabelImages, pred: LabelImages) -> float:
    """Score of the 2018 Data Science Bowl: mean AP over ten thresholds, mean over images.

    The thresholds are 0.50, 0.55, ... 0.95, and a pair must *exceed* them.

    Args:
        true: Label image, or a list of them.
        pred: The same for the prediction.

    Returns:
        A number in [0, 1]; an image without any true positive, an empty one too, counts as 0.

    Raises:
        ValueError: As in `seg_measure`.

    Reference:
        Caicedo et al., "Nucleus segmentation across imaging experiments: the 2018 Data Science
        Bowl", Nature Methods 16, 2019, doi:10.1038/s41592-019-0612-7.
    """
    return _dsb2018(list(overlaps(true, pred)))


def _dsb2018(tables: Sequence[Overlap]) -> float:
    cuts = DSB2018_THRESHOLDS
    values = [[match_overlap(table, cut, strict=True).accuracy for cut in cuts] for table in tables]
    return float(np.mean(values))


def panoptic_quality(
    true: LabelImages,
    pred: LabelImages,
    threshold: float = 0.5,
    *,
    strict: bool = False,
    by_image: bool = False,
) -> float:
    """PQ: sum of the matched intersections over union / (TP + FP / 2 + FN / 2).

    Args:
        true: Label image, or a list of them.
        pred: The same for the prediction.
        threshold: Intersection over union that a pair must reach, in (0, 1]. Defaults to 0.5.
        strict: Whether it must be exceeded, as the paper has it. Defaults to False.
        by_image: False sums over images first, True averages the images' values. Defaults to
            False.

    Returns:
        A number in [0, 1]; 0 where nothing was found.

    Raises:
        ValueError: If the threshold is not in (0, 1], and as in `seg_measure`.

    Reference:
        Kirillov et al., "Panoptic segmentation", CVPR 2019, arXiv:1801.00868.
    """
    check_threshold(threshold)
    matchings = [match_overlap(table, threshold, strict) for table in overlaps(true, pred)]
    return aggregate(matchings, by_image)["panoptic_quality"]


def boundary_iou(true: LabelImages, pred: LabelImages, distance: int = 2) -> float:
    """Boundary IoU: intersection over union of the objects' rims, which shows poor outlines.

    The rim of an object is the part within `distance` pixels of its outline (of the image's border
    too, diagonal steps counted as one). A true object is compared with the predicted object that
    covers more than half of it, as in `seg_measure`, and scores 0 without one. With growing
    distance the measure becomes SEG.

    Args:
        true: Label image, or a list of them.
        pred: The same for the prediction.
        distance: Width of the rim in pixels, at least 1. Defaults to 2; the paper takes 2 % of the
            image's diagonal.

    Returns:
        Mean over all true objects of all images together, in [0, 1]; 0 without any.

    Raises:
        ValueError: If the distance is below 1, and as in `seg_measure`.

    Reference:
        Cheng et al., "Boundary IoU: improving object-centric image segmentation evaluation",
        CVPR 2021, arXiv:2103.16562.
    """
    if distance < 1:
        raise ValueError(f"distance must be at least 1 pixel. Received: distance={distance}")
    found, objects = 0.0, 0
    for images in image_pairs(true, pred):
        pairs = overlap(*images)
        rims = overlap(*(_rims(image, distance) for image in images))
        ids = zip(rims.true_ids[rims.rows], rims.pred_ids[rims.columns], strict=True)
        scores = dict(zip(ids, rims.iou, strict=True))
        for k in pairs.covering():
            both = pairs.true_ids[pairs.rows[k]], pairs.pred_ids[pairs.columns[k]]
            found += float(scores.get(both, 0.0))
        objects += len(pairs.true_ids)
    return found / objects if objects else 0.0


def _rims(instances: np.ndarray, distance: int) -> np.ndarray:
    """The label image without the inside of its objects."""
    size = 2 * distance + 1
    # Inside an object all labels of the window are one; beyond the image they are background.
    lowest = ndimage.minimum_filter(instances, size, mode="constant", cval=0)
    highest = ndimage.maximum_filter(instances, size, mode="constant", cval=0)
    return np.where(lowest == highest, 0, instances)


@dataclass(frozen=True)
class SplitMergeCounts:
    """Counts of errors in the words of someone who corrects them by hand.

    Attributes:
        objects: Number of true objects.
        predicted: Number of predicted objects.
        correct: True objects found as exactly one predicted object that is theirs alone.
        split: True objects cut into two pieces or more.
        merged: Predicted objects that swallow two true objects or more.
        missed: True objects that nothing stands for.
        spurious: Predicted objects that stand for nothing.
    """

    objects: int
    predicted: int
    correct: int
    split: int
    merged: int
    missed: int
    spurious: int


def split_merge_counts(true: LabelImages, pred: LabelImages) -> SplitMergeCounts:
    """Counts split, merged, missed and spurious objects.

    Two objects belong together if their intersection is more than half of either one. A true
    object with several predicted ones is split, a predicted object with several true ones has
    merged them, and an object without any is missed or spurious.

    Args:
        true: Label image, or a list of them.
        pred: The same for the prediction.

    Returns:
        `SplitMergeCounts`, sums over all images.

    Raises:
        ValueError: As in `seg_measure`.

    Example:
        >>> true, pred = np.array([[1, 1, 1, 1, 0, 2]]), np.array([[1, 1, 3, 3, 0, 0]])
        >>> counts = split_merge_counts(true, pred)
        >>> counts.split, counts.missed
        (1, 1)
    """
    return _split_merge(list(overlaps(true, pred)))


def _split_merge(tables: Sequence[Overlap]) -> SplitMergeCounts:
    total = np.zeros(7, dtype=np.int64)
    for pairs in tables:
        linked = 2 * pairs.shared > np.minimum(
            pairs.true_areas[pairs.rows], pairs.pred_areas[pairs.columns]
        )
        rows, columns = pairs.rows[linked], pairs.columns[linked]
        pieces = np.bincount(rows, minlength=len(pairs.true_ids))
        swallowed = np.bincount(columns, minlength=len(pairs.pred_ids))
        alone = (pieces[rows] == 1) & (swallowed[columns] == 1)
        total += np.array(
            [
                len(pieces),
                len(swallowed),
                np.count_nonzero(alone),
                np.count_nonzero(pieces > 1),
                np.count_nonzero(swallowed > 1),
                np.count_nonzero(pieces == 0),
                np.count_nonzero(swallowed == 0),
            ]
        )
    return SplitMergeCounts(*total.tolist())


def evaluate(true: LabelImages, pred: LabelImages, threshold: float = 0.5) -> dict[str, float]:
    """The measures of a data set in one pass, for a report.

    Args:
        true: Label image, or a list of them.
        pred: The same for the prediction.
        threshold: Intersection over union that a pair must reach for the counts, F1, AP and PQ.
            Defaults to 0.5.

    Returns:
        Numbers by name: `n_true, n_pred, tp, fp, fn`, the ratios of `Matching` (counts summed over
        images), `seg`, `dsb2018`, `boundary_iou`, and `correct, split, merged, missed, spurious`.

    Raises:
        ValueError: If the threshold is not in (0, 1], and as in `seg_measure`.
    """
    check_threshold(threshold)
    tables = list(overlaps(true, pred))
    counts, names = _split_merge(tables), ("correct", "split", "merged", "missed", "spurious")
    return {
        **aggregate([match_overlap(table, threshold) for table in tables]),
        "seg": seg_measure(true, pred),
        "dsb2018": _dsb2018(tables),
        "boundary_iou": boundary_iou(true, pred),
        **{name: getattr(counts, name) for name in names},
    }
