"""What runs a network, and in which precision: time, difference, and what it does to scores.

    python benchmarks/inference.py [DATA/dsb2018_full]

The network of the preset `nuclei` on one tile of 512 x 512, one thread, CPU time, every engine and
precision in turn, best of several after one that is not counted. The yardstick is Keras in float32,
whose logits every engine gives to 1e-4 in float32, or the script ends with 1. Target: bfloat16 is
1.8 times faster on CPUs that have it (the script says whether this one does).

With a folder of images and masks also the scores of both precisions on 40 of its images, without
test-time augmentation. Target: they differ by 0.003 or less.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

os.environ["OMP_NUM_THREADS"] = "1"  # before TensorFlow is imported
import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.table import Table

import keras_unet as ku
from keras_unet.inference.engines.base import Engine
from keras_unet.inference.engines.keras_engine import KerasEngine
from keras_unet.inference.precision import cpu_has_bfloat16

TILE = 512
ROUNDS = 5
SCORES = ("ap50", "f1", "seg", "foreground_dice")


class Run(NamedTuple):
    """An engine in a precision, its CPU seconds for the tile, and its logits."""

    engine: Engine
    seconds: float
    logits: np.ndarray


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="?", help="folder with images and masks")
    parser.add_argument("--images", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    given = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    segmenter = ku.Segmenter.from_preset("nuclei").replace(tta=None)
    console = Console(width=100)
    console.print(f"This CPU has {'bfloat16' if cpu_has_bfloat16() else 'no bfloat16'}.")
    with tempfile.TemporaryDirectory() as folder:
        runs = timed(engines(segmenter, Path(folder)), given.rounds)
    console.print(table_of(runs))
    if given.data is not None:
        console.print(scores_table(segmenter, given.data, given.images))
    yardstick = runs[0].logits
    far = [run for run in runs if run.engine.precision == "float32" and off(run, yardstick) > 1e-4]
    if far:
        sys.exit(f"other logits than Keras's: {', '.join(run.engine.name for run in far)}")


def engines(segmenter: ku.Segmenter, folder: Path) -> list[Engine]:
    """Every engine that is installed, in every precision that it has; Keras in float32 first."""
    found: list[Engine] = [KerasEngine(segmenter.model)]
    for name, file in {"onnx": "nuclei.onnx", "openvino": "nuclei.xml"}.items():
        try:
            path = segmenter.export(folder / name / file, name)
            found.append(ku.Segmenter.load(path, engine=name, num_threads=1).engine)
        except ImportError as error:
            print(error)
    return [engine.in_precision(one) for engine in found for one in engine.precisions]


def timed(engines: list[Engine], rounds: int) -> list[Run]:
    batch = np.random.default_rng(0).normal(size=(1, TILE, TILE, 3)).astype(np.float32)
    logits = [engine(batch) for engine in engines]
    best = [np.inf] * len(engines)
    for _ in range(rounds):
        for number, engine in enumerate(engines):
            best[number] = min(best[number], cpu_seconds(lambda engine=engine: engine(batch)))
    return [Run(*one) for one in zip(engines, best, logits, strict=True)]


def cpu_seconds(function: Callable[[], object]) -> float:
    start = time.process_time()
    function()
    return time.process_time() - start


def off(run: Run, logits: np.ndarray) -> float:
    return float(np.abs(run.logits - logits).max())


def table_of(runs: list[Run]) -> Table:
    table = Table(title=f"One tile of {TILE} x {TILE}, one thread")
    for name in ("engine", "precision", "CPU ms", "Keras / this", "logits off by", "other class"):
        table.add_column(name, justify="right")
    first = runs[0]
    for run in runs:
        changed = np.mean((run.logits > 0) != (first.logits > 0))
        table.add_row(
            run.engine.name,
            run.engine.precision,
            f"{1000 * run.seconds:.0f}",
            f"{first.seconds / run.seconds:.2f}",
            f"{off(run, first.logits):.1e}",
            f"{changed:.4%}",
        )
    return table


def scores_table(segmenter: ku.Segmenter, folder: Path, count: int) -> Table:
    """Scores of both precisions on images from all over a folder."""
    samples = ku.data.read_folder(folder / "images", folder / "masks", kind="instances", channels=3)
    samples = samples[:: max(len(samples) // count, 1)][:count]
    scores = {
        precision: segmenter.replace(precision=precision).evaluate(samples)
        for precision in ("float32", "bfloat16")
    }
    table = Table(title=f"Keras on {len(samples)} images of {folder.name}")
    for name in ("score", *scores, "difference", "target"):
        table.add_column(name, justify="right")
    for name in SCORES:
        full, low = (scores[precision][name] for precision in scores)
        table.add_row(name, f"{full:.4f}", f"{low:.4f}", f"{low - full:+.4f}", "<= 0.003")
    return table


if __name__ == "__main__":
    main()
