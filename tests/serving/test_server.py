"""Versions that come, go and are damaged; limits, health, metrics, logs and the way it stops."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import cv2
import grpc
import numpy as np
import pytest
import requests
from serving_models import png

from keras_unet.errors import UsageError
from keras_unet.serving import GrpcClient, RestClient, Server, ServerOptions, ServingError
from keras_unet.serving.config_files import find_models, read_model_config
from keras_unet.serving.models import ModelConfig, ModelStore

IMAGE = (np.arange(35, dtype=np.uint8) * 7).reshape(5, 7)


@pytest.fixture(scope="module")
def version_1(models) -> Path:
    return models.parent / "cells" / "1"


@pytest.fixture
def base(version_1, tmp_path) -> Path:
    """A folder with one version."""
    shutil.copytree(version_1, tmp_path / "own" / "1")
    return tmp_path / "own"


def arrive(source: Path, target: Path) -> None:
    """A version that appears complete, as an export does it."""
    hidden = target.with_name(f".{target.name}")
    shutil.copytree(source, hidden)
    hidden.rename(target)


def until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


@pytest.fixture
def server(base):
    with Server(ServerOptions(base, rest_port=0, grpc_port=0, poll_seconds=0.1)) as one:
        yield one


def test_case56_a_new_version_takes_over_without_a_failed_request(server, base, models):
    failures, latest, stop = [], {}, threading.Event()

    def ask(client):
        while not stop.is_set():
            try:
                latest[client] = float(client.probabilities(IMAGE)[0, 0, 1])
            except ServingError as error:
                failures.append(error)

    def all_answer(value):
        return lambda: len(latest) == 2 and set(latest.values()) == {value}

    clients = [
        RestClient("own", server.rest_url, retries=0),
        GrpcClient("own", server.grpc_target, retries=0),
    ]
    threads = [threading.Thread(target=ask, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    try:
        until(all_answer(0.25))
        arrive(models.parent / "cells" / "2", base / "2")
        until(all_answer(0.0))
        until(lambda: clients[0].status() == {2: "AVAILABLE", 1: "END"})
        (base / "2").rename(base.parent / "2")  # back: the older version is loaded again
        until(all_answer(0.25))
    finally:
        stop.set()
        for thread, client in zip(threads, clients, strict=True):
            thread.join()
            client.close()
    assert not failures


@pytest.mark.parametrize("damage", ["truncated", "empty", "no variables", "bad warm-up", "no file"])
def test_case57_a_damaged_version_leaves_the_old_one_serving(base, version_1, damage):
    new = base / "2"
    shutil.copytree(version_1, new)
    if damage == "truncated":
        content = (new / "saved_model.pb").read_bytes()
        (new / "saved_model.pb").write_bytes(content[: len(content) // 2])
    elif damage == "empty":
        (new / "saved_model.pb").write_bytes(b"")
    elif damage == "no variables":
        shutil.rmtree(new / "variables")
    elif damage == "no file":
        (new / "saved_model.pb").unlink()
    else:
        (new / "assets.extra" / "tf_serving_warmup_requests").write_bytes(b"no record")
    store = ModelStore(find_models(base))
    (base / "2").rename(base.parent / "2")
    store.refresh()
    (base.parent / "2").rename(base / "2")
    store.refresh()
    assert store.resolve("own")[0] == 1
    states = {version.number: version for version in store.status("own")}
    assert states[1].state == "AVAILABLE"
    assert states[2].state == "END"
    assert states[2].error_code in ("DATA_LOSS", "NOT_FOUND")
    assert states[2].error_message


def test_a_failed_version_is_tried_again_only_when_its_file_changes(base, version_1):
    attempts = []

    def load(folder):
        attempts.append(folder.name)
        raise ServingError("DATA_LOSS", "broken")

    store = ModelStore(find_models(base), load=load)
    store.refresh()
    store.refresh()
    assert attempts == ["1"]
    os.utime(base / "1" / "saved_model.pb", (1, 1))
    store.refresh()
    assert attempts == ["1", "1"]
    assert not store.ready


def test_version_policies(tmp_path):
    for name in ("1", "3", "007", "v9", "0.1", ".8"):
        (tmp_path / name).mkdir()
    assert ModelConfig("m", tmp_path).aspired() == [7]
    assert ModelConfig("m", tmp_path, latest=2).aspired() == [3, 7]
    assert ModelConfig("m", tmp_path, versions=(1, 5)).aspired() == [1]
    assert ModelConfig("m", tmp_path, all_versions=True).aspired() == [1, 3, 7]


def test_folders_of_models_and_config_files(tmp_path, base, models):
    assert [one.name for one in find_models(base.parent)()] == ["own"]
    assert [one.name for one in find_models(base, "other")()] == ["other"]
    [found] = read_model_config(models)
    assert found.labels == {"stable": 1, "canary": 2}
    with pytest.raises(ValueError, match="serve needs a folder of versions"):
        find_models(tmp_path / "missing")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model {", "no model.config file"),
        ("", "needs models"),
        ("model_config_list { config { name: 'a' } }", "needs a name and a base_path"),
        (
            "model_config_list { config { name: 'a' base_path: 'b' model_platform: 'x' } }",
            "must be 'tensorflow'",
        ),
        ("model_config_list {" + "config { name: 'a' base_path: 'b' }" * 2 + "}", "different"),
    ],
)
def test_bad_config_files(tmp_path, text, message):
    (tmp_path / "model.config").write_text(text)
    with pytest.raises(ValueError, match=message):
        find_models(tmp_path / "model.config")


def test_a_changed_config_file_counts(tmp_path, base):
    config = tmp_path / "model.config"
    one = "config {{ name: '{}' base_path: '{}' version_labels {{ key: 'now' value: 1 }} }}"
    config.write_text("model_config_list {" + one.format("first", base) + "}")
    store = ModelStore(find_models(config))
    store.refresh()
    assert store.resolve("first", label="now")[0] == 1
    config.write_text("model_config_list {" + one.format("second", base) + "}")
    store.refresh()
    assert store.names == ["second"]


def test_health_metrics_and_page(server, base):
    assert requests.get(f"{server.rest_url}/healthz").json() == {"ready": True}
    with RestClient("own", server.rest_url) as client:
        client.segment(png(IMAGE))
        with pytest.raises(ServingError):
            client.predict("no such", {"x": np.zeros(1)})
    text = requests.get(f"{server.rest_url}/monitoring/prometheus/metrics").text
    labels = {"protocol": "rest", "method": "predict", "model": "own"}
    labels |= {"signature": "segment_bytes", "code": "OK"}
    count = server.metrics.registry.get_sample_value("keras_unet_serving_requests_total", labels)
    assert count == 1
    assert "keras_unet_serving_requests_total{" in text
    assert 'keras_unet_serving_version{model="own"} 1.0' in text
    assert "no such" not in text  # what a client invents is no label
    config = requests.get(f"{server.rest_url}/config.json").json()
    assert (config["engine"], config["model"]) == ("server", "own")
    assert config["class_names"] == ["background", "cell"]
    page = requests.get(server.rest_url)
    assert "<html" in page.text
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]
    script = requests.get(f"{server.rest_url}/page.js")
    assert "javascript" in script.headers["Content-Type"]
    for path in ("browser_engine.js", "../server.py", "%2e%2e/server.py", "nothing.js"):
        assert requests.get(f"{server.rest_url}/{path}").status_code == 404


def test_objects_for_the_page(server):
    image = np.zeros((5, 7), np.uint8)
    image[:2, :2] = image[3:, 3:] = 200
    image[0, 6] = 200  # smaller than the target's smallest object
    answer = requests.post(f"{server.rest_url}/page/segment", data=png(image))
    assert answer.headers["Content-Type"] == "image/png"
    found = cv2.imdecode(np.frombuffer(answer.content, np.uint8), -1).astype(int)
    expected = np.zeros((5, 7), int)
    expected[:2, :2], expected[3:, 3:] = 1, 2
    np.testing.assert_array_equal(found[..., 2] + 256 * found[..., 1], expected)
    np.testing.assert_array_equal(found[..., 0], expected > 0)
    broken = requests.post(f"{server.rest_url}/page/segment", data=b"no picture")
    assert broken.status_code == 400
    assert broken.json()["error"]
    assert requests.get(f"{server.rest_url}/page/segment").status_code in (404, 405)


def test_answers_with_tensor_content(base):
    options = ServerOptions(base, rest_port=0, grpc_port=0, tensor_content=True)
    with Server(options) as server, GrpcClient("own", server.grpc_target) as client:
        request = client._predict_request()
        request.model_spec.name = "own"
        request.inputs["images"].CopyFrom(client._tf.make_tensor_proto(np.zeros((1, 2, 3, 1), "f")))
        answer = client._prediction.Predict(request).outputs["probabilities"]
        assert answer.tensor_content
        assert not answer.float_val
        assert client.probabilities(IMAGE).shape == (5, 7, 2)
        np.testing.assert_array_equal(client.segment(IMAGE), IMAGE > 64)


def test_busy_and_slow(base):
    options = ServerOptions(
        base, rest_port=0, grpc_port=0, workers=1, max_pending=2, timeout_seconds=0.3
    )
    with Server(options) as server:
        _, model = server.store.resolve("own")
        go, predict = threading.Event(), model.predict

        def slow(*arguments, **keywords):
            go.wait(30)
            return predict(*arguments, **keywords)

        model.predict = slow
        with RestClient("own", server.rest_url, retries=0) as client:
            codes = []
            for _ in range(3):
                with pytest.raises(ServingError) as caught:
                    client.segment(png(IMAGE))
                codes.append(caught.value.code)
            assert codes == ["DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED", "UNAVAILABLE"]
            go.set()
            until(lambda: server._rest.interface.places.pending == 0)
            assert client.segment(png(IMAGE)).shape == (5, 7)


def test_ports_in_use(server, base):
    for name, url in (("rest_port", server.rest_url), ("grpc_port", server.grpc_target)):
        ports = {"rest_port": 0, "grpc_port": 0, name: int(url.rsplit(":", 1)[1])}
        with pytest.raises(UsageError, match=f"cannot listen on .*{name}="):
            Server(ServerOptions(base, **ports)).start()


@pytest.mark.parametrize(
    "options",
    [
        {"rest_port": -1},
        {"grpc_port": 70000},
        {"workers": 0},
        {"max_pending": 0},
        {"poll_seconds": 0},
        {"grace_seconds": -1},
        {"body_seconds": float("nan")},
    ],
)
def test_bad_options(base, options):
    [(name, value)] = options.items()
    with pytest.raises(UsageError, match=f"cannot do with {value} for .*; give .* {name}$"):
        ServerOptions(base, **options)


@pytest.mark.posix
def test_the_command_serves_and_ends_on_sigterm(base):
    command = [sys.executable, "-m", "keras_unet.commands.app", "serve", str(base)]
    ports = ["--rest-port", "0", "--grpc-port", "0"]
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command + ports, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        said = ""
        while "Page and REST: " not in said:
            said = process.stdout.readline()
        url, target = said.removeprefix("Page and REST: ").split("   gRPC: ")
        assert requests.get(f"{url}/healthz").ok  # it answers from then on
        with grpc.insecure_channel(target.strip()) as channel:
            grpc.channel_ready_future(channel).result(timeout=30)
        process.send_signal(signal.SIGTERM)
        _, written = process.communicate(timeout=60)
    assert process.returncode == 0
    entries = [json.loads(line) for line in written.splitlines() if line.startswith("{")]
    messages = [entry["message"] for entry in entries]
    assert messages[-2:] == ["stopping", "stopped"]
    assert {"available", "serving"} <= set(messages)
