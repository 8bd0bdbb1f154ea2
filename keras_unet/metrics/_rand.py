"""Rand and information scores of two segmentations of one slice, from their overlaps."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from keras_unet.metrics._overlap import contingency


@dataclass(frozen=True)
class Confusion:
    """Counts of true and false positives and negatives, of pixels or of pairs of pixels.

    Counts add up with `+`; a precision or recall without any error is 1, also where nothing was
    found.
    """

    tp: int
    fp: int
    fn: int
    tn: int

    def __add__(self, other: Confusion) -> Confusion:
        return Confusion(
            self.tp + other.tp, self.fp + other.fp, self.fn + other.fn, self.tn + other.tn
        )

    @property
    def precision(self) -> float:
        """TP / (TP + FP), 1 where FP = 0. For pairs: low = merged objects."""
        return 1.0 if self.fp == 0 else self.tp / (self.tp + self.fp)

    @property
    def recall(self) -> float:
        """TP / (TP + FN), 1 where FN = 0. For pairs: low = split objects."""
        return 1.0 if self.fn == 0 else self.tp / (self.tp + self.fn)

    @property
    def f_score(self) -> float:
        """Harmonic mean of precision and recall, 0 where both are 0."""
        both = self.precision + self.recall
        return 2.0 * self.precision * self.recall / both if both > 0 else 0.0

    @property
    def accuracy(self) -> float:
        """Share of correct pixels, or of correct pairs (the Rand index)."""
        return (self.tp + self.tn) / (self.tp + self.fp + self.fn + self.tn)


def total(counts: Iterable[Confusion]) -> Confusion:
    """The sum of counts, of slices for example."""
    return sum(counts, start=Confusion(0, 0, 0, 0))


def pixel_confusion(truth: np.ndarray, predicted: np.ndarray) -> Confusion:
    """Counts of pixels of two boolean images."""
    tp = int(np.count_nonzero(truth & predicted))
    fp = int(np.count_nonzero(predicted)) - tp
    fn = int(np.count_nonzero(truth)) - tp
    return Confusion(tp, fp, fn, truth.size - tp - fp - fn)


class Information(NamedTuple):
    """Information scores of one slice.

    Attributes:
        variation: Variation of information in nats, 0 = equal.
        f_score: Mutual information over the mean of both entropies, 1 = equal. NaN where both
            segmentations have several segments but share no information at all.
    """

    variation: float
    f_score: float


class Overlaps(NamedTuple):
    """Sizes in pixels of segments and of their intersections, within the objects of the truth.

    Attributes:
        joint: Sizes of the intersections of truth objects and predicted objects.
        truth: Sizes of the truth objects.
        predicted: Sizes of the predicted objects.
        lone: Number of pixels that the prediction calls background; each is a segment of its own.
        total: Number of pixels of all truth objects.
    """

    joint: np.ndarray
    truth: np.ndarray
    predicted: np.ndarray
    lone: int
    total: int


def foreground_overlaps(truth: np.ndarray, predicted: np.ndarray) -> Overlaps:
    """Overlaps of two label images `(H, W)`, 0 = background, within the objects of the truth."""
    inside = truth > 0
    table = contingency(truth[inside], predicted[inside]).tocoo()
    row, column = table.row, table.col
    sizes = np.bincount(row, table.data).astype(np.int64)
    covered = column > 0
    return Overlaps(
        joint=table.data[covered],
        truth=sizes[sizes > 0],
        predicted=np.bincount(column[covered], table.data[covered]).astype(np.int64),
        lone=int(table.data[~covered].sum()),
        total=int(table.data.sum()),
    )


def foreground_pairs(overlaps: Overlaps) -> Confusion:
    """Foreground-restricted pairs, ordered and with repetition (n squared of them).

    The counts behind `rand_error` and, after border thinning, behind `v_rand`.
    """
    positive = int((overlaps.joint**2).sum()) + overlaps.lone
    of_truth = int((overlaps.truth**2).sum())
    of_predicted = int((overlaps.predicted**2).sum()) + overlaps.lone
    return _confusion(positive, of_truth, of_predicted, overlaps.total**2)


def all_pairs(truth: np.ndarray, predicted: np.ndarray) -> Confusion:
    """Unordered pairs of all pixels of two label images `(H, W)`; background is one more object."""
    table = contingency(truth, predicted)
    return _confusion(
        _pairs(table.data), _pairs(table.sum(axis=1)), _pairs(table.sum(axis=0)), _pairs(truth.size)
    )


def foreground_index_error(overlaps: Overlaps) -> float:
    """One minus the foreground-restricted Rand index: the share of wrong unordered pairs.

    Pairs with a pixel that the prediction calls background count as not joined by it.
    """
    pairs = _pairs(overlaps.total)
    wrong = _pairs(overlaps.truth) + _pairs(overlaps.predicted) - 2 * _pairs(overlaps.joint)
    return wrong / pairs if pairs else 0.0


def _pairs(sizes: np.ndarray | int) -> int:
    sizes = np.asarray(sizes, dtype=np.int64)
    return int((sizes * (sizes - 1) // 2).sum())


def _confusion(positive: int, of_truth: int, of_predicted: int, total: int) -> Confusion:
    return Confusion(
        tp=positive,
        fp=of_predicted - positive,
        fn=of_truth - positive,
        tn=total - of_truth - of_predicted + positive,
    )


def information(overlaps: Overlaps) -> Information:
    """Variation of information and the F-score of information, foreground-restricted.

    A truth or a prediction of a single segment carries no information and scores 0.

    Reference:
        Meilă, "Comparing clusterings: an information based distance", Journal of Multivariate
        Analysis 98, 2007, doi:10.1016/j.jmva.2006.11.013.
    """
    if overlaps.total == 0:
        return Information(0.0, 0.0)
    lone = overlaps.lone / overlaps.total * np.log(overlaps.total)
    of_truth = _sum_p_log_p(overlaps.truth, overlaps.total)
    of_predicted = _sum_p_log_p(overlaps.predicted, overlaps.total) - lone
    of_both = _sum_p_log_p(overlaps.joint, overlaps.total) - lone
    variation = of_truth + of_predicted - 2.0 * of_both
    if of_truth == 0 or of_predicted == 0:
        return Information(variation, 0.0)
    mutual = of_truth + of_predicted - of_both
    precision, recall = mutual / of_truth, mutual / of_predicted
    both = precision + recall
    return Information(variation, 2.0 * precision * recall / both if both else float("nan"))


def _sum_p_log_p(sizes: np.ndarray, total: int) -> float:
    share = sizes[sizes > 0] / total
    return float((share * np.log(share)).sum())
