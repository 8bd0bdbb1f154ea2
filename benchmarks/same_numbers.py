"""Are the numbers the same as before? Checksums of what the package computes, to compare.

    python benchmarks/same_numbers.py DATA --write before.json
    # ... a change that must not change numbers ...
    python benchmarks/same_numbers.py DATA --compare before.json

It takes ten real images through the preset, four recipes through 20 steps (flat images with the
class and the seed target, RGB, volumes), the first batch and the fresh network of every recipe in
`examples/recipes`, two exports, and the cases of the challenges' measures. Only `DATA/dsb2018` is
read; everything else is synthetic. Checksums hold for one machine with one set of versions: run
both on the same. About six minutes on two CPU cores. Ends with 1 if a number differs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

import keras_unet as ku
from keras_unet.data import read_image
from keras_unet.files.lock import folder_lock
from keras_unet.metrics import instances, isbi
from keras_unet.training.setup import Setup
from keras_unet.training.trainer import _Run

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = (ROOT / "tests" / "golden", ROOT.parent / "shared" / "golden")

COMMON = {
    "filters": 4,
    "depth": 2,
    "normalization": None,
    "steps": 20,
    "validate_every": 10,
    "batch_size": 2,
    "jit_compile": False,
    "tensorboard": False,
}
RECIPES: dict[str, dict[str, Any]] = {
    "classes": {**COMMON, "tile": 68, "padding": "valid", "target_options": {"weights": "paper"}},
    "seeds": {**COMMON, "tile": 64, "target": "seeds", "resolution": 0.5, "dropout": 0.2},
    "rgb": {**COMMON, "tile": 64, "normalization": "batch", "image_normalization": "zscore"},
    "volumes": {**COMMON, "tile": 16, "depth": 1, "augmentation": {"sigma": 2.0}},
}
"""In format 1 of recipes, which every version reads."""


def checksum(*arrays: Any) -> str:
    """Sixteen hex digits of dtypes, shapes and bytes."""
    digest = hashlib.blake2b(digest_size=8)
    for array in map(np.asarray, arrays):
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def volumes(count: int) -> list[ku.Sample]:
    """Volumes with balls."""
    generator = np.random.default_rng(0)
    grid = np.stack(np.indices((18, 30, 26)), axis=-1)
    samples = []
    for number in range(count):
        ids = np.zeros(grid.shape[:-1], np.int32)
        for index in range(8):
            centre = generator.uniform((2, 2, 2), grid.shape[:-1])
            ids[((grid - centre) ** 2).sum(axis=-1) < 16] = index + 1
        image = (40 * (ids > 0) + generator.integers(0, 20, ids.shape)).astype(np.uint8)
        samples.append(ku.Sample(image[..., None], instances=ids, name=str(number)))
    return samples


def samples_for(name: str) -> list[ku.Sample]:
    """Synthetic samples that suit a recipe of this name."""
    if name in ("volumes", "hippocampus", "volume_seeds"):
        return volumes(3)
    flat = ku.data.synthetic_cells(3, shape=(120, 136), radius=10, seed=3)
    if name == "rgb":
        flat = [s.replace(image=np.repeat(s.image, 3, axis=-1)) for s in flat]
    return flat


def preset_numbers(data: Path) -> Iterator[tuple[str, str]]:
    """Instances and probabilities of ten real images."""
    segmenter = ku.Segmenter.from_preset("nuclei", engine="keras")
    for file in sorted((data / "dsb2018" / "images").glob("*.png"))[:10]:
        found = segmenter.predict(read_image(file, channels=segmenter.channels))
        yield f"preset/{file.stem}/instances", checksum(found.instances, found.classes)
        yield f"preset/{file.stem}/probabilities", checksum(found.probabilities)


def training_numbers(folder: Path) -> Iterator[tuple[str, str]]:
    """Weights, losses, predictions and exports after 20 steps."""
    for name, values in RECIPES.items():
        samples = samples_for(name)
        run = folder / name
        recipe = ku.Recipe.from_dict(values)
        segmenter = ku.train(samples[:2], recipe, run, samples[2:], progress=False)
        yield f"train/{name}/weights", checksum(*segmenter.model.get_weights())
        rows = (run / "log.csv").read_text().splitlines()
        drop = rows[0].split(",").index("seconds")
        kept = [[v for i, v in enumerate(row.split(",")) if i != drop] for row in rows]
        yield f"train/{name}/log", checksum(json.dumps(sorted(zip(*kept, strict=True))))
        found = segmenter.predict(samples[2].image)
        yield f"train/{name}/predict", checksum(*vars_of(found))
        yield f"train/{name}/flips", checksum(*flipped(segmenter, samples[2].image))
        yield from export_numbers(name, segmenter, samples[2].image, folder)


def vars_of(found: Any) -> list[np.ndarray]:
    """The arrays of a `Segmentation`."""
    return [found.probabilities, found.classes, found.instances]


def flipped(segmenter: ku.Segmenter, image: np.ndarray) -> list[np.ndarray]:
    """With test-time augmentation and small tiles."""
    geometry = segmenter.geometry
    tile = geometry.nearest(geometry.stride * 2 + 2 * geometry.margin)[1]
    options = {"tta": "flips", "max_tile": tile, "average": "scores"}
    if hasattr(segmenter, "replace"):
        return vars_of(segmenter.replace(**options).predict(image))
    for key, value in options.items():
        setattr(segmenter, key, value)
    found = vars_of(segmenter.predict(image))
    for key, value in {"tta": None, "max_tile": None, "average": "probabilities"}.items():
        setattr(segmenter, key, value)
    return found


def export_numbers(
    name: str, segmenter: ku.Segmenter, image: np.ndarray, folder: Path
) -> Iterator[tuple[str, str]]:
    """Outputs of a SavedModel, and of a TFLite file of flat images."""
    import tensorflow as tf

    path = ku.export.saved_model(segmenter, folder / f"{name}_model", warmup_sizes=())
    signature = tf.saved_model.load(str(path)).signatures
    batch = tf.constant(image[None], tf.float32)
    found = signature["serving_default"](images=batch)["probabilities"].numpy()
    yield f"export/{name}/saved_model", checksum(found)
    classes = signature["classes"](images=tf.cast(batch, tf.uint8))["classes"].numpy()
    yield f"export/{name}/saved_model_classes", checksum(classes)
    if segmenter.geometry.rank == 2:
        file = ku.export.tflite(segmenter, folder / f"{name}.tflite")
        yield (
            f"export/{name}/tflite",
            checksum(*vars_of(ku.export.TFLiteSegmenter(file).predict(image))),
        )


def recipe_numbers(folder: Path) -> Iterator[tuple[str, str]]:
    """The fresh network and the first batch of every recipe of the examples."""
    for file in sorted((ROOT / "examples" / "recipes").glob("*.yaml")):
        setup = Setup.check(ku.Recipe.from_file(file), samples_for(file.stem)[:2], [])
        with folder_lock(folder / file.stem) as lock:
            run = _Run(setup, lock)
        yield f"recipe/{file.stem}/network", checksum(*run.model.get_weights())
        first = next(iter(run._dataset()))
        yield f"recipe/{file.stem}/batch", checksum(*[part.numpy() for part in first])


def golden_numbers() -> Iterator[tuple[str, str]]:
    """Measures of the golden cases."""
    folder = next(folder for folder in GOLDEN if (folder / "isbi_golden.json").is_file())
    with np.load(folder / "instances_golden_arrays.npz") as file:
        arrays = dict(file)
    for name in sorted({key.partition("/")[0] for key in arrays}):
        found = instances.evaluate([arrays[f"{name}/true"]], [arrays[f"{name}/pred"]])
        yield f"golden/instances/{name}", repr(sorted(found.items()))
    with np.load(folder / "isbi_golden_arrays.npz") as file:
        arrays = dict(file)
    for name in sorted({key.partition("/")[0] for key in arrays if key.endswith("/proposal")}):
        label, proposal = arrays[f"{name}/label"], arrays[f"{name}/proposal"]
        values = isbi.evaluate(
            label[None] if label.ndim == 2 else label,
            proposal[None] if proposal.ndim == 2 else proposal,
        ).headline()
        yield f"golden/isbi/{name}", repr(sorted(values.items()))


def main() -> int:
    """Writes or compares the numbers."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", type=Path, help="folder with dsb2018")
    parser.add_argument("--write", type=Path, metavar="FILE", help="store the numbers")
    parser.add_argument("--compare", type=Path, metavar="FILE", help="compare with stored ones")
    given = parser.parse_args()
    numbers: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        numbers.update(golden_numbers())
        numbers.update(preset_numbers(given.data))
        numbers.update(recipe_numbers(folder / "recipes"))
        numbers.update(training_numbers(folder))
    print(f"{len(numbers)} numbers")
    if given.write:
        given.write.write_text(json.dumps(numbers, indent=1) + "\n")
    if given.compare is None:
        return 0
    before = json.loads(given.compare.read_text())
    names = sorted({*before, *numbers})
    different = [name for name in names if before.get(name) != numbers.get(name)]
    for name in different:
        print(f"different: {name}")
    print(f"{len(names) - len(different)} of {len(names)} are equal")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
