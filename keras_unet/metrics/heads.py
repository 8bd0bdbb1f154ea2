"""A metric of the mean of several heads, the companion of `losses.DeepSupervision`."""

from __future__ import annotations

from typing import Any

import keras

from keras_unet.losses.heads import MadeOfParts, split_heads

Tensor = Any


@keras.saving.register_keras_serializable(package="keras_unet")
class MeanOfHeads(MadeOfParts, keras.metrics.Metric):
    """Applies a metric to the mean of the heads that stand side by side in the channels.

    Args:
        metric: The metric, with its own name.
        heads: Number of heads, at least 1.

    Call arguments:
        y_true: What `metric` takes.
        y_pred: `(B, *spatial, heads * K)`, logits.
        sample_weight: What `metric` takes. Defaults to None.

    Example:
        >>> metric = MeanOfHeads(MeanIoU(num_classes=2), heads=4)
    """

    def __init__(self, metric: keras.metrics.Metric, heads: int) -> None:
        super().__init__(name=metric.name, dtype="float32")
        self.metric = metric
        self.heads = heads
        if hasattr(metric, "_direction"):  # for Keras's callbacks of mode "auto"
            self._direction = metric._direction

    def update_state(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None
    ) -> None:
        """Adds a batch."""
        parts = split_heads(y_pred, self.heads)
        self.metric.update_state(y_true, sum(parts[1:], parts[0]) / self.heads, sample_weight)

    def result(self) -> Tensor:
        """The metric's result."""
        return self.metric.result()

    def reset_state(self) -> None:
        """Forgets everything."""
        self.metric.reset_state()


@keras.saving.register_keras_serializable(package="keras_unet")
class FirstHead(MeanOfHeads):
    """Another metric, of the first of the heads that stand side by side in the channels.

    Args:
        metric: A metric of class numbers, with its own name.
        heads: Number of heads, at least 1.

    Call arguments:
        y_true: `(B, *spatial, heads * K)`, one-hot classes in the first K channels.
        y_pred: `(B, *spatial, heads * K)`, logits.
        sample_weight: What `metric` takes. Defaults to None.

    Example:
        >>> metric = FirstHead(MeanIoU(num_classes=2), heads=3)
    """

    def update_state(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None
    ) -> None:
        """Adds a batch."""
        classes = keras.ops.argmax(split_heads(y_true, self.heads)[0], axis=-1)
        self.metric.update_state(classes, split_heads(y_pred, self.heads)[0], sample_weight)
