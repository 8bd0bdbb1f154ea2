"""Tanimoto loss on maps of numbers between 0 and 1: boundaries, distances, colours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_unet._names import check_one_of
from keras_unet.losses import replicas
from keras_unet.losses.pixels import PixelLoss, labels_and_weights
from keras_unet.losses.tanimoto import tanimoto_with_dual

Tensor = Any

ACTIVATIONS = ("sigmoid", "softmax", None)


@keras.saving.register_keras_serializable(package="keras_unet")
class TanimotoMaps(PixelLoss):
    """Tanimoto loss with dual on maps, for the heads of `ResUNetA(multitask=True)`.

    As `Tanimoto`, with `y_true` a map of numbers in 0..1 for every channel instead of labels: what
    `keras_unet.targets.multitask_labels` gives. The volume V of a channel is its sum.

    Args:
        activation: What makes `y_pred` a map in 0..1: "sigmoid" (boundaries and colours), "softmax"
            over the channels (classes and their distances), or None where it is one already.
            Defaults to "sigmoid".
        class_weights: Further factors, one per channel. Defaults to None, all one.
        volume_weights: Whether channels get the weights 1 / V**2. Defaults to True.
        per_image: One ratio for each image (True) or for the batch. Defaults to True.
        name: Name of the loss. Defaults to "tanimoto_maps".

    Call arguments:
        y_true: `(B, *spatial, K)`, numbers in 0..1.
        y_pred: `(B, *spatial, K)`.
        sample_weight: `(B, *spatial)` or `(B, *spatial, 1)`, `(B,)`, a scalar, or None.

    Raises:
        ValueError: If `activation` is unknown, or shapes do not fit.

    Example:
        >>> loss = TanimotoMaps(activation=None)
        >>> maps = np.array([[[[0.0, 1.0], [1.0, 0.0]]]])
        >>> float(loss(maps, maps)), float(loss(maps, 1 - maps))
        (0.0, 1.0)

    Reference:
        Diakogiannis, Waldner, Caccetta, Wu. "ResUNet-a: A deep learning framework for semantic
        segmentation of remotely sensed data." ISPRS J. 162, 2020.
        doi:10.1016/j.isprsjprs.2020.01.013, arXiv:1904.00592
    """

    def __init__(
        self,
        activation: str | None = "sigmoid",
        class_weights: Sequence[float] | None = None,
        volume_weights: bool = True,
        per_image: bool = True,
        name: str = "tanimoto_maps",
    ):
        super().__init__(activation is not None, class_weights, name=name)
        check_one_of("activation", activation, ACTIVATIONS)
        self.activation = activation
        self.volume_weights = volume_weights
        self.per_image = per_image

    def call(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None) -> Any:
        """The loss, a scalar."""
        y_true = ops.convert_to_tensor(y_true, dtype="float32")
        true, pred = tuple(y_true.shape), tuple(y_pred.shape)
        if len(true) != len(pred) or true[-1] != pred[-1]:
            raise ValueError(
                "y_true must be (batch, *spatial, channels) like y_pred; for labels take the loss "
                f"Tanimoto. Received: y_true.shape={true}, y_pred.shape={pred}"
            )
        no_labels = ops.zeros_like(y_true[..., 0])
        _, weights = labels_and_weights(no_labels, y_pred, sample_weight)
        if self.activation is not None:
            y_pred = ops.sigmoid(y_pred) if self.activation == "sigmoid" else ops.softmax(y_pred)
        coefficients = tanimoto_with_dual(
            y_true, y_pred, weights, self.class_weights, self.volume_weights, self.per_image
        )
        return replicas.share_of_images(1.0 - coefficients, weights, self.per_image)
