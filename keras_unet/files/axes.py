"""Names of a stored array's axes: what the file says, what the user says, and pages from them."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from keras_unet.errors import UsageError

PAGES, CHANNELS, UNNAMED = "TZ", "CS", "?"
LETTERS = "TZCYX"


def check_axes(axes: str) -> str:
    """The letters in capitals, `S` as `C`.

    Raises:
        ValueError: If a letter is unknown or occurs twice, or `Y` or `X` is missing.

    Example:
        >>> check_axes("zyxs")
        'ZYXC'
    """
    letters = axes.upper().replace("S", "C") if isinstance(axes, str) else ""
    wrong = set(letters) - set(LETTERS) or len(set(letters)) < len(letters)
    if wrong or not set("YX") <= set(letters):
        raise UsageError(
            f"axes must be letters of {', '.join(LETTERS)} (frames, slices, channels, rows, "
            f"columns), each once, Y and X among them, not {axes!r}",
            "give for example axes='YXC'",
            "say for example --axes YXC",
        )
    return letters


def name_axes(
    path: str | os.PathLike[str], shape: Sequence[int], own: str, given: str | None, labels: bool
) -> str:
    """A letter for each axis of an array: the user's, or the file's with `?` for unknown ones.

    Args:
        path: The file, for messages.
        shape: Shape of the stored array.
        own: What the file says, a letter an axis.
        given: What the user says of all files, or None.
        labels: Whether these are labels, which have no channels though their images may.

    Raises:
        ValueError: If the user's letters do not fit the array.
    """
    if given is None:
        known = PAGES + CHANNELS + "YX"
        return "".join(letter if letter in known else UNNAMED for letter in own)
    letters = check_axes(given)
    if len(shape) == 2:
        return "".join(letter for letter in letters if letter in "YX")
    if labels and len(shape) == len(letters) - 1:
        letters = letters.replace("C", "")
    if own != letters and is_part(own.replace("S", "C"), letters):
        return own  # the others have size 1 here
    interleaved = own.endswith("S") and not letters.endswith("C")
    if len(shape) != len(letters) or interleaved:
        sizes = " x ".join(str(size) for size in shape)
        found = f"{path} is {sizes}" + (f" ({own})" if set(own) <= set("TZCSYX") else "")
        if interleaved:
            found += f", its last axis the {shape[-1]} samples of each pixel"
        raise UsageError(
            f"{found}, which the axes {given} do not fit",
            "name every axis of the stored array in order, or leave axes away",
            "say --axes with a letter for every axis of the stored array in order",
        )
    return letters


def is_part(own: str, letters: str) -> bool:
    """Whether the file's letters are some of the user's, in the same order."""
    return set(own) <= set(letters) and own == "".join(a for a in letters if a in own)


def arrange(values: np.ndarray, letters: str) -> tuple[np.ndarray, str]:
    """`(*pages, Y, X, channels)` and the letters of the pages; axes of size 1 are dropped."""
    sizes = dict(zip(range(len(letters)), values.shape, strict=True))
    pages = [k for k, a in enumerate(letters) if a not in "YX" + CHANNELS and sizes[k] != 1]
    pages.sort(key=lambda k: (PAGES + UNNAMED).find(letters[k]))
    channels = [k for k, a in enumerate(letters) if a in CHANNELS]
    order = [*pages, letters.index("Y"), letters.index("X"), *channels]
    dropped = [k for k in range(values.ndim) if k not in order]
    values = values.transpose(*dropped, *order)[(0,) * len(dropped)]
    spatial = values.shape[: len(pages) + 2]
    samples = int(np.prod(values.shape[len(spatial) :]))
    return values.reshape(*spatial, samples), "".join(letters[k] for k in pages)


def ways_to_name(count: int) -> tuple[str, ...]:
    """Letters that an array of so many unnamed axes may have, the likely ones first."""
    if count == 3:
        return ("YXC (channels last)", "CYX", "ZYX (slices)", "TYX (frames)")
    if count == 4:
        return ("ZYXC", "ZCYX", "CZYX", "TYXC", "TCYX", "TZYX")
    return ("TZCYX",)
