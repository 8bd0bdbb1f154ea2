"""Which image of a TIFF is meant, and whether all of it is in the file."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from pathlib import Path

import tifffile

from keras_unet.errors import UsageError, listed


def choose_series(path: Path, file: tifffile.TiffFile) -> tifffile.TiffPageSeries:
    """The largest image; thumbnails, labels and levels of a pyramid beside it are passed over.

    Raises:
        ValueError: If there is none, or another one has more than a quarter of its pixels.
    """
    found = [series for series in file.series if math.prod(series.shape)]
    if not found:
        raise ValueError(f"{path} has no pixels")
    largest = max(found, key=_pixels)
    others = [
        series
        for series in found
        if not (series.keyframe.is_reduced or series.keyframe.is_mask)
        and _pixels(series) > _quarter(largest)
    ]
    if len(others) > 1:
        sizes = [" x ".join(str(size) for size in series.shape) for series in others]
        raise UsageError(
            f"{path} holds {len(others)} images ({listed(sizes)})", "save each as a file of its own"
        )
    return largest


def _extent(series: tifffile.TiffPageSeries) -> tuple[int, int, int]:
    """Pages, rows and columns."""
    sizes = dict(zip(series.axes, series.shape, strict=True))
    samples = sizes.get("S", 1)
    rows, columns = sizes.get("Y", 1), sizes.get("X", 1)
    return math.prod(series.shape) // max(samples * rows * columns, 1), rows, columns


def _pixels(series: tifffile.TiffPageSeries) -> int:
    return math.prod(_extent(series))


def _quarter(series: tifffile.TiffPageSeries) -> int:
    pages, rows, columns = _extent(series)
    return pages * math.ceil(rows / 2) * math.ceil(columns / 2)


def check_planes(path: Path, file: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> None:
    """Raises unless every plane of the image, and every strip or tile of it, is in the file.

    Tifffile fills what is missing with zeros.
    """
    key = series.keyframe
    if series.dataoffset is not None:  # one block, of which only the first page may be listed
        end = series.dataoffset + series.nbytes
    else:
        needed = math.prod(series.get_shape(squeeze=False)) // max(key.size, 1)
        pages = _pages_of(series)
        if len(pages) < needed:
            raise missing_planes(path, len(pages), needed)
        kind = "tiles" if key.is_tiled else "strips"
        end = max(_end_of(path, page, kind) for page in pages)
    if end > file.filehandle.size:
        missing = end - file.filehandle.size
        raise ValueError(f"{path} is truncated: {missing} bytes of its pixels are missing")


def _pages_of(series: tifffile.TiffPageSeries) -> list[tifffile.TiffPage | tifffile.TiffFrame]:
    """Those that are there, not those that the metadata promise."""
    found = []
    for index in range(len(series)):
        try:
            found.append(series[index])
        except IndexError:
            break
    return [page for page in found if page is not None]


def missing_planes(path: Path, found: int, needed: int) -> UsageError:
    """The error for a file whose metadata promise more than it holds."""
    return UsageError(
        f"{found} of {needed} planes are in {path}",
        "save it once more from the program that it comes from",
    )


def check_promises(path: Path, file: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> str:
    """Compares the pages with what metadata promise that tifffile does not follow.

    Returns:
        "holds 1 of 8 planes of a set" for one plane of an OME set, else an empty string.

    Raises:
        ValueError: If the file holds less or more than its metadata say, or several planes of a
            set, whose place among the others is in other files.
    """
    count = len(file.pages)
    if file.is_ome:
        metadata = OmeMetadata(file.ome_metadata or "")
        planes = sum(metadata.planes)
        if metadata.is_set:
            part = f"holds {count} of {planes or 'more'} planes of a set"
            if count > 1:
                raise UsageError(f"{path} {part}", "save the whole set as one file")
            return part
        if series.kind != "ome" and count < planes:
            raise missing_planes(path, count, planes)
        if count > planes:
            raise UsageError(
                f"{path} has {count} pages, its OME metadata tell of {planes}",
                "save it once more from the program that it comes from",
            )
    elif file.is_imagej and series.kind != "imagej":
        planes = int((file.imagej_metadata or {}).get("images", 1))
        if count < planes:
            raise missing_planes(path, count, planes)
    return ""


def channel_names(file: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> tuple[str, ...]:
    """Names of the channels in OME's or ImageJ's metadata, or none."""
    if series.kind == "ome" and file.is_ome:
        channels = OmeMetadata(file.ome_metadata or "").channels
        return channels[file.series.index(series)] if len(channels) == len(file.series) else ()
    if series.kind == "imagej":
        labels = (file.imagej_metadata or {}).get("Labels", ())
        return tuple(str(label) for label in labels)
    return ()


def _end_of(path: Path, page: tifffile.TiffPage | tifffile.TiffFrame, kind: str) -> int:
    """Where the page's last pixel ends in the file."""
    if page.is_contiguous:
        return int(page.dataoffsets[0] + page.nbytes)
    wanted = math.prod(page.chunked)
    segments = list(zip(page.dataoffsets, page.databytecounts, strict=False))
    stored = [offset + count for offset, count in segments if offset and count]
    if len(stored) < wanted:
        raise ValueError(f"{path} is incomplete: {len(stored)} of {wanted} {kind} of a page exist")
    return int(max(stored))


class OmeMetadata:
    """What the OME-XML of a file says of planes and channels.

    Attributes:
        planes: Number of planes of each image, counted over all files.
        channels: Names of the channels of each image.
        is_set: Whether planes, or the metadata, are in other files.
    """

    def __init__(self, text: str) -> None:
        self.planes: list[int] = []
        self.channels: list[tuple[str, ...]] = []
        root = ET.fromstring(text)
        files = {root.get("UUID")} - {None}
        self.is_set = any(_tag(element) == "BinaryOnly" for element in root)
        for element in root.iter():
            if _tag(element) == "UUID":
                files.add(element.text)
            elif _tag(element) == "Pixels":
                channels = [child for child in element if _tag(child) == "Channel"]
                samples = int(channels[0].get("SamplesPerPixel", 1)) if channels else 1
                sizes = [int(element.get(f"Size{axis}", 1)) for axis in "ZCT"]
                self.planes.append(math.prod(sizes) // max(samples, 1))
                self.channels.append(tuple(child.get("Name") or "" for child in channels))
        self.is_set = self.is_set or len(files) > 1


def _tag(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]
