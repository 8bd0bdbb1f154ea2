"""Labels and weights of every pixel, which all pixel losses and metrics share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from keras_unet._arguments import arguments_of

Tensor = Any


class PixelLoss(keras.losses.Loss):
    """Base of losses that see the weight of every pixel before they reduce.

    Keras's own base class multiplies by the weights after `call` and normalizes per replica; here
    `call` gets the weights, so that it can normalize by them over the global batch. Everything is
    computed in float32 under every mixed-precision policy.

    Args:
        from_logits: Whether `y_pred` are logits. Defaults to True.
        class_weights: One factor per class. Defaults to None.
        ignore_class: Label of pixels that get weight zero. Defaults to None.
        weights_in_target: Whether `y_true` carries the weights as a second channel.
        name: Name of the loss.

    Attributes:
        takes_labels: Whether `y_true` is a map of class numbers.
    """

    takes_labels: ClassVar[bool] = True

    def __init__(
        self,
        from_logits: bool = True,
        class_weights: Sequence[float] | None = None,
        ignore_class: int | None = None,
        weights_in_target: bool = False,
        name: str | None = None,
    ):
        super().__init__(name=name, reduction=None, dtype="float32")
        self.from_logits = from_logits
        self.class_weights = check_class_weights(class_weights)
        self.ignore_class = ignore_class
        self.weights_in_target = weights_in_target

    def __call__(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None) -> Any:
        """Loss of `y_pred` `(B, *spatial, K)`; see `call`."""
        return self.call(y_true, ops.convert_to_tensor(y_pred, dtype="float32"), sample_weight)

    def call(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None) -> Any:
        """The loss of float32 predictions, to be written by subclasses."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return arguments_of(self)

    def _labels_and_weights(
        self,
        y_true: Tensor,
        y_pred: Tensor,
        sample_weight: Tensor | None,
        class_weights: Sequence[float] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """`labels_and_weights` with the options of this loss."""
        options = class_weights, self.ignore_class, self.weights_in_target
        return labels_and_weights(y_true, y_pred, sample_weight, *options)


def labels_and_weights(
    y_true: Tensor,
    y_pred: Tensor,
    sample_weight: Tensor | None = None,
    class_weights: Sequence[float] | None = None,
    ignore_class: int | None = None,
    weights_in_target: bool = False,
) -> tuple[Tensor, Tensor]:
    """Labels and weights of every pixel, whatever form they come in.

    Args:
        y_true: `(B, *spatial)` or `(B, *spatial, 1)`, whole numbers of any dtype; with
            `weights_in_target` `(B, *spatial, 2)`, labels and weights. A number that is not whole
            is no class, however near it is to one.
        y_pred: `(B, *spatial, K)`, logits or probabilities; only its shape is used.
        sample_weight: None, a scalar, `(B,)`, `(B, *spatial)` or `(B, *spatial, 1)`.
        class_weights: One factor per class. Defaults to None, all one.
        ignore_class: Label of pixels that get weight zero. Defaults to None.
        weights_in_target: Whether `y_true` carries the weights.

    Returns:
        `(labels, weights)`, both `(B, *spatial)`: int32 in `0..K-1` (0 where the label was not),
        and float32 as the product of all weights. A pixel whose label is no class gets weight 0
        if it is ignored or has weight 0 anyway, otherwise NaN.

    Raises:
        ValueError: If shapes do not fit or the number of class weights is wrong.
    """
    y_true = ops.convert_to_tensor(y_true)
    rank = len(y_pred.shape) - 1
    _check_target(y_true, y_pred, weights_in_target)
    weights = None
    if weights_in_target:
        weights = ops.cast(y_true[..., 1], "float32")
    values = label_values(y_true, rank)
    if sample_weight is not None:
        given = _broadcast_weights(sample_weight, values)
        weights = given if weights is None else weights * given
    if weights is None:
        weights = ops.ones_like(values, dtype="float32")
    if ignore_class is not None:
        weights = ops.where(values == ignore_class, 0.0, weights)
    num_classes = num_classes_of(y_pred)
    is_class = ops.logical_and(values >= 0, values < num_classes)
    if keras.backend.is_float_dtype(values.dtype):
        is_class = ops.logical_and(is_class, values == ops.floor(values))
    labels = ops.cast(ops.where(is_class, values, ops.zeros_like(values)), "int32")
    weights = ops.where(ops.logical_or(is_class, weights == 0), weights, float("nan"))
    if class_weights is not None:
        check_num_class_weights(class_weights, num_classes, "class (2 for one sigmoid channel)")
        table = ops.convert_to_tensor(class_weights, dtype="float32")
        weights = weights * ops.take(table, labels, axis=0)
    return labels, weights


def label_values(y_true: Tensor, rank: int) -> Tensor:
    """Labels as they are given, without a channel axis, in a dtype that holds every class number.

    Args:
        y_true: `(B, *spatial)`, or `(B, *spatial, C)` with the labels in channel 0.
        rank: Number of axes of `(B, *spatial)`.

    Returns:
        `(B, *spatial)`, int32, int64, float32 or float64: nothing is rounded, nothing wraps.
    """
    values = ops.convert_to_tensor(y_true)
    if len(values.shape) > rank:
        values = values[..., 0]
    dtype = keras.backend.standardize_dtype(values.dtype)
    if keras.backend.is_float_dtype(dtype):
        return values if dtype == "float64" else ops.cast(values, "float32")
    # JAX has 32 bits unless it is told otherwise
    is_long = dtype in ("int64", "uint32", "uint64") and keras.config.backend() != "jax"
    return ops.cast(values, "int64" if is_long else "int32")


def probabilities_of(y_pred: Tensor, from_logits: bool) -> Tensor:
    """Probabilities of logits (or of probabilities); a single channel is a sigmoid's."""
    if not from_logits:
        return y_pred
    return ops.sigmoid(y_pred) if y_pred.shape[-1] == 1 else ops.softmax(y_pred)


def one_hot_like(labels: Tensor, y_pred: Tensor) -> Tensor:
    """Labels as float32 maps of 0 and 1, one for each channel of `y_pred`."""
    if y_pred.shape[-1] == 1:
        return ops.cast(labels[..., None], "float32")
    return ops.one_hot(labels, y_pred.shape[-1], dtype="float32")


def num_classes_of(y_pred: Tensor) -> int:
    """Number of classes of logits or probabilities; a single channel stands for two."""
    channels = y_pred.shape[-1]
    return 2 if channels == 1 else channels


def _check_target(y_true: Tensor, y_pred: Tensor, weights_in_target: bool) -> None:
    """Raises a `ValueError` that says what to do where the shapes do not fit."""
    true, pred = tuple(y_true.shape), tuple(y_pred.shape)
    received = f"Received: y_true.shape={true}, y_pred.shape={pred}"
    if len(pred) < 3:
        raise ValueError(f"y_pred must be (batch, *spatial, channels). {received}")
    channels = true[-1] if len(true) == len(pred) else None
    if weights_in_target and channels != 2:
        raise ValueError(
            "With weights_in_target=True y_true must be (batch, *spatial, 2): labels and weights "
            f"in the last axis. {received}"
        )
    if len(true) not in (len(pred) - 1, len(pred)) or (
        not weights_in_target and channels not in (None, 1)
    ):
        raise ValueError(
            "y_true must be a map of class numbers, (batch, *spatial) or (batch, *spatial, 1); a "
            f"one-hot map becomes one by argmax over its last axis. {received}"
        )
    for a, b in zip(true[: len(pred) - 1], pred[:-1], strict=True):
        if a is not None and b is not None and a != b:
            raise ValueError(
                "y_true and y_pred must have the same batch and spatial sizes; the labels of a "
                "network with valid padding are cropped to its output, "
                f"UNetGeometry.output_size(size). {received}"
            )


def _broadcast_weights(sample_weight: Tensor, labels: Tensor) -> Tensor:
    """Weights of a scalar, one number per image or one per pixel, as float32 like `labels`."""
    weights = ops.convert_to_tensor(sample_weight, dtype="float32")
    shape, rank = tuple(weights.shape), len(labels.shape)
    if len(shape) == rank + 1 and shape[-1] == 1:
        weights = weights[..., 0]
    elif 0 < len(shape) < rank and all(size == 1 for size in shape[1:]):
        weights = ops.reshape(weights, (-1,) + (1,) * (rank - 1))
    fits = len(weights.shape) in (0, rank) and all(
        a is None or b is None or a in (1, b)
        for a, b in zip(weights.shape, labels.shape, strict=False)
    )
    if not fits:
        raise ValueError(
            "sample_weight must be a scalar, (batch,), (batch, *spatial) or (batch, *spatial, 1). "
            f"Received: sample_weight.shape={shape} for labels of shape {tuple(labels.shape)}"
        )
    return ops.broadcast_to(weights, ops.shape(labels))


def check_class_weights(class_weights: Sequence[float] | None) -> list[float] | None:
    """Class weights as a list of floats; raises a `ValueError` unless finite and >= 0."""
    if class_weights is None:
        return None
    weights = np.asarray(class_weights, dtype="float64")
    if weights.ndim != 1 or not np.isfinite(weights).all() or (weights < 0).any():
        raise ValueError(
            "class_weights must be a sequence of finite numbers >= 0, one per class. "
            f"Received: class_weights={class_weights}"
        )
    if not weights.any():
        raise ValueError(
            f"class_weights must not all be zero. Received: class_weights={class_weights}"
        )
    return [float(weight) for weight in weights]


def check_num_class_weights(class_weights: Sequence[float], expected: int, what: str) -> None:
    """Raises a `ValueError` unless there are `expected` class weights."""
    if len(class_weights) != expected:
        raise ValueError(
            f"class_weights needs {expected} numbers, one per {what}. "
            f"Received: class_weights={list(class_weights)}"
        )
