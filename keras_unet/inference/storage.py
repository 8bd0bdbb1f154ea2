"""The run folder of a segmenter: `segmenter.json` beside `model.keras`."""

from __future__ import annotations

import contextlib
import json
import os
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_unet import targets
from keras_unet._arguments import shown
from keras_unet.errors import UsageError, one_line
from keras_unet.files.atomic import new_file, write_atomically
from keras_unet.files.plain_data import read_plain
from keras_unet.geometry.window import geometry_from_config
from keras_unet.inference.stored_weights import no_larger_than
from keras_unet.normalization import Normalization

if TYPE_CHECKING:
    import keras

FORMAT_VERSION = 4
CONFIG_NAME = "segmenter.json"
MODEL_NAME = "model.keras"
KNOWN_FILES = (CONFIG_NAME, MODEL_NAME, "recipe.yaml")
"""A folder with one of these belongs to a run and may be written into."""

UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {
    1: lambda config: {"resolution": 1.0, **config},
    2: lambda config: {**config, "target": _with_z(config["target"])},
    3: lambda config: with_margin(config),
}
"""Format version -> function that turns such a config into one of the next version."""


def save_run(path: str | os.PathLike, model: keras.Model, config: dict[str, Any]) -> Path:
    """Writes both files; each one appears complete or not at all.

    Args:
        path: Folder, created where it is missing. Files of a training run in it are kept.
        model: The model.
        config: What `segmenter.json` holds besides versions; plain values.

    Returns:
        The folder.

    Raises:
        ValueError: If `path` is a file or a folder with other things in it.
    """
    folder = Path(path)
    _check_writable(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with new_file(folder / MODEL_NAME) as temporary:
        model.save(temporary)
    text = json.dumps(
        {"format_version": FORMAT_VERSION, **config, "versions": versions()}, indent=2
    )
    write_atomically(folder / CONFIG_NAME, f"{text}\n".encode())
    return folder


def load_run(path: str | os.PathLike) -> tuple[keras.Model, dict[str, Any]]:
    """Reads both files.

    Args:
        path: Folder that `save_run` has written.

    Returns:
        The model, not compiled, and the config in the present format.

    Raises:
        ValueError: If a file is missing, damaged or of a newer format; the message names it.
    """
    folder = Path(path)
    config = read_config(folder)
    return load_model(folder, config), config


def load_model(folder: Path, config: Mapping[str, Any]) -> keras.Model:
    """Reads the model alone.

    Args:
        folder: Folder that `save_run` has written.
        config: What `read_config` gives.

    Returns:
        The model, not compiled.

    Raises:
        ValueError: If the file is missing or damaged; the message names it.
    """
    import keras

    file = folder / MODEL_NAME
    if not file.is_file():
        raise ValueError(f"{file} is missing; copy the whole folder, or save the segmenter again")
    try:
        with no_larger_than(file):
            return keras.models.load_model(file, compile=False)
    except Exception as error:
        cause = one_line(str(error))[:300]
        raise UsageError(
            f"{file} cannot be loaded ({type(error).__name__}: {cause}); it was written by "
            f"{_writers(config)}",
            "if it is damaged, copy or save it again; if the network has layers of your own, "
            "import the module that registers them first",
            "if it is damaged, copy or train it again; a network with layers of your own can only "
            "be loaded in Python, where they are registered",
        ) from error


def read_config(folder: Path) -> dict[str, Any]:
    """Reads `segmenter.json` and brings it to the present format."""
    file = folder / CONFIG_NAME
    if not file.is_file():
        raise UsageError(
            f"{file} is missing, so this is not the folder of a segmenter",
            "Segmenter.save and keras_unet.train write one",
            "name a run folder, as the train command writes it with --out",
        )
    config, version = read_versioned(file, FORMAT_VERSION, "copy or save it again")
    try:
        while version < FORMAT_VERSION:
            config = UPGRADES[version](config)
            version += 1
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"{file} is damaged ({type(error).__name__}: {error}); copy or save it again"
        ) from error
    return config


