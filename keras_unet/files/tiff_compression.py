"""Compressions of TIFF: their names for people, and which of them change values."""

from __future__ import annotations

import struct

import tifffile

NAMES = {
    2: "CCITT RLE",
    3: "CCITT group 3",
    4: "CCITT group 4",
    5: "LZW",
    6: "JPEG",
    7: "JPEG",
    8: "deflate",
    22610: "JPEG XR",
    32773: "PackBits",
    32946: "deflate",
    33003: "Aperio JPEG 2000",
    33004: "JPEG 2000",
    33005: "Aperio JPEG 2000",
    33007: "JPEG",
    34661: "JBIG",
    34712: "JPEG 2000",
    34887: "LERC",
    34892: "JPEG",
    34925: "LZMA",
    34926: "Zstandard",
    34927: "WebP",
    34933: "PNG",
    34934: "JPEG XR",
    48124: "Jetraw",
    50000: "Zstandard",
    50001: "WebP",
    50002: "JPEG XL",
    52546: "JPEG XL",
}

ALWAYS_LOSSY = {6, 7, 22610, 33007, 34676, 34677, 34892, 34934, 48124}
JPEG2000 = {33003, 33004, 33005, 34712}
JPEGXL = {50002, 52546}
WEBP = {34927, 50001}
LERC = 34887
FLOAT_OF_LERC = 6


def compression_name(page: tifffile.TiffPage) -> str:
    """Such as "JPEG 2000"; for unknown ones the number."""
    number = int(page.compression)
    return NAMES.get(number) or ("uncompressed" if number == 1 else f"compression {number}")


def lossy_name(page: tifffile.TiffPage, first: bytes) -> str:
    """The format's name if it changed the values, else an empty string.

    Args:
        page: A page.
        first: The first bytes of its first strip or tile.
    """
    number = int(page.compression)
    lossy = (
        number in ALWAYS_LOSSY
        or (number in JPEG2000 and _is_irreversible(first))
        or (number in JPEGXL and not _is_lossless_jpegxl(first))
        or (number in WEBP and b"VP8 " in first[:64])
        or (number == LERC and _is_lossy_lerc(first))
    )
    return compression_name(page) if lossy else ""


def _is_irreversible(data: bytes) -> bool:
    """Whether JPEG 2000 uses the 9-7 wavelet, which its coding style says with a 0 at the end."""
    _, start, codestream = data.partition(b"\xff\x4f\xff\x51")
    _, marker, style = codestream.partition(b"\xff\x52")
    return not (start and marker and style[11:12] == b"\1")


def _is_lossy_lerc(data: bytes) -> bool:
    """Whether values may differ from what went in: whole numbers by 1 or more, others at all."""
    version = int.from_bytes(data[6:10], "little")
    place = 6 + 4 * (6 + (version >= 3) + (version >= 4))
    if not data.startswith(b"Lerc2 ") or len(data) < place + 12:
        return True
    kind, error = struct.unpack_from("<id", data, place)
    return error > (0.5 if kind < FLOAT_OF_LERC else 0)


def _is_lossless_jpegxl(data: bytes) -> bool:
    """Whether JPEG XL keeps the colours as they went in: `xyb_encoded` of ISO/IEC 18181-1, D.3.1.

    Files with animation, preview or extra channels of their own kind count as lossy.
    """
    if b"jbrd" in data:  # a JPEG in another dress
        return False
    data = data[data.find(b"\xff\x0a") + 2 :] if b"\xff\x0a" in data else b""
    bits, place = int.from_bytes(data[:64], "little"), 0

    def take(count: int) -> int:
        nonlocal place
        place += count
        return bits >> (place - count) & ((1 << count) - 1)

    def choice(*widths: int) -> int:
        """One of four widths, of which those below 0 stand for a fixed number."""
        width = widths[take(2)]
        return take(width) if width >= 0 else -width

    eighths = take(1)
    _ = take(5) if eighths else choice(9, 13, 18, 30)
    if take(3) == 0:
        _ = take(5) if eighths else choice(9, 13, 18, 30)
    if take(1):  # everything as by default, which is lossy
        return False
    if take(1):
        _ = take(3)
        if take(3):
            return False
    if take(1):
        choice(-32, -16, -24, 6)
        _ = take(4)
    else:
        choice(-8, -10, -12, 6)
    _ = take(1)
    extra = take(2)  # none, or one of the default kind, which is opacity
    if extra > 1 or (extra == 1 and not take(1)):
        return False
    return len(data) >= 8 and not take(1)
