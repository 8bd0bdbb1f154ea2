"""The command `keras-unet evaluate`."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.table import Table

from keras_unet.commands.choices import one_of, pixels_or_word
from keras_unet.commands.data_options import with_data
from keras_unet.commands.documented import documented
from keras_unet.commands.printing import as_text, console, print_values
from keras_unet.data.data_set import DataSet
from keras_unet.inference.precision import PRECISIONS

COLUMNS = {
    "isbi.v_rand": (
        *("name", "mean_iou", "seg", "isbi.pixel_error", "isbi.warping_error"),
        *("isbi.v_rand", "isbi.v_info"),
    ),
    "split": (
        *("name", "mean_iou", "seg", "ap50", "f1", "true_count", "pred_count"),
        *("split", "merged"),
    ),
    "pixel_error": ("name", "pixel_error", "mean_iou", "mean_dice", "foreground_iou"),
}
"""Columns of the table of images, by the first of these scores that there is."""


@with_data
@documented
def evaluate(
    source: Annotated[Path, typer.Argument(metavar="RUN|PREDICTIONS")],
    data: DataSet,
    measures: str = "auto",
    isbi: Annotated[bool, typer.Option("--isbi")] = False,
    border: int = 0,
    predictions: str = "auto",
    threshold: float | None = None,
    membrane: Annotated[bool, typer.Option("--membrane")] = False,
    tta: str | None = None,
    max_tile: int | None = None,
    margin: Annotated[str | None, typer.Option(metavar="PX|full")] = None,
    precision: Annotated[str | None, one_of(*PRECISIONS)] = None,
    engine: Annotated[str, one_of("auto", "keras", "openvino", "onnx", "tflite")] = "auto",
    as_json: Annotated[bool, typer.Option("--json")] = False,
    pictures: Path | None = None,
) -> None:
    """Score a trained model, or predictions of any program, on annotated images.

    Args:
        source: Run folder; or predictions of any program: a folder, or a TIFF stack.
        data: The annotated images.
        measures: auto, pixels, instances, isbi or tracking.
        isbi: Also the five measures of the ISBI 2012 challenge.
        border: Pixels outside the field of interest (measures tracking).
        predictions: They hold: auto, instances, classes or probabilities.
        threshold: Of predicted probabilities; 0.5 if not given.
        membrane: Predictions show the membrane, not the cells.
        tta: Test-time augmentation: flips, d4 or paper7.
        max_tile: Largest input tile in pixels.
        margin: Pixels mirrored around an image: fewer are quicker; else as the model says.
        precision: What the network computes in; auto: bfloat16 where the CPU has it.
        engine: What runs the network; auto: the first installed that has its file.
        as_json: Print JSON.
        pictures: Folder for error pictures.
    """
    from keras_unet.evaluation.evaluate import MEANINGS, evaluate as score
    from keras_unet.report.error_pictures import write_error_pictures

    scores = score(
        source,
        data,
        measures=measures,
        isbi=isbi,
        border=border,
        predictions=predictions,
        threshold=threshold,
        membrane=membrane,
        tta=tta,
        max_tile=max_tile,
        margin=pixels_or_word(margin),
        precision=precision,
        engine=engine,
        on_found=functools.partial(write_error_pictures, pictures) if pictures else None,
    )
    if as_json:
        print(json.dumps(scores, indent=2, allow_nan=False))
        return
    rows, notes, scored = (scores.pop(name) for name in ("samples", "notes", "scored"))
    _print_rows(rows)
    print_values(f"All {len(rows)} images", scores, MEANINGS)
    for note in (f"Scored: {scored}.", *notes):
        console.print(note)


def _print_rows(rows: list[dict[str, Any]]) -> None:
    """A line an image."""
    shown = next(names for score, names in COLUMNS.items() if score in rows[0])
    heads = [name.removeprefix("isbi.").removesuffix("_count") for name in shown]
    table = Table(*heads, box=box.SIMPLE, padding=0)
    for row in rows:
        values = [row.get(name) for name in shown]
        table.add_row(*[f"{v:.4f}" if isinstance(v, float) else as_text(v) for v in values])
    console.print(table)
