"""Tiles on which the ranges of a quantised network are measured."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_unet.data.resolution import resize_image, working_shape
from keras_unet.data.sample import Sample
from keras_unet.geometry import TilePlan, plan_tiles
from keras_unet.inference.images import as_image
from keras_unet.inference.tiling import plan_fixed, read_tile

if TYPE_CHECKING:
    from keras_unet.inference.segmenter import Segmenter

MAX_TILES = 100
TILE = 256
"""Side of the tiles of a network that takes any size, or the next legal one."""


def calibration_tiles(
    segmenter: Segmenter, samples: Iterable[Any], tile: Sequence[int] | None
) -> list[np.ndarray]:
    """Normalised tiles of images, evenly chosen where there are many.

    Args:
        segmenter: The segmenter.
        samples: `Sample`s or raw images.
        tile: Shape of the tiles; None for those of about 256 pixels.

    Returns:
        Up to 100 arrays `(*tile, C)`, float32.

    Raises:
        ValueError: If there is no image, or one does not fit the network.
    """
    images = [_normalized(segmenter, sample) for sample in samples]
    if not images:
        raise ValueError("samples must hold at least one image. Received: none")
    plans = [_plan(segmenter, image.shape[:-1], tile) for image in images]
    every = -(-sum(map(len, plans)) // MAX_TILES)
    pairs = (
        (image, plan.tile_shape, part)
        for image, plan in zip(images, plans, strict=True)
        for part in plan
    )
    found = []
    for image, shape, part in itertools.islice(pairs, 0, None, every):
        found.append(np.empty((*shape, image.shape[-1]), np.float32))
        read_tile(image, part.read, found[-1])
    return found


def _normalized(segmenter: Segmenter, sample: Any) -> np.ndarray:
    image = sample.image if isinstance(sample, Sample) else sample
    image = as_image(image, segmenter.geometry.rank, segmenter.channels)
    image = resize_image(image, working_shape(image.shape[:-1], segmenter.resolution))
    stack = image[None] if image.ndim == 2 else image
    return segmenter.normalization(stack).reshape(image.shape)


def _plan(segmenter: Segmenter, shape: tuple[int, ...], tile: Sequence[int] | None) -> TilePlan:
    geometry = segmenter.geometry
    if tile is not None:
        return plan_fixed(shape, geometry, tile)
    smallest = geometry.nearest(geometry.stride + 2 * geometry.margin)[1]
    return plan_tiles(shape, geometry, max(TILE, smallest))
