"""One image or one volume from what a file holds: frames, slices and pages without a name."""

from __future__ import annotations

import logging
import os

import numpy as np

from keras_unet.errors import UsageError
from keras_unet.files.axes import UNNAMED, ways_to_name
from keras_unet.files.stored import Stored

logger = logging.getLogger("keras_unet")

PathLike = str | os.PathLike[str]


def check_rank(rank: int | None) -> None:
    """Raises a `ValueError` for anything but 2, 3 and None."""
    if rank not in (None, 2, 3):
        raise UsageError(
            f"files hold images of rank 2 or volumes of rank 3, not {rank}",
            "give rank=2, rank=3 or None",
            "say --rank 2 or --rank 3",
        )


def count_frames(pages: str, sizes: tuple[int, ...], rank: int | None) -> int | None:
    """Number of frames among these pages that are samples of their own, or None.

    A volume needs slices: where there are none, `rank=3` takes the frames for them.
    """
    if "T" not in pages or (rank == 3 and pages == "T"):
        return None
    return sizes[pages.index("T")]


def with_rank(path: PathLike, stored: Stored, rank: int | None) -> np.ndarray:
    """The values as one image `(H, W, C)` or one volume `(D, H, W, C)`.

    Args:
        path: The file, for messages.
        stored: What it holds, of one frame where a frame was chosen.
        rank: 2, 3 or None for either.

    Raises:
        ValueError: If it holds something else; the message says how to name or choose it.
    """
    check_rank(rank)
    values, pages = stored.values, stored.pages
    sizes = values.shape[: len(pages)]
    if rank == 3 and stored.part:
        raise UsageError(f"{path} {stored.part}", "save the whole set as one file")
    if rank == 3 and not pages:
        raise UsageError(
            f"{path} is not a volume but an image of {values.shape[0]} x {values.shape[1]}",
            "read it with rank=2",
            "leave --rank 3 away for images",
        )
    if pages == "Z" and sizes == (1,) and rank != 3:
        return values[0]  # one slice is an image
    if len(pages) == 1 and rank != 2:
        if pages == "T":
            logger.warning("%s holds %d frames; they are taken for slices", path, sizes[0])
        return values
    if UNNAMED in pages:
        raise _unnamed(path, values)
    if "T" in pages:
        count = sizes[pages.index("T")]
        raise UsageError(
            f"{path} holds {count} frames",
            f"give frame=K with K in 0..{count - 1} for one of them",
            "save the frame that is meant as a file of its own",
        )
    if pages:  # "Z", and an image is asked for
        raise UsageError(
            f"{path} has {sizes[0]} slices",
            "read it as a volume with rank=3, or save the slices as files of their own",
            "save the slices as files of their own, or train a network for volumes",
        )
    return values


def no_frames(path: PathLike) -> UsageError:
    """The error for a frame that is asked of a file without frames."""
    return UsageError(
        f"{path} has no frames",
        "leave frame away, or name the axes, such as axes='TYX'",
        "name the axes, such as --axes TYX",
    )


def _unnamed(path: PathLike, values: np.ndarray) -> UsageError:
    """The question for the names of axes, with those that this array may have."""
    shape = values.shape if values.shape[-1] > 1 else values.shape[:-1]
    sizes = " x ".join(str(size) for size in shape)
    ways = ways_to_name(len(shape))
    first, last = ways[0].split()[0], ", ".join(ways[1:-1])
    rest = ways[0].removeprefix(first) + (f", {last} or {ways[-1]}" if len(ways) > 1 else "")
    return UsageError(
        f"{path} is {sizes} without names of its axes",
        f"give axes='{first}'{rest}",
        f"say --axes {first}{rest}",
    )
