"""Homotopic digital warping of a label image, and the classes of what it cannot repair.

Two steps, kept apart: `homotopic_warping` moves a label towards a proposal without changing its
topology, `mismatch_classes` names every pixel that still differs.
"""

from __future__ import annotations

import enum
from functools import cache

import numpy as np
from scipy import ndimage

from keras_unet._compiled import compiled
from keras_unet.metrics._slices import above, check_slice


class Mismatch(enum.IntFlag):
    """What a pixel that warping could not repair stands for."""

    MERGE = 1
    """The proposal joins objects that the truth keeps apart."""
    SPLIT = 2
    """The proposal cuts an object."""
    HOLE_ADDITION = 4
    """The proposal has a hole in an object."""
    OBJECT_DELETION = 8
    """The proposal lacks an object."""
    OBJECT_ADDITION = 16
    """The proposal has an object too many."""
    HOLE_DELETION = 32
    """The proposal fills a hole of an object."""


SPLITS_AND_MERGERS = Mismatch.MERGE | Mismatch.SPLIT
"""The classes that the challenge counts."""

_CROSS = ndimage.generate_binary_structure(2, 1)
_SQUARE = ndimage.generate_binary_structure(2, 2)


@cache
def simple_point_table() -> np.ndarray:
    """For each of the 256 neighbourhoods, whether its centre is a simple point.

    A simple point may be flipped without a change of topology: exactly one 4-connected object
    component of the neighbourhood touches the centre by a side, and the background of the
    neighbourhood is one 8-connected component. The value of the centre plays no part.

    Returns:
        Boolean array `(256,)`, True at 116 codes. Bit order of a code: 0 NW, 1 N, 2 NE, 3 W, 4 E,
        5 SW, 6 S, 7 SE; a set bit is an object pixel.

    Reference:
        Bertrand and Malandain, "A new characterization of three-dimensional simple points",
        Pattern Recognition Letters 15, 1994, doi:10.1016/0167-8655(94)90046-9.
    """
    ring = np.array([0, 1, 2, 3, 5, 6, 7, 8])
    table = np.zeros(256, dtype=bool)
    for code in range(256):
        objects = np.zeros(9, dtype=bool)
        objects[ring] = (code >> np.arange(8)) & 1
        background = ~objects
        background[4] = False
        regions = ndimage.label(objects.reshape(3, 3), _CROSS)[0].ravel()
        touching = np.unique(regions[[1, 3, 5, 7]])
        count = ndimage.label(background.reshape(3, 3), _SQUARE)[1]
        table[code] = np.count_nonzero(touching) == 1 and count == 1
    table.flags.writeable = False
    return table


def homotopic_warping(
    label: np.ndarray, proposal: np.ndarray, threshold: float, mask: np.ndarray | None = None
) -> np.ndarray:
    """Warps a label towards a thresholded proposal by flipping simple points only.

    Pixels that differ are tried in the order of decreasing `|proposal - threshold|`, equals column
    by column; passes repeat until one flips nothing. Outside the image is background.

    Args:
        label: `(H, W)`, object where > 0.
        proposal: `(H, W)` float, probability of object.
        threshold: The proposal is an object where it is strictly above it.
        mask: `(H, W)`, only pixels with a non-zero value may flip. Defaults to None, all.

    Returns:
        The warped label, bool `(H, W)`.

    Reference:
        Jain et al., "Boundary learning by optimization with topological constraints", CVPR 2010,
        doi:10.1109/CVPR.2010.5539950.
    """
    wrong = _differing(label, proposal, threshold, mask)
    columns, rows = np.nonzero(wrong.T)
    values = np.asarray(proposal, dtype=np.float32)[rows, columns].astype(np.float64)
    gap = np.abs(values - threshold).astype(np.float32)
    order = np.argsort(-gap, kind="stable")
    image = np.pad((np.asarray(label) > 0).astype(np.uint8), 1)
    pixels = ((rows + 1) * image.shape[1] + columns + 1)[order]
    _flip_simple_points(image.ravel(), pixels, image.shape[1], simple_point_table())
    return image[1:-1, 1:-1].astype(bool)


def _differing(
    label: np.ndarray, proposal: np.ndarray, threshold: float, mask: np.ndarray | None
) -> np.ndarray:
    """Where a label and a thresholded proposal differ, within the mask."""
    check_slice(label, proposal)
    wrong = (np.asarray(label) > 0) != above(proposal, threshold)
    if mask is not None:
        check_slice(label, mask)
        wrong &= np.asarray(mask) != 0
    return wrong


@compiled
def _flip_simple_points(image, pixels, width, simple):
    """Flips simple points of the padded flat `image` in place, in the order of `pixels`."""
    around = np.array(
        [-width - 1, -width, -width + 1, -1, 1, width - 1, width, width + 1], dtype=np.int64
    )
    # A pixel that was not simple stays so until a neighbour flips, so it need not be tested again.
    fresh = np.ones(image.size, dtype=np.bool_)
    count = pixels.size
    while True:
        left = 0
        for index in range(count):
            pixel = pixels[index]
            if fresh[pixel]:
                fresh[pixel] = False
                code = 0
                for bit in range(8):
                    code |= image[pixel + around[bit]] << bit
                if simple[code]:
                    image[pixel] = 1 - image[pixel]
                    for offset in around:
                        fresh[pixel + offset] = True
                    continue
            pixels[left] = pixel
            left += 1
        if left == count:
            return
        count = left


