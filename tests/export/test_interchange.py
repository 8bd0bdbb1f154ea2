"""ONNX and OpenVINO files give the network's numbers in their own engines."""

import json
import sys

import keras
import numpy as np
import pytest
from export_cases import make, picture

import keras_unet as ku

pytest.importorskip("tf2onnx")
pytest.importorskip("onnx")
ov = pytest.importorskip("openvino")
onnxruntime = pytest.importorskip("onnxruntime")

# What Keras's exporters and tf2onnx call themselves
pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


def onnx_answer(file, batch):
    session = onnxruntime.InferenceSession(str(file))
    return session.run(None, {session.get_inputs()[0].name: batch})[0]


def openvino_answer(file, batch):
    compiled = ov.compile_model(str(file), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return compiled(batch)[0]


FORMATS = {
    "onnx": (ku.export.onnx, "m.onnx", onnx_answer),
    "openvino": (ku.export.openvino, "m.xml", openvino_answer),
}


@pytest.mark.parametrize(
    ("options", "rank", "answer"),
    [
        ({}, 2, ["batch", "height", "width", 2]),
        ({"padding": "valid"}, 2, ["batch", "output_height", "output_width", 2]),
        ({}, 3, ["batch", "depth", "height", "width", 2]),
    ],
)
def test_onnx_names_say_what_they_are(options, rank, answer, tmp_path):
    options = {"filters": 2, "depth": 1, "padding": "same", **options}
    model = ku.models.UNet((*[None] * rank, 1), **options)
    path = ku.export.onnx(ku.Segmenter(model), tmp_path / "m.onnx")
    session = onnxruntime.InferenceSession(str(path))
    (given,), (found,) = session.get_inputs(), session.get_outputs()
    assert (given.name, found.name, found.shape) == ("image", "logits", answer)
    assert given.shape == ["batch", *["depth", "height", "width"][-rank:], 1]
    batch = np.random.default_rng(0).random((2, *[24, 20, 28][:rank], 1), np.float32)
    expected = keras.ops.convert_to_numpy(model(batch))
    np.testing.assert_allclose(onnx_answer(path, batch), expected, atol=1e-4)


@pytest.mark.parametrize("name", FORMATS)
def test_parity_at_any_size(name, tmp_path):
    export, file, answer = FORMATS[name]
    segmenter = make()
    path = export(segmenter, tmp_path / "deep" / file)
    described = json.loads(path.with_suffix(".json").read_text())
    assert described["normalization"] == segmenter.normalization.get_config()
    for shape in ((32, 44), (33, 41)):
        batch = segmenter.normalization(picture(*shape))[None]
        expected = keras.ops.convert_to_numpy(segmenter.model(batch))
        np.testing.assert_allclose(answer(path, batch), expected, atol=1e-4)
    before = {entry.name: entry.stat().st_mtime_ns for entry in path.parent.iterdir()}
    suffixes = {".onnx"} if name == "onnx" else {".xml", ".bin"}
    assert {entry.suffix for entry in path.parent.iterdir()} == suffixes | {".json"}
    with pytest.raises(FileExistsError, match="overwrite=True"):
        export(segmenter, path)
    export(segmenter, path, overwrite=True)
    assert all((path.parent / key).stat().st_mtime_ns > value for key, value in before.items())


@pytest.mark.parametrize("name", FORMATS)
def test_a_model_that_was_just_loaded(name, tmp_path):
    """Keras's exporters say of it that it was never called."""
    export, file, answer = FORMATS[name]
    segmenter = ku.Segmenter.load(make(padding="valid", depth=1).save(tmp_path / "run"))
    path = export(segmenter, tmp_path / file)
    batch = np.random.default_rng(0).random((2, 24, 28, 1), np.float32)
    expected = keras.ops.convert_to_numpy(segmenter.model(batch))
    np.testing.assert_allclose(answer(path, batch), expected, atol=1e-4)


def test_volumes_of_mixed_precision(tmp_path):
    segmenter = make(depth=1, shape=(None, None, None, 1), dtype="mixed_bfloat16")
    path = ku.export.openvino(segmenter, tmp_path / "m.xml")
    batch = np.random.default_rng(0).random((1, 4, 6, 8, 1), np.float32)
    expected = keras.ops.convert_to_numpy(segmenter.model(batch))
    found = openvino_answer(path, batch)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=0.1)


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_refused(name, tmp_path, monkeypatch):
    export, file, _ = FORMATS[name]
    segmenter = make(filters=2, depth=1)
    with pytest.raises(ValueError, match=r"path must end in \."):
        export(segmenter, tmp_path / "m.pb")
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r"keras-unet-bio\[interchange\]"):
        export(segmenter, tmp_path / file)
    assert list(tmp_path.iterdir()) == []


def test_openvino_reads_the_whole_saved_model(grey, grey_version):
    """A second engine for everything inside the graph: percentiles, mirror, tiles, activation."""
    compiled = ov.compile_model(str(grey_version), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    for shape in ((40, 44), (97, 80)):
        image = picture(*shape).astype(np.float32)
        expected = grey.predict(image).probabilities
        np.testing.assert_allclose(compiled(image[None])[0][0], expected, atol=1e-5)
