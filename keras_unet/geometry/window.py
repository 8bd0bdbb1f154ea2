"""The geometry of networks that are no U-Nets, and any geometry from its configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

from keras_unet._arguments import check_one_of
from keras_unet.geometry.base import Geometry, Interval, check_ranges
from keras_unet.geometry.unet import UNetGeometry

Reads = Callable[[Interval], Interval]
"""Range of output pixels -> range of the input pixels that a layer reads for them."""


@dataclass(frozen=True)
class WindowGeometry(Geometry):
    """The input sizes of a network that is no U-Net, from what one of its windows reads.

    The network computes windows of `stride` pixels, each from the window itself and `margin` pixels
    on each side of it. With "valid" padding legal sizes are `stride * k + 2 * margin` for k >= 1,
    of which `stride * k` come out; with "same" padding multiples of `stride`, all of which come
    out.

    Args:
        margin: Pixels of context on each side; with "same" padding a multiple of `stride`.
        stride: Period of the network in pixels. Defaults to 1.
        padding: "valid" or "same". Defaults to "valid".
        rank: Number of spatial axes, 1 to 3. Defaults to 2.

    Raises:
        ValueError: If an argument is out of its range.

    Example:
        >>> geometry = WindowGeometry(margin=47)  # a sliding window of 95 pixels
        >>> geometry.output_size(95), geometry.output_size(606), geometry.input_size(512)
        (1, 512, 606)
    """

    margin: int
    stride: int = 1
    padding: str = "valid"
    rank: int = 2

    def __post_init__(self) -> None:
        check_ranges(self, margin=(0, 2**31), stride=(1, 2**31), rank=(1, 3))
        if self.padding == "same" and self.margin % self.stride:
            raise ValueError(
                f"margin must be a multiple of stride={self.stride} with padding='same', so that "
                f"tiles start on the grid. Received: margin={self.margin}"
            )

    @property
    def offset(self) -> int:
        """Legal sizes are `stride * k + offset`."""
        return 2 * self.margin if self.padding == "valid" else 0

    @property
    def min_size(self) -> int:
        """The smallest legal input size."""
        return self.stride + self.offset

    @property
    def depth(self) -> int:
        """Number of halvings that the stride amounts to."""
        return self.stride.bit_length() - 1

    @property
    def description(self) -> str:
        """The network in a few words, for messages."""
        return f"{self.padding} windows of {self.stride} px with {self.margin} px around them"

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, and what tells them from those of a `UNetGeometry`."""
        return {"kind": "window", **asdict(self)}


def geometry_from_config(config: dict[str, Any]) -> Geometry:
    """The geometry that `get_config` describes.

    Args:
        config: What `get_config` of a `UNetGeometry` or a `WindowGeometry` gave.

    Returns:
        A `Geometry`.

    Raises:
        ValueError: If there is no such kind of geometry.
        TypeError: If an argument is missing or unknown.
    """
    config = dict(config)
    kind = config.pop("kind", "unet")  # a U-Net's has none
    kinds: dict[str, type[Geometry]] = {"unet": UNetGeometry, "window": WindowGeometry}
    check_one_of("kind", kind, sorted(kinds))
    return kinds[kind](**config)


def convolution(size: int, dilation: int = 1, stride: int = 1, before: int | None = None) -> Reads:
    """What a convolution (or a pooling) reads along one axis.

    Args:
        size: Size of its kernel.
        dilation: Distance of the kernel's pixels. Defaults to 1.
        stride: Distance of its windows. Defaults to 1.
        before: Pixels of padding at the start. Defaults to None, those of "same" padding where the
            stride divides the size.
    """
    extent = (size - 1) * dilation + 1
    padded = max(extent - stride, 0) // 2 if before is None else before

    def reads(pixels: Interval) -> Interval:
        return pixels[0] * stride - padded, (pixels[1] - 1) * stride - padded + extent

    return reads


def upsampling(factor: int = 2) -> Reads:
    """What a repetition of pixels reads, or an up-convolution whose kernel is its stride."""

    def reads(pixels: Interval) -> Interval:
        return pixels[0] // factor, (pixels[1] - 1) // factor + 1

    return reads


def up_convolution(factor: int) -> Reads:
    """What an up-convolution of stride `factor` reads whose kernel is twice as large."""

    def reads(pixels: Interval) -> Interval:
        return pixels[0] // factor - 1, (pixels[1] - 1) // factor + 1

    return reads


def margin_of(layers: Iterable[Reads], stride: int) -> int:
    """Margin of a network of "same" padding, from the layers along its longest path.

    Args:
        layers: What each layer reads, from the output to the input.
        stride: Period of the network in pixels.

    Returns:
        Pixels on each side of a window on the grid that the window reads, rounded up to the grid.

    Example:
        >>> margin_of([convolution(3), upsampling(2), convolution(3), convolution(2, stride=2)], 2)
        4
    """
    pixels = (0, stride)
    for reads in layers:
        pixels = reads(pixels)
    context = max(-pixels[0], pixels[1] - stride)
    return -(-context // stride) * stride
