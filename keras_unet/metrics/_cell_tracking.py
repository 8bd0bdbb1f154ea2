"""Measures of the Cell Tracking Challenge: SEG, DET and the mean of both."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from keras_unet.metrics._overlap import LabelImages, Overlap, check_labels, overlaps
from keras_unet.objects.runs import distinct, runs


def seg_measure(true: LabelImages, pred: LabelImages) -> float:
    """SEG of the Cell Tracking Challenge: mean Jaccard index of the reference objects.

    A reference object is found by the predicted object that covers more than half of it, and
    scores their intersection over union; without one it scores 0. Surplus predicted objects cost
    nothing, and one predicted object may be the match of two references.

    Args:
        true: Label image, or a list of them: the annotated frames of a sequence, and only these.
        pred: The same for the prediction.

    Returns:
        Mean over all reference objects of all frames together, in [0, 1]; 0 without any.

    Raises:
        ValueError: If shapes or lengths differ, lists are empty, an image is not of integers, or
            an id is negative.

    Example:
        >>> seg_measure(np.array([[1, 1, 1, 0, 2, 2]]), np.array([[4, 4, 0, 0, 9, 0]]))
        0.3333333333333333

    Reference:
        Maška et al., "A benchmark for comparison of cell tracking algorithms", Bioinformatics 30,
        2014, doi:10.1093/bioinformatics/btu080.
    """
    return seg_of(overlaps(true, pred))


def seg_of(tables: Iterable[Overlap]) -> float:
    """`seg_measure`, from overlaps at hand."""
    found, references = 0.0, 0
    for pairs in tables:
        found += float(pairs.iou[pairs.covering()].sum())
        references += len(pairs.true_ids)
    return found / references if references else 0.0


def det_measure(markers: LabelImages, pred: LabelImages) -> float:
    """DET of the Cell Tracking Challenge: how well the objects were detected.

    A marker is found by the predicted object that covers more than half of it. Each marker beyond
    the first in one predicted object costs 5, each marker not found 10, each predicted object that
    found none 1; the sum is set against the cost of finding nothing at all.

    Args:
        markers: Label image of reference markers, or a list of them, one for each frame.
        pred: The same for the prediction.

    Returns:
        One minus the normalized cost, in [0, 1].

    Raises:
        ValueError: If there is no marker at all, where DET is undefined, and as in `seg_measure`.

    Reference:
        Matula et al., "Cell tracking accuracy measurement based on comparison of acyclic oriented
        graphs", PLoS ONE 10, 2015, doi:10.1371/journal.pone.0144959.
    """
    return det_of(overlaps(markers, pred))


def det_of(tables: Iterable[Overlap]) -> float:
    """`det_measure`, from overlaps at hand."""
    cost, references = 0, 0
    for pairs in tables:
        columns = pairs.columns[pairs.covering()]
        finders = len(np.unique(columns))
        cost += 5 * (len(columns) - finders)
        cost += 10 * (len(pairs.true_ids) - len(columns))
        cost += len(pairs.pred_ids) - finders
        references += len(pairs.true_ids)
    if references == 0:
        raise ValueError("DET is undefined without reference markers. Received: none in any frame")
    nothing = 10 * references
    return 1.0 - min(cost, nothing) / nothing


def op_csb(seg: float, det: float) -> float:
    """OP_CSB, the Cell Segmentation Benchmark's overall performance: the mean of SEG and DET.

    Args:
        seg: What `seg_measure` gave for the segmented frames.
        det: What `det_measure` gave for the frames with markers.

    Raises:
        ValueError: If one is not in [0, 1].
    """
    for name, value in (("seg", seg), ("det", det)):
        if not 0 <= value <= 1:
            raise ValueError(f"{name} must lie in [0, 1]. Received: {name}={value}")
    return (seg + det) / 2


def field_of_interest(instances: np.ndarray, border: int | Sequence[int]) -> np.ndarray:
    """Drops the objects that lie wholly in the band along the image's border.

    The Cell Tracking Challenge scores only objects that reach into its field of interest; call
    this on truth and prediction alike.

    Args:
        instances: Label image `(*spatial)`.
        border: Width of the band in pixels, one number or one per axis.

    Returns:
        A copy without these objects; the others stay whole.

    Raises:
        ValueError: If the band is negative or leaves nothing of the image.
    """
    instances = check_labels(instances, "instances")
    widths = np.broadcast_to(border, instances.ndim)
    if (widths < 0).any() or (2 * widths >= instances.shape).any():
        raise ValueError(
            f"border must be at least 0 and leave a part of the image {instances.shape}. "
            f"Received: border={border}"
        )
    inner = instances[
        tuple(slice(w, size - w) for w, size in zip(widths, instances.shape, strict=True))
    ]
    starts, lengths = runs(instances)
    labels = instances.ravel()[starts]
    kept = np.where(np.isin(labels, distinct(inner)), labels, 0).astype(instances.dtype)
    return np.repeat(kept, lengths).reshape(instances.shape)
