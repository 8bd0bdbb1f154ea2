"""How many mirrored pixels a network sees beyond the border of an image."""

from __future__ import annotations

from numbers import Integral

from keras_unet.errors import UsageError
from keras_unet.geometry.base import Geometry

DEFAULT = 2
"""Strides of the network that are mirrored where nobody chooses."""


def mirrored_margin(geometry: Geometry, margin: int | str | None = "full") -> int:
    """Pixels of mirror image on each side of an image, as a plan of tiles takes them.

    A network of "valid" padding loses `geometry.margin` pixels on each side and needs as many. One
    of "same" padding pads with zeros by itself; what it writes close to them is a little worse, but
    its theoretical field (`geometry.margin`, 96 px for the depth of 4) is far larger than what can
    be seen in its output, so that fewer pixels do.

    Args:
        geometry: The network's geometry.
        margin: Pixels, which are rounded up to a multiple of the stride; `"full"` for
            `geometry.margin`; None for the default, two strides or `geometry.margin` if that is
            less. Defaults to `"full"`.

    Returns:
        A multiple of the stride from 0 to `geometry.margin`, or just that.

    Raises:
        ValueError: If it is no such margin, or the network needs all of its own.

    Example:
        >>> geometry = UNetGeometry(padding="same")
        >>> [mirrored_margin(geometry, margin) for margin in (None, 20, "full")]
        [32, 32, 96]
    """
    full, stride = geometry.margin, geometry.stride
    if margin == "full" or (margin in (None, full) and geometry.padding == "valid"):
        return full
    if margin is None:
        return min(DEFAULT * stride, full)
    if not isinstance(margin, Integral) or isinstance(margin, bool):
        raise UsageError(
            f"a margin is a number of pixels or 'full', not {str(margin)[:40]!r}",
            "give margin=32, margin='full', or None for the default",
            "say --margin 32 or --margin full",
        )
    if geometry.padding == "valid":
        raise UsageError(
            f"margin={margin}: a network without padding needs all of its {full} px. Received: "
            f"margin={margin}",
            "give margin='full', or None",
            "say --margin full, or leave --margin away",
        )
    pixels = -(-int(margin) // stride) * stride
    if margin < 0 or pixels > full:
        raise UsageError(
            f"a margin lies between 0 and {full} px for {geometry.description}. Received: "
            f"margin={margin}",
            "give margin='full' for the largest",
            "say --margin full for the largest",
        )
    return pixels
