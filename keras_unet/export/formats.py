"""Every format by name."""

from __future__ import annotations

import difflib
import importlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    if format not in FORMATS:
        near = difflib.get_close_matches(str(format), FORMATS, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise ValueError(
            f"format must be one of {', '.join(FORMATS)}{hint}. Received: format={format!r}"
        )
    module, function = FORMATS[format]
    write = getattr(importlib.import_module(f"keras_unet.export.{module}"), function)
    return write(segmenter, path, **options)
