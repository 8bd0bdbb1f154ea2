"""Distances to the two nearest cells at once: exact, and as fast with a thousand cells as with ten.

A transform that only knows the nearest cell can be done axis by axis (Felzenszwalb and Huttenlocher
2012). So can this one: along each axis every pixel keeps its two nearest *distinct* ids. Two are
enough, because a third id of a line is beaten there by two others, which then beat it everywhere
else that looks through this line. Squared distances are integers, so the result is exact.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from keras_unet._compiled import compiled
from keras_unet.objects.instance_maps import as_instances
from keras_unet.objects.packed import LONGEST_REACH, packed_squares, short_ids

_FAR_INTEGER = 2**30


def two_nearest_distances(
    instances: np.ndarray,
    spacing: Sequence[float] | None = None,
    max_distance: float | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Distances from every pixel to the nearest and to the second nearest cell.

    A distance is Euclidean and goes to the nearest pixel *centre* of a cell, as in
    `scipy.ndimage.distance_transform_edt(instances != i)`: 0 inside the cell, 1 beside it. Inside
    a cell, the nearest one is that cell itself (`d1 == 0`) and the second is the nearest other one.

    Time does not grow with the number of cells, only with the distances that occur (at most the
    image's side); memory is some 40 bytes per pixel.

    Args:
        instances: Integer ids `(*spatial)` of rank 1 to 3, 0 = background.
        spacing: Size of a pixel along each axis, for distances in that unit. Defaults to None,
            distances in pixels.
        max_distance: Distances above this one become infinite; a small one saves time on large
            images. Defaults to None, no limit.

    Returns:
        `(d1, d2)`, each float64 `(*spatial)`; infinite where there are fewer than one or two cells.

    Raises:
        ValueError: If `instances` is no instance image, or `spacing` or `max_distance` is not
            positive.

    Example:
        >>> d1, d2 = two_nearest_distances(np.array([[1, 0, 0, 0, 2, 2]]))
        >>> d1
        array([[0., 1., 2., 1., 0., 0.]])
        >>> d2
        array([[4., 3., 2., 3., 4., 5.]])

    Reference:
        Felzenszwalb, Huttenlocher. "Distance Transforms of Sampled Functions." Theory of Computing
        8, 2012 (for one distance; the extension to two is described on top of this file).
        doi:10.4086/toc.2012.v008a019
    """
    labels = as_instances(instances)
    if max_distance is not None and not max_distance > 0:
        raise ValueError(f"max_distance must be positive. Received: max_distance={max_distance}")
    wanted = np.ones(labels.shape, bool)
    reach = math.inf if max_distance is None else float(max_distance)
    # the transform stops *below* its reach, this function's limit is included
    squares = two_nearest_squares(labels, wanted, spacing, reach=math.nextafter(reach, math.inf))
    first, second = (distances(square, squares.far) for square in squares.pair)
    if max_distance is not None:
        first[first > max_distance] = np.inf
        second[second > max_distance] = np.inf
    return first, second


class Squares(NamedTuple):
    """Squared distances to the two nearest cells; `far` and above means that there is none.

    Attributes:
        pair: Arrays `(*spatial)` of the first and the second squared distance, integers (float64
            with a spacing).
        far: The value from which on a square stands for infinity.
    """

    pair: tuple[np.ndarray, np.ndarray]
    far: float


def distances(squares: np.ndarray, far: float) -> np.ndarray:
    """Square roots in float64, infinite from `far` on."""
    roots = np.sqrt(squares, dtype=np.float64)
    roots[squares >= far] = np.inf
    return roots


def two_nearest_squares(
    labels: np.ndarray,
    wanted: np.ndarray,
    spacing: Sequence[float] | None = None,
    reach: float = math.inf,
    sum_reach: float = math.inf,
    first_reach: float = math.inf,
) -> Squares:
    """The transform itself, pruned to what the caller needs.

    A plane, short distances in pixels and few ids are what training asks for: they go through
    `packed_squares`, which is several times as fast, everything else through `general_squares`.

    Args:
        labels: Ids `(*spatial)`, int32, C-contiguous; anything but 0 is an id, negative ones too.
        wanted: Boolean map; elsewhere the result is not computed (far).
        spacing: As in `two_nearest_distances`.
        reach: Distances from here on are given as far.
        sum_reach: Pairs need only be right where first + second is below this (elsewhere what is
            given is too large, never too small).
        first_reach: With a `sum_reach`, first distances by themselves need only be right below it.

    Returns:
        The squared distances, `far` where they reach `reach`.
    """
    if labels.ndim == 2 and spacing is None and 0 < reach <= LONGEST_REACH:
        short = short_ids(labels)
        if short is not None:
            limit = _limit(reach, np.int32(_FAR_INTEGER))
            pair = packed_squares(short, wanted, reach, limit, sum_reach, first_reach)
            return Squares(pair, limit)
    return general_squares(labels, wanted, spacing, reach, sum_reach, first_reach)


