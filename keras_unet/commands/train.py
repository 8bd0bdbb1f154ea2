"""The command `keras-unet train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from keras_unet.commands.data_options import with_data
from keras_unet.commands.documented import documented
from keras_unet.commands.printing import console
from keras_unet.commands.recipe_options import with_recipe
from keras_unet.data.data_set import DataSet
from keras_unet.training.recipe import Recipe


@with_recipe
@with_data
@documented
def train(
    data: DataSet,
    recipe: Recipe,
    out: Annotated[Path, typer.Option()],
    validation: float = 0.0,
) -> None:
    """Train a U-Net on annotated images.

    Args:
        data: The annotated images.
        recipe: How they are learned.
        out: Run folder; an interrupted run there goes on.
        validation: Share of the images kept for validation; 0 is none.
    """
    from keras_unet.report.run_report import write_run_report
    from keras_unet.training.trainer import train as train_samples

    samples = data.samples
    segmenter = train_samples(samples, recipe=recipe, out=out, validation=validation or None)
    report = write_run_report(out, segmenter, samples[:4])
    console.print(f"Run folder: [bold]{out}[/]   report: {report}")
