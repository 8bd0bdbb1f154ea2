"""The command line: every command parses, calls one function, and prints what it gave."""

from __future__ import annotations

import functools
import inspect
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from keras_unet._version import __version__
from keras_unet.commands.export import export
from keras_unet.commands.recipe_options import with_recipe
from keras_unet.commands.serve import serve
from keras_unet.data.data_set import DataSet
from keras_unet.training.recipe import Recipe

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow's start-up lines say nothing here

app = typer.Typer(
    name="keras-unet",
    help="U-Net for biomedical images: from a few annotated images to a segmentation.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
console = Console()
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

DataPath = Annotated[Path, typer.Argument(help="Folder of annotated images.")]
DATA_OPTIONS: dict[str, Any] = {
    "format": Annotated[
        str, typer.Option("--format", help="auto, folder, isbi2012 or cell-tracking.")
    ],
    "masks": Annotated[Path | None, typer.Option(help="Folder of the masks (format folder).")],
    "kind": Annotated[str | None, typer.Option(help="Masks: auto, binary, instances or classes.")],
    "channels": Annotated[
        int | None, typer.Option(help="1 or 3: turn all images to grey or RGB (format folder).")
    ],
    "rank": Annotated[
        int | None, typer.Option(help="3: files are volumes, TIFF or NIfTI (format folder).")
    ],
    "sequence": Annotated[str | None, typer.Option(help="Sequence (format cell-tracking).")],
    "truth": Annotated[str | None, typer.Option(help="GT, ST or GT+ST (format cell-tracking).")],
    "select": Annotated[
        str | None,
        typer.Option(help="Slices, frames or places in the folder, such as 0-17 or 6,7,14."),
    ],
}


def with_data(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a typer command the argument and the options that name a data set.

    They take the place of the command's parameter `data`, which receives the `DataSet`.
    """
    keyword = inspect.Parameter.KEYWORD_ONLY
    options = [
        inspect.Parameter(name, keyword, default=getattr(DataSet, name), annotation=annotation)
        for name, annotation in DATA_OPTIONS.items()
    ]
    options.insert(0, inspect.Parameter("path", keyword, annotation=DataPath))

    @functools.wraps(command)
    def run(**arguments: Any) -> Any:
        data = DataSet(**{option.name: arguments.pop(option.name) for option in options})
        return command(data=data, **arguments)

    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command, eval_str=True).parameters.values():
        parameters += options if parameter.name == "data" else [parameter.replace(kind=keyword)]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    return run


def friendly(command: Callable[..., Any]) -> Callable[..., Any]:
    """Prints errors that a user can mend in one line; KERAS_UNET_DEBUG=1 shows the traceback."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except (ValueError, OSError, ImportError) as error:
            if os.environ.get("KERAS_UNET_DEBUG"):
                raise
            Console(stderr=True).print(f"[bold red]Error:[/] {escape(str(error))}", highlight=False)
            raise typer.Exit(1) from None

    return run


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.6f}" if isinstance(value, float) else str(value)


def _print_values(
    title: str, values: dict[str, Any], meanings: dict[str, str] | None = None
) -> None:
    table = Table(title=title, show_header=False, title_justify="left")
    table.add_column(no_wrap=True)
    for name, value in values.items():
        explained = [meanings.get(name, "")] if meanings else []
        table.add_row(name, _text(value), *explained)
    console.print(table)


def _print_rows(rows: list[dict[str, Any]]) -> None:
    """A line an image."""
    shown = next(names for score, names in COLUMNS.items() if score in rows[0])
    heads = [name.removeprefix("isbi.").removesuffix("_count") for name in shown]
    table = Table(*heads, box=box.SIMPLE, padding=0)
    for row in rows:
        values = [row.get(name) for name in shown]
        table.add_row(*[f"{v:.4f}" if isinstance(v, float) else _text(v) for v in values])
    console.print(table)


@app.command(epilog="Example: keras-unet demo --out demo")
@friendly
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the run and its report.")] = Path("demo"),
    steps: Annotated[int, typer.Option(help="Training steps.")] = 0,
    seed: Annotated[int, typer.Option(help="Seed of the cells and of the training.")] = 0,
) -> None:
    """Train on synthetic cells for about a minute, segment unseen images, write a report."""
    from keras_unet.commands.demo import run_demo

    result = run_demo(out, steps=steps or None, seed=seed)
    _print_values("Unseen synthetic images", result.scores)
    console.print(f"Report: [bold]{result.report}[/]  (model: {out / 'run'})")