def general_squares(
    labels: np.ndarray,
    wanted: np.ndarray,
    spacing: Sequence[float] | None = None,
    reach: float = math.inf,
    sum_reach: float = math.inf,
    first_reach: float = math.inf,
) -> Squares:
    """`two_nearest_squares` for any rank, spacing, reach and ids."""
    units = _units(labels, spacing)
    dtype = units.dtype
    far = dtype.type(np.inf if dtype == np.float64 else _far(labels.shape))
    limit = _limit(reach, far)
    rows = labels.reshape(labels.shape[0], -1)
    kinds = (dtype, np.int32, dtype, np.int32)
    nearest = _Nearest(*(np.empty(rows.shape, kind) for kind in kinds))
    _sweep(rows, nearest, np.zeros((4, rows.shape[1]), np.int32), units[0], far)
    nearest = nearest.each(np.reshape, labels.shape)
    for axis in range(1, labels.ndim):
        last = axis == labels.ndim - 1
        # lines along the axis become contiguous; nothing is copied for the last axis
        lines = nearest.each(np.moveaxis, axis, -1).each(np.ascontiguousarray)
        merged = lines.each(np.empty_like)
        mask = wanted if last else np.ones(lines.first.shape, bool)
        _merge(
            _rows(np.ascontiguousarray(mask)),
            lines.each(_rows),
            merged.each(_rows),
            units[axis],
            limit,
            # before the last axis, the nearest cell of a pixel is not known yet
            float(sum_reach) if last else math.inf,
            float(first_reach),
        )
        nearest = merged.each(np.moveaxis, -1, axis)
    if labels.ndim == 1:
        nearest.first[~wanted] = nearest.second[~wanted] = far
    return Squares((nearest.first, nearest.second), limit)


class _Nearest(NamedTuple):
    """What is known of every pixel: squared distances to its two nearest cells, and their ids.

    An id of 0 stands for no cell, whose distance is far.
    """

    first: np.ndarray
    first_id: np.ndarray
    second: np.ndarray
    second_id: np.ndarray

    def each(self, change: Callable[..., np.ndarray], *arguments: Any) -> _Nearest:
        """The same change of all four arrays."""
        return _Nearest(*(change(part, *arguments) for part in self))


def _rows(array: np.ndarray) -> np.ndarray:
    """Lines along the last axis, one below the other; no copy of a contiguous array."""
    return array.reshape(-1, array.shape[-1])


def _units(labels: np.ndarray, spacing: Sequence[float] | None) -> np.ndarray:
    """Squared size of a pixel along each axis; its dtype is that of the squared distances."""
    if spacing is None:
        small = _far(labels.shape) == _FAR_INTEGER
        return np.ones(labels.ndim, np.int32 if small else np.int64)
    units = np.asarray(spacing, np.float64)
    if units.shape != (labels.ndim,) or not (np.isfinite(units) & (units > 0)).all():
        raise ValueError(
            f"spacing needs {labels.ndim} positive numbers. Received: spacing={spacing}"
        )
    return units**2


def _far(shape: Sequence[int]) -> int:
    """An integer above every squared distance that leaves room for one more of them."""
    return _FAR_INTEGER if sum(size**2 for size in shape) < _FAR_INTEGER else 2**61


def _limit(reach: float, far: Any) -> Any:
    """The smallest square that counts as far, in the type of `far`."""
    square = reach * reach
    if square >= far:
        return far
    return type(far)(square if isinstance(far, np.floating) else math.ceil(square))


@compiled
def _insert(first, id1, second, id2, distance, label):  # pragma: no cover (compiled)
    """Puts one candidate among the two nearest distinct ids."""
    if distance < first:
        if label != id1:
            second, id2 = first, id1
        return distance, label, second, id2
    if distance < second and label != id1:
        return first, id1, distance, label
    return first, id1, second, id2


