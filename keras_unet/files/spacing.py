"""The physical size of voxels, where a file tells it."""

from __future__ import annotations

import math
import os
import xml.etree.ElementTree as ET
from pathlib import Path

import tifffile

from keras_unet.files.nifti import is_nifti, nifti_spacing
from keras_unet.files.tiff_file import TIFF_MAGICS, open_tiff

MICRONS = {"nm": 1e-3, "µm": 1.0, "μm": 1.0, "um": 1.0, "mm": 1e3, "cm": 1e4}
"""Units of OME-XML, which may differ from axis to axis."""


def read_spacing(path: str | os.PathLike[str]) -> tuple[float, ...] | None:
    """Physical size of a volume's voxels.

    Args:
        path: NIfTI (its header), or TIFF as ImageJ or OME writes it.

    Returns:
        Sizes along `(D, H, W)` in the file's unit, or None where the file does not tell all three.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged.

    Example:
        >>> import tifffile
        >>> volume = np.zeros((5, 6, 7), "uint8")  # voxels of 2 x 0.5 x 0.5
        >>> about = {"axes": "ZYX", "spacing": 2.0, "unit": "um"}
        >>> tifffile.imwrite("volume.tif", volume, imagej=True, resolution=(2, 2), metadata=about)
        >>> read_spacing("volume.tif")
        (2.0, 0.5, 0.5)
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no such image file: {path}")
    if is_nifti(path):
        return _positive(nifti_spacing(path))
    with path.open("rb") as file:
        if file.read(4) not in TIFF_MAGICS:
            return None
    with open_tiff(path) as tiff:
        found = _of_ome(tiff.ome_metadata) if tiff.is_ome else _of_imagej(tiff)
    return _positive(found)


def _of_imagej(tiff: tifffile.TiffFile) -> tuple[float, ...] | None:
    """ImageJ keeps the distance of slices in its description, the others as resolution tags."""
    depth = (tiff.imagej_metadata or {}).get("spacing")
    tags = [tiff.pages.first.tags.get(name) for name in ("YResolution", "XResolution")]
    if depth is None or None in tags:
        return None
    pixels = [tag.value for tag in tags if tag is not None]  # pixels a unit, a fraction
    return (float(depth), *(low / high if high else 0.0 for high, low in pixels))


def _of_ome(text: str | None) -> tuple[float, ...] | None:
    for element in ET.fromstring(text or "<OME/>").iter():
        if element.tag.rpartition("}")[2] == "Pixels":
            sizes = [element.get(f"PhysicalSize{axis}") for axis in "ZYX"]
            units = [element.get(f"PhysicalSize{axis}Unit", "µm") for axis in "ZYX"]
            if None in sizes or not set(units) <= set(MICRONS):
                return None
            return tuple(
                float(size or 0) * MICRONS[unit] for size, unit in zip(sizes, units, strict=True)
            )
    return None


def _positive(spacing: tuple[float, ...] | None) -> tuple[float, ...] | None:
    """Headers may hold 0, negative numbers or NaN where nothing is known."""
    known = spacing is not None and all(math.isfinite(size) and size > 0 for size in spacing)
    return spacing if known else None
