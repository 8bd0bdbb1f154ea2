"""The command `keras-unet serve` and what README shows of it."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
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
from keras_unet.serving.temporary import temporary_folder

ROOT = Path(__file__).resolve().parents[2]


FREE = ("--rest-port", 0, "--grpc-port", 0)


def serve(*arguments):
    return CliRunner().invoke(app, ["serve", *map(str, arguments)])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "serve needs a folder of models"),
        (("models", "--preset", "nuclei"), "serve needs a folder of models"),
        (("--preset", "nothing", *FREE), "nuclei"),
        (("missing", "--max-pixels", "9"), "an exported model has a limit of its own"),
        (("missing", "--timeout", "0"), "give a larger --timeout"),
        (("missing", "--max-request-mib", "0"), "give a larger --max-request-mib"),
        (("missing", "--grace", "-1"), "give a larger --grace"),
        (("missing", "--rest-port", "70000"), "give a number of 0..65535 for --rest-port"),
        (("--preset", "nuclei", "--host", "no.such.invalid"), "say --host 127.0.0.1"),
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


@pytest.mark.parametrize("option", ["--rest-port", "--grpc-port"])
def test_a_busy_port_is_noticed_before_the_export(option, monkeypatch):
    monkeypatch.setattr(cli_serve, "_exported", lambda *_: pytest.fail("it was exported"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = serve("--preset", "nuclei", *FREE, option, port)
    assert result.exit_code == 1
    text = " ".join(result.output.split())
    assert f"cannot listen on 127.0.0.1:{port} (Address already in use)" in text
    assert text.endswith(f"say another {option}, or 0 for a free one")


def test_folders_of_killed_servers_go(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    left, foreign = tmp_path / "serve_left", tmp_path / "serve_foreign"
    about = {"pid": 1, "host": socket.gethostname(), "since": "2026-01-01T00:00:00"}
    for folder, host in ((left, about["host"]), (foreign, "another")):
        (folder / "cells").mkdir(parents=True)
        (folder / ".lock").write_text(json.dumps({**about, "host": host}))
    (tmp_path / "serve_new").mkdir()  # its process has not locked it yet
    (tmp_path / "other").mkdir()
    with temporary_folder("serve_") as first:
        assert not left.exists()
        code = "from keras_unet.serving.temporary import temporary_folder as t"
        code += "\nwith t('serve_') as own: print(own.name)"
        environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
        subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=60)
        assert first.is_dir()  # its process lives
        assert len(list(tmp_path.iterdir())) == 4
    assert not first.exists()
    assert {one.name for one in tmp_path.iterdir()} == {"serve_foreign", "serve_new", "other"}


def test_run_folders_are_exported_first(monkeypatch, tmp_path):
    model = ku.models.UNet((None, None, 1), filters=2, depth=1, padding="same")
    ku.Segmenter(model, max_tile=32).save(tmp_path / "run")
    served = []

    def run(self, ready):
        self.store.refresh()
        _, model = self.store.resolve("cells")
        about = model.predict("metadata", {"query": np.array([b""], object)})
        limit = json.loads(about["metadata_json"][0])["max_pixels"]
        served.extend((self.options, self.store.names, sorted(model.inputs), limit))

    monkeypatch.setattr(server.Server, "run", run)
    monkeypatch.setattr(server, "log_to_stderr", lambda level: None)
    options = ["--max-request-mib", "2", "--max-pixels", "3000", "--grace", "3", "--no-page"]
    options += ["--allow-host", "one", "--allow-host", "two", *FREE]
    result = serve(tmp_path / "run", "--name", "cells", *options)
    assert result.exit_code == 0, result.output
    options, names, signatures, limit = served
    assert names == ["cells"]
    assert signatures == ["classes", "metadata", "segment_bytes", "serving_default"]
    assert options.max_request_bytes == 2 * 2**20
    assert (options.grace_seconds, options.allow_hosts) == (3.0, ("one", "two"))
    assert limit == 3000
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
