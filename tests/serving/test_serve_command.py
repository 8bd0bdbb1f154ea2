"""The command `keras-unet serve` and what README shows of it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest
from serving_models import png
from typer.testing import CliRunner

import keras_unet as ku
from keras_unet.commands import serve as cli_serve
from keras_unet.commands.app import app
from keras_unet.serving import server

ROOT = Path(__file__).resolve().parents[2]


def serve(*arguments):
    return CliRunner().invoke(app, ["serve", *map(str, arguments)])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "serve needs a folder of models"),
        (("models", "--preset", "nuclei"), "serve needs a folder of models"),
        (("--preset", "nothing"), "nuclei"),
        (("missing",), "serve needs a folder of versions"),
        (("missing", "--log-level", "loud"), "Received: loud"),
    ],
)
def test_errors(arguments, message, monkeypatch):
    monkeypatch.setattr(server, "log_to_stderr", lambda level: None)
    result = serve(*arguments)
    assert result.exit_code == 1
    assert message in " ".join(result.output.split())


def test_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "aiohttp", None)
    result = serve("models")
    assert result.exit_code == 1
    assert "pip install 'keras-unet-bio[serving]'" in " ".join(result.output.split())


def test_run_folders_are_exported_first(monkeypatch, tmp_path):
    model = ku.models.UNet((None, None, 1), filters=2, depth=1, padding="same")
    ku.Segmenter(model, max_tile=32).save(tmp_path / "run")
    served = []

    def run(self):
        self.store.refresh()
        served.extend(
            (self.options, self.store.names, sorted(self.store.resolve("cells")[1].inputs))
        )

    monkeypatch.setattr(server.Server, "run", run)
    monkeypatch.setattr(server, "log_to_stderr", lambda level: None)
    result = serve(tmp_path / "run", "--name", "cells", "--max-request-mib", "2", "--no-page")
    assert result.exit_code == 0, result.output
    options, names, signatures = served
    assert names == ["cells"]
    assert signatures == ["classes", "metadata", "segment_bytes", "serving_default"]
    assert options.max_request_bytes == 2 * 2**20
    assert options.host == "127.0.0.1"
    assert not options.page
    assert cli_serve.NOTE.split(".")[0] in result.output
    assert not options.path.exists()  # the exported model was for this run


@pytest.mark.parametrize("file", ["README.md", "serving/README.md"])
def test_the_request_of_the_readme(served, tmp_path, file):
    """A PNG in, a PNG out, by the letter; only address and name are those of the test."""
    for tool in ("bash", "curl", "jq", "base64"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    text = (ROOT / file).read_text()
    [command] = re.findall(r"^\(printf .*?mask\.png$", text, re.MULTILINE | re.DOTALL)
    command = re.sub(r"http://[\d.:]+/v1/models/nuclei", served.url(), command)
    image = np.random.default_rng(0).integers(0, 256, (90, 130), np.uint8)
    (tmp_path / "cells.png").write_bytes(png(image))
    subprocess.run(["bash", "-c", command], cwd=tmp_path, check=True, timeout=60)
    mask = cv2.imread(str(tmp_path / "mask.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(mask, image > 128)
