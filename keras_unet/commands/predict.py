"""The command `keras-unet predict`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from keras_unet.commands.choices import one_of, pixels_or_word
from keras_unet.commands.documented import documented
from keras_unet.commands.printing import console
from keras_unet.errors import in_command, one_line
from keras_unet.files.channels import channel_of_option
from keras_unet.inference.precision import PRECISIONS

if TYPE_CHECKING:
    from keras_unet.report.results import Prediction

SHOWN = 20
"""Failures in the last lines."""


@documented
def predict(
    paths: Annotated[list[Path], typer.Argument(metavar="[RUN] IMAGES...")],
    preset: str | None = None,
    out: Path = Path("masks"),
    probabilities: bool = False,
    overlays: bool = True,
    tta: Annotated[str | None, one_of("flips", "d4", "paper7")] = None,
    max_tile: Annotated[int | None, typer.Option(min=1)] = None,
    margin: Annotated[str | None, typer.Option(metavar="PX|full")] = None,
    precision: Annotated[str | None, one_of(*PRECISIONS)] = None,
    engine: Annotated[str, one_of("auto", "keras", "openvino", "onnx", "tflite")] = "auto",
    axes: Annotated[str | None, typer.Option(metavar="LETTERS")] = None,
    channel: Annotated[str | None, typer.Option(metavar="A,B,...")] = None,
    channels: Annotated[str | None, one_of("1", "3")] = None,
    max_pixels: Annotated[int | None, typer.Option(min=1)] = None,
    resume: Annotated[str, one_of("yes", "no")] = "no",
) -> None:
    """Segment images of any size: class maps, instance ids, overlays.

    Args:
        paths: Run folder (not with --preset), then images or folders of images.
        preset: A trained model of the package in place of RUN: nuclei.
        out: Folder for the masks.
        probabilities: Also write float32 TIFFs.
        overlays: Also write PNGs with outlines.
        tta: Test-time augmentation.
        max_tile: Largest input tile in pixels.
        margin: Pixels mirrored around an image: fewer are quicker; else as the model says.
        precision: What the network computes in; auto: bfloat16 where the CPU has it.
        engine: What runs the network; auto: the first installed that has its file.
        axes: Names of the axes of TIFFs in order, of T, Z, C, Y, X, such as YXC; else as they say.
        channel: Numbers, from 1 on, or names of the channels to read; else as in training.
        channels: Turn images to grey (1) or RGB (3), after --channel; else as in training.
        max_pixels: Largest number of pixels of a file.
        resume: yes: go on, and pass over images whose results in --out are complete.
    """
    from keras_unet.inference.segmenter import Segmenter
    from keras_unet.report.results import predict_files

    images = paths if preset else paths[1:]
    if preset and (paths[0] / "segmenter.json").is_file():
        raise ValueError(f"name a run folder or --preset, not both. Received: {paths[0]}")
    if not images:
        raise ValueError(
            f"predict needs a run folder and images, or --preset and images. Received: {paths[0]}"
        )
    rows = predict_files(
        partial(Segmenter.from_preset, preset, engine) if preset else paths[0],
        images,
        out,
        probabilities=probabilities,
        overlays=overlays,
        tta=tta,
        max_tile=max_tile,
        margin=pixels_or_word(margin),
        precision=precision,
        engine=engine,
        axes=axes,
        channel=channel_of_option(channel),
        channels=None if channels is None else int(channels),
        max_pixels=max_pixels,
        resume=resume == "yes",
        words=in_command,
    )
    failed = [row for row in rows if row.error is not None]
    _print_table([row for row in rows if row.error is None], out)
    if failed:
        _print_failed(failed, len(rows), out)
        raise typer.Exit(1)


def _print_table(rows: Sequence[Prediction], out: Path) -> None:
    if not rows:
        return
    table = Table("image", "size", "instances", "foreground", "seconds")
    for row in rows:
        size = "x".join(map(str, row.shape or ()))
        name = escape(one_line(row.name))
        table.add_row(name, size, str(row.instances), f"{row.foreground:.1%}", f"{row.seconds:.2f}")
    console.print(table)
    console.print(f"Masks: [bold]{escape(one_line(str(out)))}[/]")


def _print_failed(failed: Sequence[Prediction], total: int, out: Path) -> None:
    from keras_unet.report.failures import NAME

    lines = [f"{total - len(failed)} of {total} images segmented; {len(failed)} failed:"]
    lines += [f"{one_line(row.name)}: {row.error}" for row in failed[:SHOWN]]
    if len(failed) > SHOWN:
        lines.append(f"... and {len(failed) - SHOWN} more")
    lines.append(f"All that failed: {out / NAME}")
    for line in lines:
        typer.echo(line, err=True)
