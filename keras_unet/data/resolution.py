"""Images, annotations and predictions on a coarser or finer grid of pixels.

All grids cover the same area: along an axis of n pixels that becomes m, pixel i of the new one
covers `[i n/m, (i + 1) n/m)` of the old one. So nothing moves, also not by half a pixel.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from keras_unet.sample import Sample

LOWEST, HIGHEST = 0.05, 8.0
"""Range of the resolution, the size of the new grid as a fraction of the old one's."""


Resolution = float | Sequence[float]
"""Size of a grid as a fraction of another one's, one number or one for each axis."""


def working_shape(shape: Sequence[int], resolution: Resolution) -> tuple[int, ...]:
    """Spatial shape of the grid for an image.

    Args:
        shape: Spatial shape of the image.
        resolution: Size of the grid as a fraction of the image's, 0.05 to 8, one number or one per
            axis.

    Returns:
        The nearest whole sizes, at least 1 along each axis.

    Raises:
        ValueError: If `resolution` is out of its range or does not have one number per axis.

    Example:
        >>> working_shape((1024, 1360), 0.25)
        (256, 340)
    """
    factors = per_axis(resolution, len(shape))
    if not all(LOWEST <= factor <= HIGHEST for factor in factors):
        raise ValueError(
            f"resolution must be between {LOWEST} and {HIGHEST:g}: the size of the network's grid "
            f"as a fraction of the image's. Received: resolution={resolution}"
        )
    sizes = zip(shape, factors, strict=True)
    return tuple(max(round(size * factor), 1) for size, factor in sizes)


def per_axis(resolution: Resolution, rank: int) -> tuple[float, ...]:
    """The resolution along each of `rank` axes.

    Raises:
        ValueError: If there is not one number, or one for each axis.
    """
    if not isinstance(resolution, Sequence):
        return (float(resolution),) * rank
    factors = tuple(float(factor) for factor in resolution)
    if len(factors) != rank:
        raise ValueError(
            f"resolution needs one number or {rank} of them, one per axis. "
            f"Received: resolution={list(resolution)}"
        )
    return factors


def plain(resolution: Resolution) -> float | list[float]:
    """As Python numbers, which can be stored."""
    if isinstance(resolution, Sequence):
        return [float(factor) for factor in resolution]
    return float(resolution)


def resolution_text(resolution: Resolution) -> str:
    """For messages: "0.5" or "2 x 1 x 1"."""
    factors = resolution if isinstance(resolution, Sequence) else [resolution]
    return " x ".join(f"{factor:g}" for factor in factors)


def resize_sample(sample: Sample, resolution: Resolution) -> Sample:
    """The sample on another grid.

    An object that is smaller than a pixel of the new grid may vanish.

    Args:
        sample: The sample.
        resolution: Size of the grid as a fraction of the image's, 0.05 to 8, one number or one per
            axis.

    Returns:
        A sample with the image by `resize_image`, the annotation by `resize_labels`, and a
        `spacing` of the new pixels; the sample itself where its shape stays the same.

    Raises:
        ValueError: If `resolution` is out of its range.

    Example:
        >>> coarse = resize_sample(sample, 0.5)
        >>> sample.shape, coarse.shape, coarse.spacing
        ((64, 80), (32, 40), (2.0, 2.0))
    """
    shape = working_shape(sample.shape, resolution)
    if shape == sample.shape:
        return sample
    labels = {
        name: resize_labels(values, shape)
        for name in ("instances", "classes", "annotated")
        if (values := getattr(sample, name)) is not None
    }
    sizes = zip(sample.spacing, sample.shape, shape, strict=True)
    spacing = tuple(pixel * old / new for pixel, old, new in sizes)
    return sample.replace(image=resize_image(sample.image, shape), spacing=spacing, **labels)


