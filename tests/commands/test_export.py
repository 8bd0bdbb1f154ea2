"""`keras-unet export` end to end."""

import cv2
import pytest
from export_cases import make, picture
from typer.testing import CliRunner

import keras_unet as ku
from keras_unet.commands.app import app


def invoke(*arguments, code=0):
    result = CliRunner().invoke(app, ["export", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make(filters=2, depth=1, max_tile=64).save(tmp_path_factory.mktemp("runs") / "cells")


def test_saved_model(run, tmp_path):
    assert "cells/1" in invoke(run, "--out", tmp_path / "cells").replace(" ", "")
    assert (tmp_path / "cells" / "1" / "saved_model.pb").exists()
    assert "exists" in invoke(run, "--out", tmp_path / "cells", "--version", 1, code=1)
    invoke(run, "--out", tmp_path / "cells", "--version", 1, "--overwrite")


def test_tflite(run, tmp_path):
    pytest.importorskip("ai_edge_litert")
    (tmp_path / "images").mkdir()
    for index in range(2):
        cv2.imwrite(str(tmp_path / "images" / f"{index}.png"), picture(40, 50, seed=index))
    file = tmp_path / "cells.tflite"
    options = ("--quantization", "int8", "--samples", tmp_path / "images", "--tile", 32)
    invoke(run, "--format", "tflite", "--out", file, *options)
    found = ku.export.TFLiteSegmenter(file)
    assert found.engine.input_shape == (32, 32, 1)
    assert found.predict(picture(40, 50)).classes.shape == (40, 50)
    invoke(run, "--format", "tflite", "--out", file, "--quantization", "none", "--overwrite")


def test_preset(tmp_path):
    file = tmp_path / "nuclei.tflite"
    invoke("--preset", "nuclei", "--format", "tflite", "--out", file, "--quantization", "float16")
    assert file.stat().st_size < 4_500_000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--out", "x"), "give a run folder or --preset"),
        (("RUN", "--preset", "nuclei", "--out", "x"), "give a run folder or --preset"),
        (("RUN",), "--out is needed"),
        (("RUN", "--out", "x", "--format", "pb"), "--format must be one of"),
        (("RUN", "--out", "x", "--tile", 64), "--format saved_model has no --tile"),
        (
            ("RUN", "--out", "x", "--format", "onnx", "--max-tile", 9, "--version", 1),
            "--format onnx has no --max-tile, --version",
        ),
        (("RUN", "--out", "x", "--format", "tflite"), "must end in .tflite"),
        (("nowhere", "--out", "x"), "segmenter.json is missing"),
    ],
)
def test_what_does_not_fit(arguments, message, run):
    given = [run if argument == "RUN" else argument for argument in arguments]
    assert message in invoke(*given, code=1)


def test_a_missing_package_is_an_error_of_one_line(run, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    file = tmp_path / "cells.onnx"
    assert "keras-unet-bio[interchange]" in invoke(run, "--format", "onnx", "--out", file, code=1)
