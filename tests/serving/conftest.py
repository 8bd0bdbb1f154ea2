"""One server for all tests of the contract: ours, a given one, or a real model server.

`TENSORFLOW_MODEL_SERVER` is the path of a `tensorflow_model_server` program, which is started over
the same models; `KERAS_UNET_SERVING_REST` and `KERAS_UNET_SERVING_GRPC` are addresses of a server
that runs already over what `python tests/serving_models.py FOLDER` has written.
"""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

pytest.importorskip("tensorflow_serving", reason="the extra serving is not installed")
pytest.importorskip("aiohttp", reason="the extra serving is not installed")
pytest.importorskip("prometheus_client", reason="the extra serving is not installed")

from serving_models import free_port, write_models


@dataclass
class Running:
    """A server under test."""

    rest: str
    grpc: str
    own: bool

    def url(self, path: str = "") -> str:
        return f"{self.rest}/v1/models/cells{path}"

    def post(self, body, path: str = ":predict", **options):
        kind = "data" if isinstance(body, (bytes, str)) else "json"
        return requests.post(self.url(path), **{kind: body}, timeout=30, **options)


@pytest.fixture(scope="session")
def models(tmp_path_factory) -> Path:
    """A `model.config` over versions 1 (label stable) and 2 (canary) of the model cells."""
    return write_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def served(models):
    """The server that all tests of the contract ask."""
    if os.environ.get("KERAS_UNET_SERVING_REST"):
        rest, grpc = os.environ["KERAS_UNET_SERVING_REST"], os.environ["KERAS_UNET_SERVING_GRPC"]
        yield Running(rest.rstrip("/"), grpc, own=False)
    elif os.environ.get("TENSORFLOW_MODEL_SERVER"):
        yield from real_server(os.environ["TENSORFLOW_MODEL_SERVER"], models)
    else:
        from keras_unet.serving import Server, ServerOptions

        options = ServerOptions(models, rest_port=0, grpc_port=0, max_request_bytes=8 * 2**20)
        with Server(options) as server:
            yield Running(server.rest_url, server.grpc_target, own=True)


def real_server(program: str, models: Path):
    rest, grpc = free_port(), free_port()
    arguments = [f"--rest_api_port={rest}", f"--port={grpc}", f"--model_config_file={models}"]
    with subprocess.Popen([program, *arguments]) as process:
        try:
            running = Running(f"http://127.0.0.1:{rest}", f"127.0.0.1:{grpc}", own=False)
            wait_for(running)
            yield running
        finally:
            process.terminate()


def wait_for(running: Running) -> None:
    for _ in range(300):
        try:
            if requests.get(running.url(), timeout=5).ok:
                return
        except requests.ConnectionError:
            pass
        time.sleep(0.2)
    pytest.fail("the model server did not come up")


@pytest.fixture
def own(served):
    """The server, for what only ours promises."""
    if not served.own:
        pytest.skip("a limit of keras-unet serve")
    return served
