"""The paper's EM table, reproduced by cross-validation on the training slices of ISBI 2012.

    python examples/reproduce_isbi2012.py DATA/isbi2012

Trains one network (or several, `--nets`) for each of four contiguous folds of slices, because
neighbouring slices resemble each other, predicts the unseen slices with 8 flips and rotations, and
scores them with the challenge's own measures beside the paper's figures (which are of the secret
test) and the floor, the blurred raw image. Each fold is scored as predicted and with its broken
membranes closed (`targets.close_membranes`), to the depth that is best on the other folds.

Expected (examples/RESULTS.md): pixel error about 0.055, V_Rand about 0.97; Rand error about 0.08 as
predicted and 0.04 with membranes closed.
Cost: a fold takes 45 minutes on two CPU cores with bfloat16 units and several times that without
(then `--set run.precision=float32`), a few minutes on a GPU. `--only 3` trains the last fold alone.

Interrupted runs go on where they stopped; finished folds are kept in the folder `--out`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from experiments import (
    PAPER,
    circumstances,
    floor_scores,
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
from keras_unet.metrics import isbi
from keras_unet.objects import close_membranes
from keras_unet.report.pictures import write_png

DEPTHS = (0.5, 0.35, 0.25, 0.15)
"""Depths of `close_membranes` to choose from; the second one where there is no other fold."""


def main(arguments: Sequence[str] | None = None) -> dict[str, dict[str, float]]:
    """Runs the folds and writes `results.md`; returns its rows."""
    parser = options(__doc__, "the slices", "runs/isbi2012", "em_cpu.yaml")
    parser.add_argument("--folds", type=int, default=4, help="contiguous folds; default: 4")
    parser.add_argument("--only", type=int, nargs="*", help="folds to run, from 0; default: all")
    parser.add_argument("--nets", type=int, default=1, help="networks to average; default: 1")
    parser.add_argument("--tta", default="d4", help="flips, d4 or paper7; default: d4")
    given = parse(parser, arguments)
    samples = quick_samples(4) if given.quick else ku.data.read_isbi2012(given.data)
    parts = np.array_split(np.arange(len(samples)), given.folds)
    chosen = list(range(given.folds) if given.only is None else given.only)
    names = {fold: f"slices {parts[fold][0]}-{parts[fold][-1]}" for fold in chosen}
    labels, proposals, rows = {}, {}, {}
    for fold in chosen:
        unseen = [samples[i] for i in parts[fold]]
        seen = [s for i, s in enumerate(samples) if i not in parts[fold]]
        labels[fold] = stack_of(unseen)
        proposals[fold] = predict_fold(seen, unseen, given.out / f"fold{fold}", given)
        rows[names[fold]] = fold_scores(fold, labels[fold], proposals[fold], None, given)
        print(table({names[fold]: rows[names[fold]]}), flush=True)
    closed = {}
    for fold in chosen:
        depth = best_depth([other for other in chosen if other != fold], labels, proposals, given)
        name = f"{names[fold]}, membranes closed to {depth}"
        rows[name] = fold_scores(fold, labels[fold], proposals[fold], depth, given)
        closed[fold] = close(proposals[fold], depth)
        write_mismatches(given.out / f"fold{fold}", labels[fold], closed[fold])
    if len(chosen) > 1:
        together = np.concatenate(list(labels.values()))
        rows["all folds"] = isbi_scores(together, np.concatenate(list(proposals.values())))
        rows["all folds, membranes closed"] = isbi_scores(
            together, np.concatenate(list(closed.values()))
        )
    rows["floor"] = floor_scores([samples[i] for fold in chosen for i in parts[fold]])
    rows["paper, secret test"] = PAPER
    text = f"{table(rows)}\n\n{given.nets} net(s), tta {given.tta}. {circumstances()}\n"
    write(given.out / "results.md", text)
    print(text)
    return rows


def fold_scores(
    fold: int,
    labels: np.ndarray,
    proposals: np.ndarray,
    depth: float | None,
    given: argparse.Namespace,
) -> dict[str, float]:
    """The five numbers of a fold, as predicted or with membranes closed; computed once."""
    suffix = "" if depth is None else f"-closed-{depth}"
    file = given.out / f"fold{fold}" / f"scores-{given.nets}-{given.tta}{suffix}.json"
    return kept(file, lambda: isbi_scores(labels, close(proposals, depth)))


def close(proposals: np.ndarray, depth: float | None) -> np.ndarray:
    """Cell probabilities of slices with their membranes closed."""
    if depth is None:
        return proposals
    return np.stack([close_membranes(proposal, depth) for proposal in proposals])


def best_depth(
    folds: Sequence[int],
    labels: dict[int, np.ndarray],
    proposals: dict[int, np.ndarray],
    given: argparse.Namespace,
) -> float:
    """The depth with the lowest mean Rand error over these folds."""
    if not folds:
        return DEPTHS[1]

    def mean_error(depth: float) -> float:
        found = [fold_scores(fold, labels[fold], proposals[fold], depth, given) for fold in folds]
        return float(np.mean([scores["rand_error"] for scores in found]))

    return min(DEPTHS, key=mean_error)


def predict_fold(
    seen: list[ku.Sample], unseen: list[ku.Sample], folder: Path, given: argparse.Namespace
) -> np.ndarray:
    """Mean cell probability of the networks of a fold, `(Z, H, W)` float32."""
    maps = []
    for net in range(given.nets):
        run = folder / f"net{net}"
        seeded = given.recipe.replace(run={"seed": given.recipe.run.seed + net})
        segmenter = ku.train(seen, seeded, run)
        file = run / f"cells-{given.tta}.npy"
        if not file.is_file():
            segmenter = segmenter.replace(tta=given.tta)
            np.save(file, [segmenter.predict(s.image).probabilities[..., 1] for s in unseen])
        maps.append(np.load(file))
    return np.mean(maps, axis=0, dtype=np.float32)


def write_mismatches(folder: Path, labels: np.ndarray, proposals: np.ndarray) -> None:
    """Pictures of the topological errors at the threshold of the lowest warping error."""
    found = isbi.evaluate(labels, proposals)
    for index in range(len(labels)):
        write_png(folder / f"mismatch{index:02d}.png", found.mismatch_picture(index))


if __name__ == "__main__":
    main()
