"""How much memory does each of several trainings in one process leave behind?

    python benchmarks/folds.py [--folds 7]

Trains small networks one after the other in one process, as a cross-validation does, and prints the
resident memory after each. The first ones fill what TensorFlow keeps for good; what counts is the
growth a fold after the second. Ends with 1 if that is 20 MiB or more.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras_unet as ku

ALLOWED = 20.0
"""MiB a fold."""


def resident() -> float:
    """Resident memory of this process in MiB."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folds", type=int, default=7)
    folds = max(parser.parse_args().folds, 4)
    samples = ku.data.synthetic_cells(folds, shape=(96, 112), seed=0)
    recipe = ku.Recipe(
        model={"filters": 4, "depth": 2},
        batches={"tile": 64, "size": 2},
        run={"steps": 10, "validate_every": 5, "tensorboard": False},
    )
    sizes = []
    with tempfile.TemporaryDirectory() as folder:
        for fold in range(folds):
            held_out, rest = [samples[fold]], samples[:fold] + samples[fold + 1 :]
            run = Path(folder) / str(fold)
            segmenter = ku.train(rest, recipe, run, validation=held_out, progress=False)
            segmenter.predict(held_out[0].image)
            del segmenter
            sizes.append(resident())
            print(f"fold {fold + 1}: {sizes[-1]:.0f} MiB", flush=True)
    growth = (sizes[-1] - sizes[1]) / (folds - 2)
    print(f"{growth:.1f} MiB a fold after the second (at most {ALLOWED:.0f} are allowed)")
    return int(growth >= ALLOWED)


if __name__ == "__main__":
    sys.exit(main())
