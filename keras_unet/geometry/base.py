"""What a geometry is: sizes as plain integers, which model, data, tiler and exporter ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from keras_unet._arguments import check_one_of

PADDINGS = ("valid", "same")


Interval = tuple[int, int]
"""Half-open range of pixels along one axis."""


class Geometry:
    """Which input sizes a network takes and which pixels come out, along one axis.

    Every network of this package has one; a subclass derives the sizes from its own numbers.

    Attributes:
        padding: "valid" (the output is smaller than the input) or "same".
        rank: Number of spatial axes.
        stride: Period in pixels after which the network does the same again: tiles start at
            multiples of it.
        margin: Pixels of context on each side of the pixels that are written.
        offset: Legal sizes are `stride * k + offset`.
        min_size: The smallest legal input size.
        depth: Number of halvings of the resolution.
        description: The network in a few words, for messages.
    """

    padding: str
    rank: int

    if TYPE_CHECKING:  # attributes or properties, as it suits the subclass

        @property
        def stride(self) -> int:
            """See above."""

        @property
        def margin(self) -> int:
            """See above."""

        @property
        def offset(self) -> int:
            """See above."""

        @property
        def min_size(self) -> int:
            """See above."""

        @property
        def depth(self) -> int:
            """See above."""

        @property
        def description(self) -> str:
            """See above."""

        def get_config(self) -> dict[str, Any]:
            """The constructor's arguments."""

    def is_legal(self, size: int) -> bool:
        """Whether the network takes `size` input pixels without padding or cropping."""
        return size >= self.min_size and (size - self.offset) % self.stride == 0

    def nearest(self, size: int) -> tuple[int, int]:
        """The nearest legal sizes: the largest <= `size` and the smallest >= `size`.

        Below the smallest legal size both are that one.
        """
        size = max(int(size), self.min_size)
        below = size - (size - self.offset) % self.stride
        return below, below if below == size else below + self.stride

    def check(self, size: int, name: str = "tile") -> None:
        """Raises a `ValueError` that names the nearest legal sizes unless `size` is legal."""
        if not self.is_legal(size):
            below, above = self.nearest(size)
            near = f"{below} and {above}" if below != above else f"{below} (the smallest)"
            article = "a " if name.isidentifier() else ""
            raise ValueError(
                f"{article}{name} of {size} px is not a legal input size for {self.description}; "
                f"nearest are {near}. Received: {name}={size}"
            )

    def output_size(self, size: int) -> int:
        """Output pixels for `size` input pixels; raises a `ValueError` if `size` is not legal."""
        self.check(size, "size")
        return size - 2 * self.margin if self.padding == "valid" else size

    @property
    def smallest_tile(self) -> int:
        """The smallest legal input of which one step of the stride can be written."""
        return self.nearest(self.stride + 2 * self.margin)[1]

    def usable_size(self, size: int) -> int:
        """Output pixels that no border of the tile has touched: `size - 2 * margin`."""
        self.check(size, "size")
        return size - 2 * self.margin

    def input_size(self, output: int) -> int:
        """The smallest legal input whose `output_size` is at least `output`."""
        if output < 1:
            raise ValueError(f"output must be at least 1. Received: output={output}")
        context = 2 * self.margin if self.padding == "valid" else 0
        return self.nearest(output + context)[1]

    def level_sizes(self, size: int) -> list[tuple[int, int]]:
        """Sizes (into, out of) every level's convolutions; here of the network as a whole."""
        return [(size, self.output_size(size))]


def check_ranges(geometry: Geometry, **limits: tuple[int, int]) -> None:
    """Raises a `ValueError` for another padding or a value that is not between its two limits."""
    check_one_of("padding", geometry.padding, PADDINGS)
    for name, (low, high) in limits.items():
        value = getattr(geometry, name)
        if not low <= value <= high:
            raise ValueError(f"{name} must be between {low} and {high}. Received: {name}={value}")
