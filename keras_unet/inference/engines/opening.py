"""Opens an exported file with the engine that runs it."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import Any, NamedTuple

from keras_unet.errors import UsageError
from keras_unet.inference.description import read_description
from keras_unet.inference.engines.base import Engine


class FileEngine(NamedTuple):
    """How an engine of files is found.

    Attributes:
        module: Its module here, which does not import Keras.
        name: Its class.
        package: What it needs.
        endings: Endings of the files that it runs.
    """

    module: str
    name: str
    package: str
    endings: tuple[str, ...]


ENGINES = {
    "openvino": FileEngine("openvino_engine", "OpenVinoEngine", "openvino", (".xml", ".onnx")),
    "onnx": FileEngine("onnx_engine", "OnnxEngine", "onnxruntime", (".onnx",)),
    "tflite": FileEngine("tflite_engine", "TFLiteEngine", "ai_edge_litert", (".tflite",)),
}
"""Engines of files by name, in the order in which "auto" takes what is installed."""
NEEDED = ("output", "rank", "channels", "geometry", "normalization", "target", "class_names")
"""What a description must hold."""


def is_exported(path: Path) -> bool:
    """Whether the path ends like an exported file."""
    return any(takes(name, path) for name in ENGINES) and not path.is_dir()


def takes(engine: str, file: Path) -> bool:
    """Whether an engine runs files that end so."""
    return file.suffix in ENGINES[engine].endings


def installed(file: Path) -> list[str]:
    """The engines that run such a file and whose package is installed, the first one first."""
    names = [name for name in ENGINES if takes(name, file)]
    return [name for name in names if importlib.util.find_spec(ENGINES[name].package)]


def open_exported(
    file: Path, engine: str = "auto", num_threads: int | None = None
) -> tuple[Engine, dict[str, Any]]:
    """Opens an exported file.

    Args:
        file: A `.tflite`, `.onnx` or `.xml` file with the `.json` file that describes it.
        engine: "auto", or the name of the engine. Defaults to "auto": the first of `ENGINES` that
            runs such a file and is installed.
        num_threads: Threads of the engine. Defaults to None, its own choice.

    Returns:
        The engine, and the description.

    Raises:
        ImportError: If the engine's package is not installed.
        ValueError: If a file is missing or damaged, or belongs to another engine.
    """
    names = [name for name in ENGINES if takes(name, file)]
    if engine not in ("auto", *names):
        raise UsageError(
            f"{file.name} is run by the engine {' or '.join(map(repr, names))}, not {engine!r}",
            "leave engine away",
            "leave --engine away",
        )
    if engine == "auto":
        engine = (installed(file) or names[-1:])[0]
    description = read_description(file)
    missing = [key for key in NEEDED if key not in description]
    if missing:
        raise ValueError(
            f"{file.with_suffix('.json')} does not describe a network: it lacks "
            f"{', '.join(missing)}; export it again"
        )
    found = ENGINES[engine]
    module = importlib.import_module(f"keras_unet.inference.engines.{found.module}")
    opened = getattr(module, found.name)(file, description, num_threads)
    opened.memory = description.get("memory")
    return opened, description
