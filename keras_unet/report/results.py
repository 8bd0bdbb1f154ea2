"""Segments image files and writes what was found; a file that fails ends nothing."""

from __future__ import annotations

import errno
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from keras_unet.errors import UsageError
from keras_unet.files.atomic import write_atomically
from keras_unet.files.axes import check_axes
from keras_unet.files.channels import Channel, channel_of_option, option_of_channel
from keras_unet.files.limits import pixel_limit
from keras_unet.files.lock import LOCK_NAME, FolderLock, folder_lock
from keras_unet.files.names import stem_of
from keras_unet.files.notes import gathered_notes
from keras_unet.files.reading import frames_in, read_image
from keras_unet.inference.fingerprint import fingerprint
from keras_unet.inference.opened import opened
from keras_unet.inference.segmenter import Segmenter
from keras_unet.report.bookkeeping import Bookkeeping, Finished, source_of
from keras_unet.report.failures import Failures
from keras_unet.report.image_files import find_images
from keras_unet.report.result_files import stem_for, write_results

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


class Prediction(NamedTuple):
    """What was found in one image.

    Attributes:
        name: File name; of a frame of a film with its number, as in its results: `film_t0003.tif`.
        shape: Spatial shape of the image.
        instances: Number of instances.
        foreground: Share of the pixels that are not background.
        seconds: Time of the prediction.
        error: Why the image was passed over; then there are no numbers. Defaults to None.
    """

    name: str
    shape: tuple[int, ...] | None = None
    instances: int | None = None
    foreground: float | None = None
    seconds: float | None = None
    error: str | None = None


@gathered_notes()
def predict_files(
    run: str | Path | Segmenter | Callable[[], Segmenter],
    images: str | Path | Iterable[str | Path],
    out: str | Path,
    *,
    probabilities: bool = False,
    overlays: bool = True,
    tta: str | None = None,
    max_tile: int | None = None,
    margin: int | str | None = None,
    precision: str | None = None,
    engine: str = "auto",
    axes: str | None = None,
    channel: Channel = None,
    channels: int | None = None,
    max_pixels: int | None = None,
    resume: bool = False,
    words: Callable[[Exception], str] = str,
) -> list[Prediction]:
    """Segments image files with a run folder's model.

    Writes for every image `NAME_instances` and `NAME_classes`: PNG; TIFF for volumes, for frames of
    a film (`NAME_t0003_instances.tif`) and for more than 65,535 objects; `.nii.gz` on the image's
    grid for NIfTI. On request also `NAME_probabilities.tif` (float32) and `NAME_overlay.png`, of a
    volume a montage of slices. Each file appears complete or not at all, the instance map last.

    A file that cannot be read, segmented or written is passed over: a warning tells it, its
    `Prediction` has an `error`, and `failed.csv` in the folder lists all of them.

    Args:
        run: Run folder; or a segmenter, or a function that makes it, called when it is known that
            the folder can be written.
        images: Files, or folders of images: of those, hidden files and results of `predict` are
            passed over. Colour is turned to grey, or grey to colour, where the model takes the
            other.
        out: Folder for the results, made if needed. `predict.json` in it notes what is finished.
        probabilities: Whether to write probabilities. Defaults to False.
        overlays: Whether to write overlays. Defaults to True.
        tta: Test-time augmentation instead of the run's. Defaults to None.
        max_tile: Largest tile in pixels instead of the run's. Defaults to None.
        margin: Mirrored pixels around the image instead of the run's, or `"full"`; see `Segmenter`.
            Defaults to None.
        precision: "float32", "bfloat16" or "auto", see `Segmenter`. Defaults to None, "float32".
        engine: What runs the network of a folder or file, see `Segmenter.load`. Defaults to "auto".
        axes: See `data.read_image`. Defaults to None.
        channel: See `data.read_image`. Defaults to None, as in training.
        channels: See `data.read_image`. Defaults to None, as in training.
        max_pixels: See `data.read_image`. Defaults to None.
        resume: Whether to go on: images whose results are complete, and whose files are where and
            as they were, are neither read nor written again. Defaults to False.
        words: How the error of a file is told. Defaults to `str`.

    Returns:
        One `Prediction` an image.

    Raises:
        FileNotFoundError: If there is no image at all.
        ValueError: If the model cannot be loaded, an option is wrong, or the folder cannot be
            written, is being written by another process, or holds what cannot be gone on with.
    """
    axes = None if axes is None else check_axes(axes)
    pixel_limit(max_pixels)
    out = Path(out)
    files = find_images([images] if isinstance(images, (str, Path)) else images, out)
    with folder_lock(out) as lock:
        choices = {"tta": tta, "max_tile": max_tile, "margin": margin, "precision": precision}
        segmenter = opened(run, engine, **choices)
        reading = {**segmenter.reading_for(channel, channels), "axes": axes}
        _check_channels(segmenter, reading["channels"])
        roles = {"classes", "instances"}
        roles |= {"probabilities"} if probabilities else set()
        roles |= {"overlay"} if overlays else set()
        with _writing(lock):
            book = Bookkeeping(out, fingerprint(segmenter), _options(segmenter, reading), resume)
            failures = Failures(out, words)
        reading["max_pixels"] = max_pixels
        reading["channels"] = reading["channels"] or segmenter.channels
        return _Folder(lock, segmenter, reading, roles, book, failures).predict(files)


