"""What readers have to say of many files: one warning for all of a call, none for each file."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from keras_unet.errors import listed

logger = logging.getLogger("keras_unet")

KINDS = {
    "exif": (
        "{name} has an EXIF orientation and was turned as viewers show it",
        "{count} images have an EXIF orientation and were turned as viewers show them",
    ),
    "tiff_orientation": (
        "{name} has an orientation tag that is not applied; it is read as it is stored",
        "{count} TIFFs have an orientation tag that is not applied; they are read as stored",
    ),
    "zero_is_white": (
        "zero means white in {name}; not inverted",
        "zero means white in {count} images; not inverted",
    ),
    "turned_mask": (
        "{name} has another order of voxels than its image; it was turned as both headers say",
        "{count} masks have another order of voxels than their images; they were turned as the "
        "headers say",
    ),
}
"""What is said of one file, and of several."""

_gathered: ContextVar[dict[str, dict[str, None]] | None] = ContextVar("gathered", default=None)


@contextmanager
def gathered_notes() -> Iterator[None]:
    """Logs the notes that are made inside as one warning a kind when the outermost one ends.

    Serves as a decorator, too: `@gathered_notes()` on the functions that people call.
    """
    if _gathered.get() is not None:
        yield
        return
    notes: dict[str, dict[str, None]] = {}
    token = _gathered.set(notes)
    try:
        yield
    finally:
        _gathered.reset(token)
        for kind, names in notes.items():
            one, several = KINDS[kind]
            if len(names) == 1:
                logger.warning("%s", one.format(name=next(iter(names))))
            else:
                shown = listed(names)
                logger.warning("%s (%s)", several.format(count=len(names)), shown)


def note(kind: str, path: str | os.PathLike[str]) -> None:
    """Notes something of a file, once for each.

    Args:
        kind: One of `KINDS`.
        path: The file.

    Example:
        >>> with gathered_notes():
        ...     for name in ("a.jpg", "b.jpg"):
        ...         note("exif", name)  # logs: 2 images have an EXIF orientation and were ...
    """
    with gathered_notes():
        notes = _gathered.get()
        if notes is not None:
            notes.setdefault(kind, {})[os.fspath(path)] = None