def mismatch_classes(
    warped: np.ndarray,
    proposal: np.ndarray,
    threshold: float,
    radius: int = 20,
    mask: np.ndarray | None = None,
) -> np.ndarray:
    """Names each pixel in which a warped label still differs from the thresholded proposal.

    The class follows from which 4-connected objects of `warped` the 8 neighbours belong to; where
    that leaves a cut and a filled hole possible, the pixel is removed and the objects around it
    are followed within `radius`.

    Args:
        warped: `(H, W)`, what `homotopic_warping` gave.
        proposal: `(H, W)` float, probability of object.
        threshold: The proposal is an object where it is strictly above it.
        radius: Half width in pixels of the window in which objects are followed; the whole image
            where it is below 1 or larger than a side. Defaults to 20, as the challenge does.
        mask: `(H, W)`, only pixels with a non-zero value are looked at. Defaults to None, all.

    Returns:
        uint8 `(H, W)`: 0 where both agree, otherwise a value of `Mismatch`.
    """
    wrong = _differing(warped, proposal, threshold, mask)
    if radius < 1 or radius > min(wrong.shape):
        radius = max(wrong.shape)
    objects = np.asarray(warped) > 0
    image = np.pad(objects.astype(np.uint8), 1)
    regions = np.pad(ndimage.label(objects, _CROSS)[0], 1, constant_values=-1)
    pixels = np.flatnonzero(np.pad(wrong, 1))
    classes = np.zeros(image.shape, dtype=np.uint8)
    _classify(image.ravel(), regions.ravel(), pixels, image.shape[1], radius, classes.ravel())
    return classes[1:-1, 1:-1].copy()


@compiled
def _classify(image, regions, pixels, width, radius, classes):
    """Writes the class of each of `pixels`; all images are flat and padded, -1 = outside."""
    around = np.array(
        [-width - 1, -width, -width + 1, -1, 1, width - 1, width, width + 1], dtype=np.int64
    )
    values = np.empty(8, dtype=np.int64)
    seen = np.full(image.size, -1, dtype=np.int64)
    queue = np.empty(image.size, dtype=np.int64)
    for index in range(pixels.size):
        pixel = pixels[index]
        inside = image[pixel] == 1
        distinct, objects = 0, 0
        for offset in around:
            value = regions[pixel + offset]
            if value < 0 or (values[:distinct] == value).any():
                continue
            values[distinct] = value
            distinct += 1
            objects += value > 0
        if objects == 0:
            classes[pixel] = 8 if inside else 16
        elif distinct == 1:
            classes[pixel] = 4 if inside else 32
        elif distinct > 2:
            classes[pixel] = 2 if inside else 1
        elif not inside:
            classes[pixel] = 4
        elif _comes_apart(image, pixel, around, width, radius, index, seen, queue):
            classes[pixel] = 2
        else:
            classes[pixel] = 32


@compiled
def _comes_apart(image, centre, around, width, radius, stamp, seen, queue):
    """Whether the object pixels around `centre` fall into several pieces without it."""
    row, column = centre // width, centre % width
    neighbours, start = 0, -1
    for offset in around:
        if image[centre + offset]:
            neighbours += 1
            start = centre + offset
    seen[centre] = stamp
    seen[start] = stamp
    queue[0] = start
    reached, head, tail = 1, 0, 1
    while head < tail and reached < neighbours:
        pixel = queue[head]
        head += 1
        for step in (-width, -1, 1, width):
            other = pixel + step
            if image[other] == 0 or seen[other] == stamp:
                continue
            away = max(abs(other // width - row), abs(other % width - column))
            if away > radius:
                continue
            seen[other] = stamp
            queue[tail] = other
            tail += 1
            reached += away == 1
    return reached < neighbours


def count_mismatches(
    classes: np.ndarray, warped: np.ndarray, by_error: bool = False
) -> dict[Mismatch, int]:
    """Counts mismatches of one slice by class.

    Args:
        classes: `(H, W)`, what `mismatch_classes` gave.
        warped: `(H, W)`, what `homotopic_warping` gave.
        by_error: False counts pixels, True counts connected clusters of pixels. Defaults to False.

    Returns:
        The number for each of the six classes.
    """
    if not by_error:
        return {kind: int(np.count_nonzero(classes == kind)) for kind in Mismatch}

    def clusters(where: np.ndarray, structure: np.ndarray) -> int:
        return int(ndimage.label(where, structure)[1])

    inside = warped > 0
    counts: dict[Mismatch, int] = {}
    for kind in Mismatch:
        where = classes == kind
        if kind in (Mismatch.HOLE_ADDITION, Mismatch.HOLE_DELETION):
            structure = _SQUARE if kind == Mismatch.HOLE_ADDITION else _CROSS
            counts[kind] = clusters(where & ~inside, _CROSS) + clusters(where & inside, structure)
        else:
            counts[kind] = clusters(where, _SQUARE if kind == Mismatch.MERGE else _CROSS)
    return counts
