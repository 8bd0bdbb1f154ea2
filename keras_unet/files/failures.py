"""Errors of decoders, which know no file, become errors that name it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from keras_unet.errors import UsageError
from keras_unet.files.limits import named_memory

PathLike = str | os.PathLike[str]


@contextmanager
def decoder_errors(path: PathLike, data: str, needed: int | None = None) -> Iterator[None]:
    """Whatever a decoder raises inside becomes a `ValueError` with the file and the cause.

    What decoders warn of is not said: they decode or raise.

    Args:
        path: The file.
        data: What is decoded: "PNG".
        needed: Bytes that its numbers take, if known, for the case that they do not fit into the
            memory. Defaults to None.

    Example:
        >>> with decoder_errors("cells.png", "PNG"):
        ...     raise RuntimeError("bad filter")
        Traceback (most recent call last):
        ...
        ValueError: cells.png: its PNG data cannot be decoded (bad filter)
    """
    try:
        with named_memory(path, needed), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except UsageError:
        raise
    except Exception as error:  # each library has its own, down to SyntaxError and struct.error
        if str(error).startswith(str(path)):  # ours
            raise
        cause = " ".join(str(error).split())[:300] or type(error).__name__
        raise ValueError(f"{path}: its {data} data cannot be decoded ({cause})") from error


def animation(path: PathLike) -> UsageError:
    """The error for a file that holds several pictures in turn."""
    return UsageError(f"{path} is an animation", "save its frames as files of their own")
