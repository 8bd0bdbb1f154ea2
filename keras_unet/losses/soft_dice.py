"""Soft Dice loss with a stated axis, a stated rule for empty masks, and pixel weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_unet._arguments import check_not_negative
from keras_unet.losses import pixels, replicas

Tensor = Any


def dice_coefficients(
    labels: Tensor,
    probabilities: Tensor,
    weights: Tensor,
    per_image: bool = True,
    squared: bool = False,
    smooth: float = 1.0,
) -> Tensor:
    """Soft Dice coefficients, one per class, of probabilities p and the 0/1 map g of the class.

        D = (2 sum w p g + smooth) / (sum w p + sum w g + smooth)

    and 1 where both sums and `smooth` are zero.

    Args:
        labels: Integers `(B, *spatial)` in `0..K-1`, or 0 and 1 for one channel.
        probabilities: `(B, *spatial, K)` float32; one channel is the foreground alone.
        weights: `(B, *spatial)` float32.
        per_image: True sums over the spatial axes of each image, False over the (global) batch
            too. Defaults to True.
        squared: Whether to sum `p**2` instead of `p` below (V-Net). Defaults to False.
        smooth: Added above and below, in (weighted) pixels. Defaults to 1.0.

    Returns:
        `(B, K)` if `per_image`, otherwise `(K,)`, float32 in 0..1.
    """
    truth = pixels.one_hot_like(labels, probabilities)
    weights = weights[..., None]
    size = ops.square(probabilities) if squared else probabilities
    axes = tuple(range(1 if per_image else 0, len(labels.shape)))
    both = ops.sum(weights * probabilities * truth, axis=axes)
    either = ops.sum(weights * (size + truth), axis=axes)
    if not per_image:
        both, either = ops.unstack(replicas.global_sum(ops.stack([both, either])), 2)
    below = either + smooth
    empty = below == 0
    return ops.where(empty, 1.0, (2.0 * both + smooth) / ops.where(empty, 1.0, below))


@keras.saving.register_keras_serializable(package="keras_unet")
class SoftDice(pixels.PixelLoss):
    """Soft Dice loss, one minus the mean Dice coefficient.

    With probabilities p, the 0/1 map g of a class and pixel weights w

        D = (2 sum w p g + smooth) / (sum w p + sum w g + smooth)

    **Axis**: with `per_image=True` the sums run over the spatial axes, one D per image and class;
    the loss is the mean over classes (weighted by `class_weights`) and then over the images that
    have any weight. With `per_image=False` they also run over the batch, one D per class: steadier
    where most images lack a class. Both hold for the *global* batch under `tf.distribute`: then
    each replica's call gives its share, `loss / replicas`, as Keras expects.

    **Empty masks**: a class without a pixel in the truth has D = smooth / (smooth + sum w p): the
    loss is 0 for an empty prediction and grows towards 1 with every false positive, so that those
    are punished. With `smooth=0` such a class has D = 0 and no gradient, unless the prediction is
    exactly empty as well, which is D = 1. No weight at all gives loss 0.

    The weights are those of a pixel within the sums: a common factor of all weights of an image
    cancels (but for `smooth`). A label that is no class gives NaN; see
    `keras_unet.losses.check_labels`.

    Args:
        from_logits: Whether `y_pred` are logits (not probabilities). Defaults to True.
        class_weights: Weights of the classes in the mean; `[0, 1]` leaves the background out.
            One per channel of `y_pred`. Defaults to None, all one.
        ignore_class: Label of pixels that do not count, such as -1 or 255. Defaults to None.
        weights_in_target: Whether `y_true` is `(B, *spatial, 2)`, labels and weights stacked.
            Defaults to False.
        per_image: The axis, see above. Defaults to True.
        squared: Whether the denominator has `sum w p**2`, as in V-Net. Defaults to False.
        smooth: See above, in pixels. Defaults to 1.0.
        name: Name of the loss. Defaults to "soft_dice".

    Call arguments:
        y_true: `(B, *spatial)` or `(B, *spatial, 1)`, whole numbers of any dtype.
        y_pred: `(B, *spatial, K)`; K = 1 is the binary form: Dice of the foreground alone.
        sample_weight: `(B, *spatial)` or `(B, *spatial, 1)`, `(B,)`, a scalar, or None.

    Raises:
        ValueError: If an argument is out of its range or shapes do not fit.

    Example:
        >>> loss = SoftDice(from_logits=False, smooth=0.0)
        >>> y_true = np.array([[[1, 0]]])
        >>> float(loss(y_true, np.array([[[[0.0, 1.0], [1.0, 0.0]]]])))
        0.0

    Reference:
        Milletari, Navab, Ahmadi. "V-Net: Fully Convolutional Neural Networks for Volumetric
        Medical Image Segmentation." 3DV 2016. doi:10.1109/3DV.2016.79
    """

    def __init__(
        self,
        from_logits: bool = True,
        class_weights: Sequence[float] | None = None,
        ignore_class: int | None = None,
        weights_in_target: bool = False,
        per_image: bool = True,
        squared: bool = False,
        smooth: float = 1.0,
        name: str = "soft_dice",
    ):
        super().__init__(from_logits, class_weights, ignore_class, weights_in_target, name)
        check_not_negative(smooth=smooth)
        self.per_image = per_image
        self.squared = squared
        self.smooth = float(smooth)

    def call(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None) -> Any:
        """The loss, a scalar."""
        labels, weights = self._labels_and_weights(y_true, y_pred, sample_weight)
        coefficients = dice_coefficients(
            labels,
            pixels.probabilities_of(y_pred, self.from_logits),
            weights,
            per_image=self.per_image,
            squared=self.squared,
            smooth=self.smooth,
        )
        losses = self._mean_over_classes(1.0 - coefficients)
        return replicas.share_of_images(losses, weights, self.per_image)

    def _mean_over_classes(self, losses: Tensor) -> Tensor:
        if self.class_weights is None:
            return ops.mean(losses, axis=-1)
        pixels.check_num_class_weights(self.class_weights, losses.shape[-1], "channel")
        weights = ops.convert_to_tensor(self.class_weights, dtype="float32")
        return ops.sum(losses * weights, axis=-1) / sum(self.class_weights)
