"""Files that could not be segmented: told when it happens, and listed in `failed.csv`."""

from __future__ import annotations

import csv
import logging
import os
from collections.abc import Callable
from pathlib import Path

from keras_unet.errors import UsageError, one_line

logger = logging.getLogger("keras_unet")

NAME = "failed.csv"
EXPECTED = (ValueError, OSError, ImportError)
"""Errors whose text is meant for people; of others the kind is told as well."""
LONGEST = 1200


class Failures:
    """The list of the files that failed, `image,reason`; without any there is no file.

    Args:
        out: The folder of results; an earlier list in it is removed.
        words: An error -> its text.
    """

    def __init__(self, out: Path, words: Callable[[Exception], str] = str) -> None:
        self._file, self._words = out / NAME, words
        self._file.unlink(missing_ok=True)

    def add(self, name: str, path: Path, error: Exception) -> str:
        """Lists and tells a failure.

        Args:
            name: What the image is called.
            path: Its file.
            error: What happened.

        Returns:
            The reason, one line.
        """
        reason = reason_of(error, path, self._words)
        new = not self._file.exists()
        with self._file.open("a", newline="", encoding="utf-8", errors="backslashreplace") as file:
            writer = csv.writer(file)
            writer.writerows([["image", "reason"]] * new + [[name, reason]])
        debug = bool(os.environ.get("KERAS_UNET_DEBUG"))
        logger.warning("%s: %s", one_line(name), reason, exc_info=error if debug else None)
        return reason


def reason_of(error: Exception, path: Path, words: Callable[[Exception], str] = str) -> str:
    """Why a file failed, one line that does not begin with its path.

    Example:
        >>> reason_of(ValueError("images/a.png is empty"), Path("images/a.png"))
        'is empty'
        >>> reason_of(IndexError("axis 3"), Path("a.png"))
        'IndexError: axis 3'
    """
    if _is_memory(error):
        error = UsageError(
            f"there is not enough memory for it ({str(error)[:200]})",
            "give a smaller max_tile, or cut the image",
            "say a smaller --max-tile, or cut the image",
        )
    text = words(error)
    if isinstance(error, OSError) and error.strerror:
        file = error.filename2 or error.filename  # of a renaming the new name
        text = error.strerror if file in (None, str(path)) else f"{error.strerror}: {file}"
    elif not isinstance(error, EXPECTED):
        text = f"{type(error).__name__}: {text}"
    for start in (str(path), path.name):
        text = text.removeprefix(start).removeprefix(":").strip()
    text = one_line(text)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 4]} ..."


def _is_memory(error: Exception) -> bool:
    """Whether memory ran out: Python's, or that of TensorFlow, JAX or PyTorch."""
    kind = type(error).__name__
    return (
        isinstance(error, MemoryError)
        or kind in ("ResourceExhaustedError", "OutOfMemoryError")
        or "RESOURCE_EXHAUSTED" in str(error)
    )
