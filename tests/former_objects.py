"""The measures of objects as they were computed at first, plainly: the oracle of today's."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import ndimage, optimize, sparse
from scipy.sparse import csgraph

from keras_unet.metrics._matching import CRITERIA, Matching, aggregate
from keras_unet.metrics._overlap import Overlap


def contingency(true: np.ndarray, pred: np.ndarray) -> sparse.csr_array:
    ones = np.ones(true.size, dtype=np.int64)
    shape = (int(true.max(initial=0)) + 1, int(pred.max(initial=0)) + 1)
    return sparse.coo_array((ones, (true.ravel(), pred.ravel())), shape=shape).tocsr()


def overlap(true: np.ndarray, pred: np.ndarray) -> Overlap:
    """Every pixel is sorted, in both images."""
    true_ids, true_index = np.unique(true, return_inverse=True)
    pred_ids, pred_index = np.unique(pred, return_inverse=True)
    table = contingency(true_index, pred_index)
    keep_true, keep_pred = np.flatnonzero(true_ids), np.flatnonzero(pred_ids)
    shared = table[keep_true][:, keep_pred].tocoo()
    return Overlap(
        true_ids=true_ids[keep_true],
        pred_ids=pred_ids[keep_pred],
        true_areas=np.asarray(table.sum(axis=1))[keep_true],
        pred_areas=np.asarray(table.sum(axis=0))[keep_pred],
        rows=shared.row,
        columns=shared.col,
        shared=shared.data,
    )


def match(
    pairs: Overlap, threshold: float, strict: bool = False, criterion: str = "iou"
) -> Matching:
    """Every pair goes through the assignment."""
    scores = getattr(pairs, CRITERIA[criterion])
    rounded, cut = scores.astype(np.float32), np.float32(threshold)
    good = rounded > cut if strict else rounded >= cut
    chosen = _assign(pairs, scores, good)
    chosen = chosen[good[chosen]]
    chosen = chosen[np.argsort(pairs.rows[chosen], kind="stable")]
    true_ids, pred_ids = pairs.true_ids[pairs.rows[chosen]], pairs.pred_ids[pairs.columns[chosen]]
    return Matching(
        tp=len(chosen),
        fp=len(pairs.pred_ids) - len(chosen),
        fn=len(pairs.true_ids) - len(chosen),
        pairs=tuple(zip(true_ids.tolist(), pred_ids.tolist(), strict=True)),
        scores=tuple(scores[chosen].tolist()),
    )


def _assign(pairs: Overlap, scores: np.ndarray, good: np.ndarray) -> np.ndarray:
    n_true, n_pred = len(pairs.true_ids), len(pairs.pred_ids)
    if not len(scores):
        return np.zeros(0, dtype=np.int64)
    gain = good + scores / (2 * min(n_true, n_pred))
    edges = sparse.coo_array(
        (np.ones(len(scores)), (pairs.rows, pairs.columns + n_true)),
        shape=(n_true + n_pred, n_true + n_pred),
    )
    group = csgraph.connected_components(edges, directed=False)[1][pairs.rows]
    order = np.argsort(group, kind="stable")
    bounds = np.flatnonzero(np.diff(group[order])) + 1
    chosen = [_assign_group(pairs, gain, members) for members in np.split(order, bounds)]
    return np.concatenate(chosen)


def _assign_group(pairs: Overlap, gain: np.ndarray, members: np.ndarray) -> np.ndarray:
    if len(members) == 1:
        return members
    rows, row = np.unique(pairs.rows[members], return_inverse=True)
    columns, column = np.unique(pairs.columns[members], return_inverse=True)
    gains = np.zeros((len(rows), len(columns)))
    which = np.full(gains.shape, -1)
    gains[row, column], which[row, column] = gain[members], members
    chosen = which[optimize.linear_sum_assignment(gains, maximize=True)]
    return chosen[chosen >= 0]


def rims(instances: np.ndarray, distance: int) -> np.ndarray:
    """Filters of the whole window."""
    size = 2 * distance + 1
    lowest = ndimage.minimum_filter(instances, size, mode="constant", cval=0)
    highest = ndimage.maximum_filter(instances, size, mode="constant", cval=0)
    return np.where(lowest == highest, 0, instances)


def boundary_iou(true: list[np.ndarray], pred: list[np.ndarray], distance: int = 2) -> float:
    found, objects = 0.0, 0
    for images in zip(true, pred, strict=True):
        pairs = overlap(*images)
        outer = overlap(*(rims(image, distance) for image in images))
        ids = zip(outer.true_ids[outer.rows], outer.pred_ids[outer.columns], strict=True)
        scores = dict(zip(ids, outer.iou, strict=True))
        for k in pairs.covering():
            both = pairs.true_ids[pairs.rows[k]], pairs.pred_ids[pairs.columns[k]]
            found += float(scores.get(both, 0.0))
        objects += len(pairs.true_ids)
    return found / objects if objects else 0.0


def tables(true: list[np.ndarray], pred: list[np.ndarray]) -> Iterator[Overlap]:
    return (overlap(*images) for images in zip(true, pred, strict=True))


def seg(true: list[np.ndarray], pred: list[np.ndarray]) -> float:
    found, references = 0.0, 0
    for pairs in tables(true, pred):
        found += float(pairs.iou[pairs.covering()].sum())
        references += len(pairs.true_ids)
    return found / references if references else 0.0


def average_precision(
    true: list[np.ndarray], pred: list[np.ndarray], cuts: tuple[float, ...], by_image: bool
) -> np.ndarray:
    found = list(tables(true, pred))
    return np.array([aggregate([match(t, c) for t in found], by_image)["accuracy"] for c in cuts])


def dsb2018(true: list[np.ndarray], pred: list[np.ndarray], cuts: tuple[float, ...]) -> float:
    found = tables(true, pred)
    return float(np.mean([[match(t, cut, strict=True).accuracy for cut in cuts] for t in found]))


def field_of_interest(instances: np.ndarray, border: int) -> np.ndarray:
    inner = instances[tuple(slice(border, size - border) for size in instances.shape)]
    return np.where(np.isin(instances, np.unique(inner)), instances, 0).astype(instances.dtype)
