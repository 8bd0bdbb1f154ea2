"""Segments images that do not fit into memory, from one array-like into another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_unet.data.resolution import resolution_text
from keras_unet.inference.preparation import Preparation, fit_channels
from keras_unet.inference.tiling import Progress, run_tiles

if TYPE_CHECKING:
    from keras_unet.inference.segmenter import Segmenter

SAMPLE_PIXELS = 2**22
"""Pixels of the strided sample from which the normalization is measured."""


class PreparedSource:
    """An array-like image that is prepared for the network as it is sliced.

    Args:
        source: `(*spatial)` or `(*spatial, C)`, anything with a shape that can be sliced.
        prepare: What the network needs.
        statistics: Offset and scale of the whole image.
    """

    def __init__(self, source: Any, prepare: Preparation, statistics: tuple[Any, Any]) -> None:
        self.source, self.prepare, self.statistics = source, prepare, statistics

    @property
    def shape(self) -> tuple[int, ...]:
        """`(*spatial, C)`."""
        return _stand_in(self.source, self.prepare.rank, self.prepare.channels).shape

    def __getitem__(self, box: tuple[slice, ...]) -> np.ndarray:
        return self.prepare.normalize(self.prepare.part(self.source[box]), self.statistics)


def predict_large(
    segmenter: Segmenter,
    source: Any,
    destination: Any,
    probabilities: Any = None,
    statistics: tuple[Any, Any] | None = None,
    progress: Progress | None = None,
) -> Any:
    """Writes the class map of an image of any size, with the memory of one batch of tiles.

    The result is that of `Segmenter.predict` on the whole image where the normalization's
    statistics are the same: by default they are measured on a regular sample of about 2**22 pixels,
    since percentiles of the whole would need it in memory.

    Objects are not numbered: an object may cross any number of tiles, and a connected component or
    its size is only known when the whole map is. Targets therefore decide each pixel for itself
    here; a minimum size of objects does not apply. Neither does test-time augmentation, and the
    image must be on the network's grid already.

    Args:
        segmenter: The segmenter.
        source: Image `(*spatial)` or `(*spatial, C)`: a memory map, a zarr or dask array, anything
            with a `shape` that can be sliced. Raw, not normalized.
        destination: Array-like `(*spatial)` of an integer dtype (uint8 is enough for 256 classes)
            that takes the classes, slice by slice.
        probabilities: Array-like `(*spatial, K)` of a float dtype that takes the probabilities.
            Defaults to None, not kept.
        statistics: (offset, scale) with normalized = (image - offset) * scale, numbers or one per
            channel. Defaults to None, measured as above.
        progress: Called with (finished tiles, all tiles) after each one. Defaults to None.

    Returns:
        `destination`.

    Raises:
        ValueError: If an array does not fit, or the segmenter has test-time augmentation or a
            resolution other than 1.

    Example:
        >>> slide = np.lib.format.open_memmap("slide.npy", "w+", np.uint8, (96, 130, 1))
        >>> mask = np.lib.format.open_memmap("classes.npy", "w+", np.uint8, (96, 130))
        >>> keras_unet.inference.predict_large(segmenter, slide, mask) is mask  # or zarr arrays
        True
    """
    rank, channels = segmenter.geometry.rank, segmenter.channels
    _check_source(source, rank, channels)
    _check_segmenter(segmenter)
    shape = tuple(source.shape[:rank])
    _check_destination("destination", destination, shape, np.integer)
    target, prepare = segmenter.target, segmenter.prepare
    if probabilities is not None:
        wanted = (*shape, target.num_outputs)
        _check_destination("probabilities", probabilities, wanted, np.floating)
    if statistics is None:
        statistics = prepare.statistics(prepare.part(_sample(source, rank)))
    image = PreparedSource(source, prepare, statistics)
    plan = segmenter.plan(shape)
    parts = run_tiles(image, plan, segmenter.tile_probabilities, segmenter.batch_of(plan))
    for done, (tile, block) in enumerate(parts, start=1):
        box = tuple(slice(*interval) for interval in tile.write)
        destination[box] = target.pixel_classes(block).astype(destination.dtype)
        if probabilities is not None:
            probabilities[box] = block
        if progress is not None:
            progress(done, len(plan))
    return destination


def _check_segmenter(segmenter: Segmenter) -> None:
    if segmenter.tta is not None:
        raise ValueError(
            "predict_large has no test-time augmentation; pass segmenter.replace(tta=None). "
            f"Received: tta={segmenter.tta!r}"
        )
    if segmenter.resolution != 1:
        raise ValueError(
            "predict_large does not resize; store the image at the network's resolution, and make "
            "a segmenter of the same model and normalization with resolution=1. Received: "
            f"resolution={resolution_text(segmenter.resolution)}"
        )


def _check_source(source: Any, rank: int, channels: int | None) -> None:
    if not hasattr(source, "shape"):
        raise ValueError(
            f"source must be an array-like with a shape. Received: a {type(source).__name__}"
        )
    _stand_in(source, rank, channels)


def _stand_in(source: Any, rank: int, channels: int | None) -> np.ndarray:
    """An array like the source with the network's channels, which takes no memory."""
    pixel = np.zeros((), getattr(source, "dtype", np.float32))
    return fit_channels(np.broadcast_to(pixel, tuple(source.shape)), rank, channels)


def _check_destination(name: str, array: Any, shape: Sequence[int], kind: type) -> None:
    if tuple(array.shape) != tuple(shape) or not np.issubdtype(array.dtype, kind):
        raise ValueError(
            f"{name} must have shape {tuple(shape)} and dtype {kind.__name__}. Received: "
            f"{name}.shape={tuple(array.shape)}, dtype={array.dtype}"
        )


def _sample(source: Any, rank: int) -> np.ndarray:
    """Every n-th pixel along each axis, in memory."""
    pixels = np.prod(source.shape[:rank], dtype=float)
    step = max(int(np.ceil((pixels / SAMPLE_PIXELS) ** (1 / rank))), 1)
    return np.asarray(source[(slice(None, None, step),) * rank])
