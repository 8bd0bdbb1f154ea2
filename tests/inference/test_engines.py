"""Exported files in their engines: the segmentation of the Keras model, without Keras."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from export_cases import make, picture

import keras_unet as ku
from keras_unet.normalization import Normalization
from keras_unet.targets import ClassTarget

pytest.importorskip("tensorflow")
for package in ("tf2onnx", "onnx", "onnxruntime", "openvino", "ai_edge_litert"):
    pytest.importorskip(package)

# What Keras's exporters and tf2onnx call themselves
pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

FILES = {"tflite": "m.tflite", "onnx": "m.onnx", "openvino": "m.xml"}
IMAGE = picture(70, 93)


@pytest.fixture(scope="module")
def segmenter():
    options = {
        "target": ClassTarget(threshold=0.4, min_size=3),
        "normalization": Normalization("zscore"),
    }
    return make(filters=4, resolution=0.8, max_tile=64, class_names=["ground", "cell"], **options)


@pytest.fixture(scope="module")
def files(segmenter, tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("exported")
    return {name: segmenter.export(folder / name / file, name) for name, file in FILES.items()}


@pytest.mark.parametrize("name", FILES)
def test_the_segmentation_of_the_keras_model(name, files, segmenter):
    loaded = ku.Segmenter.load(files[name], engine=name).replace(max_tile=64)
    expected, found = segmenter.predict(IMAGE), loaded.predict(IMAGE)
    assert len(loaded.plan((56, 74))) == len(segmenter.plan((56, 74))) > 1
    np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=1e-5)
    assert (found.instances == expected.instances).mean() > 0.999
    assert found.count == expected.count > 3
    assert loaded.class_names == ["ground", "cell"]
    assert loaded.engine.name == name
    assert repr(loaded).startswith(f"Segmenter(engine='{name}', target='classes'")


@pytest.mark.parametrize("name", FILES)
def test_views_batches_and_scores(name, files, segmenter):
    loaded = ku.Segmenter.load(files[name], engine=name, num_threads=1)
    changes = {"tta": "flips", "batch_size": 3, "max_tile": 64}
    expected = segmenter.replace(**changes).predict(IMAGE).probabilities
    found = loaded.replace(**changes).predict(IMAGE).probabilities
    np.testing.assert_allclose(found, expected, atol=1e-5)
    if name == "tflite":  # it has the activation inside
        with pytest.raises(ValueError, match=r"average='scores' needs logits.*gives probabilities"):
            loaded.replace(average="scores")
    else:
        changes["average"] = "scores"
        expected = segmenter.replace(**changes).predict(IMAGE).probabilities
        found = loaded.replace(**changes).predict(IMAGE).probabilities
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_blocks_of_large_images_take_any_engine(segmenter, tmp_path):
    plain = segmenter.replace(resolution=1, tta=None)
    expected = plain.predict(IMAGE).probabilities[..., 0]
    for name, file in FILES.items():
        loaded = ku.Segmenter.load(plain.export(tmp_path / name / file, name)).replace(max_tile=64)
        classes, maps = np.zeros((70, 93), np.uint8), np.zeros((70, 93, 2), np.float32)
        ku.inference.predict_large(loaded, IMAGE, classes, maps)
        np.testing.assert_allclose(maps[..., 0], expected, atol=1e-5)
        np.testing.assert_array_equal(classes, maps[..., 1] > 0.4)


@pytest.mark.parametrize("name", FILES)
def test_evaluation_of_a_file(name, files, segmenter):
    samples = ku.data.synthetic_cells(1, shape=(60, 70), seed=0)
    expected = ku.evaluate(segmenter, samples)
    found = ku.evaluate(files[name], samples)
    assert found["mean_iou"] == pytest.approx(expected["mean_iou"], abs=1e-3)


def test_a_network_of_one_size(tmp_path):
    fixed = make(shape=(60, 64, 1))
    expected = fixed.predict(IMAGE).probabilities
    for name, file in FILES.items():
        loaded = ku.Segmenter.load(fixed.export(tmp_path / name / file, name))
        assert loaded.engine.input_shape == (60, 64, 1)
        np.testing.assert_allclose(loaded.predict(IMAGE).probabilities, expected, atol=1e-5)


def test_volumes(tmp_path):
    volume = np.random.default_rng(0).random((9, 14, 11), np.float32)
    segmenter = make(depth=1, shape=(None, None, None, 1), max_tile=24)
    expected = segmenter.predict(volume).probabilities
    for name in ("onnx", "openvino"):
        loaded = ku.Segmenter.load(segmenter.export(tmp_path / name / FILES[name], name))
        found = loaded.replace(max_tile=24).predict(volume).probabilities
        np.testing.assert_allclose(found, expected, atol=1e-5)


BLOCKED = """
import sys
from importlib.abc import MetaPathFinder

