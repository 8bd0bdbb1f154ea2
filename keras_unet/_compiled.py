"""`compiled`: numba's `njit`, with what it compiles kept outside of the installed package.

Numba's own choice is `__pycache__` beside the source file. There pip does not know of it and leaves
it behind when it removes the package, and the folders that are left look like a package to Python,
but an empty one. So it lies where the user's other caches do, or in `NUMBA_CACHE_DIR`.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba
from numba import njit

logger = logging.getLogger("keras_unet")


def compiled(function: Callable) -> Any:
    """Compiles a function on its first call, without the interpreter's lock; kept on disk.

    Where no folder can be written, every process compiles anew.

    Args:
        function: A function of numbers and NumPy arrays.

    Returns:
        The compiled function.
    """
    if numba.config.CACHE_DIR:  # the user's choice
        return njit(nogil=True, cache=True)(function)
    folder = _cache_folder()
    if folder is None:
        return njit(nogil=True)(function)
    try:  # numba asks for the folder once, here
        numba.config.CACHE_DIR = str(folder)
        return njit(nogil=True, cache=True)(function)
    finally:
        numba.config.CACHE_DIR = ""


@cache
def _cache_folder() -> Path | None:
    """The folder of this user, made if needed; None where it cannot be written."""
    try:
        folder = _caches() / "keras_unet" / "numba"
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except (OSError, RuntimeError) as error:  # RuntimeError: there is no home folder
        logger.info("compiled code is not kept for the next start: %s", error)
        return None


def _caches() -> Path:
    """Where programs of this system keep what they can make again."""
    if os.environ.get("XDG_CACHE_HOME"):
        return Path(os.environ["XDG_CACHE_HOME"])
    if sys.platform == "win32" and os.environ.get("LOCALAPPDATA"):
        return Path(os.environ["LOCALAPPDATA"])
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path.home() / ".cache"
