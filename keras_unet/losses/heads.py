"""Several heads that stand side by side in the channels, and what is made of a part for each."""

from __future__ import annotations

from typing import Any

import keras

from keras_unet._arguments import arguments_of

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
