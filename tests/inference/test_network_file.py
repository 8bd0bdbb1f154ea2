"""A run folder's network file: Keras's results without Keras, and never those of old weights."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from command_line import invoke
from export_cases import make, picture

import keras_unet as ku
from keras_unet.export.half_weights import store_in_half
from keras_unet.inference import network_file, presets
from keras_unet.normalization import Normalization
from keras_unet.targets import ClassTarget

pytest.importorskip("tensorflow")
for package in ("tf2onnx", "onnx", "onnxruntime", "openvino"):
    pytest.importorskip(package)

# What Keras's exporters and tf2onnx call themselves
pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

ENGINES = ("openvino", "onnx")
IMAGE = picture(70, 93)


def rounded(segmenter):
    """The segmenter with weights that half precision holds."""
    weights = [weight.astype(np.float16) for weight in segmenter.model.get_weights()]
    segmenter.model.set_weights(weights)
    return segmenter


@pytest.fixture(scope="module")
def segmenter():
    options = {
        "target": ClassTarget(threshold=0.4, min_size=3),
        "normalization": Normalization("zscore"),
    }
    return rounded(make(filters=4, max_tile=64, tta="flips", **options))


@pytest.fixture(scope="module")
def written(segmenter, tmp_path_factory):
    run = segmenter.save(tmp_path_factory.mktemp("runs") / "cells")
    assert segmenter.export(run, "onnx", in_place=True) == run / "network.onnx"
    return run


@pytest.fixture
def run(written, tmp_path):
    """A copy that may be changed."""
    return Path(shutil.copytree(written, tmp_path / "cells"))


# === What it gives ===


@pytest.mark.parametrize("name", ENGINES)
def test_every_engine_gives_keras_s_logits_and_instances(name, written, segmenter):
    loaded = ku.Segmenter.load(written, engine=name)
    assert loaded.engine.name == name
    assert loaded.get_config() == {**segmenter.get_config(), "from_logits": True}
    batch = np.random.default_rng(0).normal(size=(2, 40, 52, 1)).astype(np.float32)
    expected = segmenter.engine(batch)
    np.testing.assert_allclose(loaded.engine(batch), expected, atol=1e-4)
    expected, found = segmenter.predict(IMAGE), loaded.predict(IMAGE)
    np.testing.assert_array_equal(found.instances, expected.instances)
    assert 0 < (found.instances > 0).mean() < 1
    assert found.count == expected.count > 1


AFTER_OPENVINO = """
import faulthandler, signal, sys
import keras_unet as ku

faulthandler.enable()
caught = []
signal.signal(signal.SIGTERM, lambda *_: caught.append(1))
networks = [ku.Segmenter.from_preset("nuclei", engine="openvino") for _ in range(2)]
del networks[0]
del networks
signal.raise_signal(signal.SIGTERM)
sys.exit(caught != [1])
"""


@pytest.mark.posix
def test_signals_arrive_after_openvino():
    """Its CPU plugin leaves a dangling stack for signals in the thread that drops networks."""
    subprocess.run([sys.executable, "-c", AFTER_OPENVINO], check=True, timeout=120)


def test_auto_takes_the_first_that_is_installed(written, monkeypatch):
    for missing, name in ((None, "openvino"), ("openvino", "onnx"), ("onnxruntime", "keras")):
        if missing:
            monkeypatch.setitem(sys.modules, missing, None)
        assert ku.Segmenter.load(written).engine.name == name
    with pytest.raises(ImportError, match="openvino"):
        ku.Segmenter.load(written, engine="openvino")


def test_tiles_are_planned_without_the_model(written, segmenter):
    shape, limit = (3000, 2100), 2**27
    loaded = ku.Segmenter.load(written).replace(max_tile=None, memory_limit=limit)
    by_keras = segmenter.replace(max_tile=None, memory_limit=limit)
    assert len(by_keras.plan(shape)) > 1
    assert loaded.plan(shape) == by_keras.plan(shape)
    assert loaded.engine.name != "keras"


def test_options_of_the_folder_hold_not_those_of_the_file(run):
    config = json.loads((run / "segmenter.json").read_text())
    (run / "segmenter.json").write_text(json.dumps({**config, "tta": "d4", "max_tile": None}))
    loaded = ku.Segmenter.load(run)
    assert (loaded.engine.name, loaded.tta, loaded.max_tile) == ("openvino", "d4", None)
    alone = ku.Segmenter.load(run / "network.onnx")
    assert (alone.engine.name, alone.tta, alone.max_tile) == ("openvino", "flips", 64)


FRESH = """
import sys
from keras_unet.commands.app import app
for line in sys.argv[1].splitlines():
    app(line.split("|"), standalone_mode=False)