class Blocked(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("keras", "tensorflow", "jax", "torch"):
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Blocked())
import numpy as np
import keras_unet as ku
image = np.load(sys.argv[1])
for file in sys.argv[2:]:
    found = ku.Segmenter.load(file).replace(max_tile=64).predict(image)
    print(found.count, found.instances.shape)
"""


def test_neither_keras_nor_tensorflow_is_needed(files, segmenter, tmp_path):
    np.save(tmp_path / "image.npy", IMAGE)
    arguments = [str(tmp_path / "image.npy"), *map(str, files.values())]
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED, *arguments], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{segmenter.predict(IMAGE).count} (70, 93)\n" * 3


# === What is refused ===


@pytest.mark.parametrize("name", FILES)
def test_files_that_are_not_whole(name, files, tmp_path):
    file = tmp_path / FILES[name]
    with pytest.raises(ValueError, match=r"is missing; an export is m\.\w+ and m\.json, copy both"):
        ku.Segmenter.load(file)
    description = json.loads(files[name].with_suffix(".json").read_text())
    file.write_bytes(b"junk")
    if name == "openvino":
        file.with_suffix(".json").write_text(json.dumps(description))
        with pytest.raises(ValueError, match=r"m\.bin is missing; copy it"):
            ku.Segmenter.load(file)
        file.with_suffix(".bin").write_bytes(b"junk")
    for text, message in {
        "{": "is damaged",
        "[]": "is damaged",
        '{"format_version": 3}': "upgrade keras_unet",
        '{"format_version": 1}': "does not describe",
        json.dumps(description): "or damaged",
    }.items():
        file.with_suffix(".json").write_text(text)
        with pytest.raises(ValueError, match=message):
            ku.Segmenter.load(file)


def test_a_description_without_a_margin(files, tmp_path):
    """As it was written in format 1: the file predicts as it did."""
    file = tmp_path / FILES["onnx"]
    shutil.copy(files["onnx"], file)
    description = json.loads(files["onnx"].with_suffix(".json").read_text())
    assert ku.Segmenter.load(files["onnx"]).margin == description.pop("margin") == 8
    file.with_suffix(".json").write_text(json.dumps({**description, "format_version": 1}))
    assert ku.Segmenter.load(file).margin == "full"


@pytest.mark.parametrize("name", FILES)
def test_another_engine(name, files):
    with pytest.raises(ValueError, match=f"is run by the engine '.*{name}', not 'keras'; leave"):
        ku.Segmenter.load(files[name], engine="keras")


def test_a_file_holds_no_keras_model(files, tmp_path):
    loaded = ku.Segmenter.load(files["onnx"])
    for use in (lambda: loaded.model, lambda: loaded.save(tmp_path / "run")):
        with pytest.raises(ValueError, match="exported file holds no Keras model; load the run"):
            use()
    with pytest.raises(ValueError, match="exported file holds no Keras model"):
        loaded.export(tmp_path / "again.onnx", "onnx")


PACKAGES = {
    "tflite": ("ai_edge_litert.interpreter", r"keras-unet-bio\[lite\]"),
    "onnx": ("onnxruntime", "pip install onnxruntime"),
    "openvino": ("openvino", r"keras-unet-bio\[interchange\]"),
}


@pytest.mark.parametrize("name", FILES)
def test_missing_package_is_named(name, files, monkeypatch):
    package, message = PACKAGES[name]
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=message):
        ku.Segmenter.load(files[name], engine=name)
