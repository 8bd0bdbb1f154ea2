"""The page of the server in a real browser: the downloaded files are Python's, pixel by pixel."""

from __future__ import annotations

import os
import shutil

import cv2
import numpy as np
import pytest

import keras_unet as ku
from keras_unet.files.reading import read_image

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
]


@pytest.fixture(scope="module")
def nuclei():
    segmenter = ku.Segmenter.from_preset("nuclei")
    segmenter = segmenter.replace(tta=None)  # exports leave it out
    return segmenter


@pytest.fixture(scope="module")
def address(nuclei, tmp_path_factory):
    from keras_unet.serving import Server, ServerOptions

    base = tmp_path_factory.mktemp("models") / "nuclei"
    ku.export.saved_model(nuclei, base, warmup_sizes=[(256, 256)])
    with Server(ServerOptions(base, rest_port=0, grpc_port=0)) as server:
        yield server.rest_url


@pytest.fixture(scope="module")
def page(address):
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.hosts, page.errors = [], []
        page.on("request", lambda request: page.hosts.append(request.url))
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        page.goto(address)
        page.wait_for_selector("body[data-state=ready]", timeout=60_000)
        yield page
        browser.close()


def segment(page, file):
    page.set_input_files("#file", str(file))
    page.wait_for_selector("body[data-state=done]", timeout=300_000)


def download(page, link):
    with page.expect_download() as found:
        page.click(link)
    return found.value.path()


def check(page, nuclei, image, file, at_least):
    segment(page, file)
    expected = nuclei.predict(image)
    assert expected.count > at_least
    mask = cv2.imread(str(download(page, "#mask")), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(mask, expected.instances)
    classes = cv2.imread(str(download(page, "#classes")), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(classes, expected.classes)
    rows = download(page, "#csv").read_text().splitlines()
    assert len(rows) == 1 + expected.count
    areas = [int(row.split(",")[2]) for row in rows[1:]]
    assert areas == expected.areas.tolist()
    assert page.inner_text("#count") == f"{expected.count} objects"


def test_synthetic_cells(page, nuclei, address, tmp_path):
    sample = ku.data.synthetic_cells(1, shape=(310, 270), seed=4)[0]
    image = np.repeat(sample.image, 3, axis=-1)
    cv2.imwrite(str(tmp_path / "cells.png"), image)
    check(page, nuclei, image, tmp_path / "cells.png", at_least=5)
    page.set_input_files("#file", __file__)  # no image
    page.wait_for_selector("body[data-state=failed]")
    segment(page, tmp_path / "cells.png")  # and it goes on
    assert all(url.startswith(address) or url[:5] == "blob:" for url in page.hosts)
    assert page.errors == []


def test_real_nuclei(page, nuclei, data_root):
    """`KERAS_UNET_SCREENSHOT=FILE.png` keeps a picture of the page."""
    file = sorted((data_root / "dsb2018" / "images").glob("*.png"))[0]
    image = read_image(file, channels=3)
    check(page, nuclei, image, file, at_least=20)
    if os.environ.get("KERAS_UNET_SCREENSHOT"):
        page.screenshot(path=os.environ["KERAS_UNET_SCREENSHOT"], full_page=True)
