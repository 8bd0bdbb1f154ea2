"""Streaming IoU, Dice and pixel accuracy over one confusion matrix, from logits as they come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_unet._arguments import arguments_of
from keras_unet.losses.pixels import labels_and_weights, num_classes_of

Tensor = Any

BLOCK = 4096
"""Counts are kept as `blocks * BLOCK + rest`: float32 alone stops counting at 2**24 pixels."""


def predicted_classes(y_pred: Tensor, from_logits: bool = True) -> Tensor:
    """Class map of logits or probabilities: arg max, for one channel the threshold 0 or 0.5.

    Args:
        y_pred: `(B, *spatial, K)` float.
        from_logits: Matters for K = 1 only. Defaults to True.

    Returns:
        `(B, *spatial)` int32.
    """
    if y_pred.shape[-1] == 1:
        return ops.cast(y_pred[..., 0] > (0.0 if from_logits else 0.5), "int32")
    return ops.cast(ops.argmax(y_pred, axis=-1), "int32")


def confusion_counts(labels: Tensor, predicted: Tensor, weights: Tensor, num_classes: int) -> Any:
    """Weighted confusion matrix of a batch as blocks and rest.

    Sums are taken per image and row of pixels first, then along those two axes with a carry, so
    that whole numbers stay exact and fractions keep their precision.

    Args:
        labels: `(B, *spatial)` int32 in `0..num_classes-1`.
        predicted: The same.
        weights: `(B, *spatial)` float32.
        num_classes: Number of classes K.

    Returns:
        `(2, K, K)` float32, rows are true and columns predicted classes; the matrix is
        `counts[0] * BLOCK + counts[1]`.
    """
    shape = ops.shape(labels)
    lead = shape[: 2 if len(shape) > 2 else 1]
    rows = lead[0] * lead[1] if len(lead) == 2 else lead[0]
    cells = num_classes * num_classes
    first_bins = cells * ops.arange(rows, dtype="int32")
    first_bins = ops.reshape(first_bins, (*lead, *(1,) * (len(shape) - len(lead))))
    bins = first_bins + labels * num_classes + predicted
    sums = ops.segment_sum(ops.reshape(weights, (-1,)), ops.reshape(bins, (-1,)), rows * cells)
    sums = ops.reshape(sums, (*lead, num_classes, num_classes))
    counts = _carry(ops.stack([ops.zeros_like(sums), sums]))
    for _ in lead:
        counts = _carry(ops.sum(counts, axis=-3))
    return counts


def _carry(counts: Tensor) -> Tensor:
    """Moves whole blocks out of the rest."""
    blocks = ops.floor(counts[1] / BLOCK)
    return ops.stack([counts[0] + blocks, counts[1] - blocks * BLOCK])


class ConfusionMetric(keras.metrics.Metric):
    """Base of streaming metrics that are functions of the confusion matrix.

    Whole numbers add up exactly (fractional weights to about 1e-5) over any number of pixels, and
    over replicas under `tf.distribute`. Everything is float32 under every policy. A label that is
    no class (out of range or not whole), unless ignored or of weight zero, makes the result NaN;
    `keras_unet.losses.check_labels` says why.

    Attributes:
        default_name: Name in logs where none is given.
    """

    default_name: str
    _direction = "up"  # tells Keras's callbacks of mode "auto" that more is better

    def __init__(
        self,
        num_classes: int = 2,
        from_logits: bool = True,
        ignore_class: int | None = None,
        weights_in_target: bool = False,
        name: str | None = None,
    ):
        super().__init__(name=name or self.default_name, dtype="float32")
        if num_classes < 2:
            raise ValueError(
                "num_classes must be at least 2 (2 also for one sigmoid channel). "
                f"Received: num_classes={num_classes}"
            )
        self.num_classes = int(num_classes)
        self.from_logits = from_logits
        self.ignore_class = ignore_class
        self.weights_in_target = weights_in_target
        self.counts = self.add_variable(
            shape=(2, self.num_classes, self.num_classes),
            initializer="zeros",
            dtype="float32",
            name="counts",
        )

    def update_state(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None
    ) -> None:
        """Adds a batch; arguments as those of `WeightedCrossentropy`."""
        y_pred = ops.convert_to_tensor(y_pred)
        if num_classes_of(y_pred) != self.num_classes:
            raise ValueError(
                f"num_classes={self.num_classes} needs as many channels in y_pred (or one for two "
                f"classes). Received: y_pred.shape={tuple(y_pred.shape)}"
            )
        labels, weights = labels_and_weights(
            y_true,
            y_pred,
            sample_weight,
            ignore_class=self.ignore_class,
            weights_in_target=self.weights_in_target,
        )
        predicted = predicted_classes(y_pred, self.from_logits)
        batch = confusion_counts(labels, predicted, weights, self.num_classes)
        self.counts.assign(_carry(self.counts + batch))

    def confusion_matrix(self) -> np.ndarray:
        """The weighted pixel counts `(K, K)`, float64, rows true and columns predicted classes."""
        blocks, rest = (ops.convert_to_numpy(self.counts[i]).astype("float64") for i in range(2))
        return blocks * BLOCK + rest

    def per_class(self) -> np.ndarray:
        """The score of every class `(K,)`, float64; NaN where the class is absent."""
        matrix = self.confusion_matrix()
        above, below = self._fractions(np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0))
        absent = below == 0
        scores = np.where(absent, np.nan, above / np.where(absent, 1.0, below))
        return scores + 0 * below.sum()  # NaN for all if one label was no class

    def result(self) -> Tensor:
        """The score as a float32 scalar."""
        matrix = self.counts[0] * BLOCK + self.counts[1]
        return self._reduce(
            *self._fractions(ops.diagonal(matrix), ops.sum(matrix, 1), ops.sum(matrix, 0))
        )

    def _fractions(self, hits: Any, true: Any, predicted: Any) -> tuple[Any, Any]:
        """Numerators and denominators `(K,)` of the classes' scores."""
        raise NotImplementedError

    def _reduce(self, above: Tensor, below: Tensor) -> Tensor:
        """The score over all classes."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return arguments_of(self)


class _MeanOverClasses(ConfusionMetric):
    """Mean over classes, with the rules for classes that are absent or not asked for."""

    def __init__(
        self,
        num_classes: int = 2,
        from_logits: bool = True,
        ignore_class: int | None = None,
        weights_in_target: bool = False,
        target_class_ids: Sequence[int] | None = None,
        empty_score: float | None = None,
        name: str | None = None,
    ):
        super().__init__(num_classes, from_logits, ignore_class, weights_in_target, name)
        ids = None if target_class_ids is None else [int(i) for i in target_class_ids]
        if ids is not None and (not ids or not set(ids) <= set(range(self.num_classes))):
            raise ValueError(
                f"target_class_ids must be some of 0..{self.num_classes - 1}. "
                f"Received: target_class_ids={target_class_ids}"
            )
        self.target_class_ids = ids
        self.empty_score = empty_score

    def _reduce(self, above: Tensor, below: Tensor) -> Tensor:
        absent = below == 0
        scores = above / ops.where(absent, 1.0, below)
        counted = ops.ones_like(scores)
        if self.empty_score is None:
            counted = ops.where(absent, 0.0, counted)
        else:
            scores = ops.where(absent, float(self.empty_score), scores)
        if self.target_class_ids is not None:
            asked = np.isin(np.arange(self.num_classes), self.target_class_ids)
            counted = ops.where(asked, counted, 0.0)
        total = ops.sum(counted)
        # A label that is no class is counted as background: NaN, also where that is not asked for.
        seen = ops.sum(below)
        total = ops.where(ops.isnan(seen), seen, total)
        return ops.sum(ops.where(counted > 0, scores, 0.0)) / ops.where(total == 0, 1.0, total)


@keras.saving.register_keras_serializable(package="keras_unet")
class MeanIoU(_MeanOverClasses):
    """Mean intersection over union, from logits or probabilities.

    For each class `IoU = hits / (true + predicted - hits)`, pixels counted over everything seen
    since the last reset, then the mean over classes. The class is taken by arg max (one channel:
    threshold), which `keras.metrics.MeanIoU` leaves to the user.

    A class that occurs neither in the truth nor in the prediction is left out of the mean, unless
    `empty_score` gives it a score. With nothing to count the result is 0.

    Args:
        num_classes: Number of classes; 2 for one sigmoid channel. Defaults to 2.
        from_logits: Whether `y_pred` are logits; matters for one channel only, where it sets the
            threshold, 0 for logits and 0.5 for probabilities. Defaults to True.
        ignore_class: Label of pixels that do not count. Defaults to None.
        weights_in_target: Whether `y_true` is `(B, *spatial, 2)`, labels and weights stacked.
            Defaults to False.
        target_class_ids: Classes of the mean; `[1]` for the foreground only. Defaults to None,
            all.
        empty_score: Score of a class that is absent from truth and prediction. Defaults to None,
            which leaves it out.
        name: Name in logs. Defaults to "mean_iou".

    Call arguments:
        y_true: `(B, *spatial)` or `(B, *spatial, 1)`, whole numbers of any dtype.
        y_pred: `(B, *spatial, K)`.
        sample_weight: Float weights `(B, *spatial)`, `(B, *spatial, 1)`, `(B,)` or a scalar; Keras
            passes them to `weighted_metrics` only. Defaults to None.

    Raises:
        ValueError: If an argument is out of its range or shapes do not fit.

    Example:
        >>> metric = MeanIoU(num_classes=2)
        >>> metric.update_state(np.array([[[0, 1]]]), np.array([[[[2.0, 1.0], [-3.0, 4.0]]]]))
        >>> float(metric.result()), metric.per_class()
        (1.0, array([1., 1.]))
        >>> loss = keras_unet.losses.WeightedCrossentropy()
        >>> model.compile("adam", loss, metrics=[MeanIoU(num_classes=2)])
    """

    default_name = "mean_iou"

    def _fractions(self, hits: Any, true: Any, predicted: Any) -> tuple[Any, Any]:
        return hits, true + predicted - hits


@keras.saving.register_keras_serializable(package="keras_unet")
class Dice(_MeanOverClasses):
    """Mean Dice coefficient (F1 score of pixels), from logits or probabilities.

    For each class `Dice = 2 hits / (true + predicted)`, pixels counted over everything seen since
    the last reset, then the mean over classes: hard classes, not the soft coefficient of the loss.

    Args:
        num_classes: See `MeanIoU`, as all others.
        from_logits: Defaults to True.
        ignore_class: Defaults to None.
        weights_in_target: Defaults to False.
        target_class_ids: Defaults to None, all.
        empty_score: Defaults to None, which leaves absent classes out of the mean.
        name: Name in logs. Defaults to "dice".

    Raises:
        ValueError: If an argument is out of its range or shapes do not fit.

    Example:
        >>> metric = Dice(num_classes=2, target_class_ids=[1])
        >>> metric.update_state(np.array([[[0, 1, 1]]]), np.array([[[[0, 1], [0, 1], [0, 1]]]]))
        >>> round(float(metric.result()), 3)
        0.8
    """

    default_name = "dice"

    def _fractions(self, hits: Any, true: Any, predicted: Any) -> tuple[Any, Any]:
        return 2 * hits, true + predicted


@keras.saving.register_keras_serializable(package="keras_unet")
class PixelAccuracy(ConfusionMetric):
    """Share of the (weighted) pixels whose class is right, from logits or probabilities.

    `per_class()` gives each class's recall. With nothing to count the result is 0.

    Args:
        num_classes: See `MeanIoU`, as all others.
        from_logits: Defaults to True.
        ignore_class: Defaults to None.
        weights_in_target: Defaults to False.
        name: Name in logs. Defaults to "pixel_accuracy".

    Raises:
        ValueError: If an argument is out of its range or shapes do not fit.

    Example:
        >>> metric = PixelAccuracy(num_classes=2)
        >>> metric.update_state(np.array([[[0, 1]]]), np.array([[[[2.0, 1.0], [5.0, 4.0]]]]))
        >>> float(metric.result())
        0.5
    """

    default_name = "pixel_accuracy"

    def _fractions(self, hits: Any, true: Any, predicted: Any) -> tuple[Any, Any]:
        return hits, true

    def _reduce(self, above: Tensor, below: Tensor) -> Tensor:
        total = ops.sum(below)
        return ops.sum(above) / ops.where(total == 0, 1.0, total)


@keras.saving.register_keras_serializable(package="keras_unet")
class ForegroundIoU(MeanIoU):
    """Mean IoU of background and foreground where channel 0 is the foreground.

    Args:
        from_logits: Whether channel 0 is a logit (threshold 0) or a probability (0.5). Defaults to
            True.
        ignore_class: Label of pixels that do not count. Defaults to -1.
        name: Name in logs. Defaults to "iou".

    Call arguments:
        y_true: `(B, *spatial, C)`, channel 0 is 0, 1 or `ignore_class`.
        y_pred: `(B, *spatial, C)`.
        sample_weight: As in `MeanIoU`.
    """

    def __init__(
        self, from_logits: bool = True, ignore_class: int | None = -1, name: str = "iou"
    ) -> None:
        super().__init__(2, from_logits=from_logits, ignore_class=ignore_class, name=name)

    def update_state(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None
    ) -> None:
        """Adds a batch."""
        super().update_state(y_true[..., :1], y_pred[..., :1], sample_weight)
