"""One process writes a folder: a lock of the operating system, free also after a kill."""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from keras_unet.errors import UsageError
from keras_unet.files.atomic import remove_unfinished

logger = logging.getLogger("keras_unet")

LOCK_NAME = ".lock"
_TAKEN = {errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK}
_LOCKED_BYTE = 2**30
"""Windows keeps others from reading what is locked: a byte behind the end."""
_mine = threading.local()


class FolderLock:
    """The right to write a folder, see `folder_lock`.

    Attributes:
        folder: The folder.
    """

    def __init__(self, folder: Path, descriptor: int) -> None:
        self.folder = folder
        self._descriptor = descriptor

    def check(self) -> None:
        """Raises a `UsageError` if the folder was removed or moved, or made anew by others."""
        if not _same_file(self._descriptor, self.folder / LOCK_NAME):
            raise UsageError(
                f"{self.folder} was removed or moved while it was written",
                "what was in it is lost unless you put it back; then start again",
            )


def cannot_be_written(folder: Path, error: OSError) -> UsageError:
    """The error for a folder in which a file could not be made."""
    return UsageError(
        f"{folder} cannot be written ({error.strerror or error})",
        "choose another folder, or make room and give the right to write in it",
        "choose another --out, or make room and give the right to write in it",
    )


@contextlib.contextmanager
def folder_lock(folder: Path) -> Iterator[FolderLock]:
    """Makes a folder and keeps other processes and threads that ask for it from writing it.

    The lock lies on the file `.lock` in the folder, which tells who holds it, and goes when the
    process ends, however it ends. A thread that holds it already gets it again. What an earlier
    process left unfinished in the folder (not in those below) is removed. A folder that was made
    here and is empty at the end is removed, too.

    Args:
        folder: The folder; made with its parents if it is missing.

    Yields:
        The `FolderLock`.

    Raises:
        UsageError: If another one holds the lock, or the folder cannot be written.

    Example:
        >>> with folder_lock(folder / "run") as lock:
        ...     lock.check()
    """
    held: dict[Path, FolderLock] = _mine.__dict__.setdefault("held", {})
    place = folder.resolve()
    if place in held:
        yield held[place]
        return
    made = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor, locked = _take(folder)
    except OSError as error:
        raise cannot_be_written(folder, error) from error
    try:
        if locked:
            remove_unfinished(folder)
        held[place] = FolderLock(folder, descriptor)
        yield held[place]
    finally:
        held.pop(place, None)
        with contextlib.suppress(OSError):  # Windows removes no open file: it stays, unlocked
            if _same_file(descriptor, folder / LOCK_NAME):
                (folder / LOCK_NAME).unlink()
        os.close(descriptor)
        if made:
            with contextlib.suppress(OSError):  # it is not empty
                folder.rmdir()


def _take(folder: Path) -> tuple[int, bool]:
    """The open lock file, and whether it is locked: some file systems have no locks."""
    file = folder / LOCK_NAME
    while True:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _lock(descriptor)
            locked = True
        except OSError as error:
            if error.errno in _TAKEN:
                os.close(descriptor)
                raise UsageError(
                    f"{folder} is being written by {_holder(file)}",
                    "choose another folder",
                    "choose another --out",
                ) from error
            logger.warning("%s: no locks here (%s); let no other process write it", folder, error)
            locked = False
        if _same_file(descriptor, file):  # else its holder has just removed it
            break
        os.close(descriptor)
    try:
        about = {"pid": os.getpid(), "host": socket.gethostname(), "since": _now().isoformat()}
        os.ftruncate(descriptor, 0)
        os.write(descriptor, json.dumps(about).encode())
    except OSError:
        os.close(descriptor)
        raise
    return descriptor, locked


def _lock(descriptor: int) -> None:
    """Takes the lock at once, or raises an `OSError`."""
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        windows: Any = msvcrt
        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        windows.locking(descriptor, windows.LK_NBLCK, 1)
        os.lseek(descriptor, 0, os.SEEK_SET)
    else:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _same_file(descriptor: int, file: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), file.stat())
    except FileNotFoundError:
        return False


def _holder(file: Path) -> str:
    """Who holds a lock, in words."""
    for _ in range(20):  # it may be writing its name
        try:
            about = json.loads(file.read_text(encoding="utf-8"))
            since = datetime.fromisoformat(about["since"])
            when = f"{since:%H:%M}" if since.date() == _now().date() else f"{since:%Y-%m-%d %H:%M}"
            return f"process {about['pid']} on {about['host']} since {when}"
        except (OSError, ValueError, KeyError, TypeError):
            time.sleep(0.05)
    return "another process"


def _now() -> datetime:
    return datetime.now().replace(microsecond=0)
