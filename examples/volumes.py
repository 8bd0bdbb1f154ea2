"""Volumes: classes in MRI (Dice on held-out subjects) and cells in 3-D microscopy (SEG, AP).

    python examples/volumes.py DATA/hippocampus --model unet vnet
    python examples/volumes.py DATA/plantseg_ovule --data-kind instances
    python examples/volumes.py DATA/stardist --data-kind instances

Classes: `images` and `labels` hold NIfTI files of the same names; every fifth volume is held out.
The table has Dice by class: over all held-out voxels, and (`mean of volumes`) as the mean over the
volumes. All models get the same volumes, steps, tiles, seed and optimizer; the recipe's width is
the U-Net's, and other models get the width with the nearest number of parameters (`--no-match`:
the same width).

Instances: the volume is cut across its longest axis. Two thirds train, the rest tests; cells that
the cut divides count in both. One such volume is small: its scores show that the parts fit
together, and say little about the method.

Expected: see examples/RESULTS.md.
Cost: 600 steps (instances: 800) a model, on a few CPU cores or a GPU.

Interrupted runs go on where they stopped; finished ones are kept in the folder `--out`, with a
montage of one held-out volume beside each.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from experiments import RECIPES, circumstances, kept, options, parse, table, write

import keras_unet as ku
from keras_unet.data import read_image, read_labels, read_spacing
from keras_unet.evaluation.scores import evaluate_samples, instance_measures
from keras_unet.report.pictures import write_png
from keras_unet.report.volumes import enlarge, montage
from keras_unet.training.setup import build_network

RECIPE_OF = {"classes": "hippocampus.yaml", "instances": "volume_seeds.yaml"}
FILES = (("raw.tif", "label.tif"), ("img3d.tif", "mask3d.tif"))
"""Volume and ids of the data sets with instances."""
MEASURES = ("seg", "ap50", "ap", "pq", "split", "merged", "missed", "spurious")
NAMES = ("background", "anterior", "posterior")
EVERY = 5

Samples = list[ku.Sample]


def main(arguments: Sequence[str] | None = None) -> dict[str, dict[str, Any]]:
    """Trains and scores the models, and writes `results.md`; returns its rows."""
    parser = options(__doc__, "the volumes", "runs/volumes", RECIPE_OF["classes"])
    parser.add_argument("--model", nargs="+", default=["unet"], help="such as vnet; default: unet")
    parser.add_argument(
        "--data-kind", choices=RECIPE_OF, default="classes", help="default: classes"
    )
    parser.add_argument(
        "--match", action=argparse.BooleanOptionalAction, default=True, help="match parameters"
    )
    kind = parser.parse_known_args(arguments)[0].data_kind
    parser.set_defaults(recipe=RECIPES / RECIPE_OF[kind])
    given = parse(parser, arguments)
    if given.quick:
        given.recipe = given.recipe.replace(batches={"tile": 16})
    seen, unseen = quick_parts(kind) if given.quick else read_parts(given.data, kind)
    folder = given.out / ("quick" if given.quick else given.data.name)
    rows = {}
    for model in given.model:
        recipe = with_model(given.recipe, model, seen[0], given.match)
        run = folder / f"{model}_{recipe.model['filters']}"
        row = kept(run / "scores.json", lambda r=recipe, f=run: scores(seen, unseen, r, f))
        rows[f"{model}, {recipe.model['filters']} filters"] = row
        print(table({model: row}), flush=True)
    recipe = given.recipe
    note = f"{len(seen)} volumes to train on, {len(unseen)} to score. Seed {recipe.run.seed}, "
    note += f"{recipe.run.steps} steps of {recipe.batches.size}. {circumstances()}"
    text = f"{table(rows)}\n\n{note}\n"
    write(given.out / "results.md", text)
    print(text)
    return rows


def with_model(recipe: ku.Recipe, model: str, sample: ku.Sample, match: bool) -> ku.Recipe:
    """The recipe with another architecture, as wide as makes it about as large as its U-Net."""
    chosen = recipe.replace(model={"name": model})
    if model == "unet" or not match:
        return chosen
    wanted = parameters(recipe.replace(model={"name": "unet"}), sample)
    ratio = wanted / parameters(chosen, sample)  # squared in the width
    guess = recipe.model["filters"] * ratio**0.5
    widths = {max(1, round(guess) + step) for step in (-1, 0, 1)}
    tried = [chosen.replace(model={"filters": width}) for width in sorted(widths)]
    return min(tried, key=lambda one: abs(parameters(one, sample) - wanted))


def parameters(recipe: ku.Recipe, sample: ku.Sample) -> int:
    """Number of weights of the recipe's network."""
    shape = (*[None] * sample.rank, sample.channels)
    outputs = 2 if sample.classes is None else len(NAMES)
    return build_network(recipe, shape, outputs).count_params()


