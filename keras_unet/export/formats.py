"""Every format by name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_unet._arguments import check_one_of

if TYPE_CHECKING:
    from keras_unet.inference.segmenter import Segmenter

FORMATS = ("saved_model", "tflite", "onnx", "openvino", "web")
"""Functions of `keras_unet.export`."""


def export_as(
    segmenter: Segmenter, path: str | os.PathLike, format: str = "saved_model", **options: Any
) -> Path:
    """Writes a segmenter in a format, see `Segmenter.export`.

    Raises:
        ValueError: If there is no such format, or the segmenter or an option does not fit it.
    """
    check_one_of("format", format, FORMATS)
    from keras_unet import export

    return getattr(export, format)(segmenter, path, **options)
