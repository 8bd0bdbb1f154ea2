"""Cross-entropy with a weight for every pixel: the paper's loss, and means that distribute."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_unet._arguments import check_one_of
from keras_unet.losses import replicas
from keras_unet.losses.pixels import PixelLoss, label_values

Tensor = Any

REDUCTIONS = ("mean_per_weight", "sum", "sum_over_batch_size", "none")


def pixel_crossentropy(labels: Tensor, y_pred: Tensor, from_logits: bool = True) -> Tensor:
    """Cross-entropy of every pixel, without weights or reduction.

    Args:
        labels: Integers `(B, *spatial)` in `0..K-1`, or 0 and 1 for one channel.
        y_pred: `(B, *spatial, K)` float; one channel stands for a sigmoid's foreground.
        from_logits: Whether `y_pred` are logits. Defaults to True. Probabilities are clipped to
            `keras.config.epsilon()` from 0 and 1.

    Returns:
        `(B, *spatial)`, the dtype of `y_pred`.

    Example:
        >>> losses = pixel_crossentropy(np.array([[1]]), np.array([[[0.0, 0.0]]]))
        >>> round(float(losses[0, 0]), 5)  # ln 2
        0.69315
    """
    if y_pred.shape[-1] == 1:
        labels = ops.cast(labels, y_pred.dtype)
        return ops.binary_crossentropy(labels, y_pred[..., 0], from_logits=from_logits)
    return ops.sparse_categorical_crossentropy(labels, y_pred, from_logits=from_logits)


@keras.saving.register_keras_serializable(package="keras_unet")
class WeightedCrossentropy(PixelLoss):
    """Soft-max (or sigmoid) cross-entropy with a weight for every pixel.

    With logits a(x), p = softmax(a), the label l(x) and the weight w(x) of pixel x the paper's
    energy is

        E = - sum_x w(x) log p_l(x)(x)

    where w(x) is the product of the pixel's `sample_weight` (such as the border weight map of
    `keras_unet.targets.weight_map`) and the class weight of its label. Pixels of `ignore_class`
    have weight zero. Reductions, over all pixels x of the *global* batch:

    * `"mean_per_weight"`: `sum w l / sum w`, 0 where there is no weight at all. The scale does not
      depend on the tile's size, on the batch's size or on how much is annotated.
    * `"sum"`: `sum w l`, the paper's. Its scale grows with tile and batch: a learning rate for the
      mean has to be divided by the number of pixels.
    * `"sum_over_batch_size"`: `sum w l / number of pixels that are not ignored`, as Keras.
    * `"none"`: no reduction, `w l` of every pixel `(B, *spatial)`.

    Under `tf.distribute` (`MirroredStrategy` and relatives) gradients and the reported loss are
    those of one device with the global batch, also where replicas have unequal weights: each
    replica's call gives its share, `loss / replicas`, as Keras expects. (In that case
    `"none"` stays a map.) It is computed in float32 under every mixed-precision policy.

    A label that is no class (out of range, or not whole, as in a mask of 0.05 and 0.95), unless it
    is ignored or has weight zero, makes the loss NaN on every backend;
    `keras_unet.losses.check_labels` finds it before training and says what it is.

    Args:
        from_logits: Whether `y_pred` are logits (not probabilities). Defaults to True.
        class_weights: One factor per class (two where `y_pred` has one channel).
            Defaults to None, all one.
        ignore_class: Label of pixels that do not count, such as -1 or 255. Defaults to None.
        weights_in_target: Whether `y_true` is `(B, *spatial, 2)`, labels and weights stacked, for
            pipelines that cannot pass `sample_weight`. Defaults to False.
        reduction: "mean_per_weight", "sum", "sum_over_batch_size" or "none" (or None).
            Defaults to "mean_per_weight".
        name: Name of the loss. Defaults to "weighted_crossentropy".

    Call arguments:
        y_true: `(B, *spatial)` or `(B, *spatial, 1)`, whole numbers of any dtype.
        y_pred: `(B, *spatial, K)`; K = 1 is the binary, sigmoid form.
        sample_weight: `(B, *spatial)` or `(B, *spatial, 1)` per pixel, `(B,)` per image, or a
            scalar. Defaults to None.

    Raises:
        ValueError: If an argument is out of its range or shapes do not fit.

    Example:
        >>> loss = WeightedCrossentropy(class_weights=[0.5, 2.0], ignore_class=-1)
        >>> y_true = np.array([[[0, 1, -1]]])
        >>> result = loss(y_true, np.zeros((1, 1, 3, 2)), sample_weight=np.array([[[1, 3, 9]]]))
        >>> round(float(result), 5)
        0.69315
        >>> model.compile("adam", loss=loss)          # model.fit on (image, classes, weights)

    Reference:
        Ronneberger, Fischer, Brox. "U-Net: Convolutional Networks for Biomedical Image
        Segmentation." MICCAI 2015. doi:10.1007/978-3-319-24574-4_28
    """

    def __init__(
        self,
        from_logits: bool = True,
        class_weights: Sequence[float] | None = None,
        ignore_class: int | None = None,
        weights_in_target: bool = False,
        reduction: str | None = "mean_per_weight",
        name: str = "weighted_crossentropy",
    ):
        super().__init__(from_logits, class_weights, ignore_class, weights_in_target, name)
        self.reduction = "none" if reduction is None else reduction
        check_one_of("reduction", self.reduction, REDUCTIONS)

    def call(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None) -> Any:
        """The reduced loss, a scalar (with "none" a map `(B, *spatial)`)."""
        labels, weights = self._labels_and_weights(
            y_true, y_pred, sample_weight, self.class_weights
        )
        losses = weights * pixel_crossentropy(labels, y_pred, self.from_logits)
        if self.reduction == "none":
            return losses
        total = ops.sum(losses)
        if self.reduction == "sum":
            return replicas.share_of_sum(total)
        if self.reduction == "mean_per_weight":
            return replicas.share_of_mean(total, ops.sum(weights))
        return replicas.share_of_mean(total, self._num_pixels(y_true, labels))

    def _num_pixels(self, y_true: Tensor, labels: Tensor) -> Tensor:
        """Pixels of this replica that are not ignored."""
        counted = ops.ones_like(labels, dtype="float32")
        if self.ignore_class is not None:
            values = label_values(y_true, len(labels.shape))
            counted = ops.cast(values != self.ignore_class, "float32")
        return ops.sum(counted)
