"""Opens an exported file with the engine that runs it."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from keras_unet.inference.description import read_description
from keras_unet.inference.engines.base import Engine

FILES = {
    ".tflite": ("tflite", "keras_unet.inference.engines.tflite_engine", "TFLiteEngine"),
    ".onnx": ("onnx", "keras_unet.inference.engines.onnx_engine", "OnnxEngine"),
    ".xml": ("openvino", "keras_unet.inference.engines.openvino_engine", "OpenVinoEngine"),
}
"""Ending of a file -> name, module and class of its engine; none of them imports Keras."""
NEEDED = ("output", "rank", "channels", "geometry", "normalization", "target", "class_names")
"""What a description must hold."""


def is_exported(path: Path) -> bool:
    """Whether the path ends like an exported file."""
    return path.suffix in FILES and not path.is_dir()


def open_exported(
    file: Path, engine: str = "auto", num_threads: int | None = None
) -> tuple[Engine, dict[str, Any]]:
    """Opens an exported file.

    Args:
        file: A `.tflite`, `.onnx` or `.xml` file with the `.json` file that describes it.
        engine: "auto", or the name of the engine that is expected. Defaults to "auto".
        num_threads: Threads of the engine. Defaults to None, its own choice.

    Returns:
        The engine, and the description.

    Raises:
        ImportError: If the engine's package is not installed.
        ValueError: If a file is missing or damaged, or belongs to another engine.
    """
    name, module, cls = FILES[file.suffix]
    if engine not in ("auto", name):
        raise ValueError(
            f"{file.name} is run by engine={name!r}, or 'auto'. Received: engine={engine!r}"
        )
    description = read_description(file)
    missing = [key for key in NEEDED if key not in description]
    if missing:
        raise ValueError(
            f"{file.with_suffix('.json')} does not describe a network: it lacks "
            f"{', '.join(missing)}; export it again"
        )
    engine_class = getattr(importlib.import_module(module), cls)
    return engine_class(file, description, num_threads), description
