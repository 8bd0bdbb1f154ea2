"""One loss for several heads that stand side by side in the channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_unet._arguments import check_positive
from keras_unet.losses.heads import LossOfParts, split_heads

Tensor = Any


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
