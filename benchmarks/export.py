"""What an exported network loses and gains: scores, size and time of every TFLite variant.

    python benchmarks/export.py DATA/dsb2018

The shipped preset `nuclei` without test-time augmentation, on the 24 images that its training has
not seen; int8 is calibrated on 16 training images. The float32
file is the reference. Time is of one tile of 512 x 512 in the interpreter with two threads, each
variant measured in turn for a number of rounds, so that a busy machine is busy for all; the ratio
is of the medians. Targets: int8 loses 0.01 foreground IoU or less, has 0.27 times the size and 0.45
times the time of float32.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

import keras_unet as ku
from keras_unet.sample import Sample

TILE = 512
ROUNDS = 9
VARIANTS = {"float32": None, "float16": "float16", "dynamic range": "dynamic", "int8": "int8"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of dsb2018: images, masks, index.csv")
    parser.add_argument("--limit", type=int, default=None, help="images that are scored")
    given = parser.parse_args()
    training, held_out = read(given.data)
    held_out = held_out[: given.limit]
    segmenter = ku.Segmenter.from_preset("nuclei", engine="keras")
    segmenter = segmenter.replace(tta=None)
    console = Console(width=100)
    with tempfile.TemporaryDirectory() as folder:
        files = export_all(segmenter, training[:: max(len(training) // 16, 1)][:16], Path(folder))
        times = time_all(files)
        table = scores_table(segmenter, files, times, held_out)
        console.print(table)
        console.print(server_parity(segmenter, held_out[:4], Path(folder)))


def read(folder: Path) -> tuple[list[Sample], list[Sample]]:
    """Training and held-out samples, divided as by `examples/train_nuclei.py`."""
    read = ku.data.read_folder(folder / "images", folder / "masks", kind="instances", channels=3)
    samples = {sample.name: sample for sample in read}
    groups: dict[tuple[str, ...], list[str]] = {}
    with (folder / "index.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            place = (row["height"], row["width"], row["mode"])
            groups.setdefault(place, []).append(Path(row["file"]).stem)
    training, held_out = [], []
    for group in groups.values():
        for index, name in enumerate(sorted(group)):
            if index % 5 == 2:
                held_out.append(samples[name])
            elif index % 10 != 4:
                training.append(samples[name])
    return training, held_out


def export_all(segmenter: ku.Segmenter, samples: list[Sample], folder: Path) -> dict[str, Path]:
    files = {}
    for name, quantization in VARIANTS.items():
        files[name] = ku.export.tflite(
            segmenter,
            folder / f"{name.replace(' ', '_')}.tflite",
            tile=TILE,
            quantization=quantization,
            samples=samples if quantization == "int8" else None,
        )
    return files


def time_all(files: dict[str, Path]) -> dict[str, float]:
    """Median seconds of one tile."""
    tile = np.random.default_rng(0).random((1, TILE, TILE, 3), np.float32)
    engines = {n: ku.export.TFLiteSegmenter(file, num_threads=2) for n, file in files.items()}
    seconds: dict[str, list[float]] = {name: [] for name in files}
    for round_number in range(ROUNDS + 2):
        for name, engine in engines.items():
            start = time.perf_counter()
            engine.tile_probabilities(tile)
            if round_number >= 2:
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def scores_table(
    segmenter: ku.Segmenter,
    files: dict[str, Path],
    times: dict[str, float],
    samples: list[Sample],
) -> Table:
    rows = {"Segmenter": segmenter.evaluate(samples)}
    for name, file in files.items():
        rows[name] = ku.export.TFLiteSegmenter(file, num_threads=2).evaluate(samples)
    reference = rows["float32"]
    table = Table(title=f"Preset nuclei, {len(samples)} images, tile {TILE}")
    heads = ("", "IoU", "drop", "AP@0.5", "drop", "SEG", "drop", "MB", "size", "ms", "time")
    for head in heads:
        table.add_column(head, justify="right" if head else "left")
    for name, row in rows.items():
        cells = []
        for score in ("foreground_iou", "ap50", "seg"):
            cells += [f"{row[score]:.4f}", f"{reference[score] - row[score]:+.4f}"]
        if name in files:
            size, base = (files[n].stat().st_size for n in (name, "float32"))
            cells += [f"{size / 1e6:.2f}", f"{size / base:.3f}"]
            cells += [f"{1000 * times[name]:.1f}", f"{times[name] / times['float32']:.3f}"]
        table.add_row(name, *cells)
    return table


def server_parity(segmenter: ku.Segmenter, samples: list[Sample], folder: Path) -> str:
    """Largest difference of the SavedModel to `Segmenter.predict`."""
    import tensorflow as tf

    version = ku.export.saved_model(segmenter, folder / "models" / "nuclei")
    run = tf.saved_model.load(str(version)).signatures["serving_default"]
    largest = 0.0
    for sample in samples:
        image = sample.image.astype(np.float32)
        found = run(images=tf.constant(image[None]))["probabilities"].numpy()[0]
        largest = max(largest, float(np.abs(found - segmenter.predict(image).probabilities).max()))
    size = sum(file.stat().st_size for file in version.rglob("*") if file.is_file())
    return (
        f"SavedModel: {size / 1e6:.1f} MB with warm-up; largest difference to Segmenter.predict on "
        f"{len(samples)} images: {largest:g}"
    )


if __name__ == "__main__":
    main()
