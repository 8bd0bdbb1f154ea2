"""Pictures of images, masks and maps as (H, W, 3) uint8 RGB arrays, and their PNG bytes."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from scipy import ndimage

from keras_unet.files.atomic import write_atomically
from keras_unet.objects.runs import ranks

TRUE_POSITIVE, FALSE_POSITIVE, FALSE_NEGATIVE = (90, 170, 90), (220, 80, 60), (60, 120, 220)


def to_rgb(image: np.ndarray) -> np.ndarray:
    """Stretches an image to 8-bit RGB between its 1st and 99.8th percentiles.

    Args:
        image: `(H, W)`, `(H, W, C)` or `(D, H, W, C)`; of a volume the middle slice is shown; of
            two channels or of more than three, the mean.

    Returns:
        `(H, W, 3)` uint8.
    """
    image = np.asarray(image)
    if image.ndim == 4:
        image = image[image.shape[0] // 2]
    if image.ndim == 2:
        image = image[..., None]
    if image.ndim != 3 or 0 in image.shape:
        raise ValueError(f"image must be (H, W[, C]) or (D, H, W, C). Received: {image.shape}")
    image = image.astype(np.float32)
    if image.shape[-1] not in (1, 3):
        image = image.mean(axis=-1, keepdims=True)
    low, high = np.percentile(image, (1.0, 99.8))
    stretched = (image - low) / max(float(high - low), 1e-12)
    gray_or_rgb = (stretched.clip(0, 1) * 255).astype(np.uint8)
    return np.broadcast_to(gray_or_rgb, (*image.shape[:2], 3)).copy()


def middle_slice(labels: np.ndarray) -> np.ndarray:
    """The slice of a label volume that `to_rgb` shows; a 2-D map unchanged."""
    return labels[labels.shape[0] // 2] if labels.ndim == 3 else labels


def instance_colors(instances: np.ndarray) -> np.ndarray:
    """A distinct, stable colour for every id; background black. `(H, W)` -> `(H, W, 3)` uint8."""
    ids, places = ranks(instances)
    table = np.zeros((len(ids), 3), np.uint8)
    for row, identity in enumerate(ids):
        if identity:
            hue = (int(identity) * 0.61803398875) % 1.0  # golden ratio: neighbours differ
            table[row] = np.multiply(colorsys.hsv_to_rgb(hue, 0.75, 1.0), 255).astype(np.uint8)
    return table[places]


def outlines(instances: np.ndarray) -> np.ndarray:
    """Boolean map of object pixels with a 4-neighbour of another id."""
    cross = ndimage.generate_binary_structure(2, 1)
    largest = ndimage.maximum_filter(instances, footprint=cross)
    smallest = ndimage.minimum_filter(instances, footprint=cross)
    return (largest != smallest) & (instances > 0)


def overlay(image: np.ndarray, instances: np.ndarray, opacity: float = 0.3) -> np.ndarray:
    """The image with every instance tinted and outlined in a colour of its own."""
    picture = to_rgb(image)
    instances = middle_slice(np.asarray(instances))
    if picture.shape[:2] != instances.shape:
        raise ValueError(
            "image and instances must have one spatial shape. "
            f"Received: {picture.shape[:2]} and {instances.shape}"
        )
    return tint(picture, instances, opacity)


def tint(picture: np.ndarray, instances: np.ndarray, opacity: float = 0.3) -> np.ndarray:
    """A copy of an RGB picture `(H, W, 3)` with every instance tinted and outlined."""
    picture = picture.copy()
    colors = instance_colors(instances)
    inside, rim = instances > 0, outlines(instances)
    tinted = (1 - opacity) * picture[inside] + opacity * colors[inside]
    picture[inside] = tinted.astype(np.uint8)
    picture[rim] = colors[rim]
    return picture


def errors(image: np.ndarray, truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Foreground right (green), wrongly found (red) and missed (blue) over the dimmed image."""
    picture = (to_rgb(image) * 0.5).astype(np.uint8)
    truth, predicted = middle_slice(truth) > 0, middle_slice(predicted) > 0
    for where, color in (
        (truth & predicted, TRUE_POSITIVE),
        (~truth & predicted, FALSE_POSITIVE),
        (truth & ~predicted, FALSE_NEGATIVE),
    ):
        picture[where] = picture[where] // 2 + np.array(color, np.uint8) // 2
    return picture


def heat(values: np.ndarray, low: float | None = None, high: float | None = None) -> np.ndarray:
    """A map of real values `(H, W)` in the perceptually uniform colours of "inferno"."""
    values = middle_slice(np.asarray(values, np.float32))
    low = float(values.min()) if low is None else low
    high = float(values.max()) if high is None else high
    scaled = ((values - low) / max(high - low, 1e-12)).clip(0, 1) * 255
    return cv2.applyColorMap(scaled.astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1].copy()


def side_by_side(pictures: Sequence[np.ndarray], gap: int = 4) -> np.ndarray:
    """Pictures of one height in a row, `gap` white pixels between them."""
    heights = {picture.shape[0] for picture in pictures}
    if len(heights) != 1:
        raise ValueError(f"pictures need one height. Received: heights {sorted(heights)}")
    white = np.full((heights.pop(), gap, 3), 255, np.uint8)
    parts = [part for picture in pictures for part in (picture, white)][:-1]
    return np.concatenate(parts, axis=1)


def png_bytes(picture: np.ndarray) -> bytes:
    """PNG file of an RGB picture."""
    ok, buffer = cv2.imencode(".png", np.ascontiguousarray(picture[..., ::-1]))
    if not ok:
        raise ValueError(f"could not encode a picture of shape {picture.shape}")
    return buffer.tobytes()


def write_png(path: str | Path, picture: np.ndarray) -> None:
    """Writes an RGB picture as PNG; the file appears only when it is complete."""
    write_atomically(Path(path), png_bytes(picture))
