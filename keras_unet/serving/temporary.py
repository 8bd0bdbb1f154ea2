"""Temporary folders that go with their process, at the next start if it was killed."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

from keras_unet.files.lock import LOCK_NAME, folder_lock


@contextlib.contextmanager
def temporary_folder(prefix: str) -> Iterator[Path]:
    """A temporary folder, and the end of those whose process was killed.

    Args:
        prefix: Beginning of its name; folders of other prefixes are left alone.

    Yields:
        The folder, which holds the lock of this process.
    """
    for other in sorted(Path(tempfile.gettempdir()).glob(f"{prefix}*")):
        _remove_if_left(other)
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    try:
        with folder_lock(folder):
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # where no open file is removed: Windows


def _remove_if_left(folder: Path) -> None:
    """Removes a folder whose lock is free; without a complete lock file it is just being made."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):  # not ours, or in use
        about = json.loads((folder / LOCK_NAME).read_text(encoding="utf-8"))
        if about["host"] == socket.gethostname():
            with folder_lock(folder):
                shutil.rmtree(folder, ignore_errors=True)
