"""What the mirrored margin of a network of "same" padding costs, and what it changes.

    python benchmarks/margin.py DATA --runs runs/margin [--only nuclei t98g hela]

Three kinds of cells in the folder DATA, each predicted with every margin, without test-time
augmentation:

- `nuclei`: every fifth of the `dsb2018_full` images that show no field of view of `dsb2018`, on
  which the preset "nuclei" was trained; the network is that preset;
- `t98g`: every third image of `usiigaci_t98g`, phase contrast, cells of about 60 to 100 px;
- `hela`: sequence 02 of `DIC-C2DH-HeLa`, silver truth, cells of about 100 px.

The networks of the last two are trained here, on the other images, and kept in `--runs`; that of
"hela" may not be given away. Both work at half the image's size.

One thread, CPU time of `predict` alone, the margins in turn for each image, the better of two
calls. The script fails if with the default margin a score is more than 0.003 from that with the
whole one.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

import keras_unet as ku
from keras_unet.data.resolution import working_shape
from keras_unet.geometry.margins import mirrored_margin
from keras_unet.metrics import instances as measures

ALLOWED = 0.003
MARGINS = ("full", 64, 48, 32, 16, 0)
SCORES = {"AP@0.5": "accuracy", "F1": "f1", "SEG": "seg"}
Parts = tuple[list[ku.Sample], list[ku.Sample]]
"""Samples to train on and to score."""


def nuclei(data: Path) -> Parts:
    """Nothing to train on, and images that the preset has not seen any part of."""
    with (data / "dsb2018" / "index.csv").open(encoding="utf-8") as file:
        seen = {row["dsb_image_id"] for row in csv.DictReader(file)}
    with (data / "dsb2018_full" / "index.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    fields = {row["group"] for row in rows if row["dsb_image_id"] in seen}
    names = sorted(Path(row["file"]).stem for row in rows if row["group"] not in fields)[::5]
    folder = data / "dsb2018_full"
    samples = ku.data.read_folder(folder / "images", folder / "masks", kind="instances", channels=3)
    return [], [sample for sample in samples if sample.name in names]


def t98g(data: Path) -> Parts:
    folder = data / "usiigaci_t98g"
    samples = ku.data.read_folder(folder / "images", folder / "masks", kind="instances", channels=1)
    return [one for i, one in enumerate(samples) if i % 3], samples[::3]


def hela(data: Path) -> Parts:
    first, second = (
        ku.data.read_cell_tracking(data / "DIC-C2DH-HeLa", name, "ST") for name in ("01", "02")
    )
    return first, second


KINDS: dict[str, Callable[[Path], Parts]] = {"nuclei": nuclei, "t98g": t98g, "hela": hela}
CLIPS = {"t98g": 10, "hela": 12}


def network(kind: str, training: list[ku.Sample], runs: Path, steps: int) -> ku.Segmenter:
    """The preset, or a network that is trained once."""
    if not training:
        return ku.Segmenter.from_preset("nuclei").replace(tta=None)
    recipe = ku.Recipe(
        model={"filters": 16, "normalization": None},
        target={"name": "seeds", "clip": CLIPS[kind], "min_size": 300, "min_seed_size": 30},
        images={"resolution": 0.5},
        augmentation={"sigma": 6, "scale": 1.2, "gamma": 1.3, "gain": 1.2},
        batches={"tile": 256, "size": 2},
        run={"steps": steps, "validate_every": steps, "tensorboard": False},
    )
    return ku.train(training, recipe, runs / kind)


def predicted(
    segmenter: ku.Segmenter, samples: list[ku.Sample], margins: list[int | str]
) -> list[dict[str, Any]]:
    """For each margin what is found in the samples, and the CPU seconds."""
    chosen = [segmenter.replace(margin=margin) for margin in margins]
    rows: list[dict[str, Any]] = [{"found": [], "seconds": 0.0, "run": 0.0} for _ in margins]
    for sample in samples:
        shape = working_shape(sample.shape, segmenter.resolution)
        best = [np.inf] * len(margins)
        for turn in range(2):
            for index, one in enumerate(chosen):
                start = time.process_time()
                result = one.predict(sample.image)
                best[index] = min(best[index], time.process_time() - start)
                if turn == 0:
                    rows[index]["found"].append(result.instances)
        for row, one, seconds in zip(rows, chosen, best, strict=True):
            row["seconds"] += seconds
            row["run"] += one.plan(shape).work * np.prod(shape)
    pixels = sum(np.prod(working_shape(s.shape, segmenter.resolution)) for s in samples)
    for row in rows:
        row["run"] /= pixels
    return rows


def compare(kind: str, data: Path, runs: Path, steps: int, console: Console) -> bool:
    """Prints the table of one kind of cells; whether the default margin does as well as all."""
    training, samples = KINDS[kind](data)
    segmenter = network(kind, training, runs, steps)
    geometry = segmenter.geometry
    margins = [m for m in MARGINS if m == "full" or int(m) < geometry.margin]
    rows = predicted(segmenter, samples, margins)
    true = [sample.instances for sample in samples]
    whole = [found > 0 for found in rows[0]["found"]]
    cells = sum(len(np.unique(one)) - 1 for one in true)
    table = Table(title=f"{kind}: {len(samples)} images, {cells} cells")
    headings = ("margin", "CPU s", "of full", "pixels run / pixel", *SCORES, "pixels that change")
    for heading in headings:
        table.add_column(heading, justify="right")
    default, good = mirrored_margin(geometry, None), True
    for margin, row in zip(margins, rows, strict=True):
        scores = measures.evaluate(true, row["found"])
        row["scores"] = [scores[name] for name in SCORES.values()]
        differences = np.subtract(row["scores"], rows[0]["scores"])
        if margin == default:
            good = bool(np.abs(differences).max() <= ALLOWED)
        changed = np.mean([np.mean((f > 0) != w) for f, w in zip(row["found"], whole, strict=True)])
        table.add_row(
            f"{margin}{' (default)' * (margin == default)}",
            f"{row['seconds']:.2f}",
            f"{row['seconds'] / rows[0]['seconds']:.2f}",
            f"{row['run']:.2f}",
            *(f"{s:.4f} ({d:+.4f})" for s, d in zip(row["scores"], differences, strict=True)),
            f"{changed:.4%}",
        )
    console.print(table)
    return good


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", type=Path, help="folder with the data sets")
    parser.add_argument("--runs", type=Path, default=Path("runs/margin"))
    parser.add_argument("--only", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--steps", type=int, default=500, help="of the two trainings")
    given = parser.parse_args()
    import tensorflow as tf

    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    console = Console(width=130)
    good = [compare(kind, given.data, given.runs, given.steps, console) for kind in given.only]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
