"""Presets: trained segmenters that come with the package, weights in float16."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from keras_unet._arguments import did_you_mean
from keras_unet.errors import UsageError, one_line
from keras_unet.files.checksum import sha256
from keras_unet.files.plain_data import read_plain
from keras_unet.inference.storage import versions, with_margin
from keras_unet.inference.stored_weights import no_larger_than

if TYPE_CHECKING:
    import keras

FOLDER = Path(__file__).resolve().parents[1] / "presets"
CONFIG_NAME = "preset.json"
WEIGHTS_NAME = "weights.npz"


def presets() -> tuple[str, ...]:
    """Names of the trained segmenters that come with the package, sorted."""
    return tuple(sorted(file.parent.name for file in FOLDER.glob(f"*/{CONFIG_NAME}")))


def save_preset(
    path: str | os.PathLike,
    model: keras.Model,
    segmenter_config: dict[str, Any],
    card: dict[str, Any],
) -> Path:
    """Writes a preset: `weights.npz` in float16, and `preset.json`, which holds everything else.

    Args:
        path: Folder, made where it is missing.
        model: A model of this package.
        segmenter_config: `Segmenter.get_config()`.
        card: What a user should know: description, data, licence, scores; plain values.

    Returns:
        The folder.

    Raises:
        ValueError: If the model is not of this package, or a weight does not fit into float16.
    """
    from keras_unet.models import registry

    folder = Path(path)
    folder.mkdir(parents=True, exist_ok=True)
    weights = [np.asarray(weight, np.float32) for weight in model.get_weights()]
    largest = max(float(np.abs(weight).max()) for weight in weights)
    if not largest <= float(np.finfo(np.float16).max):
        raise ValueError(f"weights must fit into float16. Received: largest weight {largest:g}")
    file = folder / WEIGHTS_NAME
    np.savez_compressed(file, *[weight.astype(np.float16) for weight in weights])
    arguments = {key: value for key, value in model.get_config().items() if key != "name"}
    preset = {
        "card": card,
        "model": {"name": registry.name_of(model), "arguments": arguments},
        "segmenter": segmenter_config,
        "weights_sha256": sha256(file),
        "versions": versions(),
    }
    (folder / CONFIG_NAME).write_text(json.dumps(preset, indent=2) + "\n", encoding="utf-8")
    return folder


class Preset(NamedTuple):
    """A preset that was looked up; its network is not made yet.

    Attributes:
        folder: Its folder.
        config: The segmenter's config.
        network: Name and arguments of the architecture.
        weights_sha256: What the file of weights must have.
    """

    folder: Path
    config: dict[str, Any]
    network: dict[str, Any]
    weights_sha256: str

    @property
    def weights(self) -> Path:
        """The file with the weights."""
        return self.folder / WEIGHTS_NAME

    def load(self) -> keras.Model:
        """The model with float32 weights.

        Raises:
            ValueError: If a file is missing or damaged.
        """
        from keras_unet.models import registry

        file = self.folder / CONFIG_NAME
        try:
            architecture = registry.get(self.network["name"])
            arguments = dict(self.network["arguments"])
        except Exception as error:  # a damage can be of any kind
            raise _damaged(file, error) from error
        if not self.weights.is_file():
            raise _damaged(self.weights, "it is missing")
        if sha256(self.weights) != self.weights_sha256:
            raise _damaged(self.weights, f"its SHA-256 is not the one in {CONFIG_NAME}")
        try:
            with no_larger_than(self.weights):
                model = architecture.from_config(arguments)
        except Exception as error:
            raise _damaged(file, error) from error
        try:
            with np.load(self.weights) as arrays:
                model.set_weights([arrays[key].astype(np.float32) for key in arrays.files])
        except Exception as error:
            raise _damaged(self.weights, error) from error
        return model


def read_preset(name: str | os.PathLike) -> Preset:
    """Looks up a preset.

    Args:
        name: One of `presets()`, or a folder that `save_preset` has written.

    Returns:
        A `Preset`.

    Raises:
        ValueError: If there is no such preset, or its description is damaged.
    """
    folder = _find(name)
    file = folder / CONFIG_NAME
    try:
        preset = read_plain(file)
        config, network = with_margin(preset["segmenter"]), dict(preset["model"])
        return Preset(folder, config, network, str(preset["weights_sha256"]))
    except Exception as error:  # a damage can be of any kind
        raise _damaged(file, error.__cause__ or error) from error


def load_preset(name: str | os.PathLike) -> tuple[keras.Model, dict[str, Any]]:
    """The model of a preset with float32 weights, and the segmenter's config; see `read_preset`."""
    preset = read_preset(name)
    return preset.load(), preset.config


def _find(name: str | os.PathLike) -> Path:
    if str(name) in presets():
        return FOLDER / str(name)
    if (Path(name) / CONFIG_NAME).is_file():
        return Path(name)
    known = ", ".join(presets())
    raise UsageError(
        f"there is no preset {str(name)!r}{did_you_mean(name, presets())}",
        f"there are {known}, or pass the folder of one",
        f"there are {known}; a run folder is named without --preset",
    )


def _damaged(file: Path, reason: str | BaseException) -> ValueError:
    if isinstance(reason, BaseException):
        reason = f"{type(reason).__name__}: {one_line(str(reason))[:300]}"
    return ValueError(f"{file} is damaged ({reason}); install the package again")
