"""The run folder: who it belongs to, and whether a run may start, go on or start over in it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from keras_unet.errors import UsageError, listed
from keras_unet.files.atomic import remove_unfinished
from keras_unet.files.lock import cannot_be_written
from keras_unet.training.checkpoint import Checkpoint, latest_checkpoint
from keras_unet.training.recipe import Recipe

RESUME = ("auto", True, False)
_FOLDERS = ("checkpoint", "tensorboard")
_FILES = ("log.csv", "model.keras", "segmenter.json", "network.onnx", "network.json")


def open_run(
    folder: Path, recipe: Recipe, samples_checksum: str, resume: str | bool = "auto"
) -> tuple[Checkpoint | None, dict[str, Any]]:
    """Makes the run folder with its `recipe.yaml`, or finds the checkpoint in it.

    Call it under the folder's lock: it also removes what was left unfinished.

    Args:
        folder: The run folder.
        recipe: The recipe of this call.
        samples_checksum: `checkpoint.checksum` of this call's samples.
        resume: "auto", True or False, see `train`. Defaults to "auto".

    Returns:
        The checkpoint to go on from (None for a new run), and what this run's checkpoints note.

    Raises:
        ValueError: If `resume` is not known, there is nothing to resume, or another run is there.
    """
    if resume not in RESUME:
        raise ValueError(f"resume must be one of {RESUME}. Received: resume={resume!r}")
    meta = {"recipe": recipe.to_dict(), "samples": samples_checksum}
    if resume is False:
        _clear(folder)
    remove_unfinished(folder / "checkpoint")
    checkpoint = latest_checkpoint(folder / "checkpoint", told=tuple(meta))
    if checkpoint is None:
        if resume is True:
            raise UsageError(
                f"{folder} has no checkpoint to go on from",
                "give resume='auto' or resume=False",
                "say --resume no, or leave --resume away",
            )
        if (folder / "segmenter.json").exists():
            raise UsageError(
                f"{folder} holds a model without a checkpoint to go on from",
                "choose another folder, or delete the model with resume=False",
                "choose another --out, or say --resume no, which deletes the model",
            )
    elif resume == "auto":
        _check_same_run(folder, checkpoint.meta, meta)
    try:
        recipe.save(folder / "recipe.yaml")
    except OSError as error:
        raise cannot_be_written(folder, error) from error
    return checkpoint, meta


def _clear(folder: Path) -> None:
    """Deletes an earlier run; files that are not a run's stay."""
    for name in _FOLDERS:
        if (folder / name).exists():
            shutil.rmtree(folder / name)
    for name in _FILES:
        (folder / name).unlink(missing_ok=True)


def _check_same_run(folder: Path, there: dict[str, Any], here: dict[str, Any]) -> None:
    # a run of an earlier version lacks the fields that are younger, and had what is now the default
    try:
        old = Recipe.from_dict(there["recipe"])
    except ValueError as error:
        raise UsageError(
            f"{folder} holds a run whose recipe cannot be read ({error})",
            "choose another folder, or delete the run with resume=False",
            "choose another --out, or delete the run with --resume no",
        ) from error
    new = Recipe.from_dict(here["recipe"])
    changes = [
        f"{path}: {was} there, {now} here" for path, (was, now) in old.differences(new).items()
    ]
    if there["samples"] != here["samples"]:
        changes.append("other samples")
    if changes:
        differences = listed(changes, separator="; ")
        raise UsageError(
            f"{folder} holds another run ({differences})",
            "choose another folder, go on with that run's weights with resume=True, or delete it "
            "with resume=False",
            "choose another --out, say --resume yes to go on with that run's weights, or --resume "
            "no to delete it",
        )
