"""The network file of a run folder or a preset: its network without Keras.

`network.onnx` is the network, `network.json` describes it. Both belong to the weights in the folder
by these weights' SHA-256; where that differs, the file is old and is not used.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from keras_unet._arguments import did_you_mean
from keras_unet.errors import UsageError
from keras_unet.files.checksum import sha256
from keras_unet.inference.description import read_description
from keras_unet.inference.engines.base import Engine
from keras_unet.inference.engines.network_engine import NetworkEngine, Source
from keras_unet.inference.engines.opening import ENGINES, installed, open_exported, takes

if TYPE_CHECKING:
    import keras

logger = logging.getLogger("keras_unet")

NAME = "network.onnx"
OPTIONS = ("tta", "average", "max_tile")
"""Arguments of a segmenter that its description holds beside what any export tells."""


class Folder(NamedTuple):
    """Where a network is stored.

    Attributes:
        path: Folder of a run or a preset.
        weights: Its file with the weights.
        load: Loads the Keras model.
        argument: What the command line calls the folder.
    """

    path: Path
    weights: Path
    load: Callable[[], keras.Model]
    argument: str

    @property
    def file(self) -> Path:
        """The network file, which may be missing."""
        return self.path / NAME

    @property
    def renewal(self) -> str:
        """The command that writes it."""
        return f"keras-unet export {self.argument} --format onnx --in-place"


def network_of(folder: Folder, engine: str = "auto", threads: int | None = None) -> Engine | None:
    """What runs the network file of a folder.

    Args:
        folder: The folder.
        engine: "auto", or the name of an engine. Defaults to "auto": OpenVINO, else ONNX Runtime,
            whichever is installed.
        threads: Threads of the engine. Defaults to None, its own choice.

    Returns:
        The engine; None where it is Keras that runs the network. A line says so where that is
        because of an old or damaged file.

    Raises:
        ImportError: If the engine's package is not installed.
        ValueError: If there is no such engine, or it has no file that is right.
    """
    check_engine(engine)
    if engine == "keras" or not folder.weights.is_file():
        return None
    if engine != "auto" and not takes(engine, folder.file):
        raise UsageError(
            f"the engine {engine!r} runs {' and '.join(ENGINES[engine].endings)} files, and "
            f"{folder.path} is a folder",
            "load the exported file",
            "name the exported file",
        )
    problem = _problem(folder)
    if problem is None:
        if engine == "auto" and not installed(folder.file):
            return None
        try:
            network, _ = open_exported(folder.file, engine, threads)
            return NetworkEngine(network, Source(folder.load), chosen=engine != "auto")
        except ValueError as error:
            problem = str(error).partition(";")[0]
    if engine != "auto":
        raise UsageError(
            f"{problem}, so the engine {engine!r} has nothing to run",
            f"export.onnx(segmenter, {str(folder.path)!r}, in_place=True) writes it anew",
            f"`{folder.renewal}` writes it anew",
        )
    if folder.file.exists():
        logger.warning("%s; it is not used until `%s` renews it", problem, folder.renewal)
    return None


def check_engine(engine: str) -> None:
    """Raises a `UsageError` for anything that is no engine."""
    names = ("auto", "keras", *ENGINES)
    if engine not in names:
        raise UsageError(
            f"there is no engine {engine!r}{did_you_mean(engine, names)}",
            f"give engine={', '.join(map(repr, names[:-1]))} or {names[-1]!r}",
            f"say --engine {', '.join(names[:-1])} or {names[-1]}",
        )


def _problem(folder: Folder) -> str | None:
    """Why the network file cannot be used."""
    if not folder.file.is_file():
        return f"{folder.file} is missing"
    try:
        told = read_description(folder.file)
    except ValueError as error:
        return str(error).partition(";")[0]
    if told.get("weights_sha256") != sha256(folder.weights):
        return f"{folder.file} was made from other weights than {folder.weights.name} holds"
    if told.get("network_sha256") != sha256(folder.file):
        return f"{folder.file} is damaged"
    return None
