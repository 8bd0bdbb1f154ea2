"""Files that are either the old ones or the complete new ones, also after a power cut."""

from __future__ import annotations

import contextlib
import os
import re
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from keras_unet.files.names import stem_of

_TEMPORARY = re.compile(r"\..*-\d+-[0-9a-f]{32}(\..*)?")


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Gives the name of a temporary file, which becomes `path` if all goes well.

    It lies in the same folder, has the same ending, which many writers ask for, and a name of its
    own, so that two writers of one file do not disturb each other: the last one wins.

    Args:
        path: The file; its folder is made if it is missing.

    Yields:
        The path to write.

    Raises:
        OSError: If it cannot be written; the error names the file.

    Example:
        >>> with new_file(folder / "cells.csv") as temporary:
        ...     characters = temporary.write_text("id,area")
        >>> [file.name for file in folder.iterdir()]
        ['cells.csv']
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    stem = stem_of(path)
    unique = f"{os.getpid()}-{uuid.uuid4().hex}"
    temporary = path.with_name(f".{stem}-{unique}{path.name[len(stem) :]}")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())  # or a power cut may leave the new name and none of its bytes
        os.replace(temporary, path)
    except OSError as error:
        if error.errno is not None and error.filename in (None, str(temporary)):
            error.filename = str(path)  # which a full disk does not tell
        raise
    finally:
        temporary.unlink(missing_ok=True)


def remove_unfinished(folder: Path) -> None:
    """Removes the temporary files of processes that were killed.

    Args:
        folder: A folder that nobody else writes now, see `folder_lock`; those below are left alone.
    """
    for file in folder.glob(".*-*-*"):
        if _TEMPORARY.fullmatch(file.name):
            file.unlink(missing_ok=True)


def write_atomically(path: Path, write: bytes | Callable[[IO[bytes]], Any]) -> None:
    """Writes a file whole or not at all.

    Args:
        path: The file; its folder is made if it is missing.
        write: The file's bytes, or a function that writes them to the open file.
    """
    with new_file(path) as temporary, temporary.open("wb") as file:
        if callable(write):
            write(file)
        else:
            file.write(write)
