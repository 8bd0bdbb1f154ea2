"""Streaming metric of SeedTarget's foreground channel."""

from __future__ import annotations

from typing import Any

import keras

from keras_unet.metrics.segmentation import MeanIoU

Tensor = Any


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
