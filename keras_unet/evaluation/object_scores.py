"""Scores of objects in two steps: an image is compared once, then scored alone and with others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from keras_unet.metrics.compared import (
    DSB2018_THRESHOLDS,
    RIM,
    Compared,
    average_precision_of,
    compare,
    counted,
    measures_of,
    seg_of,
)


class TwoSteps(NamedTuple):
    """How objects are scored.

    Attributes:
        compare: Gives what the scores need to know of a true and a predicted instance map.
        summary: Gives the scores of images that were compared.
    """

    compare: Callable[[np.ndarray, np.ndarray], Any]
    summary: Callable[[Sequence[Any]], dict[str, float]]

    def of_maps(self, trues: Sequence[np.ndarray], preds: Sequence[np.ndarray]) -> dict[str, float]:
        """Both steps."""
        return self.summary([self.compare(*maps) for maps in zip(trues, preds, strict=True)])


def _basic(images: Sequence[Compared]) -> dict[str, float]:
    tables = [image.pairs for image in images]
    matches = counted(tables)
    tp, fp, fn = (sum(getattr(one, part) for one in matches) for part in ("tp", "fp", "fn"))
    return {
        "seg": _where(tp + fn, seg_of(tables)),
        "ap50": _share(tp, tp + fp + fn),
        "f1": _share(2 * tp, 2 * tp + fp + fn),
        "true_count": tp + fn,
        "pred_count": tp + fp,
    }


def _complete(images: Sequence[Compared]) -> dict[str, float]:
    basic, measures = _basic(images), measures_of(images)
    true, pred, pairs = (measures[name] for name in ("n_true", "n_pred", "tp"))
    ap = average_precision_of([image.pairs for image in images], DSB2018_THRESHOLDS)
    counts = ("correct", "split", "merged", "missed", "spurious")
    return {
        **basic,
        "precision": _where(pred, measures["precision"]),
        "recall": _where(true, measures["recall"]),
        "ap": _where(true + pred, np.mean(ap)),
        "dsb2018": float(measures["dsb2018"]),
        "pq": _where(true + pred, measures["panoptic_quality"]),
        "sq": _where(pairs, measures["mean_matched_score"]),
        "rq": basic["f1"],
        "boundary_iou": _where(true, measures["boundary_iou"]),
        **{name: measures[name] for name in counts},
    }


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


def _where(count: float, value: Any) -> float:
    """The value of a ratio, NaN where there was nothing to count."""
    return float(value) if count else float("nan")


BASIC = TwoSteps(compare, _basic)
"""The steps of `instance_scores`."""

COMPLETE = TwoSteps(partial(compare, rim=RIM), _complete)
"""The steps of `instance_measures`."""
