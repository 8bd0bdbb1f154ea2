"""The segmenter of a TFLite file, under the name by which people know it."""

from __future__ import annotations

import os

from keras_unet.inference.segmenter import Segmenter


def TFLiteSegmenter(
    path: str | os.PathLike, *, num_threads: int | None = None, max_tile: int | None = None
) -> Segmenter:
    """`Segmenter.load` of a `.tflite` file.

    Args:
        path: The file, with the `.json` file beside it.
        num_threads: Threads of the interpreter. Defaults to None, its own choice.
        max_tile: Largest tile in pixels, for files that take any size. Defaults to None, 1,024.

    Returns:
        A `Segmenter`, which needs no TensorFlow.

    Raises:
        ImportError: If ai-edge-litert is not installed.
        ValueError: If a file is missing or damaged.
    """
    segmenter = Segmenter.load(path, engine="tflite", num_threads=num_threads)
    return segmenter if max_tile is None else segmenter.replace(max_tile=max_tile)
