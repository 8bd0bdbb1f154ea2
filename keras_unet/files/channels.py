"""Which channels of a file are read, by number or by name; grey from RGB and back."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

import numpy as np

from keras_unet.errors import UsageError, listed

PathLike = str | os.PathLike[str]
Channel = int | str | Sequence[int | str] | None

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in a grey value (ITU-R BT.601)."""


def channel_of_option(text: str | None) -> Channel:
    """What is typed on the command line, where channels count from 1 as in Fiji, for Python.

    Example:
        >>> channel_of_option("2,1"), channel_of_option("DAPI,3"), channel_of_option("DAPI, GFP")
        ([1, 0], ['DAPI', 2], 'DAPI, GFP')
    """
    parts = [part.strip() for part in (text or "").split(",")]
    found = [int(p[:9]) - 1 if p.isascii() and p.isdigit() else p for p in parts]
    return text if found == parts else found  # a name may hold a comma


def option_of_channel(channel: Channel) -> str | None:
    """The way back: what would be typed.

    Example:
        >>> option_of_channel([1, 0]), option_of_channel(2), option_of_channel("DAPI")
        ('2,1', '3', 'DAPI')
    """
    if channel is None or isinstance(channel, str):
        return channel
    return ",".join(str(one if isinstance(one, str) else one + 1) for one in _listed(channel))


def _listed(channel: int | Sequence[int | str]) -> list[int | str]:
    return list(channel) if isinstance(channel, Iterable) else [channel]


def pick_channels(
    path: PathLike, values: np.ndarray, names: tuple[str, ...], channel: Channel
) -> np.ndarray:
    """The channels that are asked for, in that order.

    Args:
        path: The file, for messages.
        values: `(..., C)` array.
        names: Names of its channels, or empty.
        channel: A number from 0 on, a name, several of them in a list, names also parted by
            commas, or None for all.

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
        wanted = _listed(channel)
    if not wanted:
        raise _no_channel(path, values.shape[-1], names, channel)
    places = []
    for one in wanted:
        if isinstance(one, str) and names.count(one) == 1:
            places.append(names.index(one))
        elif type(one) is int and 0 <= one < values.shape[-1]:
            places.append(one)
        else:
            raise _no_channel(path, values.shape[-1], names, channel)
    return values[..., places]


def _no_channel(path: PathLike, count: int, names: tuple[str, ...], channel: Channel) -> UsageError:
    first = "channels count from 1; " if channel in ([-1], -1) else ""
    return UsageError(
        has_channels(path, count, names),
        f"there is no channel={channel!r}, give {_choice('channel=', count, 0)}",
        f"{first}there is no --channel {option_of_channel(channel)}, "
        f"say {_choice('--channel ', count, 1)}",
    )


def has_channels(path: PathLike, count: int, names: tuple[str, ...]) -> str:
    """Words such as "x.tif has 2 channels (DAPI, GFP)"."""
    several = "s" if count != 1 else ""
    return f"{path} has {count} channel{several}" + (f" ({listed(names)})" if names else "")


def _choice(option: str, count: int, first: int) -> str:
    numbers = range(first, first + count)
    if count > 3:
        return f"{option}{numbers[0]} to {option}{numbers[-1]}"
    return " or ".join(f"{option}{number}" for number in numbers)


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
        f"give {_choice('channel=', found, 0)}",
        f"say {_choice('--channel ', found, 1)}",
    )
