"""The blocks of ResUNet-a: parallel atrous residual blocks, pyramid pooling, combination."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras

from keras_unet.models.blocks import Blocks

MOST_WINDOWS = 4


def pyramid_windows(window: int) -> tuple[int, ...]:
    """Sizes of the windows that pyramid pooling pools over: `window` and its halves, at most 4.

    Example:
        >>> pyramid_windows(256), pyramid_windows(4)
        ((256, 128, 64, 32), (4, 2, 1))
    """
    windows = [window]
    while len(windows) < MOST_WINDOWS and windows[-1] % 2 == 0:
        windows.append(windows[-1] // 2)
    return tuple(windows)


@dataclass(frozen=True)
class AtrousBlocks(Blocks):
    """Builds the blocks of a ResUNet-a; arguments and conventions are those of `Blocks`."""

    def residual(self, x: Any, dilations: Sequence[int], name: str) -> Any:
        """The input plus, for every dilation, two pre-activated 3x3 convolutions of it."""
        branches = [x]
        for dilation in dilations:
            y = x
            for number in (1, 2):
                layer = f"{name}_dilation{dilation}_{number}"
                y = self.activated(self.normalized(y, layer), layer)
                bias = number == 2 or self.normalization is None
                filters = x.shape[-1]
                y = self.convolution(y, filters, 3, layer, dilation=dilation, use_bias=bias)
            branches.append(y)
        return keras.layers.Add(name=f"{name}_add", dtype=self.dtype)(branches)

    def down(self, x: Any, filters: int, name: str) -> Any:
        """3x3 convolution with stride 2."""
        return self.convolution(x, filters, 3, f"{name}_down", strides=2, use_bias=False)

    def combine(self, x: Any, skip: Any, name: str) -> Any:
        """Up-sampled features and those of the encoder, merged to the width of the latter.

        The 1x1 convolution of the up-sampling comes first: both commute, as does the normalization
        between them, and there it is cheaper.
        """
        filters = skip.shape[-1]
        x = self.normed_convolution(x, max(filters // 2, 1), 1, f"{name}_up")
        x = self.activated(self.repeat(x, 2, f"{name}_repeat"), f"{name}_up")
        x = keras.layers.Concatenate(name=f"{name}_concat", dtype=self.dtype)([x, skip])
        return self.normed_convolution(x, filters, 1, f"{name}_combine")

    def pyramid(self, x: Any, filters: int, window: int, name: str) -> Any:
        """Pyramid pooling: the maxima over windows of several sizes beside the features.

        Args:
            x: Features; `window` divides their sizes.
            filters: Channels of the result; the pooled features have as many in total.
            window: Size of the largest window in pixels of `x`; see `pyramid_windows`.
            name: Prefix of the layers' names.
        """
        windows = pyramid_windows(window)
        pooled, size, parts = x, 1, []
        for window in reversed(windows):  # the maximum over a window is that over its halves'
            pooled = self._maxima(pooled, window // size, f"{name}_pool{window}")
            size = window
            width = max(filters // len(windows), 1)
            part = self.normed_convolution(pooled, width, 1, f"{name}_window{window}")
            parts.append(self.repeat(part, window, f"{name}_repeat{window}"))
        x = keras.layers.Concatenate(name=f"{name}_concat", dtype=self.dtype)([x, *parts[::-1]])
        return self.normed_convolution(x, filters, 1, name)

    def normed_convolution(self, x: Any, filters: int, size: int, name: str) -> Any:
        """Convolution and normalization, with a bias only where the latter is missing."""
        bias = self.normalization is None
        return self.normalized(self.convolution(x, filters, size, name, use_bias=bias), name)

    def _maxima(self, x: Any, size: int, name: str) -> Any:
        if size == 1:
            return x
        return self.ranked("MaxPooling{}D", size, name=name)(x)
