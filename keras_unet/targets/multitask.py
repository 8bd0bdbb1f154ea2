"""What the heads of a multitasking network learn: classes, boundaries, distances and colours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from scipy import ndimage

from keras_unet.targets.classes import ClassTarget

if TYPE_CHECKING:
    import keras

HALO = 32
"""Pixels around a tile in which its objects are still measured."""


class MultitaskTarget(ClassTarget):
    """Classes, their boundaries and the distance to them, learned at once by three heads.

    Encoding: the class map of `ClassTarget`, with a gap between cells that touch, as the maps
    "segmentation", "boundary" and "distance" of `multitask_labels`, side by side in the channels.
    Pixels that are not annotated have weight 0. Distances are measured within the tile and 32
    pixels around it. The colours that the authors also predict are left out: a target does not see
    the image.

    The network is one that has these heads, `ResUNetA(multitask=True)`. What it predicts is the
    segmentation alone, which has seen the other two; decoding is that of `ClassTarget`.

    Args:
        num_classes: Number of classes with background, at least 2. Defaults to 2.
        connectivity: As in `ClassTarget`. Defaults to 1.
        threshold: As in `ClassTarget`. Defaults to 0.5.
        min_size: As in `ClassTarget`. Defaults to 0.
        close_gaps: As in `ClassTarget`. Defaults to False.

    Raises:
        ValueError: If an argument is out of its range.

    Example:
        >>> target = MultitaskTarget()
        >>> y, _ = target.encode(np.array([[1, 1, 0, 0, 0]]))
        >>> y.shape, y[..., 2 + 1]  # the boundary of class 1
        ((1, 5, 6), array([[0., 1., 1., 0., 0.]], dtype=float32))

    Reference:
        Diakogiannis, Waldner, Caccetta, Wu. "ResUNet-a: A deep learning framework for semantic
        segmentation of remotely sensed data." ISPRS J. 162, 2020.
        doi:10.1016/j.isprsjprs.2020.01.013, arXiv:1904.00592
    """

    name = "multitask"
    heads = ("segmentation", "boundary", "distance")

    def __init__(
        self,
        num_classes: int = 2,
        connectivity: int = 1,
        threshold: float = 0.5,
        min_size: int = 0,
        close_gaps: bool = False,
    ) -> None:
        super().__init__(
            num_classes,
            weights=None,
            connectivity=connectivity,
            threshold=threshold,
            min_size=min_size,
            close_gaps=close_gaps,
        )

    def takes(self, channels: int) -> bool:
        """One channel for each class, whose soft-max the heads' loss takes."""
        return channels == self.num_outputs

    @property
    def target_channels(self) -> int:
        """A channel for each class and head."""
        return len(self.heads) * self.num_classes

    @property
    def halo(self) -> int:
        """Pixels around a tile in which its objects are still measured."""
        return HALO

    def encode(
        self,
        instances: np.ndarray | None,
        classes: np.ndarray | None = None,
        annotated: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """The maps of one annotated image (or window), see `ClassTarget.encode`.

        Returns:
            `(y, weights)`, float32 `(*spatial, 3 * num_classes)` and `(*spatial)`.
        """
        labels, weights = super().encode(instances, classes, annotated)
        maps = multitask_labels(np.maximum(labels, 0), self.num_classes)
        return np.concatenate([maps[name] for name in self.heads], axis=-1), weights

    def loss(self) -> keras.losses.Loss:
        """Tanimoto with dual for each head; boundaries by themselves, the others exclusively."""
        from keras_unet.losses import LossOfHeads, TanimotoMaps

        return LossOfHeads([TanimotoMaps(kind) for kind in ("softmax", "sigmoid", "softmax")])

    def metrics(self) -> Sequence[keras.metrics.Metric]:
        """Mean intersection over union of the segmentation's classes."""
        from keras_unet.metrics import FirstHead, MeanIoU

        return [FirstHead(MeanIoU(self.num_classes, name="iou"), len(self.heads))]


def multitask_labels(classes: Any, num_classes: int, image: Any = None) -> dict[str, np.ndarray]:
    """Maps for `ResUNetA(multitask=True)`, each `(*spatial, channels)` in 0..1, from class numbers.

    * "segmentation": one-hot, 1 in the channel of the pixel's class.
    * "boundary": for each class the morphological gradient of its mask with a window of 3 pixels
      along every axis, corners included: 1 where that window holds both pixels of the class and
      others. So a boundary is two pixels thick, one on either side of the edge, and belongs to
      both classes that meet there. The rim of the image is no edge.
    * "distance": for each pixel, in the channel of its class, the Euclidean distance to the nearest
      pixel *centre* of another class, divided by the largest one in its object, so that every
      object has a 1. An object is a connected part of the class, by corners too. The rim of the
      image is no edge; a class that fills the image is 1 everywhere.
    * "color", with an image: its hue, saturation and value, each in 0..1. With M and m the largest
      and smallest of R, G and B: V = M, S = (M - m) / M (0 for black), H = 0 for red, 1/3 for
      green, 2/3 for blue, linear between them, 0 for grey.

    The authors' code has other boundaries (Canny's, dilated by a cross) and one maximum of the
    distance for each class and tile, so that a small object beside a large one stays near 0.

    Args:
        classes: Class numbers in `0..num_classes-1`, `(*spatial)` of rank 1 to 3, integers.
        num_classes: Number of classes, background included.
        image: RGB image `(*spatial, 3)`, uint8, uint16 or floats in 0..1. Defaults to None, no
            colours.

    Returns:
        Float32 arrays under the names of the heads.

    Raises:
        ValueError: If `classes` is no map of such classes, or the image does not fit it or is out
            of its range.

    Example:
        >>> maps = multitask_labels(np.array([[0, 0, 1, 1, 1]]), 2)
        >>> maps["boundary"][..., 1], maps["distance"][..., 1]
        (array([[0., 1., 1., 0., 0.]], dtype=float32),
         array([[0.        , 0.        , 0.33333334, 0.6666667 , 1.        ]], dtype=float32))

    Reference:
        Diakogiannis, Waldner, Caccetta, Wu. "ResUNet-a: A deep learning framework for semantic
        segmentation of remotely sensed data." ISPRS J. 162, 2020.
        doi:10.1016/j.isprsjprs.2020.01.013, arXiv:1904.00592
    """
    labels = _checked_classes(classes, num_classes)
    shape = (*labels.shape, num_classes)
    maps = {name: np.zeros(shape, np.float32) for name in ("segmentation", "boundary", "distance")}
    for number in range(num_classes):
        mask = labels == number
        maps["segmentation"][..., number] = mask
        maps["boundary"][..., number] = _boundary(mask)
        maps["distance"][..., number] = _distance(mask)
    if image is not None:
        maps["color"] = _colors(np.asarray(image), labels.shape)
    return maps


def _boundary(mask: np.ndarray) -> np.ndarray:
    """Where a window of 3 pixels along each axis holds pixels inside and outside of the mask."""
    inside = mask.astype(np.uint8)
    largest = ndimage.maximum_filter(inside, size=3, mode="nearest")
    return largest != ndimage.minimum_filter(inside, size=3, mode="nearest")


def _distance(mask: np.ndarray) -> np.ndarray:
    """Distance to the outside of the mask, at most 1 in each connected part."""
    if mask.all() or not mask.any():
        return mask.astype(np.float32)
    distances = ndimage.distance_transform_edt(mask)
    objects, number = ndimage.label(mask, np.ones((3,) * mask.ndim))
    largest = ndimage.maximum(distances, objects, np.arange(number + 1))
    return distances / np.where(objects > 0, np.asarray(largest)[objects], 1.0)


def _colors(image: np.ndarray, sizes: tuple[int, ...]) -> np.ndarray:
    """Hue, saturation and value of an RGB image."""
    if image.shape != (*sizes, 3):
        raise ValueError(
            f"image must be RGB, {(*sizes, 3)} like the classes. "
            f"Received: image.shape={image.shape}"
        )
    if image.dtype in (np.uint8, np.uint16):
        scale = np.iinfo(image.dtype).max
    elif np.issubdtype(image.dtype, np.floating) and image.min() >= 0 and image.max() <= 1:
        scale = 1
    else:
        raise ValueError(
            "image must be uint8, uint16 or floats in 0..1, not normalized otherwise. Received: "
            f"dtype={image.dtype}, values {image.min()}..{image.max()}"
        )
    pixels = (image.reshape(-1, 1, 3) / scale).astype(np.float32)
    hsv = cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV)
    degrees = np.array([360, 1, 1], np.float32)  # of the hue
    return (hsv / degrees).reshape(image.shape)


def _checked_classes(classes: Any, num_classes: int) -> np.ndarray:
    if not isinstance(num_classes, int) or isinstance(num_classes, bool) or num_classes < 1:
        raise ValueError(f"num_classes must be a positive integer. Received: {num_classes=}")
    labels = np.asarray(classes)
    if labels.ndim not in (1, 2, 3) or labels.size == 0:
        raise ValueError(
            f"classes must have 1 to 3 axes, none of them empty. Received: shape={labels.shape}"
        )
    if labels.dtype != bool and not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"classes must be integers. Received: dtype={labels.dtype}")
    if labels.min() < 0 or labels.max() >= num_classes:
        raise ValueError(
            f"classes must lie in 0..{num_classes - 1}; give pixels that do not count any class "
            f"and a sample_weight of 0. Received: values {labels.min()}..{labels.max()}"
        )
    return labels
