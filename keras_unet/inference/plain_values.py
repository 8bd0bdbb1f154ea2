"""Arguments of a `Segmenter`, checked, as plain values that can be stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from keras_unet.errors import UsageError
from keras_unet.geometry.base import Geometry
from keras_unet.geometry.margins import mirrored_margin


def plain_names(names: Sequence[str] | None, count: int) -> list[str]:
    """Names of the classes, as many as there are, or the usual ones."""
    if names is None:
        return ["background", "object"] if count == 2 else [f"class {i}" for i in range(count)]
    if isinstance(names, str) or len(names) != count or len(set(names)) != count:
        raise UsageError(
            f"there are {count} classes, which need as many different names, not {names!r}",
            f"give {count} class_names, that of the background first",
            f"give --class-names {count} names, that of the background first",
        )
    return [str(name) for name in names]


def plain_reading(options: Mapping[str, Any]) -> dict[str, Any]:
    """How image files are read, without what is left open."""
    for name in options:
        if name not in ("channel", "channels"):
            raise ValueError(f"reading has channel and channels. Received: reading={options!r}")
    return {name: value for name, value in options.items() if value is not None}


def plain_tile(max_tile: int | Sequence[int] | None) -> int | tuple[int, ...] | None:
    """The largest tile as Python integers, which can be stored."""
    if max_tile is None:
        return None
    return tuple(map(int, max_tile)) if isinstance(max_tile, Sequence) else int(max_tile)


def plain_margin(geometry: Geometry, margin: int | str | None) -> int | str:
    """The margin in pixels, or "full" where it is all that the network reads."""
    pixels = mirrored_margin(geometry, margin)
    return "full" if pixels == geometry.margin else pixels
