"""Is a training that is killed the same afterwards? Final weights of killed and undisturbed runs.

    python benchmarks/kill_training.py            # 20 of each, about ten minutes on one core
    python benchmarks/kill_training.py --times 2

Every trial is a training of a tiny network in a process of its own, which is killed once and then
started again until its end. The moments are drawn from a seed and spread over the whole run, from
the start of the process on; some more lie within the trace of the first step and within the writing
of a checkpoint. Weights, moments of the optimizer, averages and scores must equal those of a run
that nobody disturbed, bit for bit. Ends with 1 if one does not.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import signal
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

SIGNALS = ("SIGKILL", "SIGTERM")

CHILD = """
import os, signal, sys, time
import numpy as np
import keras
import keras_unet as ku
from keras_unet.files import atomic
from keras_unet.training import checkpoint

folder, name, moment, at = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
end = lambda: os.kill(os.getpid(), getattr(signal, name))

class Trace(keras.callbacks.Callback):
    def on_train_batch_begin(self, batch, logs=None):
        if moment == "trace":  # the first one traces; nothing of it is in Python's hands but this
            import threading
            threading.Timer(at / 1000, end).start()

write, written = atomic.write_atomically, []
def interrupted(path, content):
    def half(file):
        if path.suffix == ".npz":
            written.append(path)
            if len(written) == at:
                file.write(b"PK half a checkpoint")
                file.flush()
                end()
        content(file) if callable(content) else file.write(content)
    write(path, half)
if moment == "write":
    checkpoint.write_atomically = interrupted

samples = ku.data.synthetic_cells(3, shape=(40, 52), radius=5, seed=1)
recipe = ku.Recipe(
    model={"filters": 2, "depth": 1, "dropout": 0.5},
    batches={"tile": 32, "size": 2},
    optimizer={"ema": 0.5},
    run={"steps": 16, "validate_every": 6, "tensorboard": False, "checkpoint_minutes": 0.002},
)
print("begins", flush=True)
ku.train(samples, recipe, folder, validation=1, progress=False, callbacks=[Trace()])
"""


def start(folder: Path, name: str = "SIGKILL", moment: str = "none", at: int = 0):
    """Starts a training."""
    command = [sys.executable, "-c", CHILD, str(folder), name, moment, str(at)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def state_of(folder: Path) -> tuple:
    """What must be equal: all arrays of the last checkpoint and the scores."""
    from keras_unet.training.checkpoint import latest_checkpoint

    found = latest_checkpoint(folder / "checkpoint")
    if found is None:
        raise SystemExit(f"{folder} has no checkpoint")
    arrays = {
        f"{group}/{index}": array.tobytes()
        for group, several in found.groups.items()
        for index, array in enumerate(several)
    }
    scores = [
        {key: value for key, value in row.items() if key.startswith(("val_", "step", "learning"))}
        for row in found.history
    ]
    return found.step, arrays, scores


def finish(folder: Path) -> None:
    """Starts the training again and waits for its end."""
    process = start(folder)
    _, text = process.communicate(timeout=300)
    if process.returncode != 0:
        raise SystemExit(f"it does not go on: {text[-2000:]}")


def trial(folder: Path, name: str, moment: str, at: float) -> int:
    """One training that is killed and goes on; gives the exit code of the killed one."""
    if moment == "seconds":
        process = start(folder)
        process.stdout.readline()  # the packages are imported: the training begins
        time.sleep(at)
        process.send_signal(getattr(signal, name))
    else:
        process = start(folder, name, moment, int(at))
    process.communicate(timeout=300)
    if process.returncode != 0:
        finish(folder)
    return process.returncode


def main() -> int:
    """Runs all trials and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--times", type=int, default=20, help="trials of each signal")
    parser.add_argument("--signals", nargs="*", choices=SIGNALS, default=SIGNALS)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    moments = random.Random(arguments.seed)
    import keras
    import tensorflow as tf

    versions = f"TensorFlow {tf.__version__}, Keras {keras.__version__}"
    print(f"Python {platform.python_version()}, {versions}, {date.today()}")
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        process = start(root / "whole")
        process.stdout.readline()
        begun = time.monotonic()
        process.communicate(timeout=300)
        length = time.monotonic() - begun
        whole = state_of(root / "whole")
        print(f"undisturbed: {whole[0]} steps, {length:.1f} s after the imports", flush=True)
        different = 0
        for name in arguments.signals:
            few = max(arguments.times // 5, 1)
            trials = [("trace", moments.randrange(20, 1500)) for _ in range(few)]
            trials += [("write", moments.randrange(1, 6)) for _ in range(few)]
            spread = arguments.times - 2 * few
            trials += [("seconds", length * (i + moments.random()) / spread) for i in range(spread)]
            moments.shuffle(trials)
            codes: dict[int, int] = {}
            equal = 0
            for index, (moment, at) in enumerate(trials):
                folder = root / f"{name}-{index}"
                code = trial(folder, name, moment, at)
                same = state_of(folder) == whole
                left = [file.name for file in folder.rglob(".*")]
                equal += same and not left
                codes[code] = codes.get(code, 0) + 1
                result = "equal" if same else "OTHER WEIGHTS"
                print(f"{name} {moment} {at:.2f}: exit {code}, {result} {left or ''}", flush=True)
            different += len(trials) - equal
            print(f"{name}: {equal} of {len(trials)} equal, exit codes {codes}", flush=True)
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