def _options(segmenter: Segmenter, reading: dict[str, Any]) -> dict[str, Any]:
    """What changes results besides the model, each in one form."""
    precision, engine = segmenter.engine.precision, segmenter.engine.name
    return {
        "tta": segmenter.tta,
        "max_tile": segmenter.max_tile,
        "margin": segmenter.margin,
        "precision": None if precision == "float32" else precision,
        "engine": None if engine == "keras" else engine,
        "axes": reading["axes"],
        "channel": channel_of_option(option_of_channel(reading["channel"])),
        "channels": reading["channels"],
    }


def _check_channels(segmenter: Segmenter, channels: int | None) -> None:
    taken = segmenter.channels
    if None not in (taken, channels) and taken != channels:
        raise UsageError(
            f"the model takes images of {taken} channel{'s' * (taken != 1)}, not of {channels}",
            f"give channels={taken}, or leave it away",
            f"say --channels {taken}, or leave it away" if taken in (1, 3) else "leave it away",
        )


class _OutError(UsageError):
    """The folder of results cannot be written: the end for all images."""


@dataclass
class _Folder:
    """Segments images into one folder."""

    lock: FolderLock
    segmenter: Segmenter
    reading: dict[str, Any]
    roles: set[str]
    book: Bookkeeping
    failures: Failures
    rows: list[Prediction] = field(default_factory=list)
    writers: dict[str, Path] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # where the file system does not tell a.png from A.png, their results are the same files
        blind = (self.lock.folder / LOCK_NAME.upper()).exists()
        self.fold = str.casefold if blind else str

    @property
    def done(self) -> int:
        """Number of the images that are finished."""
        return sum(row.error is None for row in self.rows)

    def predict(self, files: list[Path]) -> list[Prediction]:
        """All files, one after the other."""
        by_stem: dict[str, list[Path]] = defaultdict(list)
        for path in files:
            by_stem[self.fold(stem_of(path))].append(path)
        for path in files:
            with self._passing_over(path, path.name):
                self._file(path, by_stem[self.fold(stem_of(path))])
        return self.rows

    def _file(self, path: Path, same_stem: list[Path]) -> None:
        """One file: an image, a volume, or the frames of a film."""
        if len(same_stem) > 1:
            raise _one_name(next(other for other in same_stem if other != path))
        frames = self.book.frames_in(path)
        if frames is None:
            frames = frames_in(path, self.reading["rank"], axes=self.reading["axes"]) or 0
        for frame in range(frames) if frames else [None]:
            name = path.name if frame is None else f"{stem_for(path, frame)}{path.suffix}"
            with self._passing_over(path, name):
                other = self.writers.setdefault(self.fold(stem_for(path, frame)), path)
                if other != path:
                    raise _one_name(other)
                record = self.book.finished(path, frame, self.roles)
                record = record or self._image(path, frame, frames)
                numbers = record.instances, record.foreground, record.seconds
                self.rows.append(Prediction(name, tuple(record.shape), *numbers))

    def _image(self, path: Path, frame: int | None, frames: int) -> Finished:
        source = source_of(path)  # before it is read: what changes meanwhile counts as changed
        image = self._read(path, frame)
        start = time.perf_counter()
        found = self.segmenter.predict(image, progress=True)
        seconds = time.perf_counter() - start
        with _writing(self.lock, self.done, always=False):
            stale = self.book.stale(path, frame)
            names = write_results(
                self.lock.folder, path, image, found, self.roles, frame=frame, stale=stale
            )
            shape, foreground = list(found.classes.shape), float(np.mean(found.classes > 0))
            record = Finished(source, frames, names, shape, found.count, foreground, seconds)
            self.book.add(path, frame, record)
        return record

    def _read(self, path: Path, frame: int | None) -> np.ndarray:
        try:
            return read_image(path, frame=frame, **self.reading)
        except UsageError as error:
            if "rank=" not in error.python:
                raise
            way = (
                "this model takes volumes: TIFF stacks of slices, or NIfTI"
                if self.segmenter.geometry.rank == 3
                else "this model takes images, not volumes: save each slice as a file of its own"
            )
            raise UsageError(error.problem, way) from error

    @contextmanager
    def _passing_over(self, path: Path, name: str) -> Iterator[None]:
        """Notes what goes wrong with a file; what goes wrong with all of them is raised."""
        try:
            yield
        except _OutError:
            raise
        except Exception as error:
            with _writing(self.lock, self.done):
                reason = self.failures.add(name, path, error)
            self.rows.append(Prediction(name, error=reason))


@contextmanager
def _writing(lock: FolderLock, done: int = 0, always: bool = True) -> Iterator[None]:
    """Raises an `_OutError` where the folder, or with `always` a file of all images, takes nothing.

    Args:
        lock: The right to write the folder.
        done: Number of the images that are finished.
        always: False if another file may still be written.
    """
    try:
        lock.check()
    except UsageError as error:
        raise _OutError(error.problem, error.python, error.command) from error
    try:
        yield
    except OSError as error:
        if not (always or error.errno in NO_ROOM or _is_closed(lock.folder)):
            raise
        raise _OutError(
            f"{lock.folder} cannot be written ({error.strerror or error}); {done} images are "
            "finished",
            "when that is mended, the same call with resume=True goes on",
            "when that is mended, the same command with --resume yes goes on",
        ) from error


def _is_closed(folder: Path) -> bool:
    """Whether no new file can be written."""
    probe = folder / ".probe"
    try:
        write_atomically(probe, b"written")
        probe.unlink()
    except OSError:
        return True
    return False


def _one_name(other: Path) -> UsageError:
    return UsageError(
        f"its results would have the names of those of {other}",
        "predict them into different folders, or rename one",
        "say another --out for one of them, or rename it",
    )
