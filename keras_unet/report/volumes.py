"""Pictures of volumes: middle slices along each axis, and a montage of slices with outlines."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from keras_unet.report import pictures

SLICES = 12
"""Slices of a montage."""


def middle_slices(
    image: np.ndarray,
    labels: np.ndarray | None = None,
    spacing: Sequence[float] | None = None,
    gap: int = 4,
) -> np.ndarray:
    """The three middle slices of a volume: across depth, height and width.

    Args:
        image: `(D, H, W, C)` or `(D, H, W)`.
        labels: Instance ids or classes `(D, H, W)`, drawn over it. Defaults to None, image only.
        spacing: Size of a voxel along each axis; the slices then have their physical proportions.
            Defaults to None, cubes.
        gap: White pixels between them. Defaults to 4.

    Returns:
        `(rows, columns, 3)` uint8: from left to right the planes (H, W), (D, W) and (D, H), the
        smaller ones with white below.

    Raises:
        ValueError: If image, labels and spacing do not fit together.
    """
    image = _volume(image, labels)
    sizes = np.ones(3) if spacing is None else np.asarray(spacing, float)
    if sizes.shape != (3,) or not (np.isfinite(sizes) & (sizes > 0)).all():
        raise ValueError(f"spacing must be 3 positive numbers. Received: spacing={spacing}")
    stretched = _stretch(image)
    planes = []
    for axis in range(3):
        picture = _drawn(stretched, labels, axis, image.shape[axis] // 2)
        rows, columns = np.delete(sizes / sizes.min(), axis)
        height, width = (round(n * r) for n, r in zip(picture.shape, (rows, columns), strict=False))
        if (height, width) != picture.shape[:2]:
            picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_NEAREST)
        planes.append(picture)
    height = max(len(plane) for plane in planes)
    below = [((0, height - len(plane)), (0, 0), (0, 0)) for plane in planes]
    whole = [np.pad(*one, constant_values=255) for one in zip(planes, below, strict=True)]
    return pictures.side_by_side(whole, gap)


def montage(
    image: np.ndarray, labels: np.ndarray | None = None, slices: int = SLICES, gap: int = 2
) -> np.ndarray:
    """Evenly spread slices across the first axis, in rows, each with the objects' outlines.

    Args:
        image: `(D, H, W, C)` or `(D, H, W)`.
        labels: Instance ids or classes `(D, H, W)`. Defaults to None, image only.
        slices: Largest number of slices. Defaults to 12.
        gap: White pixels between them. Defaults to 2.

    Returns:
        `(rows, columns, 3)` uint8, from the first slice at the top left, row by row; all slices
        share one grey-value range and one colour for an object.

    Raises:
        ValueError: If image and labels do not fit together, or `slices` is below 1.
    """
    image = _volume(image, labels)
    if slices < 1:
        raise ValueError(f"slices must be at least 1. Received: slices={slices}")
    depth = image.shape[0]
    count = min(slices, depth)
    chosen = [(2 * index + 1) * depth // (2 * count) for index in range(count)]
    stretched = _stretch(image)
    tiles = [_drawn(stretched, labels, 0, place) for place in chosen]
    columns = math.ceil(math.sqrt(count))
    tiles += [np.full_like(tiles[0], 255)] * (-count % columns)
    rows = [
        pictures.side_by_side(tiles[start : start + columns], gap)
        for start in range(0, len(tiles), columns)
    ]
    white = np.full((gap, rows[0].shape[1], 3), 255, np.uint8)
    return np.concatenate([part for row in rows for part in (row, white)][:-1])


def enlarge(picture: np.ndarray, width: int = 480) -> np.ndarray:
    """A small picture with every pixel as a square, the largest that stay within a width.

    Args:
        picture: `(H, W, 3)` uint8.
        width: Pixels. Defaults to 480.

    Returns:
        `(f H, f W, 3)` uint8 with `f = max(width // W, 1)`.
    """
    factor = max(width // picture.shape[1], 1)
    return picture.repeat(factor, axis=0).repeat(factor, axis=1)


def _volume(image: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
    """The volume with its channels; raises a `ValueError` where it is none."""
    image = np.asarray(image)
    image = image[..., None] if image.ndim == 3 else image
    if image.ndim != 4 or 0 in image.shape:
        raise ValueError(f"image must be (D, H, W[, C]). Received: image.shape={image.shape}")
    if labels is not None and np.shape(labels) != image.shape[:3]:
        raise ValueError(
            f"labels must have the image's spatial shape {image.shape[:3]}. "
            f"Received: labels.shape={np.shape(labels)}"
        )
    return image


def _stretch(image: np.ndarray) -> np.ndarray:
    """All slices as 8-bit RGB in one grey-value range, `(D, H, W, 3)`."""
    depth, height, width, channels = image.shape
    flat = pictures.to_rgb(image.reshape(depth * height, width, channels))
    return flat.reshape(depth, height, width, 3)


def _drawn(stretched: np.ndarray, labels: np.ndarray | None, axis: int, place: int) -> np.ndarray:
    """One slice with its objects tinted and outlined."""
    picture = np.take(stretched, place, axis)
    if labels is None:
        return picture
    return pictures.tint(picture, np.take(np.asarray(labels), place, axis))
