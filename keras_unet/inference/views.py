"""Test-time augmentation: views of an image and the ways back for the network's outputs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np

from keras_unet.errors import UsageError

Shape = tuple[int, ...]
MODES = ("flips", "d4", "paper7")


class View(NamedTuple):
    """One way to look at an image.

    Attributes:
        shape: Spatial shape of the image -> that of its view.
        apply: Image `(*spatial, C)` -> its view.
        invert: `(outputs (*view spatial, K), spatial shape of the image)` -> outputs
            `(*spatial, K)`.
    """

    shape: Callable[[Shape], Shape]
    apply: Callable[[np.ndarray], np.ndarray]
    invert: Callable[[np.ndarray, Shape], np.ndarray]


def views(mode: str | None, rank: int) -> Iterator[View]:
    """The views of a test-time augmentation; the first one is the image itself.

    * None: the image alone.
    * `"flips"`: mirrored along every subset of the axes: 4 views in 2-D, 8 in 3-D. The authors'
      released code averages the raw scores of these 4 views.
    * `"d4"`: 8 views, quarter turns in the plane of the last two axes, each also mirrored. Exact,
      no pixel is interpolated.
    * `"paper7"`: "the average over 7 rotated versions of the input data" of the paper's EM result.
      The paper does not say which seven. Here they are the multiples of 360/7 degrees in the plane
      of the last two axes: evenly spread, the image itself among them. The six others are
      interpolated (cubic spline for the image, linear for the outputs) on a canvas that holds the
      whole image, mirrored at its border.

    Args:
        mode: One of the above.
        rank: Number of spatial axes, 1 to 3; the turns need 2 or more.

    Yields:
        `View`s.

    Raises:
        ValueError: If `mode` is unknown or needs a plane to turn in.

    Reference:
        Ronneberger, Fischer, Brox. "U-Net: Convolutional Networks for Biomedical Image
        Segmentation." MICCAI 2015. doi:10.1007/978-3-319-24574-4_28
    """
    if mode is not None and mode not in MODES:
        raise UsageError(
            f"there is no test-time augmentation {mode!r}",
            f"give tta=None or one of {MODES}",
            f"say --tta {', '.join(MODES[:-1])} or {MODES[-1]}",
        )
    if mode in ("d4", "paper7") and rank < 2:
        raise UsageError(
            f"the augmentation {mode} turns a plane, and this network has {rank} axis",
            "give tta='flips'",
            "say --tta flips",
        )
    if mode is None:
        yield _lossless(0, ())
    elif mode == "flips":
        for flags in itertools.product((False, True), repeat=rank):
            yield _lossless(0, tuple(axis for axis in range(rank) if flags[axis]))
    elif mode == "d4":
        for turns, flip in itertools.product(range(4), ((), (rank - 1,))):
            yield _lossless(turns, flip)
    else:
        yield _lossless(0, ())
        for step in range(1, 7):
            angle = 2 * math.pi * step / 7
            canvas, back = partial(_canvas, angle=angle), partial(_rotate_back, angle=angle)
            yield View(canvas, partial(_rotate, angle=angle), back)


def _lossless(turns: int, flip: Shape) -> View:
    """Flips the given axes, then turns the plane of the last two spatial axes."""

    def shape(before: Shape) -> Shape:
        return (*before[:-2], *before[:-3:-1]) if turns % 2 else before

    def apply(image: np.ndarray) -> np.ndarray:
        image = np.flip(image, flip)
        return np.rot90(image, turns, (-3, -2)) if turns else image

    def invert(outputs: np.ndarray, shape: Shape) -> np.ndarray:
        outputs = np.rot90(outputs, -turns, (-3, -2)) if turns else outputs
        return np.flip(outputs, flip)

    return View(shape, apply, invert)


def _canvas(shape: Shape, angle: float) -> Shape:
    """The smallest shape that holds the whole rotated image."""
    height, width = shape[-2:]
    cos, sin = abs(math.cos(angle)), abs(math.sin(angle))
    plane = (height * cos + width * sin, height * sin + width * cos)
    return (*shape[:-2], *map(math.ceil, plane))


def _rotate(image: np.ndarray, angle: float) -> np.ndarray:
    return _resample(image, angle, _canvas(image.shape[:-1], angle), order=3)


def _rotate_back(outputs: np.ndarray, shape: Shape, angle: float) -> np.ndarray:
    return _resample(outputs, -angle, shape, order=1)


def _resample(image: np.ndarray, angle: float, shape: Shape, order: int) -> np.ndarray:
    """Samples a rotated grid of a spatial shape, channel by channel, in exact coordinates.

    SciPy mirrors here, as its cubic spline takes the mirror image into account for every pixel.
    """
    from scipy import ndimage

    matrix = np.eye(len(shape))
    matrix[-2:, -2:] = [
        [math.cos(angle), -math.sin(angle)],
        [math.sin(angle), math.cos(angle)],
    ]
    middle_in = (np.array(image.shape[:-1]) - 1) / 2
    offset = middle_in - matrix @ ((np.array(shape) - 1) / 2)
    result = np.empty((*shape, image.shape[-1]), np.float32)
    for channel in range(image.shape[-1]):
        result[..., channel] = ndimage.affine_transform(
            image[..., channel], matrix, offset, shape, order=order, mode="mirror"
        )
    return result
