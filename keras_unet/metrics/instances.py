"""Measures of instance segmentation: of the Cell Tracking Challenge, of DSB 2018, and general ones.

Label images hold integers, 0 = background and one id per object, of any rank. Every measure takes
one image (two arrays) or a data set (two lists of arrays); **a list is several images, an array is
one**, so the frames of a stack `(T, H, W)` are given as `list(stack)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

import numpy as np

from keras_unet.metrics._cell_tracking import (
    det_measure as det_measure,
    field_of_interest as field_of_interest,
    op_csb as op_csb,
    seg_measure as seg_measure,
)
from keras_unet.metrics._matching import (
    Matching as Matching,
    aggregate,
    check_threshold,
    match as match,
    match_overlap,
)
from keras_unet.metrics._overlap import LabelImages, image_pairs, overlaps
from keras_unet.metrics._split_merge import (
    SplitMergeCounts as SplitMergeCounts,
    split_merge_counts as split_merge_counts,
)
from keras_unet.metrics.compared import (
    DSB2018_THRESHOLDS as DSB2018_THRESHOLDS,
    RIM,
    average_precision_of,
    boundary_iou_of,
    compare,
    dsb2018_of,
    measures_of,
)


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
    values = average_precision_of(list(overlaps(true, pred)), cuts, by_image)
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
    return dsb2018_of(overlaps(true, pred))


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


def boundary_iou(true: LabelImages, pred: LabelImages, distance: int = RIM) -> float:
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
    return boundary_iou_of(compare(*images, rim=distance) for images in image_pairs(true, pred))


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
    return measures_of([compare(*images, rim=RIM) for images in image_pairs(true, pred)], threshold)
