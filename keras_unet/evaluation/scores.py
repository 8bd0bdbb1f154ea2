"""Scores a segmenter on annotated samples: pixels by a confusion matrix, and instances."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_unet.errors import UsageError

if TYPE_CHECKING:
    from keras_unet.evaluation.object_scores import TwoSteps
    from keras_unet.sample import Sample
    from keras_unet.segmentation import Segmentation

PIXEL_SCORES = (
    "pixel_accuracy",
    "pixel_error",
    "mean_iou",
    "mean_dice",
    "foreground_iou",
    "foreground_dice",
)
"""The numbers that `pixel_scores` gives."""
INSTANCE_SCORES = ("seg", "ap50", "f1", "true_count", "pred_count")
"""The numbers that `instance_scores` gives."""
MONITORS = tuple(
    name
    for name in (*PIXEL_SCORES, *INSTANCE_SCORES)
    if name not in ("pixel_error", "true_count", "pred_count")
)
"""Those that are the better the higher they are: a run keeps the weights with the best one."""

InstanceScores = Callable[[list[np.ndarray], list[np.ndarray]], dict[str, float]]


def confusion_matrix(
    true: np.ndarray,
    pred: np.ndarray,
    num_classes: int,
    annotated: np.ndarray | None = None,
) -> np.ndarray:
    """Counts pixels by true class (rows) and predicted class (columns).

    Args:
        true: Class map, integers 0..K-1.
        pred: Class map of the same shape.
        num_classes: K.
        annotated: Boolean map of the same shape; pixels where it is False are left out. Defaults to
            None, everywhere.

    Returns:
        `(K, K)` int64.

    Raises:
        ValueError: If shapes differ or a class is out of range.
    """
    if true.shape != pred.shape:
        raise ValueError(
            f"true and pred must have one shape. Received: {true.shape} and {pred.shape}"
        )
    if annotated is not None:
        true, pred = true[annotated], pred[annotated]
    for name, labels in (("true", true), ("pred", pred)):
        if labels.size and not 0 <= labels.min() <= labels.max() < num_classes:
            raise ValueError(
                f"{name} must hold classes 0..{num_classes - 1}. Received: values "
                f"{labels.min()}..{labels.max()}"
            )
    codes = true.astype(np.int64).ravel() * num_classes + pred.astype(np.int64).ravel()
    return np.bincount(codes, minlength=num_classes**2).reshape(num_classes, num_classes)


def pixel_scores(matrix: np.ndarray, class_names: Sequence[str]) -> dict[str, Any]:
    """Scores from a confusion matrix.

    A class that occurs neither in the truth nor in the prediction has no score (NaN) and does not
    count in the means. Foreground is every class but 0.

    Args:
        matrix: `(K, K)` counts, rows are the truth.
        class_names: K names.

    Returns:
        `pixel_accuracy`, `pixel_error`, `mean_iou`, `mean_dice`, `foreground_iou`,
        `foreground_dice` (floats) and `iou`, `dice` (class name -> float).
    """
    hits, true, pred = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    iou = _ratio(hits, true + pred - hits)
    dice = _ratio(2 * hits, true + pred)
    total = matrix.sum()
    both = matrix[1:, 1:].sum()
    either = total - matrix[0, 0]
    accuracy = _ratio(hits.sum(), total)
    return {
        "pixel_accuracy": float(accuracy),
        "pixel_error": float(1 - accuracy),
        "mean_iou": _mean(iou),
        "mean_dice": _mean(dice),
        "foreground_iou": float(_ratio(both, either)),
        "foreground_dice": float(_ratio(2 * both, both + either)),
        "iou": dict(zip(class_names, iou.tolist(), strict=True)),
        "dice": dict(zip(class_names, dice.tolist(), strict=True)),
    }


def instance_scores(trues: list[np.ndarray], preds: list[np.ndarray]) -> dict[str, float]:
    """SEG of the Cell Tracking Challenge, and AP and F1 at an IoU of 0.5, over all images.

    Args:
        trues: Instance ids, one map per image.
        preds: Predicted ids of the same shapes.

    Returns:
        `seg`, `ap50` (true positives / (true positives + false positives + misses)), `f1`,
        `true_count`, `pred_count`. A ratio without anything to count is NaN.
    """
    from keras_unet.evaluation.object_scores import BASIC

    return BASIC.of_maps(trues, preds)


def instance_measures(trues: list[np.ndarray], preds: list[np.ndarray]) -> dict[str, float]:
    """`instance_scores` with all other measures of objects.

    Args:
        trues: Instance ids, one map per image.
        preds: Predicted ids of the same shapes.

    Returns:
        Besides `instance_scores`: `precision` and `recall` at an IoU of 0.5; `ap`, the mean over
        the IoUs 0.50, 0.55, ... 0.95; `dsb2018`, the Data Science Bowl's score; `pq` and its
        factors `sq` (mean IoU of the pairs) and `rq` (which is F1); `boundary_iou`; and the counts
        `correct`, `split`, `merged`, `missed`, `spurious` of `SplitMergeCounts`.
    """
    from keras_unet.evaluation.object_scores import COMPLETE

    return COMPLETE.of_maps(trues, preds)


def evaluate_samples(
    predict: Callable[[np.ndarray], Segmentation],
    samples: Iterable[Sample],
    class_names: Sequence[str],
) -> dict[str, Any]:
    """Segments every sample and scores it; see `Segmenter.evaluate`."""
    return score(segmented(predict, samples), class_names)


def segmented(
    predict: Callable[[np.ndarray], Segmentation], samples: Iterable[Sample]
) -> Iterator[tuple[Sample, Segmentation]]:
    """Each sample with what is found in it; errors name the sample."""
    for index, sample in enumerate(samples):
        with _naming(sample, index):
            sample.class_map()  # before the long work: a sample without annotation is an error
            found = predict(sample.image)
        yield sample, found


def score(
    pairs: Iterable[tuple[Sample, Segmentation]],
    class_names: Sequence[str],
    of_instances: InstanceScores = instance_scores,
) -> dict[str, Any]:
    """Scores what was found in annotated samples.

    Args:
        pairs: Samples, each with its result.
        class_names: Names of the classes.
        of_instances: Function of the true and the predicted ids of several images that gives the
            scores of objects. Defaults to `instance_scores`.

    Returns:
        As `Segmenter.evaluate`, with the names that `of_instances` gives.

    Raises:
        ValueError: If there is no sample, or one does not fit; the message names it.
    """
    total = np.zeros((len(class_names),) * 2, np.int64)
    compare, summary = _two_steps(of_instances)
    compared: list[Any] = []
    rows = []
    for index, (sample, result) in enumerate(pairs):
        with _naming(sample, index):
            matrix = confusion_matrix(
                sample.class_map(), result.classes, len(class_names), sample.annotated
            )
        total += matrix
        row = {"name": sample.name or str(index), **pixel_scores(matrix, class_names)}
        if sample.instances is not None:
            found = result.instances
            if sample.annotated is not None:
                found = np.where(sample.annotated, found, 0)
            compared.append(compare(sample.instances, found))
            row |= summary(compared[-1:])
        rows.append(row)
    if not rows:
        raise ValueError("samples must not be empty. Received: no sample")
    result_of_all = pixel_scores(total, class_names)
    if compared:
        result_of_all |= summary(compared)
    return {**result_of_all, "confusion_matrix": total.tolist(), "samples": rows}


def _two_steps(of_instances: InstanceScores) -> TwoSteps:
    """What to keep of an image, and the scores of images of which that was kept."""
    from keras_unet.evaluation.object_scores import BASIC, COMPLETE, TwoSteps

    known: dict[InstanceScores, TwoSteps] = {instance_scores: BASIC, instance_measures: COMPLETE}
    # a function that is not ours needs the maps themselves
    keep = TwoSteps(
        lambda true, pred: (true, pred),
        lambda maps: of_instances([true for true, _ in maps], [pred for _, pred in maps]),
    )
    return known.get(of_instances, keep)


@contextlib.contextmanager
def _naming(sample: Sample, index: int) -> Iterator[None]:
    """Puts the sample's name before the message of an error."""
    try:
        yield
    except UsageError as error:
        raise error.about(f"sample {sample.name or str(index)!r}") from error
    except ValueError as error:
        raise ValueError(f"sample {sample.name or str(index)!r}: {error}") from error


def _ratio(numerator: Any, denominator: Any) -> np.ndarray:
    """Quotient, NaN where the denominator is zero."""
    numerator, denominator = np.asarray(numerator, float), np.asarray(denominator, float)
    missing = denominator == 0
    return np.where(missing, np.nan, numerator / np.where(missing, 1.0, denominator))


def _mean(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")
