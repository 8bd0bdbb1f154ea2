"""Reads one image or one label map from a file, with rules that never guess silently."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from keras_unet._arguments import check_real
from keras_unet.errors import UsageError
from keras_unet.files.channels import Channel, pick_channels, to_channels
from keras_unet.files.decoding import decode, pages_in
from keras_unet.files.label_values import as_labels
from keras_unet.files.limits import names_memory
from keras_unet.files.pages import check_rank, count_frames, with_rank
from keras_unet.files.stored import Stored

PathLike = str | os.PathLike[str]
Colors = Sequence[Sequence[int]] | str | None


@names_memory
def read_image(
    path: PathLike,
    rank: int | None = 2,
    channels: int | None = None,
    *,
    axes: str | None = None,
    channel: Channel = None,
    frame: int | None = None,
    max_pixels: int | None = None,
) -> np.ndarray:
    """Reads an image with its raw numbers: nothing is scaled.

    PNG, JPEG, BMP, GIF, WebP, NIfTI and TIFF (8, 16, 32 bits, float, grey, RGB, planar,
    multi-channel) are recognized by their content. An opacity channel is dropped whatever it
    holds; palettes are expanded to RGB; 1-bit images become 0 and 255; an image with an EXIF
    orientation is turned as viewers and annotation tools show it, and a warning says so; a TIFF
    whose zero means white is not inverted.

    Args:
        path: The file.
        rank: Spatial axes: 2 for an image, 3 to read NIfTI or the slices of a TIFF as a volume,
            None for whatever the file holds. Defaults to 2.
        channels: 1 turns RGB to grey (dtype kept), 3 repeats grey to RGB; other counts must be
            the file's own. Defaults to None, as stored.
        axes: Names of the stored array's axes in order, letters of `T` (frames), `Z` (slices),
            `C` or `S` (channels), `Y`, `X`: `"YXC"`, `"ZCYX"`. Goes before what the file says;
            only TIFFs need it. Defaults to None, as the file says.
        channel: The channels that are read, in this order: numbers from 0 on (the command line and
            Fiji count from 1), or names that OME or ImageJ metadata hold: `1`, `[1, 0]`, `"DAPI"`.
            Defaults to None, all.
        frame: Number of the frame, from 0 on, in a file that has several (`frames_in`). Defaults
            to None.
        max_pixels: Largest number of pages x height x width that is read. Defaults to None, the
            environment's `KERAS_UNET_MAX_PIXELS` or 2**28.

    Returns:
        `(H, W, C)` or `(D, H, W, C)` array in the file's dtype.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged, no image, of another rank, or has NaN or infinite
            values; if its axes are not known, or there is no such frame or channel. The message
            names the file.

    Example:
        >>> read_image("cells.png").shape
        (64, 80, 1)
        >>> read_image("cells.png", channels=3, channel=0).shape
        (64, 80, 3)
    """
    check_rank(rank)
    stored = decode(path, axes=axes, frame=frame, max_pixels=max_pixels)
    values = stored.colors(with_rank(path, stored, rank))
    if values.dtype == bool:
        values = values.astype(np.uint8) * np.uint8(255)
    values = pick_channels(path, values, stored.channel_names, channel)
    check_real(values, str(path))
    if channels is None:
        return values
    names = stored.channel_names if channel is None else ()
    return to_channels(path, values, names, channels)


def frames_in(path: PathLike, rank: int | None = 2, *, axes: str | None = None) -> int | None:
    """How many frames a file has, from its header alone: each is an image of its own.

    Args:
        path: The file.
        rank: As in `read_image`: for 3, the frames of a file without slices are taken for the
            slices and not counted. Defaults to 2.
        axes: As in `read_image`. Defaults to None.

    Returns:
        The count where the file's metadata or `axes` have `T` with more than one entry, else None.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged; the message names it.

    Example:
        >>> print(frames_in("cells.png"))
        None
        >>> import tifffile
        >>> movie = np.zeros((4, 6, 7), "uint8")
        >>> tifffile.imwrite("movie.tif", movie, imagej=True, metadata={"axes": "TYX"})
        >>> [read_image("movie.tif", frame=t).shape for t in range(frames_in("movie.tif"))]
        [(6, 7, 1), (6, 7, 1), (6, 7, 1), (6, 7, 1)]
    """
    check_rank(rank)
    pages, sizes = pages_in(path, axes=axes)
    return count_frames(pages, sizes, rank)


@names_memory
def read_labels(
    path: PathLike,
    colors: Colors = None,
    rank: int | None = 2,
    *,
    axes: str | None = None,
    frame: int | None = None,
    max_pixels: int | None = None,
    negative: bool = False,
) -> np.ndarray:
    """Reads a label map: instance ids, class numbers or a binary mask, as they are stored.

    Grey images of any depth give their values (1-bit: 0 and 1), palette images their indices,
    float TIFFs are taken when they hold whole numbers. RGB files whose three channels agree are
    grey. Coloured ones need `colors`. JPEG and lossy WebP are refused: they change values.

    Args:
        path: The file.
        colors: None; or `"ids"`: where a file is coloured, every colour is an id of its own in
            order of its red, green and blue value, black is 0; or a list of RGB triples: colour
            k becomes k. Defaults to None.
        rank: 2, 3 or None as in `read_image`. Defaults to 2.
        axes: As in `read_image`; a `C` that the masks lack, unlike their images, is passed over.
            Defaults to None.
        frame: As in `read_image`. Defaults to None.
        max_pixels: As in `read_image`. Defaults to None.
        negative: Whether values below 0 are taken, which mark pixels without annotation in some
            data sets. Defaults to False: they are refused.

    Returns:
        `(H, W)` or `(D, H, W)` int32 array.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged or holds anything but labels; the message names the
            file and what was seen.

    Example:
        >>> labels = read_labels("mask.png")
        >>> labels.shape, labels.dtype
        ((64, 80), dtype('int32'))
    """
    check_rank(rank)
    stored = decode(path, axes=axes, frame=frame, max_pixels=max_pixels, labels=True)
    if stored.lossy:
        raise UsageError(
            f"{path} is a lossy {stored.lossy}, which changes label values",
            "save masks as PNG or TIFF, for example write_labels('mask.png', "
            "read_image(path, channels=1)[..., 0] > 127)",
            "save masks as PNG or as TIFF without loss",
        )
    values = with_rank(path, stored, rank)
    if isinstance(colors, str) and colors != "ids":
        raise ValueError(f"colors must be 'ids' or RGB triples. Received: colors={colors!r}")
    if colors is None or (colors == "ids" and _is_grey(stored, values)):
        single = _single_channel(path, stored, values)
        return as_labels(path, single, stored.step, negative, renumber=colors == "ids")
    return _encode_colors(path, stored, values, colors)


def _is_grey(stored: Stored, values: np.ndarray) -> bool:
    """Whether all channels but the opacity agree."""
    colour = values[..., :-1] if stored.alpha else values
    return all(np.array_equal(colour[..., 0], colour[..., c]) for c in range(1, colour.shape[-1]))


def _single_channel(path: PathLike, stored: Stored, values: np.ndarray) -> np.ndarray:
    colour = values[..., :-1] if stored.alpha else values
    if stored.alpha and np.ptp(colour) == 0 and np.ptp(values[..., -1]) > 0:
        raise ValueError(
            f"{path}: the colours are all the same and only the opacity varies; save the mask as "
            "a grey image"
        )
    if not _is_grey(stored, values):
        seen = np.unique(colour.reshape(-1, colour.shape[-1]), axis=0)
        shown = ", ".join(str(tuple(int(v) for v in c)) for c in seen[:6])
        raise UsageError(
            f"{path} holds {len(seen)} colours ({shown}{', ...' if len(seen) > 6 else ''}), not "
            "labels",
            "say what they mean with colors=[(r, g, b), ...] in order of the class number "
            "(class_values in read_folder), or colors='ids' if each colour is an object "
            "(kind='instances')",
            'say the colour of each class, as --kind classes --class-values "#000000,#ff0000", or '
            "--kind instances if each colour is an object",
        )
    first = colour[..., 0]
    return first // (255 // stored.levels) if stored.levels else first


def _encode_colors(
    path: PathLike, stored: Stored, values: np.ndarray, colors: Colors
) -> np.ndarray:
    """RGB triples to their place in `colors`, or to ids where that is "ids"."""
    values = stored.colors(values)
    if values.shape[-1] == 1:
        values = np.repeat(values, 3, axis=-1)
    if values.shape[-1] != 3 or not np.issubdtype(values.dtype, np.unsignedinteger):
        raise ValueError(
            f"{path} is not an RGB image. Received: shape={values.shape}, dtype={values.dtype}"
        )
    shifts = np.array([2**32, 2**16, 1], np.int64)
    packed = values.astype(np.int64) @ shifts
    seen = np.unique(packed)
    if isinstance(colors, str):
        return np.searchsorted(np.union1d([0], seen), packed).astype(np.int32)
    if not colors or any(np.shape(color) != (3,) for color in colors):
        raise ValueError(f"colors must be 'ids' or RGB triples. Received: colors={colors!r}")
    codes = np.array(colors, np.int64) @ shifts
    unknown = np.setdiff1d(seen, codes)
    if unknown.size:
        shown = [(int(c >> 32), int(c >> 16 & 65535), int(c & 65535)) for c in unknown[:6]]
        raise UsageError(
            f"{path} has {unknown.size} colours that are not known: {shown}",
            "name them in colors (class_values or ignore_class in read_folder)",
            "name them in --class-values or --ignore-class",
        )
    order = np.argsort(codes)
    return order[np.searchsorted(codes[order], packed)].astype(np.int32)
