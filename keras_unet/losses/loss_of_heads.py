"""A loss of its own for each of several heads that stand side by side in the channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_unet.losses.heads import LossOfParts, split_heads

Tensor = Any


@keras.saving.register_keras_serializable(package="keras_unet")
class LossOfHeads(LossOfParts):
    """Mean of several losses, each of one head, for plain `model.fit`.

    The heads' outputs, and what they are to learn, stand side by side in the channels, all of the
    same number: `ResUNetA(multitask=True).training_model()` and `targets.MultitaskTarget`.

    Args:
        losses: A loss for each head.
        name: Name of the loss. Defaults to "loss_of_heads".

    Call arguments:
        y_true: `(B, *spatial, heads * K)`.
        y_pred: `(B, *spatial, heads * K)`.
        sample_weight: What the losses take. Defaults to None.

    Raises:
        ValueError: If there is no loss, or the channels do not divide.

    Example:
        >>> loss = LossOfHeads([TanimotoMaps(None), TanimotoMaps(None)])
        >>> maps = np.array([[[[1.0, 0.0], [0.0, 1.0]]]])
        >>> float(loss(maps, maps)), float(loss(maps, 1 - maps))
        (0.0, 1.0)
    """

    def __init__(self, losses: Sequence[keras.losses.Loss], name: str = "loss_of_heads") -> None:
        super().__init__(name)
        if not losses:
            raise ValueError(f"losses must hold a loss for each head. Received: losses={losses}")
        self.losses = list(losses)

    def __call__(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None) -> Any:
        """The mean of the heads' losses, a scalar."""
        trues = split_heads(ops.convert_to_tensor(y_true), len(self.losses))
        preds = split_heads(ops.convert_to_tensor(y_pred), len(self.losses))
        parts = [
            loss(true, pred, sample_weight)
            for loss, true, pred in zip(self.losses, trues, preds, strict=True)
        ]
        return sum(parts[1:], parts[0]) / len(parts)
