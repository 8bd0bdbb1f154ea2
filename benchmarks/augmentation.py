"""How fast is the fused elastic deformation inside `tf.data`, against the usual ways?

One 512 x 512 float32 image and its mask are deformed by the paper's field (3 x 3 knots, 10 px, or
the peer's nearest setting), image linear, mask nearest, mirrored, inside `Dataset.map`. Peers that
are not TensorFlow run under `tf.numpy_function`, as their users run them. Everything has a single
thread: no parallel calls, one intra-op and inter-op thread, one OpenCV, OpenMP and torch thread.
The table counts CPU time of the process, the fastest of several rounds that take turns, so a busy
machine disturbs it little. The last row does all defaults of `Augmentation`: any rotation, flips,
gamma, gain and offset too.

    python benchmarks/augmentation.py

Peers that are not installed are skipped: `pip install monai albumentations` and, as its wheel does
not import with NumPy 2, `pip install --no-binary elasticdeform elasticdeform`. Exit status 1 if a
target is missed: 20 times elasticdeform, 0.9 times the hand-written `cv2.remap`.
"""

from __future__ import annotations

import os

# Before NumPy and TensorFlow are imported: one thread each.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import cv2
import keras
import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.table import Table

from keras_unet.augmentation import field as warp
from keras_unet.data import Augmentation

SIZE, GRID, SIGMA = 512, 3, 10.0
TARGETS = {"elasticdeform": 20.0, "cv2.remap": 0.9}
"""Peer -> its CPU time in units of ours that is aimed at."""

RNG = np.random.default_rng(0)
IMAGE = RNG.random((SIZE, SIZE), dtype=np.float32)
MASK = (np.add.outer(np.arange(SIZE) // 32, np.arange(SIZE) // 32) % 5).astype(np.uint8)


def ours(augmentation: Augmentation) -> Callable[[tf.Tensor], Any]:
    image, mask = tf.constant(IMAGE[..., None]), tf.constant(MASK)
    return lambda index: augmentation(image, mask, tf.stack([0, index]))


def by_numpy(deform: Callable[[], tuple[Any, Any]]) -> Callable[[tf.Tensor], Any]:
    """A peer outside of TensorFlow."""

    def step() -> tuple[np.ndarray, np.ndarray]:
        image, mask = deform()
        return np.asarray(image, np.float32), np.asarray(mask, np.uint8)

    return lambda index: tf.numpy_function(step, [], [tf.float32, tf.uint8])


def hand_written() -> Callable[[tf.Tensor], Any]:
    cv2.setNumThreads(1)
    basis = warp.basis(np.linspace(0, GRID - 1, SIZE), GRID, "bicubic").astype(np.float32)
    pixels = np.arange(SIZE, dtype=np.float32)

    def deform() -> tuple[np.ndarray, np.ndarray]:
        knots = RNG.normal(0, SIGMA, (2, GRID, GRID)).astype(np.float32)
        field = basis.T @ knots @ basis
        at = (field[1] + pixels, field[0] + pixels[:, None])
        return (
            cv2.remap(IMAGE, *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101),
            cv2.remap(MASK, *at, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REFLECT_101),
        )

    return by_numpy(deform)


def elasticdeform() -> Callable[[tf.Tensor], Any]:
    import elasticdeform as peer

    return by_numpy(
        lambda: peer.deform_random_grid(
            [IMAGE, MASK], sigma=SIGMA, points=GRID, order=[1, 0], mode="mirror"
        )
    )


def monai() -> Callable[[tf.Tensor], Any]:
    import torch
    from monai.transforms import Rand2DElasticd

    torch.set_num_threads(1)
    deform = Rand2DElasticd(
        keys=["image", "mask"],
        spacing=(256, 256),
        magnitude_range=(SIGMA, SIGMA),
        prob=1.0,
        mode=["bilinear", "nearest"],
        padding_mode="reflection",
    )

    def step() -> tuple[Any, Any]:
        out = deform({"image": IMAGE[None], "mask": MASK[None]})
        return out["image"][0], out["mask"][0]

    return by_numpy(step)


def albumentations() -> Callable[[tf.Tensor], Any]:
    import albumentations as peer

    deform = peer.ElasticTransform(
        alpha=300, sigma=50, border_mode=cv2.BORDER_REFLECT_101, p=1.0, approximate=False
    )

    def step() -> tuple[Any, Any]:
        out = deform(image=IMAGE, mask=MASK)
        return out["image"], out["mask"]

    return by_numpy(step)


def keras_layer() -> Callable[[tf.Tensor], Any]:
    layer = keras.layers.RandomElasticTransform(factor=(1.0, 1.0), scale=(0.2, 0.2), seed=0)
    pair = {
        "images": tf.constant(IMAGE[None, ..., None]),
        "segmentation_masks": tf.constant(MASK[None, ..., None].astype(np.float32)),
    }
    return lambda index: layer(dict(pair), training=True)


ELASTIC = Augmentation(
    grid=GRID, sigma=SIGMA, rotation=0.0, flip=False, gamma=1.0, gain=1.0, offset=0.0
)
ROWS: dict[str, tuple[Callable[[], Callable[[tf.Tensor], Any]], int]] = {
    "keras_unet": (lambda: ours(ELASTIC), 100),
    "cv2.remap": (hand_written, 100),
    "elasticdeform": (elasticdeform, 5),
    "MONAI Rand2DElasticd": (monai, 5),
    "albumentations ElasticTransform": (albumentations, 5),
    "keras RandomElasticTransform": (keras_layer, 1),
    "keras_unet, all defaults": (lambda: ours(Augmentation()), 100),
}
"""Name -> (maker, pairs a round)."""


def stream(make: Callable[[], Callable[[tf.Tensor], Any]]) -> Iterator[Any]:
    # Neither parallel calls nor prefetching, which would work during the others' turns.
    dataset = tf.data.Dataset.range(10**9, output_type=tf.int64).map(make())
    options = tf.data.Options()
    options.threading.private_threadpool_size = 1
    options.threading.max_intra_op_parallelism = 1
    options.autotune.enabled = False
    options.experimental_optimization.inject_prefetch = False
    return iter(dataset.with_options(options))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="rounds that take turns")
    rounds = parser.parse_args().rounds
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    console = Console()
    streams = {}
    for name, (make, _) in ROWS.items():
        try:
            streams[name] = stream(make)
            next(streams[name])  # compiles
        except (ImportError, AttributeError) as error:
            console.print(f"{name} is skipped: {error}. How to install it is on top of this file.")
            streams.pop(name, None)
    cpu = dict.fromkeys(streams, float("inf"))
    wall = dict.fromkeys(streams, float("inf"))
    for _ in range(rounds):
        for name, items in streams.items():
            count = ROWS[name][1]
            clock, time_of_day = time.process_time(), time.perf_counter()
            for _ in range(count):
                next(items)
            cpu[name] = min(cpu[name], (time.process_time() - clock) / count)
            wall[name] = min(wall[name], (time.perf_counter() - time_of_day) / count)
    table = Table("one thread, 512 x 512 image + mask", "CPU ms", "pairs/s", "CPU / ours", "target")
    missed = False
    for name in streams:
        ratio, target = cpu[name] / cpu["keras_unet"], TARGETS.get(name)
        missed |= target is not None and ratio < target
        aim = "" if target is None else f">= {target:g}"
        table.add_row(name, f"{1e3 * cpu[name]:.2f}", f"{1 / wall[name]:.0f}", f"{ratio:.2f}", aim)
    console.print(table)
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
