"""Memory that is given back to the system, which the C library would keep."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import threading
import time
from pathlib import Path

GROWTH = 64 * 2**20
"""Bytes by which a process may grow before it is asked to give back."""


def release_memory() -> None:
    """Gives back what unloaded models and large requests held.

    Models are in circles of references, which only the collector finds; and the C library keeps
    freed memory for itself, so that without this each swap of versions would leave some of it.
    """
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # there is no such function beyond glibc
        ctypes.CDLL(None).malloc_trim(0)


def resident_bytes() -> int:
    """Memory of this process; 0 where the system does not tell it in this way."""
    try:
        pages = Path("/proc/self/statm").read_text().split()[1]
    except (OSError, IndexError):
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


class Trimmer:
    """Gives memory back after requests that made the process grow by more than 64 MiB."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._before = 0
        self._asked = 0.0

    def start(self) -> None:
        """What the process has now is what it needs."""
        self._before = resident_bytes()

    def after_request(self) -> None:
        """Gives back, if the process has grown; at most once a second."""
        grown = resident_bytes() - self._before > GROWTH
        if grown and self._lock.acquire(blocking=False):
            try:
                if time.monotonic() - self._asked > 1.0:
                    release_memory()
                    self._asked = time.monotonic()
            finally:
                self._lock.release()
