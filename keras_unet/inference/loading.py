"""From what is stored, a run folder, an exported file or a preset, to a segmenter."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from keras_unet.inference import network_file, presets, storage
from keras_unet.inference.engines.base import Engine
from keras_unet.inference.engines.opening import is_exported, open_exported

if TYPE_CHECKING:
    import keras

OPTIONS = (
    *("resolution", "max_tile", "memory_limit", "margin", "batch_size"),
    *("tta", "average", "class_names"),
)
"""Arguments that are plain values and are stored under their names."""
DESCRIBED = ("resolution", "margin", "class_names")
"""Those of them that the description of an exported file holds."""

Made = TypeVar("Made")


class Stored(NamedTuple):
    """A network with the description that belongs to it.

    Attributes:
        network: A Keras model or an `Engine`.
        config: What `Segmenter.get_config` or the description of an exported file holds.
        origin: What messages call the description.
        names: Arguments that are plain values and are in it.
    """

    network: keras.Model | Engine
    config: dict[str, Any]
    origin: Any
    names: Sequence[str] = OPTIONS


def stored(path: str | os.PathLike, engine: str = "auto", num_threads: int | None = None) -> Stored:
    """Reads a run folder or an exported file.

    Args:
        path: As for `Segmenter.load`, which has the same arguments and errors.
        engine: "auto", or the name of the engine that is to run the network.
        num_threads: Threads of an exported file's engine. Defaults to None, its own choice.

    Returns:
        A `Stored`.
    """
    file = Path(path)
    if is_exported(file):
        network, config = open_exported(file, engine, num_threads)
        more = [name for name in network_file.OPTIONS if name in config]
        return Stored(network, config, file.with_suffix(".json"), (*DESCRIBED, *more))
    config = storage.read_config(file)
    load = partial(storage.load_model, file, config)
    folder = network_file.Folder(file, file / storage.MODEL_NAME, load, str(path))
    model = network_file.network_of(folder, engine, num_threads) or load()
    return Stored(model, config, file / storage.CONFIG_NAME)


def stored_preset(name: str | os.PathLike, engine: str = "auto") -> Stored:
    """Reads a preset.

    Args:
        name: One of `presets()`, or a folder that `save_preset` has written.
        engine: "auto", or the name of the engine that is to run the network.

    Returns:
        A `Stored`.
    """
    preset = presets.read_preset(name)
    argument = f"--preset {name}"
    folder = network_file.Folder(preset.folder, preset.weights, preset.load, argument)
    model = network_file.network_of(folder, engine) or preset.load()
    return Stored(model, preset.config, name)


def made(
    make: Callable[..., Made],
    network: keras.Model | Engine,
    config: dict[str, Any],
    origin: Any,
    names: Sequence[str] = OPTIONS,
) -> Made:
    """What the class of segmenters makes of the parts of a `Stored`.

    Raises:
        ValueError: In place of any error, with the origin's name.
    """
    with storage.describing(origin):
        parts = storage.arguments(config, names)
        return make(network, from_logits=config.get("from_logits"), **parts)
