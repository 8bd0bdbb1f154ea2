"""Grey values to the range a network was trained with: per image, never per tile."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from keras_unet._arguments import check_real

MODES = ("percentile", "unit", "zscore", "none")

MAX_VALUES = 2**22
"""Percentiles of float images above this many pixels are taken on an even grid of them."""


@dataclass(frozen=True)
class Normalization:
    """Maps an image to float32 by `(image - offset) * scale`, with numbers from the whole image.

    Both numbers come from `statistics`, so a tiler or an exported graph can apply the very same
    ones to each tile. Nothing is clipped. An image (or channel) without contrast becomes zeros.

    Modes:

    - `"percentile"`: the `low` percentile becomes 0 and the `high` one 1. Robust against hot
      pixels and right for any bit depth. Where the two coincide but the image is not constant
      (a few bright spots on black), minimum and maximum take their place. Exact for integers of
      8 and 16 bits; 32-bit and float images of more than 2**22 pixels are sampled on an even grid.
    - `"unit"`: the range of the dtype becomes 0..1: 8 bits divided by 255, 16 bits by 65535,
      signed types shifted; float images must lie in 0..1 already. What the authors of the U-Net
      did (8 bits).
    - `"zscore"`: mean 0 and standard deviation 1.
    - `"none"`: only converts to float32.

    Args:
        mode: One of the above. Defaults to `"percentile"`.
        low: Lower percentile, 0 to 100. Defaults to 1.
        high: Upper percentile, above `low`, to 100. Defaults to 99.8.
        per_channel: Whether each channel has its own numbers; False keeps the colours of an RGB
            image. Has no effect on `"unit"` and `"none"`. Defaults to True.

    Raises:
        ValueError: If an argument is out of its range.

    Example:
        >>> image = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
        >>> normalized = Normalization("unit")(image)
        >>> normalized.dtype, float(normalized.min()), float(normalized.max())
        (dtype('float32'), 0.0, 1.0)
    """

    mode: str = "percentile"
    low: float = 1.0
    high: float = 99.8
    per_channel: bool = True

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ValueError(f"mode must be one of {MODES}. Received: mode={self.mode!r}")
        if not 0 <= self.low < self.high <= 100:
            raise ValueError(
                "low and high must be percentiles with 0 <= low < high <= 100. "
                f"Received: low={self.low}, high={self.high}"
            )

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """The normalized image, float32.

        Args:
            image: `(H, W, C)` or `(D, H, W, C)`, any real dtype.

        Returns:
            float32 array of the same shape.

        Raises:
            ValueError: As `statistics`.
        """
        image = np.asarray(image)
        offset, scale = self.statistics(image)
        return (image.astype(np.float32) - offset) * scale

    def statistics(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The two numbers per channel that normalize this image.

        Args:
            image: `(H, W, C)` or `(D, H, W, C)`, any real dtype, the whole image.

        Returns:
            `(offset, scale)`, each float32 `(C,)`: `(float32(image) - offset) * scale`.

        Raises:
            ValueError: If the image has no channel axis, NaN or infinite values, or, in mode
                `"unit"`, is a float image outside 0..1.
        """
        image = np.asarray(image)
        if image.ndim not in (3, 4) or 0 in image.shape:
            raise ValueError(
                "image must be (H, W, C) or (D, H, W, C); image[..., None] adds the channel axis. "
                f"Received: image.shape={image.shape}"
            )
        check_real(image, "image", np.finfo(np.float32).max)
        channels = image.shape[-1]
        if self.mode == "none":
            pairs = [(0.0, 1.0)]
        elif self.mode == "unit":
            pairs = [_unit_range(image)]
        else:
            find = self._percentiles if self.mode == "percentile" else _mean_and_deviation
            # What `__call__` subtracts from is float32; 8- and 16-bit integers are exact in it.
            values = image.astype(np.float32) if image.dtype.itemsize >= 4 else image
            step = 1 if self.per_channel else channels
            pairs = [find(values[..., c : c + step]) for c in range(0, channels, step)]
        offset, width = np.array(pairs * (channels // len(pairs)), np.float64).T
        scale = np.divide(1.0, width, out=np.zeros(channels), where=width > _TINY)
        return offset.astype(np.float32), scale.astype(np.float32)

    def _percentiles(self, values: np.ndarray) -> tuple[float, float]:
        """The lower percentile and the distance to the upper one."""
        low, high = _quantiles(values, (self.low / 100, self.high / 100))
        if low == high:
            low, high = float(values.min()), float(values.max())
        return low, high - low

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as plain values."""
        return asdict(self)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Normalization:
        """Makes the normalization from `get_config`."""
        return cls(**config)


_TINY = float(np.finfo(np.float32).tiny)
"""Contrast below this cannot be told from none in float32, and its inverse overflows."""


def _unit_range(image: np.ndarray) -> tuple[float, float]:
    """Smallest value and width of the dtype's range."""
    if image.dtype == bool:
        return 0.0, 1.0
    if np.issubdtype(image.dtype, np.integer):
        info = np.iinfo(image.dtype)
        return float(info.min), float(info.max) - float(info.min)
    if image.min() < 0 or image.max() > 1:
        raise ValueError(
            "mode='unit' needs float images in 0..1; scale them or use mode='percentile'. "
            f"Received: values {image.min()} to {image.max()}"
        )
    return 0.0, 1.0


def _mean_and_deviation(values: np.ndarray) -> tuple[float, float]:
    if values.min() == values.max():
        return float(values.flat[0]), 0.0  # rounding could leave a deviation of 1e-17
    return float(values.mean(dtype=np.float64)), float(values.std(dtype=np.float64))


def _quantiles(values: np.ndarray, fractions: tuple[float, float]) -> tuple[float, float]:
    """Quantiles of `(*spatial, C)` with linear interpolation, by a histogram where possible."""
    if values.dtype == bool or values.dtype in ("u1", "u2", "i1", "i2"):
        lowest = 0 if values.dtype == bool else int(np.iinfo(values.dtype).min)
        counts = np.bincount((values.astype(np.int32) - lowest).ravel())
        below = np.cumsum(counts)
        low, high = (_interpolate(below, fraction) + lowest for fraction in fractions)
        return low, high
    rank = values.ndim - 1
    step = math.ceil((values.size / MAX_VALUES) ** (1 / rank))
    sampled = values[(slice(None, None, step),) * rank].astype(np.float64)
    low, high = np.quantile(sampled, fractions)
    return float(low), float(high)


def _interpolate(below: np.ndarray, fraction: float) -> float:
    """Quantile of values whose cumulative histogram is `below`."""
    position = fraction * (below[-1] - 1)
    first = math.floor(position)
    left, right = np.searchsorted(below, [first, math.ceil(position)], side="right")
    return float(left + (position - first) * (right - left))
