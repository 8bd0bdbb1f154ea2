"""The paper's target: a class map with a weight map, and connected components of the output."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_unet.objects.instance_maps import as_instances, check_spacing
from keras_unet.objects.labelling import check_components, connected_components
from keras_unet.objects.separation import close_gaps, separate_touching
from keras_unet.targets.activations import cast, highest, softmax
from keras_unet.targets.base import Decoded, Target, check_channels
from keras_unet.targets.class_balance import balanced_class_weights
from keras_unet.targets.weights import WEIGHT_PRESETS, weight_map, weight_reach

if TYPE_CHECKING:
    import keras

_WEIGHT_ARGUMENTS = ("preset", "w0", "sigma", "rim", "rim_sigma", "inside")


class ClassTarget(Target):
    """Every pixel is of one class; cells are parts of a class that background keeps apart.

    Encoding: a gap of one pixel is carved between cells that touch (`separate_touching`), then the
    class map is taken and `weight_map` computed from what is left. Pixels that are not annotated
    get label -1 and weight 0. Semantic data has a class map but no instances: it is taken as it
    is, and weights are class weights only, since a class map does not tell which pixels are two
    objects. Where its connected parts *are* the objects, give `connected_components` of it.

    Decoding: let c be the most probable class other than 0 (background); the pixel is c where
    `p_c > threshold * (p_0 + p_c)`, otherwise background. With two classes that is `p_1 >
    threshold`, and with any number of them and 0.5 it is the arg max. Instances are the connected
    components of each class.

    Args:
        num_classes: Number of classes with background, at least 2. Defaults to 2.
        weights: "paper" or "release" (presets of `weight_map`), a dict of its arguments (preset,
            w0, sigma, rim, rim_sigma, inside), or None for class weights only. Defaults to
            "paper".
        class_weights: Weight of each class. Defaults to None, the preset's.
        connectivity: Which pixels touch, in encoding and decoding: 1 is faces only (4 neighbours in
            a plane), the rank is corners too. Defaults to 1.
        threshold: See above, between 0 and 1. Defaults to 0.5.
        min_size: Components with fewer pixels become background. Defaults to 0.
        close_gaps: Whether decoding gives background of one pixel's width between two instances
            back to one of them (`close_gaps`): useful where annotated cells touch, since training
            saw a gap there. Defaults to False, the class map as the network has it.
        spacing: Size of a pixel along each axis; `sigma` and `rim_sigma` of the weights then have
            that unit. Defaults to None, pixels.

    Raises:
        ValueError: If an argument is out of its range.

    Example:
        >>> target = ClassTarget()
        >>> y, weights = target.encode(np.array([[1, 1, 2, 2, 0, 0]]))
        >>> y
        array([[1, 1, 0, 1, 0, 0]], dtype=int32)
        >>> weights.round(1)
        array([[ 1. ,  1. , 10.2,  1. ,  8.3,  5.9]], dtype=float32)
        >>> target.decode(np.eye(2, dtype="float32")[y]).instances
        array([[1, 1, 0, 2, 0, 0]], dtype=int32)

    Reference:
        Ronneberger, Fischer, Brox. "U-Net: Convolutional Networks for Biomedical Image
        Segmentation." MICCAI 2015. doi:10.1007/978-3-319-24574-4_28
    """

    name = "classes"
    needs_instances = False

    def __init__(
        self,
        num_classes: int = 2,
        weights: str | Mapping[str, Any] | None = "paper",
        class_weights: Sequence[float] | None = None,
        connectivity: int = 1,
        threshold: float = 0.5,
        min_size: int = 0,
        close_gaps: bool = False,
        spacing: Sequence[float] | None = None,
    ) -> None:
        if num_classes < 2:
            raise ValueError(
                "num_classes counts the background, so it must be at least 2. "
                f"Received: num_classes={num_classes}"
            )
        if class_weights is not None and len(class_weights) != num_classes:
            raise ValueError(
                f"class_weights needs {num_classes} numbers, one per class. "
                f"Received: class_weights={class_weights}"
            )
        if not 0 < threshold < 1:
            raise ValueError(f"threshold must be between 0 and 1. Received: threshold={threshold}")
        check_components(connectivity, min_size)
        self._num_classes = int(num_classes)
        self.weights = dict(weights) if isinstance(weights, Mapping) else weights
        self.class_weights = None if class_weights is None else [float(w) for w in class_weights]
        self.connectivity = int(connectivity)
        self.threshold = float(threshold)
        self.min_size = int(min_size)
        self.close_gaps = bool(close_gaps)
        self.spacing = check_spacing(spacing)
        self._arguments = self._weight_arguments()
        self._reach = self._weight_reach()

    def _weight_arguments(self) -> dict[str, Any]:
        """What `weight_map` is called with."""
        weights = self.weights
        if weights is None:
            weights = {"w0": 0.0}
        elif isinstance(weights, str):
            weights = {"preset": weights}
        unknown = sorted(set(weights) - set(_WEIGHT_ARGUMENTS))
        if unknown:
            raise ValueError(
                f"weights may be one of {list(WEIGHT_PRESETS)}, None, or a dict with the keys "
                f"{list(_WEIGHT_ARGUMENTS)}. Received: weights={self.weights}"
            )
        return {**weights, "class_weights": self.class_weights, "spacing": self.spacing}

    def _weight_reach(self) -> int:
        """The reach of these weights in pixels; checks them on the way."""
        known = ("inside", "spacing")
        reach = weight_reach(**{k: v for k, v in self._arguments.items() if k not in known})
        return math.ceil(reach / min(self.spacing or [1.0]))

    @classmethod
    def for_samples(
        cls, options: dict[str, Any], pixels: Sequence[int], spacing: Sequence[float] | None
    ) -> dict[str, Any]:
        """As many classes as the samples show, and `class_weights="balanced"` in numbers."""
        if options.get("class_weights") == "balanced":
            options = {**options, "class_weights": balanced_class_weights(pixels)}
        return {"num_classes": len(pixels), **super().for_samples(options, pixels, spacing)}

    @property
    def num_classes(self) -> int:
        """Classes, background included."""
        return self._num_classes

    @property
    def num_outputs(self) -> int:
        """One logit per class."""
        return self.num_classes

    @property
    def halo(self) -> int:
        """The reach of the weight map, and one pixel more for the gap between touching cells."""
        return self._reach + 1

    def encode(
        self,
        instances: np.ndarray | None,
        classes: np.ndarray | None = None,
        annotated: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Class map and weight map of one annotated image (or window).

        Args:
            instances: Integer ids `(*spatial)`, 0 = background; None for semantic data.
            classes: Integer class map of the same shape, negative where not annotated. Defaults to
                None, 1 for every cell (only with two classes).
            annotated: Boolean map of the same shape. Defaults to None, everywhere.

        Returns:
            `(y, weights)`, int32 with -1 where not annotated, and float32; both `(*spatial)`.

        Raises:
            ValueError: If there is nothing to derive classes from, shapes do not match, or a value
                is no class.
        """
        if instances is None:
            if classes is None:
                raise ValueError("a target needs instances or classes. Received: neither")
            instances = np.zeros(np.shape(classes), np.int32)
        labels = as_instances(instances)
        carved = separate_touching(labels, self.connectivity)
        y = self._class_map(labels, classes)
        y[(carved != labels) & (y >= 0)] = 0
        weights = weight_map(carved, classes=y, annotated=annotated, **self._arguments)
        if annotated is not None:
            y[~np.asarray(annotated, bool)] = self.ignore_class
        return y, weights

    def _class_map(self, labels: np.ndarray, classes: np.ndarray | None) -> np.ndarray:
        """A new class map, int32, negative values as `ignore_class`."""
        if classes is None:
            if self.num_classes > 2:
                raise ValueError(
                    f"num_classes={self.num_classes} needs a class map: instances alone only tell "
                    "cells from background. Received: classes=None"
                )
            return (labels > 0).astype(np.int32)
        values = np.asarray(classes)
        if values.shape != labels.shape or not np.issubdtype(values.dtype, np.integer):
            raise ValueError(
                f"classes must be integers of the instances' shape {labels.shape}. "
                f"Received: shape={values.shape}, dtype={values.dtype}"
            )
        if values.max() >= self.num_classes:
            raise ValueError(
                f"classes must lie in 0..{self.num_classes - 1} for num_classes="
                f"{self.num_classes}. Received: values {values.min()}..{values.max()}"
            )
        return np.maximum(values.astype(np.int32), self.ignore_class)

    def loss(self) -> keras.losses.Loss:
        """Soft-max cross-entropy; the weights (class weights included) come with the data."""
        from keras_unet.losses import WeightedCrossentropy

        return WeightedCrossentropy(from_logits=True, ignore_class=self.ignore_class)

    def metrics(self) -> Sequence[keras.metrics.Metric]:
        """Mean intersection over union of the classes."""
        from keras_unet.metrics import MeanIoU

        return [MeanIoU(self.num_classes, ignore_class=self.ignore_class, name="iou")]

    def activate(self, logits: Any, ops: Any = np) -> Any:
        """Soft-max over the last axis, see `targets.activations.softmax`."""
        return softmax(check_channels(logits, self.num_outputs, "logits", ops), ops)

    def takes(self, channels: int) -> bool:
        """One channel for each class; of two classes that of the foreground is enough."""
        return super().takes(channels) or (channels == 1 and self.num_outputs == 2)

    def widen(self, outputs: Any, are_logits: bool, ops: Any = np) -> Any:
        """Makes two channels of one.

        As logits it is the second one beside zeros, which makes its soft-max the sigmoid; as a
        probability p it is (1 - p, p).
        """
        if outputs.shape[-1] == self.num_outputs or not self.takes(outputs.shape[-1]):
            return outputs
        other = ops.zeros_like(outputs) if are_logits else 1 - outputs
        return ops.concatenate([other, outputs], axis=-1)

    def look_activated(self, outputs: np.ndarray) -> bool:
        """Whether values are in 0..1 and those of several channels sum to 1 within 1e-3."""
        if outputs.size == 0 or outputs.min() < 0 or outputs.max() > 1:
            return False
        return outputs.shape[-1] == 1 or bool(np.abs(outputs.sum(axis=-1) - 1).max() <= 1e-3)

    def pixel_classes(self, maps: Any, ops: Any = np) -> Any:
        """Classes by the rule above, int32."""
        p = check_channels(maps, self.num_outputs, "probabilities", ops)
        if self.num_classes == 2:
            top = p[..., 1]
            return cast(top > self.threshold * (p[..., 0] + top), "int32", ops)
        top, best = highest(p[..., 1:], ops)
        return (best + 1) * cast(top > self.threshold * (p[..., 0] + top), "int32", ops)

    def decode(self, probabilities: np.ndarray) -> Decoded:
        """Classes by the rule above, instances as their connected components.

        Args:
            probabilities: `(*spatial, num_classes)` of one image.

        Returns:
            `Decoded(classes, instances)`: int32 `(*spatial)`; a pixel has an instance exactly where
            its class is not 0, and each instance has one class.

        Raises:
            ValueError: If the number of channels is not `num_classes`.
        """
        classes = self.pixel_classes(probabilities)
        instances = np.zeros(classes.shape, np.int32)
        class_of = [0]
        for value in range(1, self.num_classes):
            parts = connected_components(classes == value, self.connectivity, self.min_size)
            instances += np.where(parts > 0, parts + (len(class_of) - 1), 0).astype(np.int32)
            class_of += [value] * int(parts.max(initial=0))
        if self.close_gaps:
            instances = close_gaps(instances)
        return Decoded(np.asarray(class_of, np.int32)[instances], instances)
