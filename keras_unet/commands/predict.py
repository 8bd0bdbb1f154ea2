"""The command `keras-unet predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from keras_unet.commands.printing import console


def predict(
    paths: Annotated[
        list[Path],
        typer.Argument(
            help="Run folder (not with --preset), then images or folders of images.",
            metavar="[RUN] IMAGES...",
        ),
    ],
    preset: Annotated[
        str | None, typer.Option(help="A trained model of the package in place of RUN: nuclei.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the masks.")] = Path("masks"),
    probabilities: Annotated[bool, typer.Option(help="Also write float32 TIFFs.")] = False,
    overlays: Annotated[bool, typer.Option(help="Also write PNGs with outlines.")] = True,
    tta: Annotated[
        str | None, typer.Option(help="Test-time augmentation: flips, d4 or paper7.")
    ] = None,
    max_tile: Annotated[int | None, typer.Option(help="Largest input tile in pixels.")] = None,
) -> None:
    """Segment images of any size: class maps, instance ids, overlays."""
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
