"""Errors in the words of someone who corrects them by hand: split, merged, missed, spurious."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from keras_unet.metrics._overlap import LabelImages, Overlap, overlaps


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
    return split_merge_of(overlaps(true, pred))


def split_merge_of(tables: Iterable[Overlap]) -> SplitMergeCounts:
    """`split_merge_counts`, from overlaps at hand."""
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
