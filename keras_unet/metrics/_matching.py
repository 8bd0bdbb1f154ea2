"""One-to-one matching of true and predicted objects, and the scores that follow from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, sparse
from scipy.sparse import csgraph

from keras_unet._arguments import check_one_of
from keras_unet.metrics._overlap import Overlap, check_pair, overlap

CRITERIA = {"iou": "iou", "iot": "of_true", "iop": "of_pred"}


@dataclass(frozen=True)
class Matching:
    """Which true object was found as which predicted object.

    All ratios are 0 where nothing was found, also where there was nothing to find.

    Attributes:
        tp: Number of pairs.
        fp: Number of predicted objects without a true one.
        fn: Number of true objects without a predicted one.
        pairs: `(true id, predicted id)` of each pair, ascending.
        scores: Overlap score of each pair, in (0, 1].
    """

    tp: int
    fp: int
    fn: int
    pairs: tuple[tuple[int, int], ...]
    scores: tuple[float, ...]

    @property
    def n_true(self) -> int:
        """Number of true objects."""
        return self.tp + self.fn

    @property
    def n_pred(self) -> int:
        """Number of predicted objects."""
        return self.tp + self.fp

    @property
    def precision(self) -> float:
        """TP / (TP + FP)."""
        return _ratio(self.tp, self.n_pred)

    @property
    def recall(self) -> float:
        """TP / (TP + FN)."""
        return _ratio(self.tp, self.n_true)

    @property
    def f1(self) -> float:
        """2 TP / (2 TP + FP + FN)."""
        return _ratio(2 * self.tp, self.n_true + self.n_pred)

    @property
    def accuracy(self) -> float:
        """TP / (TP + FP + FN), which the field also calls average precision (AP)."""
        return _ratio(self.tp, self.tp + self.fp + self.fn)

    @property
    def mean_matched_score(self) -> float:
        """Mean score of the pairs: how well what was found is outlined."""
        return _ratio(sum(self.scores), self.tp)

    @property
    def mean_true_score(self) -> float:
        """Sum of scores over the number of true objects; an object not found counts as 0."""
        return _ratio(sum(self.scores), self.n_true)

    @property
    def panoptic_quality(self) -> float:
        """Sum of scores / (TP + FP / 2 + FN / 2)."""
        return _ratio(2 * sum(self.scores), self.n_true + self.n_pred)


RATIOS = (
    "precision",
    "recall",
    "f1",
    "accuracy",
    "mean_matched_score",
    "mean_true_score",
    "panoptic_quality",
)


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0


def match(
    true: np.ndarray,
    pred: np.ndarray,
    threshold: float = 0.5,
    *,
    strict: bool = False,
    criterion: str = "iou",
) -> Matching:
    """Matches the objects of two label images one to one.

    As many pairs as possible reach the threshold; among such assignments the one with the largest
    sum of scores is taken. Above 0.5 of the intersection over union no object has a choice.
    Scores and threshold are compared in float32, so that a score of 3/5 reaches 0.6 however the
    threshold was computed.

    Args:
        true: Integer ids `(*spatial)`, 0 = background, any rank.
        pred: Integer ids of the same shape.
        threshold: Score that a pair must reach, in (0, 1]. Defaults to 0.5.
        strict: Whether the score must exceed the threshold. Defaults to False.
        criterion: The score: "iou" is intersection over union, "iot" intersection over the true
            area, "iop" intersection over the predicted area. Defaults to "iou".

    Returns:
        A `Matching`.

    Raises:
        ValueError: If shapes differ, an image is not of integers, an id is negative, the threshold
            is not in (0, 1], or the criterion is unknown.

    Example:
        >>> true = np.array([[1, 1, 0, 2, 2, 2]])
        >>> pred = np.array([[5, 5, 0, 0, 0, 7]])
        >>> match(true, pred)
        Matching(tp=1, fp=1, fn=1, pairs=((1, 5),), scores=(1.0,))
    """
    check_threshold(threshold)
    check_one_of("criterion", criterion, tuple(CRITERIA))
    return match_overlap(overlap(*check_pair(true, pred)), threshold, strict, criterion)


def check_threshold(threshold: float) -> None:
    """Checks that a threshold lies in (0, 1]."""
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold must lie in (0, 1]. Received: threshold={threshold}")


def match_overlap(
    pairs: Overlap,
    threshold: float,
    strict: bool = False,
    criterion: str = "iou",
    listed: bool = True,
) -> Matching:
    """`match`, from overlaps at hand; without `listed` only the numbers, no pairs and scores."""
    scores = getattr(pairs, CRITERIA[criterion])
    rounded, cut = scores.astype(np.float32), np.float32(threshold)
    chosen = _one_to_one(pairs, scores, rounded > cut if strict else rounded >= cut)
    listing = chosen if listed else chosen[:0]
    true_ids = pairs.true_ids[pairs.rows[listing]]
    pred_ids = pairs.pred_ids[pairs.columns[listing]]
    return Matching(
        tp=len(chosen),
        fp=len(pairs.pred_ids) - len(chosen),
        fn=len(pairs.true_ids) - len(chosen),
        pairs=tuple(zip(true_ids.tolist(), pred_ids.tolist(), strict=True)),
        scores=tuple(scores[listing].tolist()),
    )


def _one_to_one(pairs: Overlap, scores: np.ndarray, good: np.ndarray) -> np.ndarray:
    """Indices of the good pairs in the best one-to-one assignment, in order of true objects.

    Where no object has two good partners, the good pairs are the assignment. Else objects that hang
    together through overlaps, of any score, are assigned together.
    """
    candidates = np.flatnonzero(good)
    rows, columns = pairs.rows[candidates], pairs.columns[candidates]
    contested = (np.bincount(rows)[rows] > 1) | (np.bincount(columns)[columns] > 1)
    if not contested.any():
        return candidates
    n_true, n_pred = len(pairs.true_ids), len(pairs.pred_ids)
    edges = sparse.coo_array(
        (np.ones(len(scores)), (pairs.rows, pairs.columns + n_true)),
        shape=(n_true + n_pred, n_true + n_pred),
    )
    count, groups = csgraph.connected_components(edges, directed=False)
    group = groups[pairs.rows]
    disputed = np.zeros(count, bool)
    disputed[group[candidates[contested]]] = True
    members = np.flatnonzero(disputed[group])
    members = members[np.argsort(group[members], kind="stable")]
    bounds = np.flatnonzero(np.diff(group[members])) + 1
    # All scores together weigh at most half of one good pair.
    gain = good + scores / (2 * min(n_true, n_pred))
    assigned = [_assign_group(pairs, gain, some) for some in np.split(members, bounds)]
    chosen = np.concatenate([candidates[~disputed[group[candidates]]], *assigned])
    chosen = chosen[good[chosen]]
    return chosen[np.argsort(pairs.rows[chosen], kind="stable")]


def _assign_group(pairs: Overlap, gain: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Indices of the pairs in the best assignment of one group."""
    rows, row = np.unique(pairs.rows[members], return_inverse=True)
    columns, column = np.unique(pairs.columns[members], return_inverse=True)
    gains = np.zeros((len(rows), len(columns)))
    which = np.full(gains.shape, -1)
    gains[row, column], which[row, column] = gain[members], members
    chosen = which[optimize.linear_sum_assignment(gains, maximize=True)]
    return chosen[chosen >= 0]


def aggregate(matchings: Sequence[Matching], by_image: bool = False) -> dict[str, float]:
    """Scores of a data set from the matchings of its images.

    Args:
        matchings: One `Matching` an image.
        by_image: False sums the counts of all images before any ratio, so that each object weighs
            the same; True takes the mean of the images' ratios. Defaults to False.

    Returns:
        `n_true, n_pred, tp, fp, fn` (sums) and the ratios of `Matching` by name.

    Raises:
        ValueError: If there is no matching.
    """
    if not matchings:
        raise ValueError("aggregate needs at least one matching. Received: none")
    pooled = Matching(
        tp=sum(m.tp for m in matchings),
        fp=sum(m.fp for m in matchings),
        fn=sum(m.fn for m in matchings),
        pairs=(),
        scores=tuple(score for m in matchings for score in m.scores),
    )
    counts = {name: getattr(pooled, name) for name in ("n_true", "n_pred", "tp", "fp", "fn")}
    members = matchings if by_image else [pooled]
    return counts | {name: sum(getattr(m, name) for m in members) / len(members) for name in RATIOS}
