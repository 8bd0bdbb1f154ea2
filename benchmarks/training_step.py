"""Does the pipeline keep up with the step, and does the step keep up with PyTorch?

One U-Net (width 32, depth 4, same padding), tiles of 256x256, batch 4, Adam. In one process each:

1. `model.fit` on the augmented pipeline against `model.fit` on one fixed batch (the bare step);
2. the bare step against a plain PyTorch U-Net of the same size, each with its precision options.

    python benchmarks/training_step.py [--steps 6] [--threads 2] [--skip-torch]

What a normalization adds to the bare step is another question, with CPU time: the networks are
trained in turn in one process, each time is the best step, and ours is compared with Keras's own
layer, whose trained weights must be equal to 1e-5 (float32) before anything is timed.

    python benchmarks/training_step.py --norm none batch group [--width 16] [--policy float32]

The tables go to standard output; `benchmarks/RESULTS.md` keeps the last ones.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import subprocess
import sys
import time
import unittest.mock
from typing import Any

WIDTH, DEPTH, TILE, BATCH = 32, 4, 256, 4


def keras_step(policy: str, jit: bool, steps: int, threads: int) -> tuple[float, float]:
    """Median milliseconds of (bare step, step fed by the pipeline)."""
    import keras
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    import keras_unet as ku

    keras.mixed_precision.set_global_policy(policy)
    model = ku.models.UNet((TILE, TILE, 1), filters=WIDTH, depth=DEPTH, padding="same")
    model.compile("adam", loss=ku.losses.WeightedCrossentropy(), jit_compile=jit)
    samples = ku.data.synthetic_cells(8, shape=(512, 512), seed=0)
    pipeline = ku.data.training_dataset(
        samples,
        model.geometry,
        tile=TILE,
        batch_size=BATCH,
        augmentation=ku.data.Augmentation(),
        weights="paper",
    )
    fixed = tf.data.Dataset.from_tensors(next(iter(pipeline))).repeat()

    class Clock(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.marks = []

        def on_train_batch_end(self, batch, logs=None):
            self.marks.append(time.perf_counter())

    clock, times = Clock(), {"fixed": [], "pipeline": []}
    model.fit(fixed, steps_per_epoch=3, verbose=0)
    for _ in range(3):  # in turn, so that drift of a shared machine hits both
        for name, data in (("fixed", fixed), ("pipeline", pipeline)):
            model.fit(data, steps_per_epoch=steps, verbose=0, callbacks=[clock])
            marks = clock.marks[1:]  # the first step waits for the pipeline to start
            times[name].append((marks[-1] - marks[0]) / (len(marks) - 1) * 1e3)
    return statistics.median(times["fixed"]), statistics.median(times["pipeline"])


def norm_steps(
    norms: list[str], width: int, policy: str, steps: int, threads: int
) -> dict[str, float]:
    """Least CPU milliseconds of a bare step of each normalization; "keras" is batch by Keras."""
    import keras
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    weights = {norm: trained_weights(norm) for norm in ("batch", "keras")}
    apart = max(float(abs(a - b).max()) for a, b in zip(*weights.values(), strict=True))
    if apart > 1e-5:
        sys.exit(f"after 4 steps the weights differ from those of Keras's layer by {apart:.1e}")
    keras.mixed_precision.set_global_policy(policy)
    generator = tf.random.Generator.from_seed(0)
    batch = (
        generator.normal((BATCH, TILE, TILE, 1)),
        generator.uniform((BATCH, TILE, TILE), maxval=2, dtype=tf.int32),
    )
    data = tf.data.Dataset.from_tensors(batch).repeat()
    models = {norm: compiled(norm, TILE, width, DEPTH, "adam") for norm in norms}
    times = dict.fromkeys(norms, float("inf"))

    class Clock(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            self.start = time.process_time()

        def on_train_batch_end(self, batch, logs=None):
            self.marks.append((time.process_time() - self.start) * 1e3)

    clock = Clock()
    for number in range(4):
        for norm, model in models.items():
            clock.marks = []
            model.fit(data, steps_per_epoch=steps if number else 1, verbose=0, callbacks=[clock])
            if number:  # the first time is tracing
                times[norm] = min(times[norm], *clock.marks)
    return times


def compiled(norm: str, tile: int, width: int, depth: int, optimizer: object) -> object:
    """A U-Net with this normalization, ready for training."""
    import keras

    import keras_unet as ku
    from keras_unet.models import blocks

    layer = blocks.BatchNormalization if norm != "keras" else keras.layers.BatchNormalization
    name = {"none": None, "keras": "batch"}.get(norm, norm)
    with unittest.mock.patch.object(blocks, "BatchNormalization", layer):
        model = ku.models.UNet(
            (tile, tile, 1), filters=width, depth=depth, padding="same", normalization=name
        )
    model.compile(optimizer, loss=ku.losses.WeightedCrossentropy())
    return model


def trained_weights(norm: str) -> list:
    """Weights of a small network after four steps in float32."""
    import keras
    import numpy as np

    keras.utils.set_random_seed(0)
    model = compiled(norm, 24, 4, 2, keras.optimizers.SGD(0.05))
    generator = np.random.default_rng(0)
    x = generator.normal(size=(16, 24, 24, 1)).astype("float32")
    model.fit(x, (x[..., 0] > 0).astype("int32"), batch_size=4, shuffle=False, verbose=0)
    return model.get_weights()


def print_norms(options: argparse.Namespace) -> None:
    """The table of normalizations."""
    norms = ["none", *(["keras"] if "batch" in options.norm else [])]
    norms += [norm for norm in options.norm if norm != "none"]
    call = f"{norms}, {options.width}, {options.policy!r}, {options.steps}, {options.threads}"
    print(f"| width {options.width}, {options.policy} | CPU ms a step | more than without |")
    print("|---|---|---|")
    times = in_subprocess(f"norm_steps({call})") or sys.exit(1)
    for norm, spent in times.items():
        name = {"keras": "batch, Keras's layer"}.get(norm, norm)
        print(f"| {name} | {spent:.0f} | {100 * (spent / times['none'] - 1):+.1f} % |")


def torch_step(autocast: bool, channels_last: bool, steps: int, threads: int) -> float:
    """Median milliseconds of a PyTorch training step on one fixed batch."""
    import torch
    from torch import nn

    torch.set_num_threads(threads)

    def block(inputs: int, outputs: int) -> nn.Sequential:
        return nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, padding=1),
            nn.ReLU(inplace=True),
        )

    class UNet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            widths = [WIDTH * 2**level for level in range(DEPTH + 1)]
            self.down = nn.ModuleList(map(block, [1, *widths[:-1]], widths))
            self.up = nn.ModuleList(
                nn.ConvTranspose2d(2 * width, width, 2, 2) for width in widths[-2::-1]
            )
            self.join = nn.ModuleList(block(2 * width, width) for width in widths[-2::-1])
            self.pool, self.head = nn.MaxPool2d(2), nn.Conv2d(WIDTH, 2, 1)
            self.dropout = nn.Dropout(0.5)

        def forward(self, x):
            skips = []
            for level, down in enumerate(self.down):
                x = down(self.pool(x) if level else x)
                x = self.dropout(x) if level >= DEPTH - 1 else x
                skips.append(x)
            for up, join, skip in zip(self.up, self.join, skips[-2::-1], strict=True):
                x = join(torch.cat([skip, up(x)], 1))
            return self.head(x)

    layout = torch.channels_last if channels_last else torch.contiguous_format
    model = UNet().to(memory_format=layout)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    x = torch.randn(BATCH, 1, TILE, TILE).to(memory_format=layout)
    y, w = torch.randint(0, 2, (BATCH, TILE, TILE)), torch.rand(BATCH, TILE, TILE)
    marks = []
    for _ in range(steps + 3):
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            logits = model(x)
        loss = nn.functional.cross_entropy(logits.float(), y, reduction="none")
        ((loss * w).sum() / w.sum()).backward()
        optimizer.step()
        marks.append(time.perf_counter())
    return statistics.median((b - a) * 1e3 for a, b in itertools.pairwise(marks[2:]))


def in_subprocess(call: str) -> Any:
    """Evaluates a call of this module in a fresh process, so that settings do not mix."""
    folder = os.path.dirname(os.path.abspath(__file__))
    code = f"import sys; sys.path.insert(0, {folder!r}); import training_step as t; print(t.{call})"
    environment = dict(os.environ, TF_CPP_MIN_LOG_LEVEL="3")
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment
    )
    if result.returncode:
        print(f"{call} failed: {result.stderr.strip().splitlines()[-1]}", file=sys.stderr)
        return None
    value = eval(result.stdout.strip().splitlines()[-1])
    return [value] if isinstance(value, float) else value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--threads", type=int, help="2 by default; 1 with --norm")
    parser.add_argument("--skip-torch", action="store_true")
    parser.add_argument("--norm", nargs="+", choices=("none", "batch", "group"))
    parser.add_argument("--width", type=int, default=WIDTH, help="with --norm")
    parser.add_argument("--policy", default="mixed_bfloat16", help="with --norm")
    options = parser.parse_args()
    options.threads = options.threads or (1 if options.norm else 2)
    if options.norm:
        return print_norms(options)
    tail = f"{options.steps}, {options.threads})"
    print(
        f"| engine | settings | bare step ms | fed step ms | fed / bare |  ({options.threads} thr)"
    )
    print("|---|---|---|---|---|")
    best: dict[str, float] = {}
    for policy, jit in itertools.product(("float32", "mixed_bfloat16"), (False, True)):
        found = in_subprocess(f"keras_step({policy!r}, {jit}, {tail}")
        if found:
            bare, fed = found
            best["keras"] = min(best.get("keras", bare), bare)
            settings = f"Keras on TensorFlow | {policy}{', XLA' if jit else ''}"
            print(f"| {settings} | {bare:.0f} | {fed:.0f} | {fed / bare:.3f} |")
    for autocast, last in () if options.skip_torch else itertools.product((False, True), repeat=2):
        found = in_subprocess(f"torch_step({autocast}, {last}, {tail}")
        if found:
            best["torch"] = min(best.get("torch", found[0]), found[0])
            layout = "channels last" if last else "channels first"
            print(
                f"| PyTorch | {'bf16' if autocast else 'float32'}, {layout} | {found[0]:.0f} | | |"
            )
    if len(best) == 2:
        print(f"\nbest Keras / best PyTorch: {best['keras'] / best['torch']:.2f}")


if __name__ == "__main__":
    main()
