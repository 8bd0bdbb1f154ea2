"""`keras-unet predict`: what it says, where, and with which exit code."""

from __future__ import annotations

import re
import shutil

import cv2
import numpy as np
import pytest
import tifffile
from command_line import invoke

import keras_unet as ku
from keras_unet.data import read_labels

pytestmark = pytest.mark.core


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    model = ku.models.UNet((None, None, 1), filters=2, depth=1, padding="same", normalization=None)
    return ku.Segmenter(model).save(tmp_path_factory.mktemp("runs") / "tiny")


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(4):
        cv2.imwrite(str(folder / f"{number}.png"), np.eye(20, 30, number, np.uint8) * 255)
    return folder


def last_lines(output, first):
    """The lines from the one that begins so."""
    lines = output.splitlines()
    return lines[next(n for n, line in enumerate(lines) if line.startswith(first)) :]


def test_masks_beside_the_images_are_no_images_of_the_next_call(run, images):
    (images / "._0.png").write_bytes(b"\0\5\x16\7")
    for _ in range(2):
        output = invoke("predict", run, images, "--out", images)
        assert output.count("20x30") == 4
        assert len(list(images.glob("*_instances.png"))) == 4
        assert len(list(images.glob("*.png"))) == 1 + 4 * 4


def test_failures_are_counted_in_the_last_lines(run, images, tmp_path):
    (images / "1.png").write_bytes((images / "1.png").read_bytes()[:50])
    output = invoke("predict", run, images, "--out", tmp_path / "out", code=1)
    assert output.count("20x30") == 3
    first, failed, listed = last_lines(output, "3 of 4")
    assert first == "3 of 4 images segmented; 1 failed:"
    assert failed.startswith("1.png: is truncated")
    assert listed.endswith("failed.csv")
    assert "Traceback" not in output


def test_twenty_failures_are_shown_and_all_are_listed(run, tmp_path):
    folder = tmp_path / "[images]"
    folder.mkdir()
    for number in range(25):
        (folder / f"{number:02}[red].tif").write_text("no image")
    output = invoke("predict", run, folder, "--out", tmp_path / "[out]", code=1)
    lines = last_lines(output, "0 of 25 images segmented; 25 failed:")
    assert lines[1].startswith("00[red].tif: is damaged")
    assert lines[20].startswith("19[red].tif: ")
    assert lines[21:] == ["... and 5 more", f"All that failed: {tmp_path / '[out]' / 'failed.csv'}"]
    assert len((tmp_path / "[out]" / "failed.csv").read_text().splitlines()) == 26


def test_advice_is_in_the_words_of_the_command_line(run, images, tmp_path):
    tifffile.imwrite(images / "axes.tif", np.zeros((5, 20, 30), np.uint8))
    tifffile.imwrite(images / "two.tif", np.zeros((20, 30, 2), np.uint8), planarconfig="contig")
    output = invoke("predict", run, images, "--out", tmp_path, code=1)
    assert "axes.tif: is 5 x 20 x 30 without names of its axes; say --axes" in output
    assert "two.tif: has 2 channels" in output
    assert "say --channel 1 or --channel 2" in output
    assert "--channel 1" in (tmp_path / "failed.csv").read_text()
    call = ("predict", run, images / "axes.tif", images / "two.tif", "--out", tmp_path)
    output = invoke(*call, "--axes", "TYX", "--channel", "1", code=1)
    assert "5 of 6 images segmented" in output
    assert read_labels(tmp_path / "axes_t0004_instances.tif").shape == (20, 30)
    assert "20x30" in invoke(*call[:2], call[3], "--out", tmp_path, "--channel", "2")