def scores(seen: Samples, unseen: Samples, recipe: ku.Recipe, run: Path) -> dict[str, Any]:
    """Trains and gives the numbers of the held-out volumes."""
    names = NAMES if unseen[0].instances is None else None
    segmenter = ku.train(seen, recipe, run, class_names=names)
    row: dict[str, Any] = {"parameters": segmenter.model.count_params()}
    first = segmenter.predict(unseen[0].image)
    shown = first.instances if names is None else first.classes
    write_png(run / "held_out.png", enlarge(montage(unseen[0].image, shown)))
    if names is None:
        pairs = [(sample.instances, segmenter.predict(sample.image).instances) for sample in unseen]
        found = instance_measures(*(list(maps) for maps in zip(*pairs, strict=True)))
        return row | {name: found[name] for name in MEASURES}
    found = evaluate_samples(segmenter.predict, unseen, names)
    for name in names[1:]:
        row[f"Dice {name}"] = found["dice"][name]
        each = [sample["dice"][name] for sample in found["samples"]]
        row[f"mean of volumes, {name}"] = float(np.nanmean(each))
    return row


def read_parts(data: Path, kind: str) -> tuple[Samples, Samples]:
    """The volumes to train on and those to score."""
    if kind == "classes":
        return split(ku.data.read_folder(data / "images", data / "labels", kind="classes", rank=3))
    for image, labels in FILES:
        if (data / image).is_file():
            spacing = read_spacing(data / image) or ()
            ids = read_labels(data / labels, rank=3)
            return cut(ku.Sample(read_image(data / image, rank=3), instances=ids, spacing=spacing))
    raise FileNotFoundError(f"{data} has none of {', '.join(image for image, _ in FILES)}")


def split(samples: Samples) -> tuple[Samples, Samples]:
    """Every fifth volume is held out."""
    seen = [sample for place, sample in enumerate(samples) if place % EVERY != EVERY - 1]
    return seen, samples[EVERY - 1 :: EVERY]


def cut(sample: ku.Sample) -> tuple[Samples, Samples]:
    """Two thirds and the rest of one volume, across its longest axis."""
    axis = int(np.argmax(sample.shape))
    at = sample.shape[axis] * 2 // 3
    parts = []
    for name, place in (("first", slice(None, at)), ("last", slice(at, None))):
        box = (*[slice(None)] * axis, place)
        ids = sample.instances[box]
        parts.append([sample.replace(image=sample.image[box], instances=ids, name=name)])
    return parts[0], parts[1]


def quick_parts(kind: str) -> tuple[Samples, Samples]:
    """Small volumes with balls for `--quick`."""
    generator = np.random.default_rng(0)
    grid = np.stack(np.indices((14, 30, 18)), axis=-1)
    samples = []
    for number in range(EVERY):
        ids = np.zeros(grid.shape[:-1], np.int32)
        for index in range(6):
            centre = generator.uniform((2, 2, 2), grid.shape[:-1])
            ids[((grid - centre) ** 2).sum(axis=-1) < 16] = index + 1
        image = (40 * (ids > 0) + generator.integers(0, 20, ids.shape)).astype(np.uint8)
        samples.append(ku.Sample(image[..., None], instances=ids, name=str(number)))
    if kind == "instances":
        return cut(samples[0])
    return split([s.replace(instances=None, classes=(s.instances + 1) // 3) for s in samples])


if __name__ == "__main__":
    main()
