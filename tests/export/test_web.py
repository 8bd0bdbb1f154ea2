"""The exported page: its files, what it refuses, and (slow) the same mask in a real browser."""

import functools
import http.server
import json
import shutil
import threading

import cv2
import numpy as np
import pytest

import keras_unet as ku
from keras_unet.export.to_web import PAGE, install_runtime, web
from keras_unet.targets import ClassTarget

pytestmark = pytest.mark.skipif(not PAGE.is_dir(), reason="the page is not in this checkout")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture
def runtime(tmp_path):
    """Stands for `node_modules/@litertjs`."""
    for name, text in {
        "core/dist/index.js": 'import { createWasmLib } from "@litertjs/wasm-utils";\n',
        "core/wasm/runtime.wasm": "wasm",
        "wasm-utils/dist/index.js": "export {};\n",
    }.items():
        file = tmp_path / "@litertjs" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return tmp_path / "@litertjs"


def segmenter(channels=1, **options):
    model = ku.models.UNet(input_shape=(None, None, channels), filters=2, depth=2, padding="same")
    return ku.Segmenter(model, **options)


def test_site(tmp_path, runtime):
    site = web(segmenter(channels=3), tmp_path / "deep" / "site", tile=64, runtime=runtime)
    files = {str(file.relative_to(site)) for file in site.rglob("*") if file.is_file()}
    assert {"index.html", "page.js", "browser_engine.js", "model.tflite", "config.json"} <= files
    assert {"litert/litert.js", "litert/wasm_utils.js", "litert/wasm/runtime.wasm"} <= files
    assert "server_engine.js" not in files
    assert '"./wasm_utils.js"' in (site / "litert" / "litert.js").read_text()
    config = json.loads((site / "config.json").read_text())
    assert config["engine"] == "browser"
    assert config["tile"] == [64, 64]
    assert config["channels"] == 3
    assert config["geometry"]["stride"] == 4
    assert list(site.parent.iterdir()) == [site]  # nothing unfinished is left


def test_existing_site_is_kept(tmp_path, runtime):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "mine.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="pass overwrite=True"):
        web(segmenter(), tmp_path / "site", tile=64, runtime=runtime)
    assert (tmp_path / "site" / "mine.txt").read_text() == "mine"
    web(segmenter(), tmp_path / "site", tile=64, runtime=runtime, overwrite=True)
    assert not (tmp_path / "site" / "mine.txt").exists()
    assert (tmp_path / "site" / "index.html").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resolution": 0.5}, "cannot resize"),
        ({"target": ClassTarget(close_gaps=True)}, "close_gaps"),
        ({"channels": 2}, "channels=2"),
    ],
)
def test_what_the_page_cannot_do(options, message, tmp_path, runtime):
    with pytest.raises(ValueError, match=message):
        web(segmenter(**options), tmp_path / "site", tile=64, runtime=runtime)
    assert not (tmp_path / "site").exists()


def test_failure_leaves_nothing(tmp_path, runtime):
    with pytest.raises(ValueError, match="tile"):
        web(segmenter(), tmp_path / "out" / "site", tile=63, runtime=runtime)
    assert list((tmp_path / "out").iterdir()) == []


def test_runtime_must_be_complete(tmp_path):
    with pytest.raises(ValueError, match="node_modules/@litertjs"):
        install_runtime(tmp_path / "litert", tmp_path)


def test_npm_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeError, match=r"npm is needed.*runtime=FOLDER"):
        install_runtime(tmp_path / "litert")


@pytest.mark.posix
def test_npm_may_fail(tmp_path, monkeypatch):
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho no network >&2\nexit 1\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(RuntimeError, match=r"could not fetch @litertjs/core@.*no network"):
        install_runtime(tmp_path / "litert")


@pytest.mark.posix
def test_another_runtime_is_refused(tmp_path, monkeypatch):
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho other > package.tgz\necho package.tgz\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(RuntimeError, match="is not the tested one"):
        install_runtime(tmp_path / "litert")


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def offer():
    """A function that offers a folder on a port of this machine; returns its address."""
    servers = []

    def start(folder):
        handler = functools.partial(Quiet, directory=folder)
        servers.append(http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}/index.html"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
def test_mask_of_a_browser_is_that_of_python(tmp_path, offer):
    """The preset on synthetic cells: every pixel of the downloaded mask."""
    playwright = pytest.importorskip("playwright.sync_api")
    nuclei = ku.Segmenter.from_preset("nuclei")
    nuclei.tta = None
    sample = ku.data.synthetic_cells(1, shape=(310, 270), seed=4)[0]
    image = np.repeat(sample.image, 3, axis=-1)
    cv2.imwrite(str(tmp_path / "cells.png"), image)
    address = offer(web(nuclei, tmp_path / "site", tile=256, quantization=None))
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        hosts = []
        page.on("request", lambda request: hosts.append(request.url))
        page.goto(address)
        page.wait_for_selector("body[data-state=ready]", timeout=120_000)
        page.set_input_files("#file", str(tmp_path / "cells.png"))
        page.wait_for_selector("body[data-state=done]", timeout=300_000)
        with page.expect_download() as download:
            page.click("#mask")
        mask = cv2.imread(str(download.value.path()), cv2.IMREAD_UNCHANGED)
        page.set_input_files("#file", __file__)  # no image
        page.wait_for_selector("body[data-state=failed]")
        browser.close()
    assert all(url.startswith(address.rpartition("/")[0]) or url[:5] == "blob:" for url in hosts)
    expected = nuclei.predict(image).instances
    assert expected.max() > 5
    assert np.array_equal(mask, expected)