def test_going_on(run, images, tmp_path):
    whole = (images / "1.png").read_bytes()
    (images / "1.png").write_bytes(whole[:50])
    call = ("predict", run, images, "--out", tmp_path / "out", "--resume")
    invoke(*call, "yes", code=1)
    (images / "1.png").write_bytes(whole)
    time = (tmp_path / "out" / "0_instances.png").stat().st_mtime_ns
    assert invoke(*call, "yes").count("20x30") == 4
    assert (tmp_path / "out" / "0_instances.png").stat().st_mtime_ns == time
    output = invoke(*call, "yes", "--tta", "d4", code=1)
    assert output == (
        f"Error: {tmp_path / 'out'} holds results of other options; there no --tta, here --tta d4; "
        "choose another --out, or start over with --resume no\n"
    )
    assert invoke(*call, "no", "--tta", "d4").count("20x30") == 4


@pytest.mark.parametrize(
    ("option", "value", "listed"),
    [
        ("--tta", "flip", "flips, d4, paper7"),
        ("--channels", "2", "1, 3"),
        ("--resume", "maybe", "yes, no"),
    ],
)
def test_values_of_closed_lists_are_refused_before_anything_is_loaded(option, value, listed):
    output = " ".join(invoke("predict", "nowhere", "x.png", option, value, code=2).split())
    assert listed in output.replace("│ ", "")


def damaged(run, folder, name, data=None):
    """A copy of the run with one file missing or other bytes in it."""
    shutil.copytree(run, folder)
    (folder / name).unlink()
    if data is not None:
        (folder / name).write_bytes(data)
    return folder


WRONG = {
    "a preset of another name": (["--preset", "nucleii"], "(did you mean 'nuclei'?)"),
    "no run folder": (["{tmp}/nowhere"], "--out"),
    "images in its place": (["{images}"], "segmenter.json is missing"),
    "a model and a preset": (["--preset", "nuclei", "{run}"], "not both"),
    "a run folder without a model": (["{no_model}"], "copy the whole folder"),
    "a damaged model": (["{bad_model}"], "model.keras cannot be loaded"),
    "a newer run folder": (["{newer}"], "format version 99"),
    "no folder to write in": (["{run}", "--out", "{images}/0.png"], "choose another --out"),
    "a tile that is too small": (["{run}", "--max-tile", "8"], "or more"),
    "an axis that is none": (["{run}", "--axes", "YXQ"], "say for example --axes YXC"),
    "channels for another model": (["{run}", "--channels", "3"], "say --channels 1"),
    "no image": (["{run}", "{tmp}/nothing.png"], None),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_speaks_of_all_images_is_one_line_without_python(case, run, images, tmp_path):
    arguments, words = WRONG[case]
    places = {"run": run, "images": images, "tmp": tmp_path}
    places["no_model"] = damaged(run, tmp_path / "no_model", "model.keras")
    places["bad_model"] = damaged(run, tmp_path / "bad_model", "model.keras", b"garbage")
    newer = b'{"format_version": 99}'
    places["newer"] = damaged(run, tmp_path / "newer", "segmenter.json", newer)
    arguments = [argument.format(**places) for argument in arguments]
    given = [] if words is None else [images]
    out = [] if "--out" in arguments else ["--out", tmp_path / "out"]
    output = invoke("predict", *arguments, *given, *out, code=1)
    assert output.startswith("Error: ")
    assert output.count("\n") == 1
    assert (words or "no such file") in output
    advice = output.rpartition(";")[2]
    assert not re.search(r"\w=|np\.|True|\(\)|\[", advice)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("rank", "words"), [(2, "takes images, not volumes"), (3, "NIfTI")])
def test_images_of_another_kind_than_the_model_takes(rank, words, images, tmp_path):
    shape = (*(None,) * rank, 1)
    model = ku.models.UNet(shape, filters=2, depth=1, padding="same", normalization=None)
    other = ku.Segmenter(model).save(tmp_path / "run")
    stack = {"imagej": True, "metadata": {"axes": "ZYX"}}
    tifffile.imwrite(images / "stack.tif", np.zeros((5, 20, 30), np.uint8), **stack)
    file = images / ("0.png" if rank == 3 else "stack.tif")
    output = invoke("predict", other, file, "--out", tmp_path / "out", code=1)
    assert words in output
    assert "--rank" not in output
    assert "0 of 1 images segmented" in output
