"""TIFFs for tests: small ones of every layout, hand-made metadata, and damaged copies."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import tifffile

OME = """<?xml version="1.0" encoding="UTF-8"?>
<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"{uuid}>
<Image ID="Image:0" Name="x"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16"
SizeX="7" SizeY="5" SizeZ="{z}" SizeC="{c}" SizeT="1">{channels}{data}</Pixels></Image></OME>"""


def ome_text(planes: int, channels: tuple[str, ...] = (), files: dict[int, str] | None = None):
    """OME-XML of `planes` planes along Z (along C with names of channels), in several files."""
    named = "".join(
        f'<Channel ID="Channel:0:{k}" Name="{name}" SamplesPerPixel="1"/>'
        for k, name in enumerate(channels)
    )
    axis, data = ("C" if channels else "Z"), ""
    for k in range(planes):
        name = (files or {}).get(k)
        uuid = f'<UUID FileName="{name}">urn:uuid:{name}</UUID>' if name else ""
        page = 0 if name else k
        data += f'<TiffData IFD="{page}" First{axis}="{k}" PlaneCount="1">{uuid}</TiffData>'
    own = f' UUID="urn:uuid:{files[0]}"' if files else ""
    z, c = (1, planes) if channels else (planes, 1)
    return OME.format(uuid=own, z=z, c=c, channels=named, data=data)


def write_pages(path: Path, pages, text: str | None = None, **options) -> Path:
    """Every page of its own, the text as the first one's description."""
    with tifffile.TiffWriter(path) as file:
        for k, page in enumerate(pages):
            description = text if k == 0 else None
            file.write(page, description=description, metadata=None, contiguous=False, **options)
    return path


def seed_files() -> dict[str, bytes]:
    """Small TIFFs of every layout and compression, by name."""
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 200, (12, 17)).astype(np.uint8)
    colour = rng.integers(0, 200, (12, 17, 3)).astype(np.uint8)
    deep = rng.integers(0, 60000, (3, 12, 17)).astype(np.uint16)
    palette = {"photometric": "palette", "colormap": rng.integers(0, 65535, (3, 256), "uint16")}
    rgb, black = {"photometric": "rgb"}, {"photometric": "minisblack"}
    written = {
        "plain": (grey, {}),
        "big": (grey, {"bigtiff": True, "byteorder": ">"}),
        "bits": (grey > 99, {"compression": "packbits"}),
        "palette": (grey, palette),
        "strips": (colour, {**rgb, "rowsperstrip": 5, "compression": "lzw", "predictor": 2}),
        "tiles": (colour, {**rgb, "tile": (16, 16), "compression": "zlib"}),
        "planes": (deep, {**rgb, "planarconfig": "separate", "compression": "zstd"}),
        "float": (grey.astype("float32"), {"compression": "lzma", "predictor": 3}),
        "imagej": (deep, {"imagej": True, "metadata": {"axes": "CYX", "Labels": ["a", "b", "c"]}}),
        "frames": (deep, {**black, "metadata": {"axes": "TYX"}, "compression": "zlib"}),
        "ome": (deep, {**black, "ome": True, "metadata": {"axes": "ZYX"}, "compression": "lzw"}),
        "jpeg2000": (grey, {"compression": "jpeg2000"}),
        "jpeg": (colour, {**rgb, "compression": "jpeg"}),
        "webp": (colour, {**rgb, "compression": "webp"}),
        "png": (grey, {"compression": "png"}),
        "jpegxl": (grey, {"compression": "jpegxl"}),
        "lerc": (grey, {"compression": "lerc"}),
    }
    files = {}
    for name, (array, options) in written.items():
        buffer = io.BytesIO()
        tifffile.imwrite(buffer, array, **options)
        files[name] = buffer.getvalue()
    return files


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """A damaged copy: bytes changed, the end cut, a piece lost, or a tag's entry changed."""
    out, kind = bytearray(data), rng.integers(5)
    if kind == 0:
        for place in rng.integers(0, len(out), rng.integers(1, 12)):
            out[place] = rng.integers(256)
    elif kind == 1:
        del out[rng.integers(1, len(out)) :]
    elif kind == 2:
        start = rng.integers(0, len(out))
        del out[start : start + rng.integers(1, 40)]
    else:
        _change_entry(out, rng, extreme=kind == 4)
    return bytes(out)


def _change_entry(out: bytearray, rng: np.random.Generator, extreme: bool) -> None:
    """Another value, count or type in an entry of the first page."""
    order = "<" if out[:2] == b"II" else ">"
    big = b"+" in out[2:4]
    (place,) = struct.unpack_from(order + ("Q" if big else "I"), out, 8 if big else 4)
    head, size = (8, 20) if big else (2, 12)
    (count,) = struct.unpack_from(order + ("Q" if big else "H"), out, place)
    entry = place + head + size * int(rng.integers(count))
    value = int(rng.choice([0, 1, 3, 255, 65535, 2**31 - 1, 2**32 - 1]) if extreme else 0)
    value = value or int(rng.integers(2**16))
    field = rng.integers(3)
    if field == 0:
        struct.pack_into(order + "H", out, entry + 2, value % 20)
    else:
        struct.pack_into(order + "I", out, entry + (4 if field == 1 else size - 4), value)
