"""Checkpoints from which a killed run goes on as if nothing had happened."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import textwrap
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_unet.errors import UsageError
from keras_unet.files.atomic import write_atomically
from keras_unet.files.plain_data import parse_json_text
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
        saved: Step of the last checkpoint, or None.
    """

    variables: dict[str, list[Any]] = field(default_factory=dict)
    step: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    meta: dict[str, Any] = field(default_factory=dict)
    saved: int | None = None

    @property
    def validated(self) -> int:
        """Step of the last validation, or 0."""
        return int(self.history[-1]["step"]) if self.history else 0

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
        self.saved = self.step
        for old in list_checkpoints(folder)[KEPT:]:
            old.unlink(missing_ok=True)
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
        self.saved = self.step


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint read back: see `TrainingState`."""

    path: Path
    step: int
    history: list[dict[str, float]]
    meta: dict[str, Any]
    groups: dict[str, list[np.ndarray]]

    @classmethod
    def load(cls, path: Path, told: Sequence[str] = ()) -> Checkpoint:
        """Reads one file; nothing in it is believed before it is measured.

        Args:
            path: The file.
            told: What `meta` must have. Defaults to nothing.

        Raises:
            Exception: Of any kind, if the file is damaged.
        """
        groups: dict[str, list[np.ndarray]] = {}
        with zipfile.ZipFile(path) as archive:
            members = sorted(archive.infolist(), key=lambda member: member.filename)
            if sum(member.file_size for member in members) > path.stat().st_size:
                raise ValueError("its parts are larger than the file")
            for member in members:
                group, _, _ = member.filename.removesuffix(".npy").partition("/")
                groups.setdefault(group, []).append(_read_array(archive, member))
        (text,) = groups.pop("about")
        about = parse_json_text(text.tobytes().decode(), largest=None)
        step, history, meta = about["step"], about["history"], about["meta"]
        if type(step) is not int or step < 0:
            raise ValueError(f"its step is {step!r}")
        if not all(type(row["step"]) is int and _are_numbers(row.values()) for row in history):
            raise ValueError("its history holds other things than numbers")
        if missing := [name for name in told if name not in dict(meta)]:
            raise ValueError(f"it does not tell the run's {missing[0]}")
        return cls(path, step, list(history), meta, groups)


def _read_array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    """An array of the very size that its part of the file has."""
    with archive.open(member) as file:
        if np.lib.format.read_magic(file) != (1, 0):
            raise ValueError(f"{member.filename} is of another version")
        shape, by_columns, dtype = np.lib.format.read_array_header_1_0(file)
        if math.prod(shape) * dtype.itemsize != member.file_size - file.tell():
            raise ValueError(f"{member.filename} has another size than it tells")
        values = np.frombuffer(file.read(), dtype)
    return values.reshape(shape, order="F" if by_columns else "C")


def _are_numbers(values: Iterable[Any]) -> bool:
    return all(isinstance(value, (int, float)) for value in values)


def list_checkpoints(folder: Path) -> list[Path]:
    """Checkpoints of a folder, the newest first."""
    return sorted(folder.glob("step-*.npz"), reverse=True)


def latest_checkpoint(folder: Path, told: Sequence[str] = ()) -> Checkpoint | None:
    """The newest readable checkpoint; a damaged one is passed over with a warning.

    Args:
        folder: Where they are.
        told: What their `meta` must have. Defaults to nothing.

    Returns:
        The checkpoint; None if there is no file of one.

    Raises:
        UsageError: If all are damaged.
    """
    damaged = []
    for path in list_checkpoints(folder):
        try:
            return Checkpoint.load(path, told)
        except Exception as error:  # a damage can be of any kind
            cause = textwrap.shorten(f"{type(error).__name__}: {error}", 200)
            damaged.append(f"{path.name} ({cause})")
            logger.warning("%s is damaged (%s); trying the one before it", path, cause)
    if damaged:
        raise UsageError(
            f"all checkpoints in {folder} are damaged: {', '.join(damaged[:8])}",
            "put a good one there, or start over with resume=False",
            "put a good one there, or start over with --resume no",
        )
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
