"""From sliding windows to U-Net and its successors: every chapter on the same images.

    python examples/story.py DATA/isbi2012

Trains every architecture of the package on slices 0-17 of ISBI 2012 and tests it on slices 18-23,
with one recipe: the same tiles, steps, augmentation, loss (without border weights), optimizer and
seed, and (but for the sliding window, whose 48 channels are its own) the same width. Only the name
changes, and what belongs to an architecture: batch normalization where its paper has it, deep
supervision for UNet++. No network starts from other images (the FCN's authors began with VGG-16's
weights from photographs) and none sees tiles flipped when it predicts.

The sliding window is trained as its mathematically equal dense network; `windows` in the table are
the seconds that the same network takes as published, once for every pixel, measured on some rows of
an image. Seconds are of the network alone, for 512 x 512 pixels of output.

Expected: see examples/RESULTS.md.
Cost: nine trainings of 1,000 steps, from 3 to 15 minutes each on two CPU cores (ResUNet-a: half an
hour).

Interrupted runs go on where they stopped; finished trainings are kept in the folder `--out`, with a
picture of what each network sees in one slice. Times are best measured alone: delete the files
`seconds.json` and `windows.json` there and run the script again.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from experiments import (
    circumstances,
    isbi_scores,
    kept,
    options,
    parse,
    quick_samples,
    stack_of,
    table,
    write,
)

import keras_unet as ku
from keras_unet.metrics.instances import boundary_iou
from keras_unet.report.charts import line_chart, standalone
from keras_unet.report.pictures import errors, write_png

MODELS = {
    "sliding window": ["model.name=sliding_window", "model.filters=48"],
    "FCN-32s": ["model.name=fcn", "model.variant=32s", "model.units=256"],
    "FCN-8s": ["model.name=fcn", "model.variant=8s", "model.units=256"],
    "U-Net": ["model.name=unet"],
    "Res-UNet": ["model.name=res_unet", "model.normalization=batch", "model.depth=3"],
    "ResUNet-a": ["model.name=res_unet_a", "model.normalization=batch", "model.window=64"],
    "UNet++": ["model.name=unet_plus_plus", "model.deep_supervision=true"],
    "Attention U-Net": ["model.name=attention_unet"],
    "V-Net, 2-D": ["model.name=vnet"],
}
SIDE = 512
COLUMNS = (
    "parameters",
    "training minutes",
    "seconds",
    "pixel_error",
    "rand_error",
    "warping_error",
    "v_rand",
    "v_info",
    "iou",
    "boundary_iou",
)


def main(arguments: Sequence[str] | None = None) -> dict[str, dict[str, Any]]:
    """Trains, scores and writes the table and the plot; returns the table's rows."""
    parser = options(__doc__, "the slices", "runs/story", "story.yaml")
    parser.add_argument("--only", nargs="*", choices=MODELS, default=list(MODELS), help="rows")
    parser.add_argument("--rows", type=int, default=8, help="image rows for the sliding windows")
    given = parse(parser, arguments)
    samples = quick_samples(24) if given.quick else ku.data.read_isbi2012(given.data)
    if given.quick:
        given.rows = 1
    rows = {}
    for name in given.only:
        rows[name] = chapter(name, samples[:18], samples[18:], given)
        print(table({name: rows[name]}, COLUMNS), flush=True)
        if name == "sliding window":
            file = given.out / folder_of(name) / "windows.json"
            windows = kept(file, lambda: {"seconds": seconds_of_windows(samples[18], given)})
            rows["sliding window, as windows"] = {**rows[name], **windows}
    points = {name: ([row["seconds"]], [row["pixel_error"]]) for name, row in rows.items()}
    labels = {"x_label": "seconds for 512 x 512 pixels", "y_label": "pixel error"}
    chart = line_chart(points, "Unseen slices of ISBI 2012", **labels, log_x=True)
    write(given.out / "results.svg", standalone(chart))
    note = f"Seed {given.recipe.run.seed}, {given.recipe.run.steps} steps. {circumstances()}"
    text = f"{table(rows, COLUMNS)}\n\n{claims(rows)}\n{note}\n"
    write(given.out / "results.md", text)
    print(text)
    return rows


