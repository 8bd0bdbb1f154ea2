"""Which channels of a file are read, by number from 1 on or by name; grey from RGB and back."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

import numpy as np

from keras_unet.errors import UsageError

PathLike = str | os.PathLike[str]
Channel = int | str | Sequence[int | str] | None

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in a grey value (ITU-R BT.601)."""

SHOWN = 8


def pick_channels(
    path: PathLike, values: np.ndarray, names: tuple[str, ...], channel: Channel
) -> np.ndarray:
    """The channels that are asked for, in that order.

    Args:
        path: The file, for messages.
        values: `(..., C)` array.
        names: Names of its channels, or empty.
        channel: A number from 1 on, a name, several of them in a list or parted by commas, or
            None for all.

    Raises:
        ValueError: If there is no such channel; the message lists what there is.
    """
    if channel is None:
        return values
    if len(names) != values.shape[-1]:
        names = ()
    if isinstance(channel, str) and channel in names:  # such as "Alexa 488, nuclei"
        wanted: Sequence[int | str] = [channel]
    elif isinstance(channel, str):
        wanted = [part.strip() for part in channel.split(",")]
    else:
        wanted = list(channel) if isinstance(channel, Iterable) else [channel]
    if not wanted:
        raise _no_channel(path, values.shape[-1], names, channel)
    places = []
    for one in wanted:
        text = str(one)
        if names.count(text) == 1:
            places.append(names.index(text))
        elif not (text.isascii() and text.isdigit() and 0 < int(text[:9]) <= values.shape[-1]):
            raise _no_channel(path, values.shape[-1], names, channel)
        else:
            places.append(int(text) - 1)
    return values[..., places]


def _no_channel(path: PathLike, count: int, names: tuple[str, ...], channel: Channel) -> UsageError:
    counting = ", channels count from 1" if str(channel) == "0" else ""
    return UsageError(
        f"{has_channels(path, count, names)} and no channel {channel!r}{counting}",
        f"give {_choice('channel=', count)}",
        f"say {_choice('--channel ', count)}",
    )


def has_channels(path: PathLike, count: int, names: tuple[str, ...]) -> str:
    """Words such as "x.tif has 2 channels (DAPI, GFP)"."""
    listed = ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
    several = "s" if count != 1 else ""
    return f"{path} has {count} channel{several}" + (f" ({listed})" if names else "")


def _choice(option: str, count: int) -> str:
    if count > 3:
        return f"{option}1 to {option}{count}"
    return " or ".join(f"{option}{number}" for number in range(1, count + 1))


def to_channels(
    path: PathLike, values: np.ndarray, names: tuple[str, ...], channels: int
) -> np.ndarray:
    """Grey from RGB, RGB from grey; any other count must be the file's own.

    Raises:
        ValueError: If it is not; the message says which channels can be chosen.
    """
    found = values.shape[-1]
    if found == channels:
        return values
    if channels == 3 and found == 1:
        return np.repeat(values, 3, axis=-1)
    if channels == 1 and found == 3:
        grey = values @ np.array(LUMA)
        grey = np.rint(grey) if np.issubdtype(values.dtype, np.integer) else grey
        return grey.astype(values.dtype)[..., None]
    problem = f"{has_channels(path, found, names)}, not {channels}"
    if found < channels:
        raise UsageError(problem, f"give channels={found} or leave it away", "use other images")
    raise UsageError(
        problem,
        f"give {_choice('channel=', found)}",
        f"say {_choice('--channel ', found)}",
    )
