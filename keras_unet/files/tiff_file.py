"""Opens a TIFF: alone, quietly, whole, with errors that name the file and the cause."""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import tifffile

from keras_unet.errors import UsageError

TIFF_MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

# Without one of these a page is read with other values than it was written with.
NEEDED_TAGS = {256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 317, 320, 322, 323, 324, 325}
NEEDED_TAGS |= {338, 339, 347}


@contextmanager
def open_tiff(path: Path) -> Iterator[tifffile.TiffFile]:
    """The opened file; no other file is read, even where its metadata name some.

    Whatever fails inside the `with` becomes a `ValueError` that names the file. Errors that name
    it already and a `MemoryError` stay as they are.

    Raises:
        ValueError: If the file is truncated or no TIFF.
    """
    with _silence():
        try:
            _check_pages(path)
            with tifffile.TiffFile(path, _multifile=False) as file:
                file.is_mmstack = file.is_ndtiff = False  # formats of several files
                yield file
        except (MemoryError, FileNotFoundError, PermissionError, UsageError):
            raise
        except Exception as error:  # struct, index, key errors ...: wrong entries of the header
            if str(error).startswith(str(path)):
                raise
            cause = " ".join(str(error).split())[:200] or type(error).__name__
            raise ValueError(f"{path} is damaged or not a valid TIFF ({cause})") from error


@contextmanager
def _silence() -> Iterator[None]:
    """Tifffile's logger says nothing: what it warns of is refused or noted here."""
    logger = logging.getLogger("tifffile")

    def nothing(record: logging.LogRecord) -> bool:
        return False

    logger.addFilter(nothing)
    try:
        yield
    finally:
        logger.removeFilter(nothing)


def _check_pages(path: Path) -> None:
    """Raises if the chain of pages leads out of the file: tifffile leaves the others away."""
    size = path.stat().st_size
    if size >= 2**32:  # Hamamatsu's files keep more bits of their offsets elsewhere
        return
    with path.open("rb") as file:
        layout = _Layout(file.read(4))
        try:
            file.seek(8 if layout.big else 4)
            (offset,) = struct.unpack(layout.pointer, file.read(struct.calcsize(layout.pointer)))
            seen: set[int] = set()
            while offset:
                if offset in seen:
                    raise ValueError(f"{path} is damaged: its pages form a circle")
                seen.add(offset)
                _, offset = _directory(file, layout, offset)
        except struct.error as error:
            place = f"page {len(seen)} is" if size > 8 and seen else "its header goes"
            raise ValueError(
                f"{path} is truncated or not a valid TIFF: {place} beyond its {size} bytes"
            ) from error
    if not seen:
        raise ValueError(f"{path} is not a valid TIFF: it has no page")


class _Layout:
    """Formats of a directory's parts in this file."""

    def __init__(self, magic: bytes) -> None:
        order = "<" if magic.startswith(b"II") else ">"
        self.big = b"+" in magic
        self.code = order + "H"
        self.count, self.pointer = order + "HQ"[self.big], order + "IQ"[self.big]
        self.entry = 20 if self.big else 12


def _directory(file: BinaryIO, layout: _Layout, offset: int) -> tuple[set[int], int]:
    """Codes of a page's tags and where the next page is; a `struct.error` if it is cut."""
    file.seek(min(offset, 2**62))
    (count,) = struct.unpack(layout.count, file.read(struct.calcsize(layout.count)))
    if count > 4096:
        raise struct.error("no directory")
    entries = file.read(count * layout.entry)
    codes = {code for (code, _) in struct.iter_unpack(f"{layout.code}{layout.entry - 2}s", entries)}
    (following,) = struct.unpack(layout.pointer, file.read(struct.calcsize(layout.pointer)))
    return codes, following


def check_tags(path: Path, page: tifffile.TiffPage) -> None:
    """Raises if a tag that decides what the pixels are is in the page and cannot be read."""
    with path.open("rb") as file:
        codes, _ = _directory(file, _Layout(file.read(4)), page.offset)
    broken = sorted((codes & NEEDED_TAGS) - {tag.code for tag in page.tags})
    if broken:
        names = ", ".join(tifffile.TIFF.TAGS[code] for code in broken)
        raise ValueError(f"{path} is damaged: its entries {names} cannot be read")
