"""The files in `serving/`: they parse, agree with each other, and the proxy's limits hold."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest
import requests
import yaml
from serving_models import free_port

from keras_unet.serving.config_files import read_model_config

FOLDER = Path(__file__).resolve().parents[2] / "serving"
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
JS_MODULE = Path("/usr/lib/nginx/modules/ngx_http_js_module.so")


def plain(name: str) -> str:
    """A configuration without its comments."""
    return re.sub(r"#.*", "", (FOLDER / name).read_text())


def test_case54_model_config():
    [model] = read_model_config(FOLDER / "models.config")
    assert model.name == "nuclei"
    assert model.base_path == Path("/models/nuclei")
    assert model.versions == (1,)


def test_case54_batching():
    """The message `BatchingParameters` is not in the API's package: its fields are checked here."""
    text = plain("batching.config")
    wrapped = dict(re.findall(r"(\w+) \{ value: (\d+) \}", text))
    allowed = [int(size) for size in re.findall(r"allowed_batch_sizes: (\d+)", text)]
    assert set(wrapped) == {
        "max_batch_size",
        "batch_timeout_micros",
        "max_enqueued_batches",
        "num_batch_threads",
    }
    assert allowed == sorted(allowed)
    assert allowed[-1] == int(wrapped["max_batch_size"])
    rest = re.sub(r"\w+ \{ value: \d+ \}|allowed_batch_sizes: \d+", "", text)
    assert not rest.strip()
    assert "pad_variable_length_inputs" not in text


def test_case54_monitoring():
    """The message `MonitoringConfig` is not in the API's package either."""
    words = plain("monitoring.config").split()
    path = '"/monitoring/prometheus/metrics"'
    assert words == ["prometheus_config", "{", "enable:", "true", "path:", path, "}"]


def test_case55_labels_name_versions_that_are_served():
    [model] = read_model_config(FOLDER / "models.config")
    assert model.labels
    assert set(model.labels.values()) <= set(model.versions)


def flags(arguments):
    return dict(argument.removeprefix("--").split("=", 1) for argument in arguments)


def test_compose_and_kubernetes_agree():
    services = yaml.safe_load((FOLDER / "docker-compose.yaml").read_text())["services"]
    documents = list(yaml.safe_load_all((FOLDER / "kubernetes.yaml").read_text()))
    [deployment] = [one for one in documents if one["kind"] == "Deployment"]
    pods = {one["name"]: one for one in deployment["spec"]["template"]["spec"]["containers"]}
    for name in ("model", "proxy"):
        assert services[name]["image"] == pods[name]["image"]
        assert re.search(r":\d", pods[name]["image"]), "a version, not latest"
    assert flags(services["model"]["command"]) == flags(pods["model"]["args"])
    assert "ports" not in services["model"], "only the proxy is reached"
    assert services["proxy"]["ports"] == ["127.0.0.1:8080:8080"]
    for volume in services["model"]["volumes"][1:]:
        assert (FOLDER / volume.split(":")[0]).is_file()


@pytest.fixture(scope="module")
def proxy(served, tmp_path_factory):
    if NGINX is None or not JS_MODULE.is_file():
        pytest.skip("nginx with its JavaScript module is not installed")
    folder = tmp_path_factory.mktemp("nginx")
    shutil.copy(FOLDER / "limits.js", folder)
    port = free_port()
    text = (FOLDER / "nginx.conf").read_text()
    for old, new in {
        "modules/ngx_http_js_module.so": str(JS_MODULE),
        "model:8501": served.rest.removeprefix("http://"),
        "listen 8080": f"listen 127.0.0.1:{port}",
        "/etc/nginx/": f"{folder}/",
        "/tmp/": f"{folder}/",
    }.items():
        assert old in text
        text = text.replace(old, new)
    (folder / "nginx.conf").write_text(text)
    command = [NGINX, "-p", str(folder), "-e", "stderr", "-c", str(folder / "nginx.conf")]
    with subprocess.Popen([*command, "-g", "daemon off;"]) as process:
        address = f"http://127.0.0.1:{port}"
        for _ in range(100):
            try:
                requests.get(f"{address}/healthz", timeout=5)
                break
            except requests.ConnectionError:
                assert process.poll() is None
                time.sleep(0.1)
        yield address
        process.terminate()


ROW = json.dumps({"instances": [[[[64]]]]})


def test_the_proxy_lets_predictions_through(proxy, served):
    for path in (":predict", "/versions/1:predict", "/labels/stable:predict"):
        answer = requests.post(f"{proxy}/v1/models/cells{path}", data=ROW)
        assert answer.json() == requests.post(served.url(path), data=ROW).json()


def test_the_proxy_refuses_the_rest(proxy):
    url = f"{proxy}/v1/models/cells"
    assert requests.post(f"{url}:predict", data=b" " * (9 * 2**20)).status_code == 413
    packed = requests.post(f"{url}:predict", data=b"x", headers={"Content-Encoding": "gzip"})
    assert packed.status_code == 415
    for body in ('{"instances": ' + "[" * 50_000, '{"a":' * 33, '["\\"", ' + "[" * 40):
        answer = requests.post(f"{url}:predict", data=body)
        assert answer.status_code == 400
        assert answer.json() == {"error": "nested deeper than 32 levels"}
    assert requests.get(f"{url}:predict").status_code == 403
    for path in ("", "/metadata", "/versions/1", ":classify"):
        assert requests.get(f"{url}{path}").status_code == 404
    assert requests.get(f"{proxy}/monitoring/prometheus/metrics").status_code == 404


def test_the_proxy_sees_no_depth_in_strings(proxy):
    for name in ("[" * 100, '\\"' + "[" * 100, "\\\\", '{"' * 50):
        body = json.dumps({"signature_name": name, "instances": [[[[64]]]]})
        answer = requests.post(f"{proxy}/v1/models/cells:predict", data=body)
        assert "not found in signature def" in answer.json()["error"]
