"""The command `keras-unet predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from keras_unet.commands.documented import documented
from keras_unet.commands.printing import console


@documented
def predict(
    paths: Annotated[list[Path], typer.Argument(metavar="[RUN] IMAGES...")],
    preset: str | None = None,
    out: Path = Path("masks"),
    probabilities: bool = False,
    overlays: bool = True,
    tta: str | None = None,
    max_tile: int | None = None,
) -> None:
    """Segment images of any size: class maps, instance ids, overlays.

    Args:
        paths: Run folder (not with --preset), then images or folders of images.
        preset: A trained model of the package in place of RUN: nuclei.
        out: Folder for the masks.
        probabilities: Also write float32 TIFFs.
        overlays: Also write PNGs with outlines.
        tta: Test-time augmentation: flips, d4 or paper7.
        max_tile: Largest input tile in pixels.
    """
    from keras_unet.inference.segmenter import Segmenter
    from keras_unet.report.results import predict_files

    images = paths if preset else paths[1:]
    if not images:
        raise ValueError(
            f"predict needs a run folder and images, or --preset and images. Received: {paths[0]}"
        )
    rows = predict_files(
        Segmenter.from_preset(preset) if preset else paths[0],
        images,
        out,
        probabilities=probabilities,
        overlays=overlays,
        tta=tta,
        max_tile=max_tile,
    )
    table = Table("image", "size", "instances", "foreground", "seconds")
    for row in rows:
        size = "x".join(map(str, row.shape))
        table.add_row(
            row.name, size, str(row.instances), f"{row.foreground:.1%}", f"{row.seconds:.2f}"
        )
    console.print(table)
    console.print(f"Masks: [bold]{out}[/]")