def chapter(
    name: str, seen: list[ku.Sample], unseen: list[ku.Sample], given: argparse.Namespace
) -> dict[str, Any]:
    """The numbers of one architecture, from its run folder if it was trained before."""
    run = given.out / folder_of(name)
    recipe = given.recipe.override(MODELS[name])
    if given.quick:  # a window of 95 px needs a larger tile than the others
        tile = 100 if name == "sliding window" else 64
        depth = {"depth": 2} if "depth" in recipe.model else {}
        recipe = recipe.replace(model={"filters": 2, **depth}, batches={"tile": tile})

    def make() -> dict[str, Any]:
        start = time.perf_counter()
        segmenter = ku.train(seen, recipe, run)
        minutes = (time.perf_counter() - start) / 60
        found = [segmenter.predict(sample.image) for sample in unseen]
        write_png(run / "slice.png", picture(unseen[0], found[0].classes))
        masks = [(s.class_map(), f.classes) for s, f in zip(unseen, found, strict=True)]
        return {
            "parameters": segmenter.model.count_params(),
            "training minutes": minutes,
            **isbi_scores(stack_of(unseen), np.stack([f.probabilities[..., 1] for f in found])),
            "iou": segmenter.evaluate(unseen)["mean_iou"],
            "boundary_iou": boundary_iou(*(list(maps) for maps in zip(*masks, strict=True))),
        }

    row = kept(run / "scores.json", make)
    file = run / "seconds.json"  # delete it to measure again, on an idle machine

    def measure() -> dict[str, float]:
        return {"seconds": seconds_of_network(ku.Segmenter.load(run))}

    return {**row, **kept(file, measure)}


def picture(sample: ku.Sample, classes: np.ndarray) -> np.ndarray:
    """Right (green), wrongly found (red) and missed (blue) cell pixels of one slice."""
    return errors(sample.image, sample.class_map(), classes)


def median_seconds(call: Callable[[], Any], repeats: int = 3) -> float:
    """Median time of a call that was made once before."""
    call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def seconds_of_network(segmenter: ku.Segmenter) -> float:
    """Seconds of the network for 512 x 512 pixels of output in one pass."""
    size = segmenter.geometry.input_size(SIDE)
    batch = np.zeros((1, size, size, segmenter.channels), np.float32)
    return median_seconds(lambda: segmenter.engine(batch))


def seconds_of_windows(sample: ku.Sample, given: argparse.Namespace) -> float:
    """Seconds of the published sliding window for 512 x 512 pixels, from some rows of an image."""
    segmenter = ku.Segmenter.load(given.out / folder_of("sliding window"))
    classifier = segmenter.model.patch_classifier()
    image = segmenter.normalization(sample.image)[: given.rows]
    seconds = median_seconds(lambda: ku.models.predict_windows(classifier, image), repeats=1)
    return seconds * SIDE * SIDE / (image.shape[0] * image.shape[1])


def claims(rows: dict[str, dict[str, Any]]) -> str:
    """The article's claims in numbers, as far as the rows are there."""
    lines = []
    if {"sliding window", "U-Net"} <= set(rows):
        windows, unet = rows["sliding window, as windows"]["seconds"], rows["U-Net"]["seconds"]
        dense = rows["sliding window"]["seconds"]
        lines.append(f"- Windows one by one take {windows / unet:.0f} times as long as the U-Net, ")
        lines[-1] += f"{windows / dense:.0f} times as long as the same network densely."
    if {"FCN-32s", "FCN-8s", "U-Net"} <= set(rows):
        names = ("FCN-32s", "FCN-8s", "U-Net")
        shown = ", ".join(f"{name} {rows[name]['boundary_iou']:.3f}" for name in names)
        lines.append(f"- Boundary IoU (2 px): {shown}.")
    if "U-Net" in rows:
        mine = rows["U-Net"]["pixel_error"]
        better = [name for name, row in rows.items() if row["pixel_error"] < mine]
        lines.append(f"- Better than the U-Net in pixels: {', '.join(better) or 'none'}.")
    return "\n".join(lines) + "\n"


def folder_of(name: str) -> Path:
    """Name of a row's folder."""
    return Path(name.lower().replace(" ", "_").replace(",", ""))


if __name__ == "__main__":
    main()
