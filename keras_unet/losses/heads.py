"""Losses for several heads that stand side by side in the channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_unet._arguments import arguments_of, check_positive

Tensor = Any


def split_heads(y_pred: Tensor, heads: int) -> list[Tensor]:
    """The heads' outputs `(B, *spatial, K)` of their concatenation `(B, *spatial, heads * K)`.

    Raises:
        ValueError: If the number of channels does not divide.
    """
    channels = y_pred.shape[-1]
    if channels % heads:
        raise ValueError(
            f"the channels of y_pred must be a multiple of heads={heads}. "
            f"Received: y_pred.shape={tuple(y_pred.shape)}"
        )
    each = channels // heads
    return [y_pred[..., head * each : (head + 1) * each] for head in range(heads)]


class MadeOfParts:
    """Saves and loads what has losses or metrics among its arguments."""

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {k: keras.saving.serialize_keras_object(v) for k, v in arguments_of(self).items()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Makes the object from `get_config`."""
        return cls(**{k: keras.saving.deserialize_keras_object(v) for k, v in config.items()})


class LossOfParts(MadeOfParts, keras.losses.Loss):
    """Base of losses that are made of losses; a subclass writes `__call__`, with the weights."""

    def __init__(self, name: str) -> None:
        super().__init__(name=name, reduction=None, dtype="float32")

    def call(self, y_true: Tensor, y_pred: Tensor) -> Any:
        """The same without weights."""
        return self(y_true, y_pred)


@keras.saving.register_keras_serializable(package="keras_unet")
class DeepSupervision(LossOfParts):
    """Weighted mean of a loss over the heads of a network, for plain `model.fit`.

    The heads' outputs stand side by side in the channels, as `UNetPlusPlus.training_model()` gives
    them; each one is compared with the same `y_true`, under the same pixel weights.

    Args:
        loss: A loss of this package, or any Keras loss for one head, with its own reduction.
        heads: Number of heads, at least 1.
        weights: A positive number for each head. Defaults to None, all one.
        name: Name of the loss. Defaults to "deep_supervision".

    Call arguments:
        y_true: What `loss` takes.
        y_pred: `(B, *spatial, heads * K)`.
        sample_weight: What `loss` takes. Defaults to None.

    Raises:
        ValueError: If an argument is out of its range or the channels do not divide.

    Example:
        >>> model = keras_unet.models.UNetPlusPlus(filters=4, depth=2, deep_supervision=True)
        >>> loss = DeepSupervision(WeightedCrossentropy(), heads=2)
        >>> model.training_model().compile("adam", loss)

    Reference:
        Lee, Xie, Gallagher, Zhang, Tu. "Deeply-Supervised Nets." AISTATS 2015. arXiv:1409.5185
    """

    def __init__(
        self,
        loss: keras.losses.Loss,
        heads: int,
        weights: Sequence[float] | None = None,
        name: str = "deep_supervision",
    ) -> None:
        super().__init__(name)
        check_positive(heads=heads)
        if weights is not None and (len(weights) != heads or min(weights) <= 0):
            raise ValueError(
                f"weights needs {heads} positive numbers, one per head. Received: weights={weights}"
            )
        self.loss = loss
        self.heads = heads
        self.weights = None if weights is None else [float(weight) for weight in weights]

    def __call__(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None) -> Any:
        """The mean of the heads' losses, a scalar."""
        factors = self.weights or [1.0] * self.heads
        parts = split_heads(ops.convert_to_tensor(y_pred), self.heads)
        losses = [
            factor * self.loss(y_true, part, sample_weight)
            for factor, part in zip(factors, parts, strict=True)
        ]
        return sum(losses[1:], losses[0]) / sum(factors)


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