@compiled
def _sweep(labels, nearest, behind, unit, far):  # pragma: no cover
    """Two nearest distinct ids along axis 0: one sweep down, one up, whole rows at a time."""
    near, near_id, second, second_id = nearest
    rows, columns = labels.shape
    for i in range(rows):
        for j in range(columns):
            if i == 0:
                n1, l1, n2, l2 = far, 0, far, 0
            else:
                n1, l1 = near[i - 1, j], near_id[i - 1, j]
                n2, l2 = second[i - 1, j], second_id[i - 1, j]
                n1 = n1 + 1 if l1 != 0 else far
                n2 = n2 + 1 if l2 != 0 else far
            label = labels[i, j]
            if label != 0:
                n1, l1, n2, l2 = _insert(n1, l1, n2, l2, 0, label)
            near[i, j], near_id[i, j] = n1, l1
            second[i, j], second_id[i, j] = n2, l2
    # `behind` is the same state of the rows below; steps are squared when a row is done
    for i in range(rows - 1, -1, -1):
        for j in range(columns):
            n1, l1 = near[i, j], near_id[i, j]
            n2, l2 = second[i, j], second_id[i, j]
            if behind[1, j] != 0:
                behind[0, j] += 1
                behind[2, j] += 1
                n1, l1, n2, l2 = _insert(n1, l1, n2, l2, behind[0, j], behind[1, j])
                if behind[3, j] != 0:
                    n1, l1, n2, l2 = _insert(n1, l1, n2, l2, behind[2, j], behind[3, j])
            label = labels[i, j]
            if label != 0:
                if behind[1, j] != label:
                    behind[2, j], behind[3, j] = behind[0, j], behind[1, j]
                behind[0, j], behind[1, j] = 0, label
            near[i, j] = n1 * n1 * unit if l1 != 0 else far
            second[i, j] = n2 * n2 * unit if l2 != 0 else far
            near_id[i, j], second_id[i, j] = l1, l2


@compiled
def _settled(distance, first, sum_reach, first_reach):  # pragma: no cover
    """Whether cells at `distance` or more cannot change any pair that is asked for."""
    # such a cell leaves first + second >= min(first, distance) + distance
    first = np.sqrt(first)
    return distance >= max(sum_reach - first, min(first_reach, first))


@compiled
def _several(near_id, second_id):  # pragma: no cover
    """Whether a line knows more than one id; otherwise no second one need be looked for."""
    some = np.int32(0)
    for j in range(near_id.size):
        if second_id[j] != 0 or (some != 0 and near_id[j] != 0 and near_id[j] != some):
            return True
        if near_id[j] != 0:
            some = near_id[j]
    return False


@compiled
def _merge(wanted, lines, merged, unit, limit, sum_reach, first_reach):  # pragma: no cover
    """Adds one axis: what pixels know along the axes before becomes what they know along this too.

    A pixel asks the others of its line, the nearest first, for the cells that they know. At a
    distance of r pixels, r * r (times the unit) is added to their squared distances. Of a line

        pixel             0     1     2     3
        first, first_id   4 A   -     1 B   0 C      (nobody knows a second one)

    pixel 1 hears of 4 + 1 from A and of 1 + 1 from B at r = 1, so it knows (2 B, 5 A); at r = 2 of
    0 + 4 from C, so it knows (2 B, 4 C). In a longer line it stops at r = 3: 9 >= 4, so no cell
    from there on can be the first or the second.
    """
    near, near_id, second, second_id = lines
    out1, out_id1, out2, out_id2 = merged
    count, length = near.shape
    step = np.sqrt(unit)
    half = np.int64(np.ceil(min(sum_reach / 2 / step, 2.0**31)))
    for i in range(count):
        several = _several(near_id[i], second_id[i])
        for j in range(length):
            n1, l1, n2, l2 = limit, np.int32(0), limit, np.int32(0)
            if wanted[i, j]:
                if near[i, j] < limit:
                    n1, l1 = near[i, j], near_id[i, j]
                if second[i, j] < limit:
                    n2, l2 = second[i, j], second_id[i, j]
                for r in range(1, max(j, length - 1 - j) + 1):
                    square = r * r * unit
                    if square >= (n2 if several else n1):
                        break
                    if r >= half and _settled(r * step, n1, sum_reach, first_reach):
                        break
                    for side in range(2):
                        k = j - r if side == 0 else j + r
                        if k < 0 or k >= length or near[i, k] + square >= n2:
                            continue
                        n1, l1, n2, l2 = _insert(n1, l1, n2, l2, near[i, k] + square, near_id[i, k])
                        if second[i, k] + square < n2:
                            n1, l1, n2, l2 = _insert(
                                n1, l1, n2, l2, second[i, k] + square, second_id[i, k]
                            )
            out1[i, j], out_id1[i, j], out2[i, j], out_id2[i, j] = n1, l1, n2, l2
