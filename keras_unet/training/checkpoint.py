"""Checkpoints from which a killed run goes on as if nothing had happened."""

from __future__ import annotations

import hashlib
import json
import logging
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_unet.errors import UsageError
from keras_unet.files.atomic import write_atomically
from keras_unet.sample import Sample

logger = logging.getLogger("keras_unet")

KEPT = 2


@dataclass
class TrainingState:
    """Everything that a run's next step depends on.

    Attributes:
        variables: Group name -> Keras variables: the network's weights with its dropout seeds, the
            averaged weights, the optimizer's moments.
        step: Steps done.
        history: One row of the log for every validation so far.
        meta: What the run is: its recipe and the checksum of its samples.
    """

    variables: dict[str, list[Any]] = field(default_factory=dict)
    step: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    meta: dict[str, Any] = field(default_factory=dict)

    def save(self, folder: Path) -> Path:
        """Writes `step-N.npz` in one piece and removes all but the two newest."""
        arrays = {
            f"{group}/{index:04d}": as_numpy(variable)
            for group, variables in self.variables.items()
            for index, variable in enumerate(variables)
        }
        about = json.dumps({"step": self.step, "history": self.history, "meta": self.meta})
        arrays["about"] = np.frombuffer(about.encode(), np.uint8)
        path = folder / f"step-{self.step:08d}.npz"
        write_atomically(path, lambda file: np.savez(file, **arrays))  # type: ignore[arg-type]
        for old in list_checkpoints(folder)[KEPT:]:
            old.unlink()
        return path

    def restore(self, checkpoint: Checkpoint) -> None:
        """Sets variables, step and history as they were.

        Raises:
            ValueError: If the checkpoint is of another network or optimizer.
        """
        pairs = []
        for group, variables in self.variables.items():
            arrays = checkpoint.groups.get(group, [])
            shapes = [tuple(array.shape) for array in arrays]
            if shapes != [tuple(variable.shape) for variable in variables]:
                raise UsageError(
                    f"{checkpoint.path} does not fit this recipe's {group} ({len(arrays)} arrays "
                    f"for {len(variables)} variables, or other shapes): the network and the "
                    "optimizer must stay as they were",
                    "start over with resume=False",
                    "say --resume no to start over",
                )
            pairs += list(zip(variables, arrays, strict=True))
        for variable, array in pairs:
            variable.assign(array)
        self.step, self.history = checkpoint.step, list(checkpoint.history)


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint read back: see `TrainingState`."""

    path: Path
    step: int
    history: list[dict[str, float]]
    meta: dict[str, Any]
    groups: dict[str, list[np.ndarray]]

    @classmethod
    def load(cls, path: Path) -> Checkpoint:
        """Reads one file."""
        with open(path, "rb") as file, np.load(file) as archive:
            about = json.loads(archive["about"].tobytes().decode())
            groups: dict[str, list[np.ndarray]] = {}
            for key in sorted(name for name in archive.files if name != "about"):
                groups.setdefault(key.partition("/")[0], []).append(archive[key])
        return cls(path, about["step"], about["history"], about["meta"], groups)


def list_checkpoints(folder: Path) -> list[Path]:
    """Checkpoints of a folder, the newest first."""
    return sorted(folder.glob("step-*.npz"), reverse=True)


def latest_checkpoint(folder: Path) -> Checkpoint | None:
    """The newest readable checkpoint; a damaged one is passed over with a warning."""
    for path in list_checkpoints(folder):
        try:
            return Checkpoint.load(path)
        except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
            logger.warning("%s is damaged (%s); trying the one before it", path, error)
    return None


def as_numpy(variable: Any) -> np.ndarray:
    """The value of a Keras variable or tensor, for reading at once; of copies, the first's."""
    tensor = keras.ops.convert_to_tensor(variable)
    if keras.config.backend() == "tensorflow":
        return np.asarray(tensor)  # `convert_to_numpy` warns on scalars with NumPy 2
    return keras.ops.convert_to_numpy(tensor)


def checksum(samples: Iterable[Sample]) -> str:
    """A checksum of images and annotations, to notice that a run is resumed on other data."""
    digest = hashlib.blake2b(digest_size=16)
    for sample in samples:
        for array in (sample.image, sample.instances, sample.classes, sample.annotated):
            digest.update(b"none" if array is None else f"{array.dtype}{array.shape}".encode())
            if array is not None:
                digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
