"""Images that common writers do not write: interlaced, filtered, few bits, odd BMPs, EXIF."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image

ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2))
ADAM7 += ((1, 0, 2, 1),)
"""First row, first column and the steps of the passes of an interlaced PNG."""


def png_chunk(kind: bytes, body: bytes) -> bytes:
    crc = struct.pack(">I", zlib.crc32(kind + body))
    return struct.pack(">I", len(body)) + kind + body + crc


def packed(samples: np.ndarray, bits: int) -> np.ndarray:
    """Rows of bytes of `(H, W)` or `(H, W, C)` samples with 1 to 16 bits each, high bits first."""
    rows = samples.reshape(len(samples), -1)
    if bits == 16:
        return rows.astype(">u2").view(np.uint8)
    spread = np.unpackbits(rows.astype(np.uint8)[..., None], axis=-1)[..., 8 - bits :]
    return np.packbits(spread.reshape(len(rows), -1), axis=1)


def filtered(rows: np.ndarray, step: int) -> bytes:
    """The rows with PNG's five filters in turn; `step` bytes make a pixel."""
    above, out = np.zeros(rows.shape[1], int), b""
    for number, row in enumerate(rows.astype(int)):
        left, corner = (
            np.concatenate([np.zeros(step, int), one])[: len(row)] for one in (row, above)
        )
        estimate = left + above - corner
        distances = np.abs([estimate - left, estimate - above, estimate - corner])
        paeth = np.choose(distances.argmin(0), [left, above, corner])
        guess = [0, left, above, (left + above) // 2, paeth][number % 5]
        out += bytes([number % 5]) + ((row - guess) % 256).astype(np.uint8).tobytes()
        above = row
    return out


def png(samples: np.ndarray, bits=8, colour=0, interlaced=False, extra=()) -> bytes:
    """A PNG of `(H, W)` or `(H, W, C)` samples; `extra` are chunks before the pixels."""
    height, width = samples.shape[:2]
    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlaced)
    step = max(1, bits * samples[0, 0].size // 8)
    parts = ADAM7 if interlaced else ((0, 0, 1, 1),)
    passes = [samples[y::down, x::right] for y, x, down, right in parts]
    body = b"".join(filtered(packed(one, bits), step) for one in passes if one.size)
    chunks = [(b"IHDR", head), *extra, (b"IDAT", zlib.compress(body)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks)


def palette_chunks(colours: np.ndarray, opacity: bytes = b"") -> list[tuple[bytes, bytes]]:
    chunks = [(b"PLTE", colours.astype(np.uint8).tobytes())]
    return [*chunks, (b"tRNS", opacity)] if opacity else chunks


def bmp(indices: np.ndarray, colours: np.ndarray, bits: int, used: int | None = None) -> bytes:
    """A BMP of `(H, W)` indices with `(entries, 3)` RGB colours."""
    rows = packed(indices[::-1], bits)
    rows = np.pad(rows, [(0, 0), (0, -rows.shape[1] % 4)])
    table = np.pad(colours.astype(np.uint8)[:, ::-1], [(0, 0), (0, 1)]).tobytes()
    start = 54 + len(table)
    height, width = indices.shape
    file = struct.pack("<2sIHHI", b"BM", start + rows.size, 0, 0, start)
    used = len(colours) if used is None else used
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, 0, rows.size, 0, 0, used, 0)
    return file + head + table + rows.tobytes()


def exif(orientation: int, order: str = "MM") -> bytes:
    """EXIF data that hold an orientation, behind another tag."""
    sign = ">" if order == "MM" else "<"
    return order.encode() + struct.pack(
        f"{sign}HIHHHIHHHHIHHI", 42, 8, 2, 0x0100, 3, 1, 7, 0, 0x0112, 3, 1, orientation, 0, 0
    )


def jpeg_with_exif(jpeg: bytes, data: bytes) -> bytes:
    body = b"Exif\0\0" + data
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]


def webp_with_exif(webp: bytes, data: bytes, width: int, height: int) -> bytes:
    """A simple WebP made an extended one."""
    size = b"".join((one - 1).to_bytes(3, "little") for one in (width, height))
    chunks = webp_chunk(b"VP8X", b"\x08\0\0\0" + size) + webp[12:] + webp_chunk(b"EXIF", data)
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WEBP" + chunks


def webp_chunk(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def pillow(array: np.ndarray, format_: str, **options) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, format_, **options)
    return buffer.getvalue()
