"""What `keras-unet predict --preset nuclei one.png` costs from start to mask, and where it goes.

    python benchmarks/start.py [IMAGE] [--margin PX]

Each line is a process of its own: CPU time (user and system) and peak memory, best of several in
turn, one thread (two engines start threads of their own that wait). Without an image a drawn one
of 256 x 256 is segmented. The yardstick is `python -c "import tensorflow"` of the same run.
Targets for the plain install (ONNX Runtime): 2.5 CPU s, 400 MB, 0.65 of the yardstick.

The parts of the command are measured inside of it, in one more process each: imports of the command
and of the engine, opening the network, running it, and all the rest (reading, normalization,
objects, writing).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
from rich.console import Console
from rich.table import Table

import keras_unet as ku

ROUNDS = 3
ENGINES = ("onnx", "openvino", "keras")
COMMAND = "import sys; from keras_unet.commands.app import app; app(sys.argv[1:])"
PARTS = """
import json, sys, time
seconds, last = {}, time.process_time()
def lap(name):
    global last
    now = time.process_time()
    seconds[name] = seconds.get(name, 0) + now - last
    last = now
from keras_unet.commands.app import app
from keras_unet.inference.segmenter import Segmenter
from keras_unet.report.results import predict_files
lap("imports of the command")
import importlib
package = {"onnx": "onnxruntime", "openvino": "openvino", "keras": "keras"}[sys.argv[1]]
importlib.import_module(package)
if package == "keras":
    import tensorflow
lap("import of the engine")
segmenter = Segmenter.from_preset("nuclei", engine=sys.argv[1])
lap("opening the network")
engine, call = segmenter.engine, type(segmenter.engine).__call__
def timed(self, batch):
    lap("reading, objects, writing")
    result = call(self, batch)
    lap("running the network")
    return result
type(engine).__call__ = timed
margin = sys.argv[4] if sys.argv[4] == "full" else int(sys.argv[4])
predict_files(segmenter, sys.argv[2], sys.argv[3], margin=margin)
lap("reading, objects, writing")
print(json.dumps(seconds))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("image", type=Path, nargs="?")
    parser.add_argument("--margin", default="full", help="mirrored pixels, as for predict")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    given = parser.parse_args()
    console = Console(width=110)
    with tempfile.TemporaryDirectory() as folder:
        image = given.image or drawn(Path(folder))
        console.print(whole_table(image, Path(folder), given))
        console.print(parts_table(image, Path(folder), given))


def drawn(folder: Path) -> Path:
    (sample,) = ku.data.synthetic_cells(1, shape=(256, 256), seed=0)
    cv2.imwrite(str(folder / "cells.png"), sample.image)
    return folder / "cells.png"


def child(*arguments: str) -> tuple[float, float, str]:
    """CPU seconds, peak memory in MB and output of a Python process."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    process = subprocess.Popen(
        [sys.executable, "-c", *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    output = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"{arguments} ended with {status}")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1000, output


def whole_table(image: Path, folder: Path, given: argparse.Namespace) -> Table:
    call = (COMMAND, "predict", "--preset", "nuclei", str(image), "--out", str(folder / "out"))
    call = (*call, "--margin", given.margin)
    processes = {"import tensorflow": ("import tensorflow",)}
    processes |= {f"predict, {name}": (*call, "--engine", name) for name in ENGINES}
    best = {name: (float("inf"), float("inf")) for name in processes}
    for _ in range(given.rounds + 1):  # the first one compiles and warms up caches
        for name, arguments in processes.items():
            seconds, megabytes, _ = child(*arguments)
            best[name] = (min(best[name][0], seconds), min(best[name][1], megabytes))
    yardstick = best["import tensorflow"][0]
    table = Table(title=f"Start to mask, {image.name}")
    for name in ("process", "CPU s", "/ import tensorflow", "peak MB"):
        table.add_column(name, justify="right")
    for name, (seconds, megabytes) in best.items():
        table.add_row(name, f"{seconds:.2f}", f"{seconds / yardstick:.2f}", f"{megabytes:.0f}")
    return table


def parts_table(image: Path, folder: Path, given: argparse.Namespace) -> Table:
    best: dict[str, dict[str, float]] = {name: {} for name in ENGINES}
    for _ in range(given.rounds):
        for name in ENGINES:
            parts = json.loads(
                child(PARTS, name, *map(str, (image, folder / "parts", given.margin)))[2]
            )
            for part, seconds in parts.items():
                best[name][part] = min(best[name].get(part, float("inf")), seconds)
    table = Table(title="Where the CPU s go")
    for name in ("part", *ENGINES):
        table.add_column(name, justify="right")
    for part in best[ENGINES[0]]:
        table.add_row(part, *[f"{best[name][part]:.2f}" for name in ENGINES])
    return table


if __name__ == "__main__":
    main()
