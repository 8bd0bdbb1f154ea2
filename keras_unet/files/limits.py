"""How many pixels a file may have: its header tells, before anything is unpacked."""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar, cast

from keras_unet._arguments import check_positive
from keras_unet.errors import UsageError

Reader = TypeVar("Reader", bound=Callable[..., Any])

MAX_PIXELS = 2**28
"""Pages times height times width; channels are not counted."""

ENVIRONMENT = "KERAS_UNET_MAX_PIXELS"


def pixel_limit(max_pixels: int | None = None) -> int:
    """The argument, else the environment's KERAS_UNET_MAX_PIXELS, else `MAX_PIXELS`.

    Raises:
        ValueError: If the one that counts is no positive whole number.
    """
    if max_pixels is not None:
        check_positive(max_pixels=max_pixels)
        return max_pixels
    text = os.environ.get(ENVIRONMENT, "").strip()
    if not text:
        return MAX_PIXELS
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text)):
        raise UsageError(
            f"{ENVIRONMENT} must be a positive whole number, it is {text[:40]!r}",
            f"set it to a number such as {MAX_PIXELS}, or unset it",
        )
    return int(text)


def check_pixels(
    path: str | os.PathLike[str], shape: Sequence[int], max_pixels: int | None = None
) -> None:
    """Refuses a file with more pixels than are allowed, or none.

    Args:
        path: The file, for the message.
        shape: What its header says, without channels: `(pages, ..., height, width)`.
        max_pixels: The limit. Defaults to None, see `pixel_limit`.

    Raises:
        ValueError: If the file has more, or none; the message names it, its size and the limit.

    Example:
        >>> check_pixels("cells.png", (300, 200))
        >>> check_pixels("cells.png", (300, 200), max_pixels=50_000)
        Traceback (most recent call last):
        ...
        ValueError: cells.png has 300 x 200 = 60,000 pixels, the limit is 50,000; cut it, ...
    """
    limit = pixel_limit(max_pixels)
    sizes = " x ".join(str(size) for size in shape)
    if min(shape) < 1:
        raise ValueError(f"{path} has no pixels, its size is {sizes}")
    pixels = math.prod(int(size) for size in shape)
    if pixels > limit:
        raise ValueError(
            f"{path} has {sizes} = {pixels:,} pixels, the limit is {limit:,}; cut it, use the way "
            f"for large images, or raise max_pixels (--max-pixels) to {pixels}"
        )


@contextmanager
def named_memory(path: str | os.PathLike[str], needed: int | None = None) -> Iterator[None]:
    """Turns a `MemoryError` into an error that names the file, and the bytes where they are known.

    Args:
        path: The file.
        needed: Bytes that are about to be asked for. Defaults to None, as NumPy's error says.

    Raises:
        ValueError: If the memory does not suffice inside the `with`.
    """
    try:
        yield
    except MemoryError as error:
        shape, dtype = getattr(error, "shape", None), getattr(error, "dtype", None)
        if shape is not None and dtype is not None:  # NumPy's own kind of the error
            needed = math.prod(shape) * dtype.itemsize
        bytes_ = "" if needed is None else f", {needed:,} bytes more are needed"
        raise UsageError(
            f"{path} does not fit into the memory{bytes_}",
            "cut it into smaller files, or use a machine with more memory",
        ) from error


def names_memory(read: Reader) -> Reader:
    """Decorator of functions that read a file, their first argument: `named_memory` around them."""

    @functools.wraps(read)
    def reads(path: Any, *args: Any, **options: Any) -> Any:
        with named_memory(path):
            return read(path, *args, **options)

    return cast(Reader, reads)
