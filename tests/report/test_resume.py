"""A folder of predictions that was stopped goes on: finished images are left as they are."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from drawn import picture, written
from threshold import threshold_segmenter

import keras_unet as ku
from keras_unet.data import write_image
from keras_unet.errors import UsageError

pytestmark = pytest.mark.core

SEGMENTER = threshold_segmenter()
predict = partial(ku.predict_files, SEGMENTER)


def test_finished_images_are_neither_read_nor_written_again(images, out, read):
    first = predict(images, out)
    times = {path: path.stat().st_mtime_ns for path in out.glob("?_*")}
    read.clear()
    assert predict(images, out, resume=True) == first
    assert read == []
    assert {path: path.stat().st_mtime_ns for path in out.glob("?_*")} == times
    write_image(images / "4.png", picture(4))
    assert [row.instances for row in predict(images, out, resume=True)] == [1, 2, 3, 4, 5]
    assert read == ["4.png"]
    predict(images, out)  # without: all of them
    assert read == [f"{number}.png" for number in (4, *range(5))]


def test_an_image_that_changed_or_lies_elsewhere_is_another_one(images, out, read):
    predict(images, out)
    write_image(images / "1.png", picture(7))
    elsewhere = images.parent / "elsewhere"
    elsewhere.mkdir()
    for name in ("2.png", "3.png"):
        os.link(images / name, elsewhere / name)  # of the same size and time
    read.clear()
    rows = predict([images / "0.png", images / "1.png", elsewhere], out, resume=True)
    assert [row.instances for row in rows] == [1, 8, 3, 4]
    assert read == ["1.png", "2.png", "3.png"]


def test_incomplete_results_are_made_again(images, out, read):
    predict(images, out, overlays=False)
    (out / "0_classes.png").unlink()
    read.clear()
    predict(images, out, overlays=False, resume=True)
    assert read == ["0.png"]
    predict(images, out, overlays=True, probabilities=True, resume=True)
    assert read == ["0.png", *(f"{number}.png" for number in range(4))]
    read.clear()
    predict(images, out, overlays=False, resume=True)  # there is more than was asked for
    assert read == []
    assert (out / "2_overlay.png").exists()


def test_an_image_that_failed_is_tried_again(images, out, read):
    whole = (images / "1.png").read_bytes()
    (images / "1.png").write_bytes(whole[:60])
    predict(images, out)
    (images / "1.png").write_bytes(whole)
    read.clear()
    assert [row.error for row in predict(images, out, resume=True)] == [None] * 4
    assert read == ["1.png"]
    assert not (out / "failed.csv").exists()


def test_files_of_an_earlier_call_do_not_stay_beside_new_ones(images, out):
    predict(images, out, probabilities=True)
    (out / "0_masks.png").touch()
    predict(images, out, overlays=False)
    assert written(out) == [
        *("0_classes.png", "0_instances.png", "0_masks.png"),
        *(f"{n}_{role}.png" for n in (1, 2, 3) for role in ("classes", "instances")),
        "predict.json",
    ]


def test_other_models_and_options_are_refused(images, out):
    predict(images, out, tta="flips")
    before = (out / "predict.json").read_bytes()
    for call, python, command in (
        (
            {"tta": "d4", "max_tile": 16},
            "there tta='flips', here tta='d4'; there max_tile=None, here max_tile=16",
            "there --tta flips, here --tta d4; there no --max-tile, here --max-tile 16",
        ),
        ({"tta": "flips", "channel": 0}, "there channel=None, here channel=[0]", "--channel 1;"),
        ({"tta": "flips", "axes": "YX"}, "there axes=None, here axes='YX'", "here --axes YX;"),
    ):
        with pytest.raises(UsageError, match=re.escape(python)) as caught:
            predict(images, out, resume=True, **call)
        assert command in caught.value.command_line
        assert caught.value.command_line.endswith(
            "choose another --out, or start over with --resume no"
        )
    with pytest.raises(UsageError, match=f"{out.name} holds results of another model; choose"):
        ku.predict_files(threshold_segmenter(above=0.4), images, out, tta="flips", resume=True)
    assert (out / "predict.json").read_bytes() == before
    ku.predict_files(threshold_segmenter(above=0.4), images, out)  # starts over
    with pytest.raises(UsageError, match="another model"):
        predict(images, out, resume=True)


DAMAGES = {
    "garbage": b"\x00\xff\x80",
    "empty": b"",
    "half a head": b'{"format_version": 1, "mod',
    "a list": b"[1, 2]",
    "no images": b'{"format_version": 1, "model": "a", "options": {}}',
    "images of another kind": (
        b'{"format_version": 1, "model": "a", "options": {}, "finished": [1]}'
    ),
    "a record of another kind": (
        b'{"format_version": 1, "model": "a", "options": {}, "finished": {"0": {"frames": 0}}}'
    ),
    "a version of another kind": (
        b'{"format_version": true, "model": "a", "options": {}, "finished": {}}'
    ),
    "deep": b"[" * 100_000,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_record_is_refused_and_started_over(images, out, damage):
    out.mkdir()
    (out / "predict.json").write_bytes(DAMAGES[damage])
    with pytest.raises(UsageError, match=r"predict\.json is damaged") as caught:
        predict(images, out, resume=True)
    assert "--resume no" in caught.value.command_line
    assert (out / "predict.json").read_bytes() == DAMAGES[damage]
    predict(images, out)
    assert json.loads((out / "predict.json").read_text())["finished"].keys() == set("0123")


def test_a_record_of_another_version_is_refused(images, out):
    predict(images, out)
    text = (out / "predict.json").read_text().replace('"format_version": 1', '"format_version": 2')
    (out / "predict.json").write_text(text)
    with pytest.raises(UsageError, match="has format version 2, not 1"):
        predict(images, out, resume=True)


def test_a_line_that_was_cut_off_costs_one_image_at_most(images, out, read):
    """The record wherever its last line ends, as after a kill or a power cut."""
    predict(images, out, overlays=False)
    text = (out / "predict.json").read_bytes()
    start = text.rindex(b'"3"')
    for end in range(start - 2, len(text), 40):
        (out / "predict.json").write_bytes(text[:end])
        read.clear()
        predict(images, out, overlays=False, resume=True)
        assert read in (["3.png"], ["2.png", "3.png"], [])
        assert json.loads((out / "predict.json").read_text())["finished"].keys() == set("0123")


def test_names_in_a_record_delete_nothing_else(images, out):
    predict(images, out)
    record = json.loads((out / "predict.json").read_text())
    for one in record["finished"].values():
        one["results"]["classes"] = "../images/1.png"
        one["results"]["instances"] = "1_instances.png"
    (out / "predict.json").write_text(json.dumps(record))
    assert not any(row.error for row in predict(images, out, resume=True))
    assert (images / "1.png").exists()


SCRIPT = """
import sys, time
sys.path.insert(0, {tests!r})
from threshold import threshold_segmenter
import keras_unet as ku

predict = ku.Segmenter.predict
def slow(self, image, progress):
    if (image > 100).sum() == 6:  # 2.png
        time.sleep(60)
    return predict(self, image)
ku.Segmenter.predict = slow
ku.predict_files(threshold_segmenter(), {images!r}, {out!r})
"""


@pytest.mark.posix
def test_a_kill_loses_the_image_that_was_running(images, out, read):
    tests = str(Path(__file__).resolve().parents[1])
    code = SCRIPT.format(tests=tests, images=str(images), out=str(out))
    process = subprocess.Popen([sys.executable, "-c", code])
    try:
        deadline = time.monotonic() + 60
        record = out / "predict.json"
        while not (record.exists() and '"1"' in record.read_text()):
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert (out / ".lock").exists()
    rows = predict(images, out, resume=True)
    assert read == ["2.png", "3.png"]
    assert [row.instances for row in rows] == [1, 2, 3, 4]
    expected = [f"{n}_{r}.png" for n in range(4) for r in ("classes", "instances", "overlay")]
    assert written(out) == [*expected, "predict.json"]
