"""What varies in a random spatial field, and within which ranges."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar

from keras_unet._arguments import check_one_of
from keras_unet.augmentation.field import largest_sigma

INTERPOLATIONS = ("bicubic", "bspline")

Range = float | tuple[float, float]
"""A number, whose meaning depends on the argument, or `(low, high)`."""


@dataclass(frozen=True)
class SpatialRanges:
    """What varies in a random field; `Augmentation` and `RandomWarp` explain it.

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
        check_one_of("interpolation", self.interpolation, INTERPOLATIONS)
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

    def drawn(self, name: str, uniform: Any, exp: Callable[[Any], Any]) -> Any:
        """The value of a range argument for a number drawn uniformly from 0..1.

        Args:
            name: The argument.
            uniform: The drawn number, or an array of them.
            exp: The exponential function of the array's library.

        Returns:
            Between the range's ends, log-uniform for ratios; a float where the ends agree.
        """
        low, high = self.range_of(name)
        if low == high:  # no rounding
            return low
        if name in self.RATIOS:
            return low * exp(math.log(high / low) * uniform)
        return low + (high - low) * uniform

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