heavy = {"keras", "tensorflow", "jax", "torch", "matplotlib"} & set(sys.modules)
assert not heavy, heavy
assert "onnxruntime" in sys.modules and "openvino" in sys.modules
"""


def test_commands_import_neither_keras_nor_tensorflow(written, segmenter, tmp_path):
    (tmp_path / "images").mkdir()
    image, out = tmp_path / "images" / "a.png", tmp_path / "out"
    cv2.imwrite(str(image), IMAGE)
    masks = tmp_path / "masks"
    masks.mkdir()
    cv2.imwrite(str(masks / "a.png"), np.uint8(IMAGE[..., 0] > 90))
    commands = [
        ("predict", written, image, "--out", out, "--probabilities"),
        ("predict", "--preset", "nuclei", image, "--out", tmp_path / "nuclei", "--engine", "onnx"),
        ("evaluate", written, tmp_path),
        ("evaluate", masks, tmp_path, "--predictions", "classes"),
    ]
    lines = "\n".join("|".join(map(str, command)) for command in commands)
    done = subprocess.run(
        [sys.executable, "-c", FRESH, lines], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    found = ku.data.read_labels(out / "a_instances.png")
    np.testing.assert_array_equal(found, segmenter.predict(IMAGE).instances)


# === The Keras model behind it ===


def test_the_model_runs_once_it_was_asked_for(run, segmenter):
    loaded = ku.Segmenter.load(run)
    other = loaded.replace(tta=None)
    batch = np.random.default_rng(0).random((1, 32, 32, 1), np.float32)
    before = other.engine(batch)
    assert other.engine.name == "openvino"
    weights = loaded.model.get_weights()
    np.testing.assert_array_equal(weights[0], segmenter.model.get_weights()[0])
    loaded.model.set_weights([1.5 * weight for weight in weights])
    assert np.abs(other.engine(batch) - before).max() > 0.1
    assert (loaded.engine.name, other.engine.name) == ("keras", "keras")
    assert other.model is loaded.model
    again = ku.Segmenter.load(loaded.save(run.parent / "again"))
    np.testing.assert_allclose(again.engine(batch), other.engine(batch), atol=1e-5)


def test_an_engine_that_was_chosen_stays(run):
    loaded = ku.Segmenter.load(run, engine="onnx")
    assert loaded.model.count_params() > 0
    assert loaded.engine.name == "onnx"


def test_bfloat16_goes_to_an_engine_that_has_it(written, monkeypatch):
    half = ku.Segmenter.load(written).replace(precision="bfloat16")
    assert (half.engine.name, half.engine.precision) == ("openvino", "bfloat16")
    assert half.replace(precision="float32").engine.name == "openvino"
    with pytest.raises(ValueError, match="'onnx' has no precision 'bfloat16'; 'keras' and"):
        ku.Segmenter.load(written, engine="onnx").replace(precision="bfloat16")
    monkeypatch.setitem(sys.modules, "openvino", None)
    half = ku.Segmenter.load(written).replace(precision="bfloat16")
    assert (half.engine.name, half.engine.precision) == ("keras", "bfloat16")


# === Old and damaged files ===


def is_not_used(run, caplog, words):
    caplog.clear()
    assert ku.Segmenter.load(run).engine.name == "keras"
    (record,) = [one for one in caplog.records if "network" in one.message]
    assert words in record.message
    assert f"`keras-unet export {run} --format onnx --in-place` renews it" in record.message
    assert "\n" not in record.message
    with pytest.raises(ValueError, match=r"the engine 'onnx' has nothing to run; export\.onnx\("):
        ku.Segmenter.load(run, engine="onnx")


def test_a_network_of_other_weights_is_not_used(run, segmenter, caplog):
    changed = ku.Segmenter.load(run, engine="keras")
    changed.model.set_weights([1.1 * weight for weight in changed.model.get_weights()])
    with pytest.raises(ValueError, match="holds other weights than the segmenter; save"):
        changed.export(run, "onnx", in_place=True)
    changed.save(run)
    is_not_used(run, caplog, "was made from other weights than model.keras holds")
    assert "Exported" in invoke("export", run, "--format", "onnx", "--in-place")
    renewed = ku.Segmenter.load(run)
    batch = np.random.default_rng(0).random((1, 32, 32, 1), np.float32)
    assert renewed.engine.name == "openvino"
    np.testing.assert_allclose(renewed.engine(batch), changed.engine(batch), atol=1e-4)


def test_damaged_files_are_not_used(run, caplog):
    whole = (run / "network.onnx").read_bytes()
    (run / "network.onnx").write_bytes(whole[:-1] + b"\0")
    is_not_used(run, caplog, "network.onnx is damaged")
    (run / "network.onnx").write_bytes(whole)
    described = (run / "network.json").read_text()
    (run / "network.json").write_text("{")
    is_not_used(run, caplog, "network.json is damaged")
    (run / "network.json").write_text(described.replace('"output"', '"outputs"'))
    is_not_used(run, caplog, "network.json does not describe a network")
    (run / "network.json").unlink()
    is_not_used(run, caplog, "network.json is missing")


def test_weights_are_missed_whatever_else_is_there(run):
    (run / "model.keras").unlink()
    with pytest.raises(ValueError, match=r"model\.keras is missing; copy the whole folder"):
        ku.Segmenter.load(run)


def test_what_has_no_network_file(segmenter, tmp_path, caplog):
    run = segmenter.save(tmp_path / "run")
    assert ku.Segmenter.load(run).engine.name == "keras"
    assert not caplog.records
    cv2.imwrite(str(tmp_path / "a.png"), IMAGE)
    call = ("predict", run, tmp_path / "a.png", "--out", tmp_path / "o", "--engine")
    output = invoke(*call, "onnx", code=1)
    assert "network.onnx is missing, so the engine 'onnx' has nothing to run" in output
    assert f"`keras-unet export {run} --format onnx --in-place` writes it anew" in output
    for engine, message in (
        ("tflite", r"runs \.tflite files, and .* is a folder"),
        ("onxx", r"no engine 'onxx' \(did you mean 'onnx'\?\)"),
    ):
        with pytest.raises(ValueError, match=message):
            ku.Segmenter.load(run, engine=engine)
    with pytest.raises(ValueError, match="run by 'keras'; choose another engine when it is loaded"):
        ku.predict_files(segmenter, tmp_path / "a.png", tmp_path / "o", engine="onnx")
    output = invoke("export", run, "--in-place", code=1)
    assert "--in-place goes with --format onnx and without --out" in output


# === Weights in half precision ===


def test_weights_are_halved_where_that_changes_nothing():
    from onnx import TensorProto, helper, numpy_helper
    from onnx.reference import ReferenceEvaluator

    kernel = np.float32(np.float16(np.random.default_rng(0).normal(size=(8, 8))))
    exact = {"a": kernel, "b": kernel.copy(), "few": kernel[0].copy(), "big": kernel * 2**40}
    exact["b"][3, 3] += np.float32(1e-6)
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, [8])
    answer = helper.make_tensor_value_info("y4", TensorProto.FLOAT, [8])
    nodes = [
        helper.make_node("MatMul" if name != "few" else "Add", [name, f"y{i}" if i else "x"], [out])
        for i, (name, out) in enumerate(zip(exact, ("y1", "y2", "y3", "y4"), strict=True))
    ]
    weights = [numpy_helper.from_array(value, name) for name, value in exact.items()]
    network = helper.make_model(helper.make_graph(nodes, "g", [given], [answer], weights))
    x = np.arange(8, dtype=np.float32)
    (expected,) = ReferenceEvaluator(network).run(None, {"x": x})
    store_in_half(network)
    assert [one.name for one in network.graph.initializer] == ["a/half", "b", "few", "big"]
    (found,) = ReferenceEvaluator(network).run(None, {"x": x})
    np.testing.assert_array_equal(found, expected)


def test_the_package_s_network_belongs_to_its_weights():
    """`keras-unet export --preset nuclei --format onnx --in-place` writes it anew."""
    folder = presets.FOLDER / "nuclei"
    loaded = ku.Segmenter.from_preset("nuclei", engine="onnx")
    assert (folder / network_file.NAME).stat().st_size < 4.2e6
    keras = ku.Segmenter.from_preset("nuclei", engine="keras")
    batch = np.random.default_rng(0).normal(size=(1, 64, 80, 3)).astype(np.float32)
    np.testing.assert_allclose(loaded.engine(batch), keras.engine(batch), atol=1e-4)
    (sample,) = ku.data.synthetic_cells(1, shape=(96, 120), seed=0)
    found, expected = (one.replace(tta=None).predict(sample.image) for one in (loaded, keras))
    np.testing.assert_array_equal(found.instances, expected.instances)
    assert found.count > 3
    told = json.loads((folder / "network.json").read_text())
    config = keras.get_config()
    for name in network_file.OPTIONS:
        assert name not in config or told[name] == config[name]
