"""Every format by name."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_unet._names import check_one_of

if TYPE_CHECKING:
    from keras_unet.inference.segmenter import Segmenter

# A format is one line here: name -> (module, function).
FORMATS = {
    "saved_model": ("to_saved_model", "saved_model"),
    "tflite": ("to_tflite", "tflite"),
    "onnx": ("interchange", "onnx"),
    "openvino": ("interchange", "openvino"),
    "web": ("to_web", "web"),
}


def export_as(
    segmenter: Segmenter, path: str | os.PathLike, format: str = "saved_model", **options: Any
) -> Path:
    """Writes a segmenter in a format, see `Segmenter.export`.

    Raises:
        ValueError: If there is no such format, or the segmenter or an option does not fit it.
    """
    check_one_of("format", format, tuple(FORMATS))
    module, function = FORMATS[format]
    write = getattr(importlib.import_module(f"keras_unet.export.{module}"), function)
    return write(segmenter, path, **options)
