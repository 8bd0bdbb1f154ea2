"""The maths of one random spatial field, written once for NumPy, TensorFlow and keras.ops.

An output pixel `p` shows the source image at

    x(p) = c_source + M (p - c_output) + d(p)

with the affine matrix `M` (flips, quarter turns, rotation, scale), the elastic displacement `d` and
the centres `c`. The functions use nothing but `+ - * / // @`, `abs` and indexing, so that arrays of
every library go in and come out; only constants are made with NumPy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

_FOLD_LIMIT = {"bicubic": 0.105, "bspline": 0.26}
"""Standard deviation / knot spacing up to which a random field practically never folds over."""


def knot_count(points: int, interpolation: str) -> int:
    """Random numbers along an axis: a B-spline needs one more control point beyond each border."""
    return points + 2 if interpolation == "bspline" else points


def largest_sigma(size: Any, points: int, interpolation: str) -> Any:
    """The strongest displacement, in pixels, that keeps a random field free of folds.

    A field folds where neighbouring knots overtake each other, so the limit is proportional to
    their spacing: with 3 bicubic knots it is 10 px for 192 px and 3.3 px for 64 px.

    Args:
        size: Pixels of the output along this axis.
        points: Knots along this axis.
        interpolation: "bicubic" or "bspline".

    Returns:
        Standard deviation in pixels.
    """
    return _FOLD_LIMIT[interpolation] * _span(size) / (points - 1)


def knot_units(offsets: Any, size: Any, points: int) -> Any:
    """Offsets from the output's centre, in pixels -> positions with knots at 0, 1 .. points - 1.

    The outermost knots lie on the centres of the outermost pixels (corner aligned).
    """
    return offsets * ((points - 1) / _span(size)) + (points - 1) / 2


def spline_bases(
    offsets: Sequence[Any], sizes: Sequence[Any], grid: Sequence[int], interpolation: str
) -> list[Any]:
    """The `basis` of each axis.

    Args:
        offsets: For each axis the output pixels' offsets from the output's centre, `(n,)`.
        sizes: Pixels of the output along each axis.
        grid: Knots along each axis.
        interpolation: "bicubic" or "bspline".

    Returns:
        One array `(knot_count, n)` per axis.
    """
    return [
        basis(knot_units(line, size, points), points, interpolation)
        for line, size, points in zip(offsets, sizes, grid, strict=True)
    ]


def _span(size: Any) -> Any:
    """Distance of the outermost pixel centres; 1 for a single pixel, as it divides."""
    return _larger(size - 1, 1)


def _larger(one: Any, other: Any) -> Any:
    """The maximum without a library's `maximum`: the middle of both plus half their distance.

    `_larger(4, 1) = (5 + 3) / 2 = 4`; exact for whole numbers.
    """
    return (one + other + abs(one - other)) / 2


def basis(positions: Any, points: int, interpolation: str) -> Any:
    """Values of the basis functions of a one-dimensional spline.

    "bicubic" is the natural cubic spline through values at the knots; outside of them it goes on as
    a straight line. "bspline" is the uniform cubic B-spline, whose numbers are coefficients: the
    field is smoother and has about half the standard deviation; outside it fades to zero.

    Args:
        positions: `(n,)` floats in knot units, see `knot_units`.
        points: Knots along this axis, at least 2.
        interpolation: "bicubic" or "bspline".

    Returns:
        `(knot_count, n)`: `values @ basis` is the spline at the positions; dtype of `positions`.
    """
    dtype = positions.dtype if isinstance(positions, np.ndarray) else np.float32
    if interpolation == "bspline":
        knots = np.arange(-1, points + 1, dtype=dtype)[:, None]
        distance = abs(positions[None, :] - knots)
        return (_larger(2 - distance, 0) ** 3 - 4 * _larger(1 - distance, 0) ** 3) / 6
    knots = np.arange(points, dtype=dtype)[:, None]
    weights = _natural_spline(points).astype(dtype)
    curved = weights[:, :points] @ abs(positions[None, :] - knots) ** 3
    return curved + weights[:, points, None] + weights[:, points + 1, None] * positions[None, :]


def _natural_spline(points: int) -> np.ndarray:
    """Weights `(points, points + 2)` of |t - j|^3, 1 and t in each cardinal natural spline.

    A natural cubic spline is `sum_j w_j |t - j|^3 + a + b t` with `sum w_j = sum j w_j = 0`, which
    makes it straight outside of the knots; interpolation fixes the rest.
    """
    knots = np.arange(points, dtype=np.float64)
    linear = np.stack([np.ones(points), knots], axis=1)
    system = np.block(
        [[abs(knots[:, None] - knots) ** 3, linear], [linear.T, np.zeros((2, 2))]],
    )
    return np.linalg.inv(system)[:, :points].T


def displacement(knots: Any, bases: Sequence[Any]) -> Any:
    """The spline field of random knots: a separable product, axis by axis.

    The last axis, where the array becomes large, is a matrix product, which XLA computes once; it
    would repeat a sum for every pixel that is gathered at these coordinates.

    Args:
        knots: `(..., *knot_counts)`, displacements in pixels at the knots.
        bases: For each spatial axis its `(knot_count, n)` basis.

    Returns:
        `(..., *n)` displacements in pixels.
    """
    field = knots
    for axis in range(len(bases) - 1):
        inner = (slice(None),) * (len(bases) - 1 - axis)
        along = (slice(None), *(None for _ in inner))
        count = int(bases[axis].shape[0])
        terms = [bases[axis][i][along] * field[(..., i, None, *inner)] for i in range(count)]
        field = sum(terms[1:], terms[0])
    return field @ bases[-1]


def matrix(
    rank: int,
    cosine: Any,
    sine: Any,
    quarter_turns: Any,
    flips: Sequence[Any],
    scale: Any,
    sizes: Sequence[float] | None = None,
) -> list[list[Any]]:
    """Affine matrix from output to source offsets: rotate by turns and angle, flip, magnify.

    Rotations turn the last two axes. Quarter turns and flips are exact: they move pixels and mix
    none, as long as the output's last two sizes are both even or both odd.

    Args:
        rank: Number of spatial axes, 2 or 3.
        cosine: Cosine of the rotation angle (numbers or arrays that broadcast against pixels).
        sine: Its sine.
        quarter_turns: 0, 1, 2 or 3 as floats.
        flips: For each axis 1 (keep) or -1 (flip).
        scale: Magnification; objects appear larger for `scale > 1`.
        sizes: Size of a pixel along each axis, so that turns keep angles and lengths where pixels
            are no squares. Defaults to None, all the same.

    Returns:
        `rank` rows of `rank` entries.
    """
    turn_cosine = abs(quarter_turns - 2) - 1  # 1, 0, -1, 0
    turn_sine = 1 - abs(quarter_turns - 1)  # 0, 1, 0, -1
    cosine, sine = (
        cosine * turn_cosine - sine * turn_sine,
        sine * turn_cosine + cosine * turn_sine,
    )
    shrink = 1 / scale
    zero = 0 * shrink
    rows = [[cosine, -sine], [sine, cosine]]
    rows = [[shrink * entry for entry in row] for row in rows]
    if sizes is not None and sizes[-1] != sizes[-2]:
        ratio = sizes[-1] / sizes[-2]
        rows = [[rows[0][0], rows[0][1] * ratio], [rows[1][0] / ratio, rows[1][1]]]
    if rank == 3:
        rows = [[shrink, zero, zero], *([zero, *row] for row in rows)]
    return [[entry * flip for entry, flip in zip(row, flips, strict=True)] for row in rows]


def coordinates(
    matrix: Sequence[Sequence[Any]], offsets: Sequence[Any], shifts: Sequence[Any]
) -> list[Any]:
    """Source coordinates of every output pixel relative to the source centre.

    Args:
        matrix: From `matrix`.
        offsets: For each axis the output pixels' offsets from the output's centre, `(n,)`.
        shifts: For each axis what is added, a number or a displacement field `(..., *n)`.

    Returns:
        One array `(..., *n)` per axis, in pixels.
    """
    rank = len(offsets)
    lines = [
        offsets[axis][(slice(None), *(None for _ in range(rank - 1 - axis)))]
        for axis in range(rank)
    ]
    result = []
    for row, shift in zip(matrix, shifts, strict=True):
        terms = [entry * line for entry, line in zip(row, lines, strict=True)]
        result.append(sum(terms[1:], terms[0]) + shift)
    return result


def mirror_fold(index: Any, size: Any, once: bool = False) -> Any:
    """Folds pixel indices into an image that goes on as its own mirror image.

    The border pixel is not repeated, NumPy's "reflect": -1 -> 1 and `size` -> `size - 2`, with
    period `2 (size - 1)` for any distance; everything is 0 for size 1. Of 4 pixels:

        index    -4 -3 -2 -1  0  1  2  3  4  5  6  7
        folded    2  3  2  1  0  1  2  3  2  1  0  1

    Every mirror of the package is this one, but for SciPy's in the turned views.

    Args:
        index: Whole numbers, integers or floats (exact up to 2**24), any shape.
        size: Pixels along this axis, of the same kind.
        once: Whether all indices lie in `-2 (size - 1)..2 (size - 1)`, which is cheaper. Defaults
            to False.

    Returns:
        Whole numbers in `0..size - 1`, same kind and shape.
    """
    last = size - 1
    index = abs(index)  # the mirror at pixel 0; from here on, no remainder is a negative number's
    if not once:
        period = (2 * last + 1 + abs(2 * last - 1)) // 2  # the larger one of 2 last and 1
        index = index - period * (index // period)
    return last - abs(last - index)  # the mirror at the last pixel
