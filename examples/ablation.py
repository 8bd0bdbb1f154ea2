"""The paper's four ideas, each switched off: skips, elastic deformation, border weights, context.

    python examples/ablation.py DATA/isbi2012

Trains on slices 0-17 of ISBI 2012 and tests on 18-23, every variant with the same budget and seed:

- whole: the recipe as it is;
- no skip connections: the expansive path sees the deepest features only;
- no elastic deformation: rotations, flips and grey values still vary;
- no border weights: every pixel counts the same;
- no context: the whole network, but tiles of 128 px predicted one by one without their
  surroundings, instead of overlapping tiles that see them.

Expected: see examples/RESULTS.md.
Cost: four trainings of 500 steps, two to four minutes each on two CPU cores.

Interrupted runs go on where they stopped; finished variants are kept in the folder `--out`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

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

CHANGES = {
    "whole": [],
    "no skip connections": ["model.skip_connections=false"],
    "no elastic deformation": ["augmentation.sigma=0"],
    "no border weights": ["target.weights=null"],
}
LONE_TILE = 128


def main(arguments: Sequence[str] | None = None) -> dict[str, dict[str, float]]:
    """Trains and scores the variants and writes `results.md`; returns its rows."""
    parser = options(__doc__, "the slices", "runs/ablation", "em_small.yaml")
    parser.add_argument("--only", nargs="*", choices=CHANGES, default=list(CHANGES), help="rows")
    given = parse(parser, arguments)
    samples = quick_samples(4) if given.quick else ku.data.read_isbi2012(given.data)
    count = len(samples) * 3 // 4
    seen, unseen = samples[:count], samples[count:]
    rows = {}
    for name in given.only:
        recipe = given.recipe.override(CHANGES[name])
        rows[name] = scores(seen, unseen, recipe, given.out / name.replace(" ", "_"))
        print(table({name: rows[name]}), flush=True)
        if name == "whole":
            rows["no context"] = kept(
                given.out / "whole" / "scores-no-context.json",
                lambda: scores_without_context(unseen, given.out / "whole"),
            )
    note = f"Seed {given.recipe.run.seed}, {given.recipe.run.steps} steps. {circumstances()}"
    text = f"{table(rows)}\n\n{note}\n"
    write(given.out / "results.md", text)
    print(text)
    return rows


def scores(
    seen: list[ku.Sample], unseen: list[ku.Sample], recipe: ku.Recipe, run: Path
) -> dict[str, float]:
    """The challenge's five numbers of a training, from its run folder if it was scored before."""

    def make() -> dict[str, float]:
        segmenter = ku.train(seen, recipe, run)
        maps = [segmenter.predict(sample.image).probabilities[..., 1] for sample in unseen]
        return isbi_scores(stack_of(unseen), np.stack(maps))

    return kept(run / "scores.json", make)


def scores_without_context(unseen: list[ku.Sample], run: Path) -> dict[str, float]:
    """The five numbers where every tile is an image of its own."""
    segmenter = ku.Segmenter.load(run)
    maps = []
    for sample in unseen:
        cells = np.empty(sample.shape, np.float32)
        normalized = segmenter.normalization(sample.image)
        for y in range(0, sample.shape[0], LONE_TILE):
            for x in range(0, sample.shape[1], LONE_TILE):
                box = np.s_[y : y + LONE_TILE, x : x + LONE_TILE]
                cells[box] = segmenter.tile_probabilities(normalized[box][None])[0, ..., 1]
        maps.append(cells)
    return isbi_scores(stack_of(unseen), np.stack(maps))


if __name__ == "__main__":
    main()
