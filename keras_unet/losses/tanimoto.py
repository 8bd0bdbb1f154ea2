"""Tanimoto loss with its dual: overlap of classes (or maps) and of their complements, one ratio."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_unet._arguments import check_one_of
from keras_unet.losses import pixels, replicas

Tensor = Any

ACTIVATIONS = ("sigmoid", "softmax", None)


def tanimoto_coefficient(
    y_true: Tensor,
    y_pred: Tensor,
    weights: Tensor | None = None,
    channel_weights: Tensor | None = None,
    per_image: bool = True,
) -> Tensor:
    """Tanimoto coefficient of maps l and p, one ratio over all channels k.

        T = sum_k v_k sum w p_k l_k / sum_k v_k sum w (p_k**2 + l_k**2 - p_k l_k)

    and 1 where the denominator is zero (nothing to find, nothing found).

    Args:
        y_true: `(B, *spatial, K)` float32 in 0..1, such as a one-hot map or a distance map.
        y_pred: The same shape, float32.
        weights: Weights w of the pixels, `(B, *spatial)` float32. Defaults to None, all one.
        channel_weights: Weights v of the channels, `(K,)`. Defaults to None, all one.
        per_image: True sums over the spatial axes of each image, False over the (global) batch
            too. Defaults to True.

    Returns:
        `(B,)` if `per_image`, otherwise a scalar, float32.
    """
    y_true = ops.convert_to_tensor(y_true, dtype="float32")
    y_pred = ops.convert_to_tensor(y_pred, dtype="float32")
    both = y_true * y_pred
    either = ops.square(y_true) + ops.square(y_pred) - both
    if weights is not None:
        both, either = weights[..., None] * both, weights[..., None] * either
    axes = tuple(range(1 if per_image else 0, len(y_true.shape) - 1))
    both, either = ops.sum(both, axis=axes), ops.sum(either, axis=axes)
    if channel_weights is not None:
        both, either = channel_weights * both, channel_weights * either
    both, either = ops.sum(both, axis=-1), ops.sum(either, axis=-1)
    if not per_image:
        both, either = ops.unstack(replicas.global_sum(ops.stack([both, either])), 2)
    empty = either == 0
    return ops.where(empty, 1.0, both / ops.where(empty, 1.0, either))


def inverse_square_volumes(y_true: Tensor, weights: Tensor | None = None) -> Tensor:
    """Weights 1 / V**2 of the channels, V the sum of the channel over the (global) batch.

    They are given as `(min V / V)**2`, the least volume among the channels that occur at all: a
    common factor cancels in the coefficient, and so nothing leaves float32's range. A channel that
    does not occur gets the largest weight of those that do, 1, as in the authors' code.

    Args:
        y_true: `(B, *spatial, K)` float32 >= 0.
        weights: Weights of the pixels, `(B, *spatial)`. Defaults to None, all one.

    Returns:
        `(K,)` float32 in 0..1.
    """
    counted = y_true if weights is None else weights[..., None] * y_true
    volumes = ops.sum(counted, axis=tuple(range(len(y_true.shape) - 1)))
    volumes = replicas.global_sum(volumes)
    occurs = volumes > 0
    least = ops.min(ops.where(occurs, volumes, float("inf")))
    return ops.where(occurs, ops.square(least / ops.where(occurs, volumes, 1.0)), 1.0)


def tanimoto_with_dual(
    y_true: Tensor,
    y_pred: Tensor,
    weights: Tensor | None = None,
    class_weights: Sequence[float] | None = None,
    volume_weights: bool = True,
    per_image: bool = True,
) -> Tensor:
    """Mean of the coefficient of two maps and that of their complements, (T(l, p) + T(1-l, 1-p))/2.

    The complement alone has a gradient where there is nothing to find.

    Args:
        y_true: As in `tanimoto_coefficient`.
        y_pred: As there.
        weights: As there.
        class_weights: Further factors of the channels, one each. Defaults to None.
        volume_weights: Whether the channels also get `inverse_square_volumes`, of the maps for T
            and of the complements for its dual. Defaults to True.
        per_image: As there; volumes always are those of the batch.

    Returns:
        `(B,)` if `per_image`, otherwise a scalar, float32 in 0..1.

    Raises:
        ValueError: If there are not as many class weights as channels.
    """
    y_true = ops.convert_to_tensor(y_true, dtype="float32")
    y_pred = ops.convert_to_tensor(y_pred, dtype="float32")
    factors = None
    if class_weights is not None:
        pixels.check_num_class_weights(class_weights, y_true.shape[-1], "channel")
        factors = ops.convert_to_tensor(class_weights, dtype="float32")
    coefficients = []
    for truth, found in ((y_true, y_pred), (1.0 - y_true, 1.0 - y_pred)):
        channels = factors
        if volume_weights:
            volumes = inverse_square_volumes(truth, weights)
            channels = volumes if factors is None else volumes * factors
        coefficients.append(tanimoto_coefficient(truth, found, weights, channels, per_image))
    return (coefficients[0] + coefficients[1]) / 2.0


@keras.saving.register_keras_serializable(package="keras_unet")
class Tanimoto(pixels.PixelLoss):
    """Tanimoto loss with dual on class maps, the loss of ResUNet-a.

        L = 1 - (T(p, l) + T(1 - p, 1 - l)) / 2
        T = sum_k v_k sum w p_k l_k / sum_k v_k sum w (p_k**2 + l_k**2 - p_k l_k)

    with probabilities p, the one-hot labels l, pixel weights w and class weights v = 1 / V**2, V
    the volume (weighted number of pixels) of the class in the batch; in the second term of the
    complement 1 - l. A class that does not occur gets the largest weight of those that do.

    One ratio over all classes for each image, and the mean over the images that have any weight;
    with `per_image=False` one ratio for the batch. Both hold for the *global* batch under
    `tf.distribute`. No weight at all gives loss 0. A label that is no class gives NaN.

    The authors' code adds 1e-5 above and below. Here nothing is added (with their unscaled 1 / V**2
    that is of the size of the sums themselves), and 0 / 0 is 1.

    Args:
        from_logits: Whether `y_pred` are logits (not probabilities). Defaults to True.
        class_weights: Further factors of the classes, one per channel of `y_pred`. Defaults to
            None, all one.
        ignore_class: Label of pixels that do not count, such as -1 or 255. Defaults to None.
        weights_in_target: Whether `y_true` is `(B, *spatial, 2)`, labels and weights stacked.
            Defaults to False.
        volume_weights: Whether classes get the weights 1 / V**2. Defaults to True.
        per_image: See above. Defaults to True.
        name: Name of the loss. Defaults to "tanimoto".

    Call arguments:
        y_true: `(B, *spatial)` or `(B, *spatial, 1)`, whole numbers of any dtype.
        y_pred: `(B, *spatial, K)`; K = 1 is the binary form, the foreground alone.
        sample_weight: `(B, *spatial)` or `(B, *spatial, 1)`, `(B,)`, a scalar, or None.

    Raises:
        ValueError: If an argument is out of its range or shapes do not fit.

    Example:
        >>> loss = Tanimoto(from_logits=False)
        >>> y_true = np.array([[[1, 0]]])
        >>> float(loss(y_true, np.array([[[[0.0, 1.0], [1.0, 0.0]]]])))
        0.0

    Reference:
        Diakogiannis, Waldner, Caccetta, Wu. "ResUNet-a: A deep learning framework for semantic
        segmentation of remotely sensed data." ISPRS J. 162, 2020.
        doi:10.1016/j.isprsjprs.2020.01.013, arXiv:1904.00592
    """

    def __init__(
        self,
        from_logits: bool = True,
        class_weights: Sequence[float] | None = None,
        ignore_class: int | None = None,
        weights_in_target: bool = False,
        volume_weights: bool = True,
        per_image: bool = True,
        name: str = "tanimoto",
    ):
        super().__init__(from_logits, class_weights, ignore_class, weights_in_target, name)
        self.volume_weights = volume_weights
        self.per_image = per_image

    def call(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None) -> Any:
        """The loss, a scalar."""
        labels, weights = self._labels_and_weights(y_true, y_pred, sample_weight)
        y_pred = pixels.probabilities_of(y_pred, self.from_logits)
        truth = pixels.one_hot_like(labels, y_pred)
        coefficients = tanimoto_with_dual(
            truth, y_pred, weights, self.class_weights, self.volume_weights, self.per_image
        )
        return replicas.share_of_images(1.0 - coefficients, weights, self.per_image)


@keras.saving.register_keras_serializable(package="keras_unet")
class TanimotoMaps(pixels.PixelLoss):
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

    takes_labels = False

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
        _, weights = pixels.labels_and_weights(no_labels, y_pred, sample_weight)
        if self.activation is not None:
            y_pred = ops.sigmoid(y_pred) if self.activation == "sigmoid" else ops.softmax(y_pred)
        coefficients = tanimoto_with_dual(
            y_true, y_pred, weights, self.class_weights, self.volume_weights, self.per_image
        )
        return replicas.share_of_images(1.0 - coefficients, weights, self.per_image)
