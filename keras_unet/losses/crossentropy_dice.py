"""Cross-entropy plus soft Dice, the usual answer to rare classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from keras_unet._arguments import check_not_negative
from keras_unet.losses.pixels import PixelLoss, check_class_weights
from keras_unet.losses.soft_dice import SoftDice
from keras_unet.losses.weighted_crossentropy import WeightedCrossentropy

Tensor = Any


@keras.saving.register_keras_serializable(package="keras_unet")
class CrossentropyDice(PixelLoss):
    """`WeightedCrossentropy` (mean per weight) `+ dice_weight * SoftDice`.

    The cross-entropy gives every pixel a gradient from the first step on; Dice does not care how
    rare a class is. Both see the same pixel weights. For other options add the two losses in a
    loss of your own.

    Args:
        from_logits: Whether `y_pred` are logits (not probabilities). Defaults to True.
        class_weights: Class weights of the cross-entropy. Defaults to None, all one.
        ignore_class: Label of pixels that do not count, such as -1 or 255. Defaults to None.
        weights_in_target: Whether `y_true` is `(B, *spatial, 2)`, labels and weights stacked.
            Defaults to False.
        dice_weight: Factor of the Dice loss. Defaults to 1.0.
        dice_class_weights: Weights of the classes in the mean Dice; `[0, 1]` leaves the
            background out. Defaults to None, all one.
        per_image: Whether Dice is taken per image or over the batch. Defaults to True.
        name: Name of the loss. Defaults to "crossentropy_dice".

    Raises:
        ValueError: If an argument is out of its range or shapes do not fit.

    Example:
        >>> model.compile("adam", loss=CrossentropyDice(dice_class_weights=[0, 1]))
    """

    def __init__(
        self,
        from_logits: bool = True,
        class_weights: Sequence[float] | None = None,
        ignore_class: int | None = None,
        weights_in_target: bool = False,
        dice_weight: float = 1.0,
        dice_class_weights: Sequence[float] | None = None,
        per_image: bool = True,
        name: str = "crossentropy_dice",
    ):
        super().__init__(from_logits, class_weights, ignore_class, weights_in_target, name)
        check_not_negative(dice_weight=dice_weight)
        self.dice_weight = float(dice_weight)
        self.dice_class_weights = check_class_weights(dice_class_weights)
        self.per_image = per_image
        shared = (ignore_class, weights_in_target)
        self._crossentropy = WeightedCrossentropy(from_logits, class_weights, *shared)
        self._dice = SoftDice(from_logits, dice_class_weights, *shared, per_image=per_image)

    def call(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None) -> Any:
        """The loss, a scalar."""
        crossentropy = self._crossentropy.call(y_true, y_pred, sample_weight)
        return crossentropy + self.dice_weight * self._dice.call(y_true, y_pred, sample_weight)
