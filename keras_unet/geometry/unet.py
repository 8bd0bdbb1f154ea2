"""The geometry of U-Nets: sizes, margins and levels as plain integers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from keras_unet.geometry.base import Geometry, check_ranges


@dataclass(frozen=True)
class UNetGeometry(Geometry):
    """Which input sizes a U-Net takes and which pixels come out.

    Every level of the network has `convs_per_level` convolutions, so that with "valid" padding it
    loses `r = convs_per_level * (kernel_size - 1)` pixels on its way down and again on its way up;
    between the levels lie `depth` poolings of 2 and as many up-convolutions. One level:

        input ── convolutions ──▶ input - r ──── skip ───▶ 2 output' ── convolutions ──▶ output
                                      │ pooling                ▲ up-convolution
                                      ▼                        │
                          input' = (input - r) / 2          output'     (' one level deeper)

    so input = 2 input' + r and output = 2 output' - r. From the deepest level, which takes k pixels
    and gives k - r, `depth` such steps up lead to the legal input sizes and their outputs

        N = 2**depth * k + r * (2**depth - 1)
        M = 2**depth * (k - r) - r * (2**depth - 1) = N - r * (3 * 2**depth - 2)

    for every k that leaves M >= 1; the paper's network (r = 4, depth = 4) has N = 16 k + 60 and
    M = N - 184, so 572 -> 388. With "same" padding M = N, legal sizes are the multiples of
    `2**depth`, and the margin is the receptive field's radius, counted from windows on the
    `2**depth` grid and rounded up to that grid: what a tile must see around the pixels that it
    writes so that no zero of a convolution's padding reaches them.

    All sizes are in pixels along one axis and hold for each of the `rank` axes.

    Args:
        depth: Number of poolings (and up-convolutions). Defaults to 4.
        padding: "valid" (the paper) or "same". Defaults to "valid".
        rank: Number of spatial axes, 1 to 3. Defaults to 2.
        convs_per_level: Convolutions on each level of each path. Defaults to 2.
        kernel_size: Odd size of these convolutions' kernels. Defaults to 3.
        upsampling_reach: Pixels that the up-sampling reads beyond the nearest source pixel: 0 for a
            2x2 up-convolution or nearest neighbour, 1 for bilinear (only with "same" padding).

    Raises:
        ValueError: If an argument is out of its range.

    Example:
        >>> geometry = UNetGeometry(depth=4, padding="valid")
        >>> geometry.output_size(572), geometry.margin, geometry.stride, geometry.nearest(600)
        (388, 92, 16, (588, 604))

    Reference:
        Ronneberger, Fischer, Brox. "U-Net: Convolutional Networks for Biomedical Image
        Segmentation." MICCAI 2015. doi:10.1007/978-3-319-24574-4_28
    """

    depth: int = 4
    padding: str = "valid"
    rank: int = 2
    convs_per_level: int = 2
    kernel_size: int = 3
    upsampling_reach: int = 0

    def __post_init__(self) -> None:
        check_ranges(self, depth=(0, 12), rank=(1, 3), convs_per_level=(1, 16))
        if self.kernel_size < 1 or self.kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd. Received: kernel_size={self.kernel_size}")
        if self.upsampling_reach not in (0, 1):
            raise ValueError(
                "upsampling_reach must be 0 (up-convolution, nearest) or 1 (bilinear). "
                f"Received: upsampling_reach={self.upsampling_reach}"
            )
        if self.upsampling_reach and self.padding == "valid":
            raise ValueError(
                "A valid network needs up-convolutions (upsampling_reach=0): bilinear up-sampling "
                "clamps at the rim of a tile. Received: upsampling_reach=1 with padding='valid'"
            )

    @property
    def stride(self) -> int:
        """Period of the pooling grid, `2**depth`: tiles start at multiples of it."""
        return 2**self.depth

    @property
    def loss_per_level(self) -> int:
        """Pixels that the convolutions of one level take off, `convs_per_level * (k - 1)`."""
        return self.convs_per_level * (self.kernel_size - 1)

    @cached_property
    def margin(self) -> int:
        """Pixels of context on each side of the pixels that are written."""
        if self.padding == "valid":
            return self.loss_per_level * (3 * self.stride - 2) // 2
        return -(-self._aligned_radius() // self.stride) * self.stride

    def _aligned_radius(self) -> int:
        """Pixels that a window on the grid reads to its left (and to its right) in a "same" net.

        The window's first pixel goes the way back to the input; of what each layer reads, the
        leftmost pixel goes on. In the drawing of one level, where the level below goes from p to q:

            input ◀── - reach ── 2 q ◀─┐               ┌── p = (pixel - reach) // 2 ◀── output
                                       └─ level below ◀┘
        """
        reach, pixel = self.loss_per_level // 2, 0
        for _ in range(self.depth):  # the expansive path: convolutions, then up-sampling
            # Bilinear: pixel 2 i reads i - 1 and i, pixel 2 i + 1 reads i and i + 1.
            pixel = (pixel - reach - self.upsampling_reach) // 2
        for _ in range(self.depth):  # the contracting path: convolutions, then pooling
            pixel = 2 * (pixel - reach)
        return reach - pixel

    @property
    def offset(self) -> int:
        """Legal sizes are `stride * k + offset`."""
        return self.loss_per_level * (self.stride - 1) if self.padding == "valid" else 0

    @property
    def min_size(self) -> int:
        """The smallest legal input size."""
        if self.padding == "same":
            return self.stride
        least = 2 * self.margin + 1  # leaves one pixel of output
        return least + (self.offset - least) % self.stride  # the next legal size

    @property
    def description(self) -> str:
        """The network in a few words, for messages."""
        return f"{self.padding} convolutions of depth {self.depth}"

    def level_sizes(self, size: int) -> list[tuple[int, int]]:
        """Sizes (into, out of) every level's convolutions, down and up again, as in Figure 1."""
        self.check(size, "size")
        lost = self.loss_per_level if self.padding == "valid" else 0
        sizes = [(size, size - lost)]
        for _ in range(self.depth):
            size = sizes[-1][1] // 2
            sizes.append((size, size - lost))
        for _ in range(self.depth):
            size = sizes[-1][1] * 2
            sizes.append((size, size - lost))
        return sizes

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return asdict(self)
