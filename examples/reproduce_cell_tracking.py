"""The paper's cell tracking table: train on one sequence of a data set, score the other one.

    python examples/reproduce_cell_tracking.py DATA/DIC-C2DH-HeLa
    python examples/reproduce_cell_tracking.py DATA/DIC-C2DH-HeLa --recipe examples/recipes/dic_classes.yaml --ablate
    python examples/reproduce_cell_tracking.py DATA/PhC-C2DL-PSC --recipe examples/recipes/psc_seeds.yaml
    python examples/reproduce_cell_tracking.py DATA/PhC-C2DH-U373 --recipe examples/recipes/u373_classes.yaml

Trains on gold and silver truth of sequence 01 (what is not annotated weighs nothing) and scores the
gold frames of sequence 02 with SEG, DET and the rest. The default recipe learns seeds for a
watershed; `dic_classes` is the paper's way: soft-max, border weights, connected components.
`--ablate` trains the recipe once more without border weights. `--nets` averages several networks.

Expected (examples/RESULTS.md): SEG of about 0.80 on DIC-C2DH-HeLa, 0.77 with `dic_classes_half`.
Cost: a quarter of an hour on two CPU cores with bfloat16 units (`--set run.precision=mixed_bfloat16`),
an hour without, a few minutes on a GPU.

Interrupted runs go on where they stopped; finished ones are kept in the folder `--out`. It receives
the masks, named as the challenge wants them, pictures of the errors, and `results.md` with every
run that the folder holds.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from experiments import circumstances, kept, options, parse, table, write

import keras_unet as ku
from keras_unet.data.data_set import DataSet
from keras_unet.evaluation.evaluate import evaluate
from keras_unet.report import write_error_pictures

PAPER = {"PhC-C2DH-U373": 0.9203, "DIC-C2DH-HeLa": 0.7756}
"""Average IoU (SEG) on the challenge's secret sequences, 2015."""
COLUMNS = ("ctc.seg", "ctc.det", "ap50", "pixel_error", "split", "merged", "missed", "spurious")


def main(arguments: Sequence[str] | None = None) -> dict[str, dict[str, Any]]:
    """Trains and scores, and writes `results.md`; returns its rows."""
    parser = options(__doc__, "a Cell Tracking data set", "runs/cell_tracking", "dic_seeds.yaml")
    parser.add_argument("--train", default="01", help="sequence to train on; default: 01")
    parser.add_argument("--test", default="02", help="sequence to score; default: 02")
    parser.add_argument("--select", help="gold frames to score, such as 6,7; default: all")
    parser.add_argument("--nets", type=int, default=1, help="networks to average; default: 1")
    parser.add_argument("--tta", default="d4", help="flips, d4, paper7 or none; default: d4")
    parser.add_argument("--ablate", action="store_true", help="also train without border weights")
    name = parser.parse_args(arguments).recipe.stem
    given = parse(parser, arguments)
    if given.quick:
        given.data = quick_data(given.out / "data")
    folder = given.out / given.data.name
    run(name, given.recipe, folder, given)
    if given.ablate:
        flat = given.recipe.override(["target.weights=null"])
        run(f"{name}, no border weights", flat, folder, given)
    rows = {
        f"{file.parent.name}, {file.stem.removeprefix('scores-')}": json.loads(file.read_text())
        for file in sorted(folder.glob("*/scores-*.json"))
    }
    if given.data.name in PAPER:
        rows["paper, secret sequences"] = {"ctc.seg": PAPER[given.data.name]}
    text = f"{table(rows, COLUMNS)}\n\n{given.data.name}. {circumstances()}\n"
    write(given.out / "results.md", text)
    print(text)
    return rows


def run(name: str, recipe: ku.Recipe, folder: Path, given: argparse.Namespace) -> None:
    """Trains the networks of a recipe and scores their mean; both only once."""
    data = DataSet(
        given.data, "cell-tracking", sequence=given.test, truth="GT", select=given.select
    )
    out = folder / name
    setting = f"{given.nets} net(s), {given.tta}"
    masks = out / f"masks, {setting}"

    def make() -> dict[str, Any]:
        predict(recipe, data.samples, out, masks, given)
        pictures = partial(write_error_pictures, out / "pictures")
        return evaluate(masks, data, predictions="instances", on_found=pictures)

    scores = kept(out / f"scores-{setting}.json", make)
    print(table({name: scores}, COLUMNS), flush=True)


def predict(
    recipe: ku.Recipe,
    unseen: list[ku.Sample],
    out: Path,
    masks: Path,
    given: argparse.Namespace,
) -> None:
    """Writes `maskNNN.tif` of the unseen frames: what the networks' mean output decodes to."""
    seen = ku.data.read_cell_tracking(given.data, sequence=given.train, truth="GT+ST")
    sums: list[Any] = [0] * len(unseen)
    for net in range(given.nets):
        segmenter = ku.train(
            seen, recipe.replace(run={"seed": recipe.run.seed + net}), out / f"net{net}"
        )
        segmenter = segmenter.replace(tta=None if given.tta == "none" else given.tta)
        for index, sample in enumerate(unseen):
            sums[index] = sums[index] + segmenter.predict(sample.image).probabilities
    masks.mkdir(parents=True, exist_ok=True)
    for sample, total in zip(unseen, sums, strict=True):
        instances = segmenter.target.decode(total / np.float32(given.nets)).instances
        file = masks / f"mask{sample.name.rpartition('/t')[2]}.tif"
        tifffile.imwrite(file, instances.astype(np.uint16), compression="zlib")


def quick_data(folder: Path) -> Path:
    """Two sequences of synthetic cells in the challenge's layout, for `--quick`."""
    for sequence, seed in (("01", 0), ("02", 1)):
        for number, sample in enumerate(
            ku.data.synthetic_cells(2, shape=(96, 128), radius=16, seed=seed)
        ):
            files = {
                folder / sequence / f"t{number:03d}.tif": sample.image[..., 0],
                folder / f"{sequence}_GT" / "SEG" / f"man_seg{number:03d}.tif": sample.instances,
                folder / f"{sequence}_GT" / "TRA" / f"man_track{number:03d}.tif": sample.instances,
            }
            for file, values in files.items():
                file.parent.mkdir(parents=True, exist_ok=True)
                is_label = values is sample.instances
                tifffile.imwrite(file, values.astype(np.uint16) if is_label else values)
    return folder


if __name__ == "__main__":
    main()
