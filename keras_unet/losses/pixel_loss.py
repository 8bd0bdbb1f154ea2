"""What the losses of this package have in common: their arguments, float32 and configuration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_unet.losses.pixels import check_class_weights

Tensor = Any


class PixelLoss(keras.losses.Loss):
    """Base of losses that see the weight of every pixel before they reduce.

    Keras's own base class multiplies by the weights after `call` and normalises per replica; here
    `call` gets the weights, so that it can normalise by them over the global batch. Everything is
    computed in float32 under every mixed-precision policy.

    Args:
        from_logits: Whether `y_pred` are logits. Defaults to True.
        class_weights: One factor per class. Defaults to None.
        ignore_class: Label of pixels that get weight zero. Defaults to None.
        weights_in_target: Whether `y_true` carries the weights as a second channel.
        name: Name of the loss.
    """

    def __init__(
        self,
        from_logits: bool = True,
        class_weights: Sequence[float] | None = None,
        ignore_class: int | None = None,
        weights_in_target: bool = False,
        name: str | None = None,
    ):
        super().__init__(name=name, reduction=None, dtype="float32")
        self.from_logits = from_logits
        self.class_weights = check_class_weights(class_weights)
        self.ignore_class = ignore_class
        self.weights_in_target = weights_in_target

    def __call__(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None) -> Any:
        """Loss of `y_pred` `(B, *spatial, K)`; see `call`."""
        return self.call(y_true, ops.convert_to_tensor(y_pred, dtype="float32"), sample_weight)

    def call(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None) -> Any:
        """The loss of float32 predictions, to be written by subclasses."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            "from_logits": self.from_logits,
            "class_weights": self.class_weights,
            "ignore_class": self.ignore_class,
            "weights_in_target": self.weights_in_target,
            "name": self.name,
        }