def read_versioned(file: Path, newest: int, remedy: str) -> tuple[dict[str, Any], int]:
    """Reads a JSON file that tells its `format_version`.

    Args:
        file: The file.
        newest: Newest version that is known.
        remedy: What helps if the file is damaged.

    Returns:
        What it holds, and its version.

    Raises:
        ValueError: If it is damaged, larger than a description can be (see `read_plain`), or
            newer.
    """
    try:
        config = read_plain(file)
    except ValueError as error:
        raise ValueError(f"{file} is damaged ({error.__cause__}); {remedy}") from error
    version = config.get("format_version") if isinstance(config, dict) else None
    if type(version) is not int or version < 1:  # true is an int in Python, and no version
        raise ValueError(
            f"{file} is damaged (its format_version is {shown(version)}, not a whole number from "
            f"1 on); {remedy}"
        )
    if version > newest:
        raise ValueError(
            f"{file} has format version {version}, this keras_unet reads up to {newest}; upgrade "
            f"keras_unet (the file was written by {_writers(config)})"
        )
    return config, version


def arguments(config: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """The arguments of a `Segmenter` from its configuration.

    Args:
        config: What `Segmenter.get_config` or the description of an exported file holds.
        names: Arguments that are plain values.

    Returns:
        Target, normalization, geometry, reading and the plain ones.
    """
    return {
        "target": targets.create(config["target"]["name"], **config["target"]["config"]),
        "normalization": Normalization(**config["normalization"]),
        "geometry": geometry_from_config(config["geometry"]),
        "reading": config.get("reading"),
        **{name: config[name] for name in names},
    }


@contextlib.contextmanager
def describing(origin: Any) -> Iterator[None]:
    """Names the file in whatever fails because of what it tells.

    Args:
        origin: What messages call the configuration that is used inside.

    Raises:
        ValueError: In place of any error.
    """
    try:
        yield
    except UsageError as error:
        problem = f"{origin} does not describe a segmenter: {error.problem}"
        raise UsageError(problem, error.python, error.command) from error
    except Exception as error:  # a value can be wrong in any way
        cause = one_line(f"{type(error).__name__}: {error}")[:400]
        raise ValueError(
            f"{origin} does not describe a segmenter ({cause}); save it again"
        ) from error


def versions() -> dict[str, str]:
    """Versions of what writes a run, for messages and reports."""
    import keras
    import numpy as np

    from keras_unet._version import __version__

    return {
        "keras_unet": __version__,
        "keras": keras.__version__,
        "backend": keras.config.backend(),
        "numpy": np.__version__,
        "python": platform.python_version(),
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def _writers(config: Mapping[str, Any]) -> str:
    """What wrote a configuration, in words."""
    there = config.get("versions")
    if not isinstance(there, dict):
        return "an unknown version"
    return ", ".join(f"{str(name)[:40]} {str(value)[:40]}" for name, value in [*there.items()][:8])


def with_margin(config: Mapping[str, Any]) -> dict[str, Any]:
    """What does not tell a margin was written when there was but one, and predicts as before."""
    return {"margin": "full", **config}


def _with_z(target: dict[str, Any]) -> dict[str, Any]:
    """Format 2 called an argument of the seed target `normalisation`."""
    config = dict(target["config"])
    if "normalisation" in config:
        config["normalization"] = config.pop("normalisation")
    return {**target, "config": config}


def _check_writable(folder: Path) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ValueError(f"path must be a folder. Received: path={str(folder)!r}, a file")
    names = sorted(entry.name for entry in folder.iterdir())
    if names and not any(name in names for name in KNOWN_FILES):
        raise ValueError(
            "path holds other files and no run of keras_unet; choose a new folder. Received: "
            f"path={str(folder)!r} with {', '.join(names[:5])}"
        )
