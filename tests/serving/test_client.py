"""Our clients and a third party's against the server; retries against one that fails."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest
import tifffile
from serving_models import CLASS_NAMES, png

from keras_unet.serving import GrpcClient, RestClient, ServingError
from keras_unet.serving.pictures import decode_mask, encoded

IMAGE = (np.arange(35, dtype=np.uint8) * 7).reshape(5, 7)
MASK = (IMAGE > 128).astype(np.uint8)


@pytest.fixture(params=["rest", "grpc"])
def make(request, served):
    opened = []

    def client(model="cells", **options):
        kind, address = {
            "rest": (RestClient, served.rest),
            "grpc": (GrpcClient, served.grpc),
        }[request.param]
        opened.append(kind(model, address, **options))
        return opened[-1]

    yield client
    for one in opened:
        one.close()


def test_segment(make, tmp_path):
    client = make()
    (tmp_path / "image.png").write_bytes(png(IMAGE))
    tifffile.imwrite(tmp_path / "image.tif", IMAGE)
    colour = np.repeat(IMAGE[..., None], 3, -1)
    for image in (IMAGE, IMAGE[..., None], colour, png(IMAGE), tmp_path / "image.png"):
        found = client.segment(image)
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, MASK)
    np.testing.assert_array_equal(client.segment(str(tmp_path / "image.tif")), MASK)


def test_probabilities_and_classes(make):
    client = make()
    cell = IMAGE.astype(np.float32) / 256
    expected = np.stack([1 - cell, cell], -1)
    for image in (IMAGE, IMAGE[..., None], IMAGE.astype(np.float64)):
        found = client.probabilities(image)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, expected)
    batch = np.stack([IMAGE, IMAGE[::-1]])[..., None]
    np.testing.assert_array_equal(client.probabilities(batch)[1], expected[::-1])
    np.testing.assert_array_equal(client.classes(IMAGE), MASK)
    assert client.classes(batch).shape == (2, 5, 7)


def test_metadata_status_versions_and_labels(make):
    assert make().metadata()["class_names"] == CLASS_NAMES
    assert make().status() == {2: "AVAILABLE", 1: "AVAILABLE"}
    for chosen in ({"version": 1}, {"label": "stable"}):
        assert make(**chosen).probabilities(IMAGE)[0, 0].tolist() == [0.75, 0.25]


def test_errors_of_the_server(make):
    with pytest.raises(ServingError, match="Servable not found") as caught:
        make("nothing").segment(IMAGE)
    assert caught.value.code == "NOT_FOUND"
    with pytest.raises(ServingError) as caught:
        make().segment(b"no picture")
    assert caught.value.code == "INVALID_ARGUMENT"
    with pytest.raises(ServingError):
        make().classes(np.zeros((0, 7), np.uint8))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": ""}, "model must be"),
        ({"version": 1, "label": "stable"}, "version or label"),
        ({"timeout": 0}, "timeout must be positive"),
        ({"retries": -1}, "retries at least 0"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        RestClient(**{"model": "cells", **options})


def test_bad_images(make):
    with pytest.raises(ValueError, match="8-bit pictures"):
        make().segment(IMAGE.astype(np.uint16))
    with pytest.raises(ValueError, match="8-bit pictures"):
        encoded(np.zeros((2, 5, 7, 3), np.uint8))
    with pytest.raises(ValueError, match="no pixels"):
        encoded(np.zeros((0, 7), np.uint8))
    with pytest.raises(ValueError, match="takes uint8 images"):
        make().classes(IMAGE.astype(np.float32))
    with pytest.raises(ValueError, match="or a batch"):
        make().probabilities(np.zeros(3))
    with pytest.raises(ServingError, match="no grey PNG"):
        decode_mask(b"no picture")


def test_colours_keep_their_order():
    colour = np.random.default_rng(0).integers(0, 256, (4, 3, 3), np.uint8)
    import tensorflow as tf

    np.testing.assert_array_equal(tf.io.decode_png(encoded(colour)).numpy(), colour)


class Failing(BaseHTTPRequestHandler):
    """Answers with the statuses of a list, then with a status document."""

    statuses: list[int] = []  # noqa: RUF012
    asked = 0

    def do_GET(self):
        type(self).asked += 1
        status = self.statuses.pop(0) if self.statuses else 200
        body = b'{"model_version_status": [{"version": "3", "state": "AVAILABLE"}]}'
        body = body if status == 200 else b"<html>busy</html>"
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def failing():
    server = HTTPServer(("127.0.0.1", 0), Failing)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    Failing.asked = 0
    with RestClient("m", f"http://127.0.0.1:{server.server_port}", retries=2) as client:
        client.pauses = []
        client._sleep = client.pauses.append
        yield client
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("status", [429, 503])
def test_busy_servers_are_asked_again_after_growing_pauses(failing, status):
    Failing.statuses = [status, status]
    assert failing.status() == {3: "AVAILABLE"}
    assert Failing.asked == 3
    first, second = failing.pauses
    assert 0.05 <= first <= 0.15
    assert 0.1 <= second <= 0.3


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "INVALID_ARGUMENT"),
        (404, "NOT_FOUND"),
        (413, "INVALID_ARGUMENT"),
        (500, "INTERNAL"),
        (504, "DEADLINE_EXCEEDED"),
        (418, "UNKNOWN"),
    ],
)
def test_other_errors_are_not_retried(failing, status, code):
    Failing.statuses = [status]
    with pytest.raises(ServingError, match=f"HTTP {status}") as caught:
        failing.status()
    assert caught.value.code == code
    assert Failing.asked == 1


def test_retries_end(failing):
    Failing.statuses = [503] * 5
    with pytest.raises(ServingError, match="503"):
        failing.status()
    assert Failing.asked == 3
    Failing.statuses = [503] * 5
    failing.timeout = 0.01  # there is no time for another attempt
    with pytest.raises(ServingError):
        failing.status()
    assert Failing.asked == 4


@pytest.mark.parametrize("kind", [RestClient, GrpcClient])
def test_absent_servers(kind):
    address = "http://127.0.0.1:9" if kind is RestClient else "127.0.0.1:9"
    with kind("m", address, retries=1, timeout=5) as client:
        client._sleep = lambda _: None
        with pytest.raises(ServingError) as caught:
            client.status()
    assert caught.value.code == "UNAVAILABLE"


class TestOvmsClient:
    """`ovmsclient`, written by others for OpenVINO's server, speaks the same contract."""

    @pytest.fixture(params=["grpc", "http"])
    def client(self, request, served):
        ovms = pytest.importorskip("ovmsclient")
        if request.param == "grpc":
            return ovms.make_grpc_client(served.grpc)
        return ovms.make_http_client(served.rest.removeprefix("http://"))

    def test_predict(self, client):
        inputs = {"images": IMAGE[None, ..., None].astype(np.float32)}
        found = client.predict(inputs=inputs, model_name="cells", model_version=2)
        assert found.shape == (1, 5, 7, 2)
        np.testing.assert_array_equal(found[0, ..., 1], IMAGE.astype(np.float32) / 256)

    def test_status_and_metadata(self, client):
        status = client.get_model_status(model_name="cells", model_version=1)
        assert status[1]["state"] == "AVAILABLE"
        about = client.get_model_metadata(model_name="cells", model_version=1)
        if "inputs" in about:
            assert about["inputs"]["images"]["shape"] == [-1, -1, -1, 1]
        else:  # over HTTP it knows the names of OpenVINO's server only, and hands the rest on
            signatures = about["metadata"]["signature_def"]["signature_def"]
            assert signatures["serving_default"]["inputs"]["images"]["dtype"] == "DT_FLOAT"
