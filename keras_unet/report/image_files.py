"""Which files of folders, as they lie on disks, are images to segment."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from keras_unet.errors import SHOWN
from keras_unet.files.names import SUFFIXES, is_image, stem_of
from keras_unet.report.result_files import stems_behind

logger = logging.getLogger("keras_unet")

"""Names in a message."""


def find_images(paths: Iterable[str | Path], out: str | Path | None = None) -> list[Path]:
    """The images among files and folders, those of a folder sorted by name.

    Hidden files (`._cells.png` of macOS) and what `predict` has written itself are no images:
    `NAME_instances.png` and its like, where the image `NAME` lies beside it or the folder is `out`.
    Other files that are named count whatever their ending, and if they are missing: reading them
    will tell. A warning tells what is passed over though its name was given or no image lies
    beside it, and which folders have no image.

    Args:
        paths: Files, and folders, of which those inside are not entered.
        out: The folder of results. Defaults to None.

    Returns:
        The files, none twice.

    Raises:
        FileNotFoundError: If there is no image at all.
    """
    given = [Path(path) for path in paths]
    results = None if out is None else Path(out).resolve()
    stems_in = cache(lambda folder: {stem_of(file) for file in _images_in(folder)})
    found: dict[Path, Path] = {}
    passed_over: list[Path] = []
    empty: list[Path] = []
    for path in given:
        is_folder = path.is_dir()
        inside = _images_in(path) if is_folder else [path]
        before = len(found)
        for file in inside:
            place, stems = path_of(file), stems_behind(file)
            beside = bool(stems) and not stems.isdisjoint(stems_in(place.parent))
            if beside or (stems and place.parent == results) or file.name.startswith("."):
                if not (is_folder and beside):
                    passed_over.append(file)
            else:
                found.setdefault(place, file)
        if is_folder and len(found) == before:
            empty.append(path)
    _tell(given, list(found.values()), passed_over, empty)
    return list(found.values())


def path_of(file: Path) -> Path:
    """One path for each name: absolute, through links of its folder, not of the file itself."""
    return file.parent.resolve() / file.name


def _images_in(folder: Path) -> list[Path]:
    inside = (file for file in folder.iterdir() if is_image(file) and not file.is_dir())
    return sorted(file for file in inside if not file.name.startswith("."))


def _tell(given: list[Path], found: list[Path], passed_over: list[Path], empty: list[Path]) -> None:
    """Warns of what has no effect, or raises if there is nothing else."""
    missing = [path for path in found if not path.exists() and not path.is_symlink()]
    notes = []
    if passed_over:
        notes.append(f"passed over as hidden files or results of predict: {_names(passed_over)}")
    if empty:
        notes.append(f"no image in {_names(empty)}; known endings are {' '.join(SUFFIXES)}")
    if len(missing) == len(found):
        if missing:
            notes.append(f"no such file or folder: {_names(missing)}")
        raise FileNotFoundError("; ".join(notes) or "no image was named")
    for note in notes:
        logger.warning("%s", note)


def _names(paths: list[Path]) -> str:
    shown = ", ".join(str(path) for path in paths[:SHOWN])
    return shown if len(paths) <= SHOWN else f"{shown}, ... ({len(paths)} in all)"
