"""The report of a training run: what was trained, how it went, and what it gives on images."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_unet.report import pictures, volumes
from keras_unet.report.charts import line_chart
from keras_unet.report.html import Report
from keras_unet.training.recipe import Recipe

if TYPE_CHECKING:
    from keras_unet.inference.segmenter import Segmenter
    from keras_unet.sample import Sample
    from keras_unet.segmentation import Segmentation


def read_log(path: str | Path) -> dict[str, list[float]]:
    """Reads `log.csv` of a run: column -> values; what is not a number becomes NaN.

    Raises:
        ValueError: If it is damaged.
    """
    columns: dict[str, list[float]] = {}
    try:
        with Path(path).open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                row.pop(None, None)  # values without a column
                for name, text in row.items():
                    columns.setdefault(name, []).append(_number(text))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is damaged ({error})") from error
    return columns


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return float("nan")


COLORS = "green: right, red: wrongly found, blue: missed"
"""What `pictures.errors` shows."""
CHARTS = (
    ("loss", ("loss",)),
    ("mean IoU", ("iou", "val_mean_iou")),
    ("instances of the validation images", ("val_seg", "val_f1")),
    ("learning rate", ("learning_rate",)),
)
"""Title and columns of the charts; a column that a log lacks is left out."""


def add_curves(page: Report, log: Mapping[str, Sequence[float]]) -> None:
    """Adds the charts of a training log."""
    for title, names in CHARTS:
        series = {name: (log["step"], log[name]) for name in names if {"step", name} <= set(log)}
        if series:
            page.svg(line_chart(series, title=title))


def add_prediction(page: Report, segmenter: Segmenter, sample: Sample) -> None:
    """Adds the image, its predicted instances and its errors."""
    found = segmenter.predict(sample.image)
    name = sample.name or "image"
    size = " x ".join(map(str, sample.shape))
    if sample.rank == 3:
        add_volume(page, found, sample, f"{name}, {size} px")
        return
    page.picture(pictures.to_rgb(sample.image), f"{name}, {size} px")
    count = len(set(found.instances.ravel().tolist()) - {0})
    page.picture(pictures.overlay(sample.image, found.instances), f"{count} instances found")
    if sample.instances is not None or sample.classes is not None:
        page.picture(pictures.errors(sample.image, sample.class_map(), found.classes), COLORS)


def add_volume(page: Report, found: Segmentation, sample: Sample, caption: str) -> None:
    """Adds the middle slices along each axis and a montage, with what is annotated and found."""
    truth, objects, what = sample.instances, found.instances, "objects"
    if truth is None and sample.classes is not None:
        truth, objects, what = sample.classes, found.classes, "classes"
    shown = f"{len(set(objects.ravel().tolist()) - {0})} {what} found"

    labelled = [(objects, shown)] if truth is None else [(truth, "annotated"), (objects, shown)]
    for labels, words in [(None, caption), *labelled]:
        picture = volumes.middle_slices(sample.image, labels, sample.spacing)
        page.picture(volumes.enlarge(picture), f"{words}, middle slices")
    for labels, words in labelled:
        picture = volumes.montage(sample.image, labels)
        page.picture(volumes.enlarge(picture), f"{words}, slices across depth")
    if truth is not None:
        wrong = pictures.errors(sample.image, sample.class_map(), found.classes)
        page.picture(volumes.enlarge(wrong), f"middle slice; {COLORS}")


def add_target(page: Report, segmenter: Segmenter, sample: Sample) -> None:
    """Adds what the network learns from one sample: instances and per-pixel weights."""
    if sample.instances is None:
        return
    _, weights = segmenter.target.encode(sample.instances, sample.classes, sample.annotated)
    page.picture(pictures.overlay(sample.image, sample.instances), "annotated instances")
    low, high = float(weights.min()), float(weights.max())
    page.picture(pictures.heat(weights), f"weight of each pixel, {low:.2f} to {high:.2f}")


def write_run_report(
    run: str | Path,
    segmenter: Segmenter,
    samples: Sequence[Sample],
    scores: Mapping[str, Any] | None = None,
    title: str = "Training run",
    note: str = "",
) -> Path:
    """Writes `report.html` into a run folder.

    Args:
        run: Folder with `log.csv` and `recipe.yaml`.
        segmenter: The trained segmenter.
        samples: Annotated images to show, each with what was found in it.
        scores: Name -> value table to print. Defaults to None.
        title: Heading of the page.
        note: A sentence below the heading, such as what the images are.

    Returns:
        The path of the report.
    """
    run = Path(run)
    page = Report(title)
    if note:
        page.text(note)
    if scores:
        page.heading("Scores").values(scores)
    log = run / "log.csv"
    if log.exists():
        page.heading("Training")
        add_curves(page, read_log(log))
    if samples:
        page.heading("What the network learns")
        add_target(page, segmenter, samples[0])
        page.heading("What it finds")
    for sample in samples:
        add_prediction(page, segmenter, sample)
    recipe = run / "recipe.yaml"
    if recipe.exists():
        fields = Recipe.from_file(recipe).by_path()
        page.heading("Recipe").table(["", ""], [(path, str(v)) for path, v in fields.items()])
    return page.write(run / "report.html")
