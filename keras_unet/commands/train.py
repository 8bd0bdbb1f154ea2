"""The command `keras-unet train`."""

from __future__ import annotations

import dataclasses
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from keras_unet.commands.data_options import with_data
from keras_unet.commands.documented import documented
from keras_unet.commands.printing import console
from keras_unet.commands.recipe_options import with_recipe
from keras_unet.data.data_set import DataSet
from keras_unet.errors import UsageError
from keras_unet.files.channels import channel_of_option
from keras_unet.files.lock import folder_lock
from keras_unet.training.recipe import Recipe


class Resume(str, Enum):
    """Whether a run in the folder goes on."""

    auto = "auto"
    yes = "yes"
    no = "no"


@with_recipe
@with_data
@documented
def train(
    data: DataSet,
    recipe: Recipe,
    out: Annotated[Path, typer.Option()],
    validation: float = 0.0,
    resume: Resume = Resume.auto,
    class_names: str | None = None,
) -> None:
    """Train a U-Net on annotated images.

    Args:
        data: The annotated images.
        recipe: How they are learned.
        out: Run folder; an interrupted run there goes on.
        validation: Share of the images kept for validation; 0 is none.
        resume: A run in that folder: auto goes on if recipe and images are the same, yes in any
            case, no starts over and deletes it.
        class_names: Names of the classes, background first, such as background,nucleus.
    """
    from keras_unet.report.run_report import write_run_report
    from keras_unet.training.trainer import train as train_samples

    with folder_lock(out):  # whether it can be written is known before the data are read
        data, recipe = with_num_classes(data, recipe)
        samples = data.samples
        segmenter = train_samples(
            samples,
            recipe=recipe,
            out=out,
            validation=validation or None,
            resume={Resume.yes: True, Resume.no: False}.get(resume, "auto"),
            class_names=[name.strip() for name in class_names.split(",")] if class_names else None,
            reading={"channel": channel_of_option(data.channel), "channels": data.channels},
        )
        report = write_run_report(out, segmenter, samples[:4])
    console.print(f"Run folder: [bold]{out}[/]   report: {report}")


def with_num_classes(data: DataSet, recipe: Recipe) -> tuple[DataSet, Recipe]:
    """Both with the number of classes that one of them tells.

    Raises:
        UsageError: If they contradict each other.
    """
    given, target = data.num_classes, recipe.target.get("num_classes")
    if given is None and data.class_values is not None:
        given = len(data.class_values.split(","))
    if given is not None and target not in (None, given):
        raise UsageError(
            f"the masks have {given} classes and the target {target}",
            "give one number",
            "say --num-classes or --class-values, and leave --target.num_classes away",
        )
    if given is not None and given > 1:  # the reader refuses the others
        return data, recipe.replace(target={"num_classes": given})
    if target is not None and data.kind == "classes":
        return dataclasses.replace(data, num_classes=target), recipe
    return data, recipe
