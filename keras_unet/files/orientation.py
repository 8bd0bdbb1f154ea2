"""The EXIF orientation of a photograph: viewers and annotation tools turn the image by it."""

from __future__ import annotations

import struct

import numpy as np

ORIENTATION, SHORT = 0x0112, 3
AS_STORED = 1


def orientation_of(exif: bytes) -> int:
    """The orientation, 1 to 8, that EXIF data hold; 1, as stored, where they hold none.

    Args:
        exif: TIFF structure, with or without the `Exif` mark before it.

    Example:
        >>> orientation_of(bytes.fromhex("4d4d002a00000008 0001 0112 0003 00000001 0006 0000"))
        6
    """
    exif = exif.removeprefix(b"Exif\0\0")
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None or len(exif) < 8:
        return AS_STORED
    (start,) = struct.unpack_from(f"{order}I", exif, 4)
    (count,) = struct.unpack(f"{order}H", exif[start : start + 2].ljust(2, b"\0"))
    for position in range(start + 2, min(start + 2 + 12 * count, len(exif) - 9), 12):
        tag, kind, _, value = struct.unpack_from(f"{order}HHIH", exif, position)
        if tag == ORIENTATION:
            return value if kind == SHORT and 1 <= value <= 8 else AS_STORED
    return AS_STORED


def turned(values: np.ndarray, orientation: int) -> np.ndarray:
    """`(H, W, ...)` as viewers show it; 5 to 8 swap rows and columns.

    Example:
        >>> turned(np.array([[1, 2, 3], [4, 5, 6]]), 6)
        array([[4, 1],
               [5, 2],
               [6, 3]])
    """
    if orientation in (5, 6, 7, 8):
        values = values.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        values = values[::-1]
    if orientation in (2, 3, 6, 7):
        values = values[:, ::-1]
    return np.ascontiguousarray(values)
