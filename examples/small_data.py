"""Accuracy against the number of annotated images, with and without elastic deformation.

    python examples/small_data.py DATA/isbi2012

The paper's main claim: a few annotated images are enough if they are deformed elastically. Trains
on 1, 2, 5, 10 and 18 slices of ISBI 2012 (spread over 0-17) with the same number of steps, with
elastic deformation, without it (rotations, flips and grey values still vary), and without any
augmentation, and tests on slices 18-23. Writes `results.md` and `results.svg`.

Expected: see examples/RESULTS.md.
Cost: fifteen trainings of 500 steps, two to four minutes each on two CPU cores.

Interrupted runs go on where they stopped; finished trainings are kept in the folder `--out`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ablation import scores
from experiments import circumstances, options, parse, quick_samples, table, write

import keras_unet as ku
from keras_unet.report.charts import line_chart, standalone

COUNTS = (1, 2, 5, 10, 18)
AUGMENTATIONS = {
    "elastic": [],
    "rigid": ["augmentation.sigma=0"],
    "none": ["augmentation=null"],
}


def main(arguments: Sequence[str] | None = None) -> dict[str, dict[str, float]]:
    """Trains, scores and writes the table and the plot; returns the table's rows."""
    parser = options(__doc__, "the slices", "runs/small_data", "em_small.yaml")
    parser.add_argument("--counts", type=int, nargs="*", default=COUNTS, help="training slices")
    given = parse(parser, arguments)
    samples = quick_samples(20) if given.quick else ku.data.read_isbi2012(given.data)
    counts = (2,) if given.quick else given.counts
    pool, unseen = samples[:18], samples[18:]
    rows = {}
    for count in counts:
        chosen = [pool[i] for i in np.linspace(0, len(pool) - 1, count + 2).round().astype(int)]
        seen = chosen[1:-1] if count < len(pool) else pool
        for name, changes in AUGMENTATIONS.items():
            recipe = given.recipe.override(changes)
            row = scores(seen, unseen, recipe, given.out / f"{count:02d}_{name}")
            rows[f"{count} slices, {name}"] = row
            print(table({f"{count} slices, {name}": row}), flush=True)
    lines = {
        name: (list(counts), [rows[f"{count} slices, {name}"]["v_rand"] for count in counts])
        for name in AUGMENTATIONS
    }
    chart = line_chart(lines, "Unseen slices", "training slices", "V_Rand")
    write(given.out / "results.svg", standalone(chart))
    note = f"Seed {given.recipe.run.seed}, {given.recipe.run.steps} steps. {circumstances()}"
    text = f"{table(rows)}\n\n{note}\n"
    write(given.out / "results.md", text)
    print(text)
    return rows


if __name__ == "__main__":
    main()
