"""A Sample: one annotated image in memory, what readers give and pipelines take."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from keras_unet._arguments import check_real
from keras_unet.errors import UsageError


@dataclass(frozen=True)
class Sample:
    """An image with its annotation.

    Args:
        image: `(H, W, C)` or `(D, H, W, C)`, any real dtype; raw, not normalized. An array without
            the channel axis is not accepted: `image[..., None]` adds it.
        instances: `(H, W)` or `(D, H, W)` integers, 0 = background, one id per object; stored as
            int32. Defaults to None (no annotation, or semantic data with `classes` only).
        classes: Class map of the same shape for semantic data, integers 0..K-1; None means that
            classes are derived from instances (object = 1). Defaults to None.
        annotated: Boolean map of the same shape, False where the annotation says nothing (such
            pixels get weight zero). Defaults to None, annotated everywhere.
        name: Where it came from, for messages and file names.
        spacing: Physical size of a pixel along each spatial axis, any unit. Defaults to all ones.

    Raises:
        ValueError: If shapes do not match, ids are negative or not integers, or the image has NaN
            or infinite values.
    """

    image: np.ndarray
    instances: np.ndarray | None = None
    classes: np.ndarray | None = None
    annotated: np.ndarray | None = None
    name: str = ""
    spacing: tuple[float, ...] = field(default=())

    def __post_init__(self) -> None:
        label = f"sample {self.name!r}: " if self.name else ""
        image = np.asarray(self.image)
        if image.ndim not in (3, 4) or 0 in image.shape:
            raise ValueError(
                f"{label}image must be (H, W, C) or (D, H, W, C) without empty axes (add the "
                f"channel axis with image[..., None]). Received: image.shape={image.shape}"
            )
        check_real(image, f"{label}image")
        object.__setattr__(self, "image", image)
        for name in ("instances", "classes"):
            object.__setattr__(self, name, self._labels(name, label))
        if self.annotated is not None:
            annotated = np.asarray(self.annotated).astype(bool)
            self._check_shape("annotated", annotated, label)
            object.__setattr__(self, "annotated", annotated)
        spacing = tuple(float(s) for s in self.spacing) or (1.0,) * self.rank
        if len(spacing) != self.rank or min(spacing) <= 0:
            raise ValueError(
                f"{label}spacing needs {self.rank} positive numbers. Received: {self.spacing}"
            )
        object.__setattr__(self, "spacing", spacing)

    def _labels(self, name: str, label: str) -> np.ndarray | None:
        value = getattr(self, name)
        if value is None:
            return None
        value = np.asarray(value)
        self._check_shape(name, value, label)
        whole = np.issubdtype(value.dtype, np.integer) or value.dtype == bool
        if not whole and not np.array_equal(value, np.floor(value)):
            raise ValueError(f"{label}{name} must be whole numbers. Received: {value.dtype}")
        if value.min() < 0 or value.max() > np.iinfo(np.int32).max:
            raise ValueError(
                f"{label}{name} must lie in 0..2**31-1. Received: {value.min()}..{value.max()}"
            )
        return value.astype(np.int32)

    def _check_shape(self, name: str, value: np.ndarray, label: str) -> None:
        if value.shape != self.shape:
            raise ValueError(
                f"{label}{name} must have the image's spatial shape {self.shape}. "
                f"Received: {name}.shape={value.shape}"
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """Spatial shape, without the channels."""
        return self.image.shape[:-1]

    @property
    def rank(self) -> int:
        """Number of spatial axes."""
        return self.image.ndim - 1

    @property
    def channels(self) -> int:
        """Number of image channels."""
        return self.image.shape[-1]

    def class_map(self) -> np.ndarray:
        """The class map, int32: as given, or derived from instances (object = 1)."""
        if self.classes is not None:
            return self.classes
        if self.instances is None:
            raise UsageError(
                f"sample {self.name!r} has neither instances nor classes",
                "give Sample(image, instances=...) or classes",
                "say --masks with the folder of the masks, or with the mask of a single image",
            )
        return (self.instances > 0).astype(np.int32)

    def replace(self, **changes: Any) -> Sample:
        """A copy with some fields changed."""
        return replace(self, **changes)
