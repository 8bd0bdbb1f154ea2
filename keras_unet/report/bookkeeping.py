"""`predict.json`: which images of a folder of results are finished, by which model and options."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from keras_unet.errors import UsageError
from keras_unet.files.atomic import write_atomically
from keras_unet.files.channels import option_of_channel
from keras_unet.report.image_files import path_of
from keras_unet.report.result_files import names_of, stem_for

NAME = "predict.json"
FORMAT_VERSION = 1
_TAIL = "\n}}\n"


@dataclass(frozen=True)
class Finished:
    """An image whose results are complete.

    Attributes:
        source: Path, size and time of change of its file: whether it is the image that was
            segmented, though it is not read again.
        frames: Number of frames in the file; 0 if it is no film.
        results: Role -> name of the file that was written.
        shape: Spatial shape of the image.
        instances: Number of instances.
        foreground: Share of the pixels that are not background.
        seconds: Time of the prediction.
    """

    source: list[Any]
    frames: int
    results: dict[str, str]
    shape: list[int]
    instances: int
    foreground: float
    seconds: float

    def __post_init__(self) -> None:
        for name, kind in (("source", list), ("frames", int), ("results", dict), ("shape", list)):
            if not isinstance(getattr(self, name), kind):
                raise TypeError(f"{name} must be a {kind.__name__}")


def source_of(path: Path) -> list[Any]:
    """By what a file is known again without reading it: its path, bytes and time of change."""
    about = path.stat()
    return [str(path_of(path)), about.st_size, about.st_mtime_ns]


class Bookkeeping:
    """What is finished in a folder of results, kept in its `predict.json`.

    The file is valid JSON after every image, and an image costs the same in a folder of many: its
    line is put before the last two brackets. A line that was cut off is passed over.

    Args:
        out: The folder; nobody else writes it now.
        model: Checksum of the model.
        options: Options that change results, as Python names them -> value.
        resume: Whether to go on with what is there.

    Raises:
        UsageError: If that is damaged, of another version, or of another model or other options.
    """

    def __init__(self, out: Path, model: str, options: dict[str, Any], resume: bool) -> None:
        self._out, self._file = out, out / NAME
        options = json.loads(json.dumps(options))  # as they are read back
        head = {"format_version": FORMAT_VERSION, "model": model, "options": options}
        try:
            there, self._before = _read(self._file)
        except UsageError:
            if resume:
                raise
            there, self._before = {}, {}
        if there and resume:
            _check_same(out, there, head)
        self._finished = dict(self._before) if resume else {}
        start = ",\n".join(
            f"{json.dumps(name)}: {json.dumps(value)}" for name, value in head.items()
        )
        lines = ",".join(_line(stem, record) for stem, record in self._finished.items())
        write_atomically(self._file, f'{{{start},\n"finished": {{{lines}{_TAIL}'.encode())

    def finished(self, path: Path, frame: int | None, roles: set[str]) -> Finished | None:
        """The record of an image with complete results, or None if it is to be segmented.

        Args:
            path: Its file, which is not read.
            frame: Number of the frame, or None.
            roles: The results that are asked for.
        """
        record = self._known(path, frame)
        if record is None or not roles <= set(record.results):
            return None
        names = names_of(stem_for(path, frame))
        there = all(n in names and (self._out / n).is_file() for n in record.results.values())
        return record if there else None

    def frames_in(self, path: Path) -> int | None:
        """Number of frames of a file, 0 if it is no film, None if nothing of it is finished."""
        record = self._known(path, None) or self._known(path, 0)
        return None if record is None else record.frames

    def stale(self, path: Path, frame: int | None) -> set[str]:
        """Names of the files that were written for an image before."""
        stem = stem_for(path, frame)
        record = self._before.get(stem)
        return names_of(stem) & {str(name) for name in record.results.values()} if record else set()

    def add(self, path: Path, frame: int | None, record: Finished) -> None:
        """Notes that the results of an image are complete."""
        stem = stem_for(path, frame)
        line = ("," if self._finished else "") + _line(stem, record) + _TAIL
        with self._file.open("r+b") as file:
            file.seek(-len(_TAIL), os.SEEK_END)
            file.write(line.encode())
            file.flush()
            os.fsync(file.fileno())
        self._finished[stem] = record

    def _known(self, path: Path, frame: int | None) -> Finished | None:
        record = self._finished.get(stem_for(path, frame))
        try:
            return record if record and record.source == source_of(path) else None
        except OSError:  # reading it will tell
            return None


def _line(stem: str, record: Finished) -> str:
    return f"\n{json.dumps(stem)}: {json.dumps(asdict(record))}"


def _read(file: Path) -> tuple[dict[str, Any], dict[str, Finished]]:
    """The head and the finished images; both empty if there is no file."""
    if not file.exists():
        return {}, {}
    try:
        text = file.read_text(encoding="utf-8")
        try:
            head = json.loads(text)
        except json.JSONDecodeError:  # as if the last line, which was cut off, were not there
            head = json.loads(text.rpartition("\n")[0].rstrip(",") + _TAIL)
        version, finished = head["format_version"], head.pop("finished")
        if type(version) is int and version != FORMAT_VERSION:
            raise _refusal(f"{file} has format version {version}, not {FORMAT_VERSION}")
        records = {stem: Finished(**record) for stem, record in finished.items()}
        if type(version) is int and isinstance(head["options"], dict) and head["model"]:
            return head, records
        reason = "no head"
    except UsageError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = f"{type(error).__name__}: {str(error)[:200]}"
    raise _refusal(f"{file} is damaged ({reason}), so that nobody knows what is finished")


def _refusal(problem: str, there: str = "", command: str = "") -> UsageError:
    """The error where a folder cannot be gone on with."""
    return UsageError(
        problem,
        f"{there}choose another folder, or start over with resume=False",
        f"{command}choose another --out, or start over with --resume no",
    )


def _check_same(out: Path, there: dict[str, Any], here: dict[str, Any]) -> None:
    """Raises a `UsageError` unless model and options are the same."""
    old, new = there["options"], here["options"]
    changed = [name for name in new if old.get(name) != new[name]]
    problems = ["another model"] * (there["model"] != here["model"])
    problems += ["other options"] * bool(changed)
    if not problems:
        return
    python = [f"there {n}={old.get(n)!r}, here {n}={new[n]!r}" for n in changed]
    command = [f"there {_option(n, old.get(n))}, here {_option(n, new[n])}" for n in changed]
    problem = f"{out} holds results of {' and '.join(problems)}"
    raise _refusal(problem, *("".join(f"{one}; " for one in words) for words in (python, command)))


def _option(name: str, value: Any) -> str:
    """As one says it on the command line."""
    option = f"--{name.replace('_', '-')}"
    if value is None:
        return f"no {option}"
    if name == "channel":
        value = option_of_channel(value)
    return f"{option} {','.join(map(str, value)) if isinstance(value, list) else value}"