@app.command(
    epilog="Example: keras-unet train data/em --format isbi2012 --select 0-17 --out runs/em"
)
@friendly
@with_recipe
@with_data
def train(
    data: DataSet,
    recipe: Recipe,
    out: Annotated[Path, typer.Option(help="Run folder; an interrupted run there goes on.")],
    validation: Annotated[
        float, typer.Option(help="Share of the images kept for validation; 0 is none.")
    ] = 0.0,
) -> None:
    """Train a U-Net on annotated images."""
    from keras_unet.report.run_report import write_run_report
    from keras_unet.training.trainer import train as train_samples

    samples = data.samples
    segmenter = train_samples(samples, recipe=recipe, out=out, validation=validation or None)
    report = write_run_report(out, segmenter, samples[:4])
    console.print(f"Run folder: [bold]{out}[/]   report: {report}")


@app.command(
    epilog="Example: keras-unet predict runs/em image.tif --out masks "
    "(or: keras-unet predict --preset nuclei image.png)"
)
@friendly
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


@app.command(
    epilog="Example: keras-unet evaluate runs/em data/em --format isbi2012 --select 18-23 "
    "(or: keras-unet evaluate masks_of_any_program data/em --format isbi2012)"
)
@friendly
@with_data
def evaluate(
    source: Annotated[
        Path,
        typer.Argument(
            help="Run folder; or predictions of any program: a folder, or a TIFF stack.",
            metavar="RUN|PREDICTIONS",
        ),
    ],
    data: DataSet,
    measures: Annotated[
        str, typer.Option(help="auto, pixels, instances, isbi or tracking.")
    ] = "auto",
    isbi: Annotated[
        bool, typer.Option("--isbi", help="Also the five measures of the ISBI 2012 challenge.")
    ] = False,
    border: Annotated[
        int, typer.Option(help="Pixels outside the field of interest (measures tracking).")
    ] = 0,
    predictions: Annotated[
        str, typer.Option(help="They hold: auto, instances, classes or probabilities.")
    ] = "auto",
    threshold: Annotated[
        float | None, typer.Option(help="Of predicted probabilities; 0.5 if not given.")
    ] = None,
    membrane: Annotated[
        bool, typer.Option("--membrane", help="Predictions show the membrane, not the cells.")
    ] = False,
    tta: Annotated[
        str | None, typer.Option(help="Test-time augmentation: flips, d4 or paper7.")
    ] = None,
    max_tile: Annotated[int | None, typer.Option(help="Largest input tile in pixels.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    pictures: Annotated[Path | None, typer.Option(help="Folder for error pictures.")] = None,
) -> None:
    """Score a trained model, or predictions of any program, on annotated images."""
    from keras_unet.evaluation.evaluate import MEANINGS
    from keras_unet.evaluation.evaluate import evaluate as score
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
        on_found=functools.partial(write_error_pictures, pictures) if pictures else None,
    )
    if as_json:
        print(json.dumps(scores, indent=2, allow_nan=False))
        return
    rows, notes, scored = (scores.pop(name) for name in ("samples", "notes", "scored"))
    _print_rows(rows)
    _print_values(f"All {len(rows)} images", scores, MEANINGS)
    for note in (f"Scored: {scored}.", *notes):
        console.print(note)


@app.command(epilog="Example: keras-unet info --filters 64 --padding valid --size 572")
@friendly
@with_recipe
def info(
    recipe: Recipe,
    run: Annotated[Path | None, typer.Argument(help="Run folder; else the recipe's model.")] = None,
    channels: Annotated[int, typer.Option(help="Image channels of the recipe's model.")] = 1,
    classes: Annotated[int, typer.Option(help="Classes of the recipe's model.")] = 2,
    size: Annotated[int, typer.Option(help="Input size to look at, in pixels.")] = 572,
    summary: Annotated[bool, typer.Option(help="Print all layers.")] = False,
) -> None:
    """Show a model: parameters, geometry, legal sizes, memory."""
    from keras_unet.commands.info import describe_model

    model, values = describe_model(recipe, run, channels=channels, classes=classes, size=size)
    if summary:
        model.summary(line_length=100)
    _print_values(model.name, values)


app.command(
    epilog="Example: keras-unet export runs/em --out models/em "
    "(or: keras-unet export --preset nuclei --format web --out site)"
)(friendly(export))
app.command(epilog="Example: keras-unet serve models/em (or: keras-unet serve --preset nuclei)")(
    friendly(serve)
)


def _version(value: bool) -> None:
    if value:
        console.print(f"keras-unet-bio {__version__}", highlight=False)
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """U-Net for biomedical images: from a few annotated images to a segmentation."""


if __name__ == "__main__":
    app()