def resize_image(image: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """The image on a grid of another shape.

    An axis that shrinks is averaged over the area of the new pixels, which removes the structures
    that the coarser grid cannot show; one that grows is interpolated by cubic convolution
    (Catmull-Rom), limited to each channel's own range.

    Args:
        image: `(*spatial, C)`, any real dtype.
        shape: New spatial shape.

    Returns:
        `(*shape, C)` of the image's dtype, integers rounded; the image itself where its shape stays
        the same.

    Raises:
        ValueError: If `shape` is not one positive size a spatial axis.

    Example:
        >>> resize_image(np.array([[0, 2, 10, 14]], np.uint8)[..., None], (1, 2))[..., 0]
        array([[ 1, 12]], dtype=uint8)

    Reference:
        Keys. "Cubic convolution interpolation for digital image processing." IEEE Transactions on
        Acoustics, Speech, and Signal Processing 29, 1981. doi:10.1109/TASSP.1981.1163711
    """
    if _is_same(shape, image.shape[:-1]):
        return image
    values = _resample(image, shape, _cubic)
    if not np.issubdtype(image.dtype, np.floating):
        np.rint(values, out=values)
    # Rounding must not give a constant channel a contrast, which normalization would blow up.
    places = tuple(range(image.ndim - 1))
    low, high = (find(axis=places).astype(values.dtype) for find in (image.min, image.max))
    return np.clip(values, low, high).astype(image.dtype)


def resize_maps(maps: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Probabilities, or other maps of the network, on a grid of another shape.

    An axis that grows is interpolated linearly, one that shrinks is averaged over the area of the
    new pixels. Both are means, so values keep their range and probabilities sum to 1.

    Args:
        maps: `(*spatial, K)` float32.
        shape: New spatial shape.

    Returns:
        `(*shape, K)` float32; the argument itself where its shape stays the same.

    Raises:
        ValueError: If `shape` is not one positive size a spatial axis.
    """
    if _is_same(shape, maps.shape[:-1]):
        return maps
    return _resample(maps, shape, _linear).astype(np.float32, copy=False)


def resize_labels(labels: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Ids or classes on a grid of another shape, each from the pixel nearest to its centre.

    Args:
        labels: `(*spatial)`, any dtype.
        shape: New spatial shape.

    Returns:
        `(*shape)` of the same dtype, with no value that was not there; the argument itself where
        its shape stays the same.

    Raises:
        ValueError: If `shape` is not one positive size a spatial axis.

    Example:
        >>> resize_labels(np.array([[0, 0, 0, 7, 7, 7, 7, 7, 7]]), (1, 3))
        array([[0, 7, 7]])
    """
    if _is_same(shape, labels.shape):
        return labels
    sizes = zip(labels.shape, shape, strict=True)
    return labels[np.ix_(*(_nearest(old, new) for old, new in sizes))]


def _is_same(shape: Sequence[int], before: tuple[int, ...]) -> bool:
    """Whether there is nothing to resize; raises a `ValueError` for what is no shape."""
    if len(shape) != len(before) or min(shape) < 1:
        raise ValueError(
            f"shape must be {len(before)} positive sizes, one for each spatial axis of {before}. "
            f"Received: shape={tuple(shape)}"
        )
    return tuple(shape) == before


Taps = tuple[np.ndarray, np.ndarray]
"""`(index, weight)`, each `(new, taps)`: the old pixels that make up each new one."""


def _resample(
    values: np.ndarray, shape: Sequence[int], enlarge: Callable[[int, int], Taps]
) -> np.ndarray:
    """Resizes the leading axes one after the other; float32, or float64 for wide dtypes."""
    values = values.astype(np.result_type(values.dtype, np.float32))
    for axis, new in enumerate(shape):
        old = values.shape[axis]
        if new != old:
            index, weight = (_area if new < old else enlarge)(old, new)
            values = _combine(values, axis, index.clip(0, old - 1), weight)
    return values


def _combine(values: np.ndarray, axis: int, index: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Weighted sums of slices across an axis."""
    column = (-1,) + (1,) * (values.ndim - axis - 1)
    weight = weight.astype(values.dtype)
    total: Any = 0
    for tap in range(index.shape[1]):
        total += np.take(values, index[:, tap], axis) * weight[:, tap].reshape(column)
    return total


def _area(old: int, new: int) -> Taps:
    """Mean over the area of each new pixel, with parts of old pixels at its ends."""
    edges = np.arange(new + 1) * old / new
    start, stop = edges[:-1, None], edges[1:, None]
    index = np.floor(start).astype(int) + np.arange(math.ceil(old / new) + 1)
    overlap = np.minimum(index + 1, stop) - np.maximum(index, start)
    weight = np.maximum(overlap, 0)
    return index, weight / weight.sum(axis=1, keepdims=True)


def _linear(old: int, new: int) -> Taps:
    whole, part = _centres(old, new)
    return whole + np.arange(2), np.hstack([1 - part, part])


def _cubic(old: int, new: int) -> Taps:
    whole, part = _centres(old, new)
    return whole + np.arange(-1, 3), np.hstack(cubic_weights(part))


def cubic_weights(t: Any) -> list[Any]:
    """Keys' cubic convolution with a = -1/2: weights of the pixels at -1, 0, 1 and 2.

    Args:
        t: Places between pixel 0 and pixel 1, a number or an array of any library.

    Returns:
        Four of the same shape, which sum to 1.

    Example:
        >>> cubic_weights(0.5)
        [-0.0625, 0.5625, 0.5625, -0.0625]
    """
    return [
        ((2 - t) * t - 1) * t / 2,
        ((3 * t - 5) * t * t + 2) / 2,
        ((4 - 3 * t) * t + 1) * t / 2,
        (t - 1) * t * t / 2,
    ]


def _centres(old: int, new: int) -> tuple[np.ndarray, np.ndarray]:
    """Centres of the new pixels among those of the old: whole pixels and parts, each `(new, 1)`."""
    centres = (np.arange(new)[:, None] + 0.5) * old / new - 0.5
    whole = np.floor(centres)
    return whole.astype(int), centres - whole


def _nearest(old: int, new: int) -> np.ndarray:
    """The old pixel under the centre of each new one."""
    order = np.arange(new)
    centre = (2 * order + 1) * old
    index = centre // (2 * new)
    # A centre between two pixels, as all are at half the size, takes the later and the earlier one
    # in turn: always the later would move the labels by half a pixel against the image.
    between = centre % (2 * new) == 0
    return index - (between & (order % 2 == 1))
