"""Files of microscopes that are not read: known by name or content, with the way out."""

from __future__ import annotations

import os

from keras_unet.errors import UsageError

NAMES = {
    ".czi": "Zeiss CZI",
    ".lif": "Leica LIF",
    ".lof": "Leica LOF",
    ".nd2": "Nikon ND2",
    ".oib": "Olympus OIB",
    ".oif": "Olympus OIF",
    ".vsi": "Olympus VSI",
    ".ets": "Olympus ETS",
    ".ims": "Imaris IMS",
    ".dv": "DeltaVision",
    ".mrxs": "3DHistech MRXS",
}
MAGICS = {
    b"ZISR": "Zeiss CZI",
    b"\x70\0\0\0": "Leica LIF",
    b"\xda\xce\xbe\x0a": "Nikon ND2",
    b"\xd0\xcf\x11\xe0": "Olympus OIB",
}


def refuse_microscope(path: str | os.PathLike[str], magic: bytes) -> None:
    """Raises for a microscope's own format; a VSI is a TIFF that holds no more than a preview.

    Example:
        >>> refuse_microscope("cells.czi", b"ZISR")
        Traceback (most recent call last):
        ...
        keras_unet.errors.UsageError: cells.czi is a Zeiss CZI file; export it as TIFF or OME-TIFF, in Fiji: File > Save As > Tiff
    """  # noqa: E501
    name = MAGICS.get(magic[:4]) or NAMES.get(os.path.splitext(path)[1].lower())
    if name:
        raise UsageError(
            f"{path} is a {name} file",
            "export it as TIFF or OME-TIFF, in Fiji: File > Save As > Tiff",
        )
