"""What do all measures of objects cost, beside one table, and beside the prediction they judge?

Scores one image of 2048 x 2048 pixels with 1,000, 5,000 and 20,000 cells, as `evaluate` does: its
row and the total, with every measure of `instance_measures`. Beside it

* former: the way it was done before. Every measure made tables of its own, of sorted pixels, row
  and total too, and every pair of objects went through an assignment;
* one table: the overlap of two label images by two `np.unique(..., return_inverse=True)` and a
  sparse matrix. It is the yardstick that does not change with this package;
* prediction: the same number of pixels through the preset `nuclei`, float32, one view a tile.

Scores must equal the former ones, and tables the one table, to the last bit. CPU time of one
thread; former and prediction run once, the others in turn, the best of several runs after one that
is not counted. Ends with 1 if a result differs or a target is missed.

    python benchmarks/evaluate.py [--no-prediction]
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import os
import sys
import time
from collections.abc import Callable

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy import ndimage, optimize, sparse
from scipy.sparse import csgraph

from keras_unet import Sample, Segmentation
from keras_unet.evaluation import instance_measures, score
from keras_unet.metrics._matching import Matching, aggregate
from keras_unet.metrics._overlap import Overlap, overlap
from keras_unet.metrics._split_merge import split_merge_of

SIZE = 2048
REPEATS = 5
CUTS = tuple(percent / 100 for percent in range(50, 100, 5))
FASTER, SHARE = 10, 0.9
"""Aims: times faster than the former way, and the share of one table."""


def one_table(true: np.ndarray, pred: np.ndarray) -> Overlap:
    true_ids, true_index = np.unique(true, return_inverse=True)
    pred_ids, pred_index = np.unique(pred, return_inverse=True)
    ones, shape = np.ones(true.size, np.int64), (len(true_ids), len(pred_ids))
    pixels = (true_index.ravel(), pred_index.ravel())
    table = sparse.coo_array((ones, pixels), shape=shape).tocsr()
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


def former_match(pairs: Overlap, threshold: float, strict: bool = False) -> Matching:
    scores = pairs.iou
    rounded, cut = scores.astype(np.float32), np.float32(threshold)
    good = rounded > cut if strict else rounded >= cut
    n_true, n_pred = len(pairs.true_ids), len(pairs.pred_ids)
    gain = good + scores / (2 * min(n_true, n_pred))
    nodes = (n_true + n_pred,) * 2
    edges = sparse.coo_array((np.ones(len(scores)), (pairs.rows, pairs.columns + n_true)), nodes)
    group = csgraph.connected_components(edges, directed=False)[1][pairs.rows]
    order = np.argsort(group, kind="stable")
    bounds = np.flatnonzero(np.diff(group[order])) + 1
    parts = [former_group(pairs, gain, members) for members in np.split(order, bounds)]
    chosen = np.concatenate(parts)
    chosen = chosen[good[chosen]]
    chosen = chosen[np.argsort(pairs.rows[chosen], kind="stable")]
    ids = pairs.true_ids[pairs.rows[chosen]], pairs.pred_ids[pairs.columns[chosen]]
    return Matching(
        tp=len(chosen),
        fp=n_pred - len(chosen),
        fn=n_true - len(chosen),
        pairs=tuple(zip(*(side.tolist() for side in ids), strict=True)),
        scores=tuple(scores[chosen].tolist()),
    )


def former_group(pairs: Overlap, gain: np.ndarray, members: np.ndarray) -> np.ndarray:
    if len(members) == 1:
        return members
    rows, row = np.unique(pairs.rows[members], return_inverse=True)
    columns, column = np.unique(pairs.columns[members], return_inverse=True)
    gains = np.zeros((len(rows), len(columns)))
    which = np.full(gains.shape, -1)
    gains[row, column], which[row, column] = gain[members], members
    chosen = which[optimize.linear_sum_assignment(gains, maximize=True)]
    return chosen[chosen >= 0]


def former_rims(instances: np.ndarray) -> np.ndarray:
    lowest = ndimage.minimum_filter(instances, 5, mode="constant", cval=0)
    highest = ndimage.maximum_filter(instances, 5, mode="constant", cval=0)
    return np.where(lowest == highest, 0, instances)


def former_boundary(true: np.ndarray, pred: np.ndarray) -> float:
    pairs, rims = one_table(true, pred), one_table(former_rims(true), former_rims(pred))
    ids = zip(rims.true_ids[rims.rows], rims.pred_ids[rims.columns], strict=True)
    scores = dict(zip(ids, rims.iou, strict=True))
    found = 0.0
    for k in pairs.covering():
        both = pairs.true_ids[pairs.rows[k]], pairs.pred_ids[pairs.columns[k]]
        found += float(scores.get(both, 0.0))
    return found / len(pairs.true_ids)


def former_seg(true: np.ndarray, pred: np.ndarray) -> float:
    pairs = one_table(true, pred)
    return float(pairs.iou[pairs.covering()].sum()) / len(pairs.true_ids)


def former_measures(true: np.ndarray, pred: np.ndarray) -> dict[str, float]:
    """Seven tables; an image and a prediction without objects are not in this benchmark."""
    at_half = former_match(one_table(true, pred), 0.5)
    seg = former_seg(true, pred)
    table = one_table(true, pred)
    scores = aggregate([former_match(table, 0.5)])
    former_seg(true, pred)
    counts = dataclasses.asdict(split_merge_of([table]))
    strictly = [former_match(table, cut, strict=True).accuracy for cut in CUTS]
    boundary, again = former_boundary(true, pred), one_table(true, pred)
    ap = [aggregate([former_match(again, cut)])["accuracy"] for cut in CUTS]
    return {
        "seg": seg,
        "ap50": at_half.accuracy,
        "f1": at_half.f1,
        "true_count": counts.pop("objects"),
        "pred_count": counts.pop("predicted"),
        "precision": scores["precision"],
        "recall": scores["recall"],
        "ap": float(np.mean(ap)),
        "dsb2018": float(np.mean(strictly)),
        "pq": scores["panoptic_quality"],
        "sq": scores["mean_matched_score"],
        "rq": at_half.f1,
        "boundary_iou": boundary,
        **counts,
    }


def cells(count: int, seed: int) -> np.ndarray:
    """Round cells of different sizes, a little out of a grid, some of them touching."""
    rng = np.random.default_rng(seed)
    side = math.isqrt(count)
    step = SIZE / side
    down, across = np.mgrid[: math.ceil(step) + 1, : math.ceil(step) + 1]
    image = np.zeros((SIZE, SIZE), np.int32)
    for number in range(side * side):
        row, column = (int(step * part) for part in divmod(number, side))
        middle = step * rng.normal(0.5, 0.05, 2)
        radius = step * rng.uniform(0.33, 0.5)
        disk = (down - middle[0]) ** 2 + (across - middle[1]) ** 2 < radius**2
        window = image[row : row + len(disk), column : column + len(disk)]
        window[disk[: window.shape[0], : window.shape[1]]] = number + 1
    return image


def cpu(function: Callable) -> tuple[object, float]:
    """Result and CPU seconds of one call."""
    start = time.process_time()
    result = function()
    return result, time.process_time() - start


def best(*functions: Callable) -> tuple[list, list[float]]:
    """Results, and the least CPU seconds of one call of each, called in turn."""
    results = [function() for function in functions]
    times = np.full(len(functions), np.inf)
    for _ in range(REPEATS):
        for index, function in enumerate(functions):
            times[index] = min(times[index], cpu(function)[1])
    return results, times.tolist()


def predicted() -> float:
    """CPU seconds of a prediction, after one that is not counted."""
    from keras_unet import Segmenter

    segmenter = Segmenter.from_preset("nuclei").replace(tta=None)
    image = np.random.default_rng(0).integers(0, 200, (SIZE, SIZE, 1)).astype(np.uint8)
    segmenter.predict(image)
    return cpu(lambda: segmenter.predict(image))[1]


def same(ours: Overlap, table: Overlap) -> bool:
    names = [field.name for field in dataclasses.fields(Overlap)]
    return all(np.array_equal(getattr(ours, name), getattr(table, name)) for name in names)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--no-prediction", action="store_true", help="leave the network away")
    prediction = math.nan if parser.parse_args().no_prediction else predicted()
    report = Table(title=f"{SIZE} x {SIZE} pixels, CPU s; prediction: {prediction:.2f}")
    for heading in ("cells", "former", "one table", "ours", "former / ours", "ours / one table",
                    "ours / prediction", "equal"):  # fmt: skip
        report.add_column(heading, justify="right")
    good = True
    for count in (1000, 5000, 20000):
        true, pred = cells(count, 0), np.roll(cells(count, 1), 1, axis=0)
        sample = Sample(np.zeros((SIZE, SIZE, 1), np.uint8), instances=true)
        maps = np.zeros((SIZE, SIZE, 2), np.float32)
        pair = (sample, Segmentation(maps, (pred > 0).astype(np.int32), pred))
        results, (table, ours) = best(
            lambda t=true, p=pred: one_table(t, p),
            lambda p=pair: score([p], ("background", "cell"), instance_measures),
        )
        expected, former = cpu(lambda t=true, p=pred: former_measures(t, p))
        former += cpu(lambda t=true, p=pred: former_measures(t, p))[1]  # row and total
        row = results[1]["samples"][0]
        equal = same(overlap(true, pred), results[0]) and all(
            expected[name] == results[1][name] == row[name] for name in expected
        )
        ratios = (former / ours, ours / table, ours / prediction)
        good &= equal and ratios[0] >= FASTER and ratios[1] <= SHARE and not ratios[2] >= 1
        report.add_row(str(int(true.max())), *(f"{value:.2f}" for value in (former, table, ours)),
                       *(f"{value:.2f}" for value in ratios), "yes" if equal else "NO")  # fmt: skip
    aims = f"Aims: former / ours >= {FASTER}, ours / one table <= {SHARE}, ours / prediction < 1"
    Console(width=110).print(report, aims)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
