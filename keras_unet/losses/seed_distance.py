"""Loss for foreground and depth: binary cross-entropy, and absolute error inside cells."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_unet._arguments import check_not_negative
from keras_unet.losses import replicas
from keras_unet.losses.pixels import PixelLoss, labels_and_weights
from keras_unet.losses.weighted_crossentropy import pixel_crossentropy

Tensor = Any


@keras.saving.register_keras_serializable(package="keras_unet")
class SeedDistance(PixelLoss):
    """Cross-entropy of channel 0 and, in cells, the absolute error of channel 1.

        L = sum_x w(x) (H(f(x), a_0(x)) + distance_weight f(x) |a_1(x) - d(x)|) / sum_x w(x)

    for a foreground f of 0 and 1, depth d, weights w (`sample_weight`, 0 where f is
    `ignore_class`), logit a_0 and depth a_1 of the network. Sums run over the global batch, also
    under `tf.distribute`; computed in float32 under every mixed-precision policy.

    Args:
        distance_weight: Weight of the depth's error. Defaults to 1.
        from_logits: Whether channel 0 of `y_pred` is a logit. Defaults to True.
        ignore_class: Foreground value of pixels that do not count. Defaults to -1.
        name: Name of the loss. Defaults to "seed_distance".

    Call arguments:
        y_true: `(B, *spatial, 2)`, foreground and depth.
        y_pred: `(B, *spatial, 2)`, logit and depth.
        sample_weight: `(B, *spatial)` or `(B, *spatial, 1)` per pixel, `(B,)` per image, or a
            scalar. Defaults to None.

    Raises:
        ValueError: If `distance_weight` is negative or shapes do not fit.

    Example:
        >>> loss = SeedDistance(distance_weight=2.0)
        >>> float(loss(np.array([[[[1.0, 0.5]]]]), np.array([[[[100.0, 0.75]]]])))
        0.5
    """

    takes_labels = False

    def __init__(
        self,
        distance_weight: float = 1.0,
        from_logits: bool = True,
        ignore_class: int | None = -1,
        name: str = "seed_distance",
    ):
        super().__init__(from_logits=from_logits, ignore_class=ignore_class, name=name)
        check_not_negative(distance_weight=distance_weight)
        self.distance_weight = float(distance_weight)

    def call(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None) -> Any:
        """The loss, a scalar."""
        y_true = ops.convert_to_tensor(y_true)
        if y_true.shape[-1] != 2 or y_pred.shape[-1] != 2:
            raise ValueError(
                "y_true and y_pred must be (batch, *spatial, 2). Received: "
                f"y_true.shape={tuple(y_true.shape)}, y_pred.shape={tuple(y_pred.shape)}"
            )
        logits = y_pred[..., :1]
        labels, weights = labels_and_weights(
            y_true[..., 0], logits, sample_weight, ignore_class=self.ignore_class
        )
        depth = ops.cast(y_true[..., 1], "float32")
        error = ops.abs(y_pred[..., 1] - depth) * ops.cast(labels, "float32")
        losses = pixel_crossentropy(labels, logits, self.from_logits) + self.distance_weight * error
        return replicas.share_of_mean(ops.sum(weights * losses), ops.sum(weights))
