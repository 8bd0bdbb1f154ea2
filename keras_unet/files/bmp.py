"""BMP files: indices as they are stored, other pixels as RGB."""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np
from PIL import BmpImagePlugin

from keras_unet.files.failures import decoder_errors
from keras_unet.files.limits import check_pixels
from keras_unet.files.stored import Stored

HEADER, OLD_HEADER = 14, 12
"""Where the header of the pixels begins, and its size if it is OS/2's, of 3 bytes a colour."""

NO_GREY = bytes([1, 2, 3])


def decode_bmp(path: Path, data: bytes, max_pixels: int | None = None) -> Stored:
    """The numbers of a BMP.

    An image of up to 8 bits always has a palette, a grey one, too: where all colours are grey, the
    colour of an index is one number.

    Raises:
        ValueError: If it is damaged or has too many pixels; the message names the file.
    """
    size, start = (int.from_bytes(data[k : k + 4], "little") for k in (HEADER, 10))
    old = size == OLD_HEADER
    position = HEADER + (10 if old else 14)
    bits = int.from_bytes(data[position : position + 2], "little")
    palette = HEADER + size
    colours = data[palette : max(start, palette)]
    if bits <= 8 and len(colours) >= 3:
        # Pillow drops palettes that it takes for grey, and misreads 4 and 8 bits then.
        data = b"".join([data[:palette], NO_GREY, data[palette + 3 :]])
    with decoder_errors(path, "BMP"):
        picture = BmpImagePlugin.BmpImageFile(io.BytesIO(data))
    check_pixels(path, picture.size[::-1], max_pixels)
    with decoder_errors(path, "BMP", 4 * math.prod(picture.size)), picture:
        values = np.asarray(picture)
    if bits > 8:
        return Stored(values)
    return Stored(values[..., None], palette=_colours(colours, 3 if old else 4))


def _colours(entries: bytes, length: int) -> np.ndarray:
    """`(256, 3)` RGB, or `(256, 1)` where all are grey; indices beyond the palette are black."""
    found = np.frombuffer(entries[: len(entries) // length * length][: 256 * length], np.uint8)
    table = np.zeros((256, 3), np.uint8)
    table[: len(found) // length] = found.reshape(-1, length)[:, 2::-1]
    grey = (table == table[:, :1]).all()
    return table[:, :1] if grey else table
