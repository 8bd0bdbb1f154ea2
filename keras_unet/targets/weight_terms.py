"""The distance terms of the weight map, and the map itself: by the formula, or looked up."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from keras_unet._compiled import compiled
from keras_unet.objects.distance import two_nearest_squares
from keras_unet.objects.packed import LONGEST_REACH

_MOST_ENTRIES = 2**22
"""Of a table of border terms, 8 bytes each; beyond that the formula is used."""


class Terms(NamedTuple):
    """Border and rim term, each `height * exp(-distance**2 / (2 width**2))`, 0 from its cut on.

    The border's distance is that to the nearest cell plus that to the second nearest one, the rim's
    is that to the nearest cell.

    Attributes:
        border: Height, width and cut.
        rim: Height, width and cut.
    """

    border: tuple[float, float, float]
    rim: tuple[float, float, float]

    @property
    def reach(self) -> float:
        """Distance from which on no cell counts."""
        return max(self.border[-1], self.rim[-1])

    def at(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Sum of both at the squared distances to the two nearest cells, float64."""
        # far squares (no such cell, not wanted) are at least reach**2: they are beyond both cuts
        first, second = (np.sqrt(square, dtype=np.float64) for square in (first, second))
        terms = _bell(first + second, *self.border)
        return terms + _bell(first, *self.rim) if self.rim[-1] > 0 else terms


def _bell(distance: np.ndarray, height: float, width: float, cut: float) -> np.ndarray:
    """`height * exp(-distance^2 / (2 width^2))` below the cut, else 0; overwrites its input."""
    beyond = distance >= cut
    np.square(distance, out=distance)
    distance /= -2 * width**2
    np.exp(distance, out=distance)
    distance *= height
    distance[beyond] = 0
    return distance


def weights_with_terms(
    labels: np.ndarray,
    wanted: np.ndarray,
    spacing: Sequence[float] | None,
    terms: Terms,
    class_weights: np.ndarray,
    classes: np.ndarray,
    known: np.ndarray,
) -> np.ndarray:
    """Class weight plus terms of every pixel, computed in float64 and rounded once.

    Args:
        labels: Ids `(*spatial)`, int32, C-contiguous.
        wanted: Boolean map: which pixels get terms.
        spacing: Size of a pixel along each axis; None for pixels.
        terms: The terms.
        class_weights: Weight of the classes 0, 1, ..., float32.
        classes: Class of every pixel, integers; negative only where not `known`.
        known: Boolean map; elsewhere the weight is 0.

    Returns:
        The weights, float32 `(*spatial)`.
    """
    if terms.reach == 0:
        return np.where(known, class_weights[np.maximum(classes, 0)], np.float32(0))
    first, second = two_nearest_squares(
        labels,
        wanted,
        spacing,
        reach=terms.reach,
        sum_reach=terms.border[-1],
        first_reach=terms.rim[-1],
    ).pair
    tables = _tables(terms, labels.ndim) if spacing is None else None
    if tables is None:
        return by_formula(first, second, terms, class_weights, classes, known)
    weights = np.empty(labels.shape, np.float32)
    maps = (first, second, classes.astype(np.int32, copy=False), known)
    lines = (np.ascontiguousarray(values).reshape(-1) for values in maps)
    _look_up(*lines, class_weights, *tables, weights.reshape(-1))
    return weights


def by_formula(
    first: np.ndarray,
    second: np.ndarray,
    terms: Terms,
    class_weights: np.ndarray,
    classes: np.ndarray,
    known: np.ndarray,
) -> np.ndarray:
    """`weights_with_terms` of squared distances of any kind."""
    weights = class_weights[np.maximum(classes, 0)] + terms.at(first, second)
    return np.where(known, weights.astype(np.float32), np.float32(0))


@lru_cache(maxsize=4)
def _tables(terms: Terms, rank: int) -> tuple[np.ndarray, ...] | None:
    """The terms at all squared distances that occur; None if these are too many.

    Squared distances between pixels are sums of squares: of 0..9 a plane has 0, 1, 2, 4, 5, 8, 9.
    Only those get a row and a column.

    Returns:
        `(row, column, border, rim)`: for squares a and b, the border term is
        `border[row[a], column[b]]` and the rim term `rim[a]`.
    """
    reach, cut = terms.reach, terms.border[-1]
    if reach > LONGEST_REACH:
        return None
    far = math.ceil(reach * reach)
    sides = np.arange(math.ceil(reach) + 1) ** 2
    squares = sides
    for _ in range(rank - 1):
        squares = np.unique(squares[:, None] + sides)
    squares = np.append(squares[squares < far], far)
    roots = np.sqrt(squares)
    rows, columns = squares[2 * roots < cut], squares[roots < cut]
    if len(rows) * len(columns) > _MOST_ENTRIES:
        return None
    row, column = (np.full(far + 1, len(part), np.int32) for part in (rows, columns))
    row[rows], column[columns] = np.arange(len(rows)), np.arange(len(columns))
    border = np.zeros((len(rows) + 1, len(columns) + 1))  # 0 where one is not listed
    without_rim = Terms(terms.border, (0.0, 1.0, 0.0))
    border[:-1, :-1] = without_rim.at(rows[:, None], columns)
    rim = _bell(np.sqrt(np.arange(far + 1.0)), *terms.rim)
    return row, column, border, rim


@compiled
def _look_up(first, second, classes, known, class_weights, row, column, border, rim, weights):
    """The weights of all pixels, from tables (compiled)."""  # pragma: no cover
    far = rim.size - 1
    for pixel in range(weights.size):
        if known[pixel]:
            near, other = min(first[pixel], far), min(second[pixel], far)
            terms = border[row[near], column[other]] + rim[near]
            weights[pixel] = class_weights[classes[pixel]] + terms
        else:
            weights[pixel] = 0
