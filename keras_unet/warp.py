"""The maths of one random spatial field, written once for NumPy, TensorFlow and keras.ops.

An output pixel `p` shows the source image at

    x(p) = c_source + M (p - c_output) + d(p)

with the affine matrix `M` (flips, quarter turns, rotation, scale), the elastic displacement `d` and
the centres `c`. The functions use nothing but `+ - * // @`, `abs` and indexing, so that arrays of
every library go in and come out; only constants are made with NumPy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar

import numpy as np

INTERPOLATIONS = ("bicubic", "bspline")

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


def _span(size: Any) -> Any:
    """Distance of the outermost pixel centres, `max(size - 1, 1)` without a library's maximum."""
    return abs(size - 1.5) + 0.5


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
        return (_ramp(2 - distance) ** 3 - 4 * _ramp(1 - distance) ** 3) / 6
    knots = np.arange(points, dtype=dtype)[:, None]
    weights = _natural_spline(points).astype(dtype)
    curved = weights[:, :points] @ abs(positions[None, :] - knots) ** 3
    return curved + weights[:, points, None] + weights[:, points + 1, None] * positions[None, :]


def _ramp(values: Any) -> Any:
    """`max(values, 0)` without a library's maximum."""
    return (values + abs(values)) / 2


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
        One array `(..., *n)` an axis, in pixels.
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
    period `2 (size - 1)` for any distance; everything is 0 for size 1.

    Args:
        index: Whole numbers as floats (exact up to 2**24), any shape.
        size: Pixels along this axis, a float.
        once: Whether all indices lie in `-(size - 1)..2 (size - 1)`, which is cheaper. Defaults to
            False.

    Returns:
        Whole numbers in `0..size - 1` as floats, same shape.
    """
    last = size - 1
    if not once:
        period = abs(2 * last - 0.5) + 0.5  # 2 last, but 1 where last is 0
        index = index - period * (index // period)
    return last - abs(last - abs(index))


Range = float | tuple[float, float]
"""A number, whose meaning depends on the argument, or `(low, high)`."""


@dataclass(frozen=True)
class SpatialRanges:
    """What varies in a random field; `data.Augmentation` and `layers.RandomWarp` explain it.

    Where an argument takes a range, a pair `(low, high)` gives it directly and a number `x` means
    `-x..x` (rotation, shift) or `1/x..x` (scale).

    Args:
        grid: Knots of the deformation along each axis, one number or one per axis.
        sigma: Standard deviation of the displacements at the knots in pixels, one number or one
            per axis.
        interpolation: "bicubic" or "bspline".
        rotation: Degrees, in the plane of the last two axes.
        flip: Whether each axis is flipped half of the time, one value or one per axis.
        rot90: Whether the last two axes are turned by a random number of quarter turns.
        scale: Magnification of the objects.
        shift: Pixels.

    Raises:
        ValueError: If an argument is out of its range.
    """

    grid: int | tuple[int, ...] = 3
    sigma: float | tuple[float, ...] = 10.0
    interpolation: str = "bicubic"
    rotation: Range = 180.0
    flip: bool | tuple[bool, ...] = True
    rot90: bool = False
    scale: Range = 1.0
    shift: Range = 0.0

    SYMMETRIC: ClassVar[tuple[str, ...]] = ("rotation", "shift")
    RATIOS: ClassVar[tuple[str, ...]] = ("scale",)
    MAGNITUDES: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        for field in fields(self):  # lists come from configuration files
            value = getattr(self, field.name)
            if isinstance(value, list):
                object.__setattr__(self, field.name, tuple(value))
        self._check_choice("interpolation", INTERPOLATIONS)
        for name, lowest, kinds in (("grid", 2, int), ("sigma", 0, (int, float))):
            value = getattr(self, name)
            values = value if isinstance(value, tuple) else (value,)
            if not values or not all(_is_number(v, kinds) and v >= lowest for v in values):
                raise ValueError(
                    f"{name} must be {'an integer' if kinds is int else 'a number'} >= {lowest}, "
                    f"or one per axis. Received: {name}={value!r}"
                )
        for name in (*self.SYMMETRIC, *self.RATIOS, *self.MAGNITUDES):
            self._check_range(name)

    def _check_choice(self, name: str, choices: tuple[str, ...]) -> None:
        if getattr(self, name) not in choices:
            raise ValueError(
                f"{name} must be one of {choices}. Received: {name}={getattr(self, name)!r}"
            )

    def _check_range(self, name: str) -> None:
        value = getattr(self, name)
        received = f"Received: {name}={value!r}"
        pair = value if isinstance(value, tuple) else (value, value)
        if len(pair) != 2 or not all(_is_number(v, (int, float)) for v in pair):
            raise ValueError(f"{name} must be a finite number or a pair (low, high). {received}")
        if pair[0] > pair[1]:
            raise ValueError(f"{name} must have low <= high. {received}")
        if name in self.RATIOS and (pair[0] <= 0 or (pair is not value and value < 1)):
            raise ValueError(
                f"{name} must be a number x >= 1, which means 1/x..x, or a pair of positive "
                f"numbers. {received}"
            )
        if pair[0] < 0 and (name in self.MAGNITUDES or pair is not value):
            raise ValueError(f"{name} must not be negative. {received}")

    def range_of(self, name: str) -> tuple[float, float]:
        """The `(low, high)` that a range argument stands for."""
        value = getattr(self, name)
        if isinstance(value, tuple):
            return (float(value[0]), float(value[1]))
        low = -value if name in self.SYMMETRIC else 1 / value if name in self.RATIOS else 0.0
        return (float(low), float(value))

    def sigma_for(self, shape: Sequence[int]) -> tuple[float, ...]:
        """Standard deviation of the displacements along each axis for an output of this shape.

        Args:
            shape: Spatial shape of the output in pixels.

        Returns:
            `sigma` in pixels, made smaller along axes where the field would fold.
        """
        sigma, grid = (self.per_axis(name, len(shape)) for name in ("sigma", "grid"))
        return tuple(
            float(min(s / pixel, largest_sigma(size, points, self.interpolation)))
            for s, pixel, size, points in zip(
                sigma, self.pixel_sizes(len(shape)), shape, grid, strict=True
            )
        )

    def pixel_sizes(self, rank: int) -> tuple[float, ...]:
        """Size of a pixel along each axis, in units of the smallest one."""
        return (1.0,) * rank

    def per_axis(self, name: str, rank: int) -> tuple[Any, ...]:
        """The values of `grid`, `sigma` or `flip` for each of `rank` axes."""
        value = getattr(self, name)
        values = value if isinstance(value, tuple) else (value,) * rank
        if len(values) != rank:
            raise ValueError(
                f"{name} needs one value or {rank} of them, one per spatial axis. "
                f"Received: {name}={value}"
            )
        return values

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as plain values."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}


def _is_number(value: Any, kinds: Any) -> bool:
    return isinstance(value, kinds) and not isinstance(value, bool) and math.isfinite(value)
