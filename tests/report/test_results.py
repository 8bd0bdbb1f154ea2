"""Folders as they lie on disks become results: files that fail, runs that are stopped, films."""

from __future__ import annotations

import csv
import errno
import os
import threading
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tifffile
from drawn import picture, written
from threshold import threshold_segmenter

import keras_unet as ku
from keras_unet.data import read_labels, write_image
from keras_unet.errors import UsageError, in_command
from keras_unet.files.lock import folder_lock
from keras_unet.report import result_files, results

pytestmark = pytest.mark.core

SEGMENTER = threshold_segmenter()
predict = partial(ku.predict_files, SEGMENTER)


def test_results_are_named_after_their_image(images, out):
    rows = predict(images, out, probabilities=True)
    assert [(row.name, row.shape, row.instances) for row in rows] == [
        (f"{number}.png", (9, 14), number + 1) for number in range(4)
    ]
    assert rows[0].foreground == pytest.approx(2 / (9 * 14))
    roles = ("classes.png", "instances.png", "overlay.png", "probabilities.tif")
    expected = [f"{number}_{role}" for number in range(4) for role in roles]
    assert written(out) == [*expected, "predict.json"]
    np.testing.assert_array_equal(read_labels(out / "3_instances.png") > 0, picture(3) > 100)
    assert predict(str(images / "2.png"), str(out))[0].instances == 3


# === Files that fail ===


def ill_files(folder: Path) -> dict[str, str]:
    """Makes files of all kinds that cannot be segmented: name -> a word of the reason."""
    whole = (folder / "0.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[:-20])
    (folder / "empty.png").touch()
    (folder / "link.tif").symlink_to(folder / "nothing")
    (folder / "text.tif").write_text("Results\t1\t2")
    write_image(folder / "nan.tif", np.full((8, 9), np.nan, np.float32))
    write_image(folder / "two.tif", np.zeros((8, 9, 2), np.uint8))
    tifffile.imwrite(folder / "unnamed.tif", np.zeros((5, 8, 9), np.uint8))
    tifffile.imwrite(
        folder / "slices.tif", np.zeros((5, 8, 9), "u1"), imagej=True, metadata={"axes": "ZYX"}
    )
    return {
        "cut.png": "truncated",
        "empty.png": "0 bytes",
        "link.tif": "no such",
        "nan.tif": "NaN",
        "slices.tif": "takes images, not volumes",
        "text.tif": "",
        "two.tif": "2 channels",
        "unnamed.tif": "axes",
    }


def test_files_that_fail_are_passed_over_told_and_listed(images, out, caplog):
    expected = ill_files(images)
    out.mkdir()
    (out / "failed.csv").write_text("of an earlier call")
    (out / "3_instances.png").mkdir()  # no result can be written there
    rows = predict(images, out)
    failed = {row.name: row.error for row in rows if row.error is not None}
    assert [row.instances for row in rows if row.error is None] == [1, 2, 3]
    assert failed.keys() == {*expected, "3.png"}
    for name, word in expected.items():
        assert word in failed[name]
        assert not failed[name].startswith((name, str(images)))
        assert f"{name}: {failed[name]}" in caplog.messages
    with (out / "failed.csv").open(newline="", encoding="utf-8") as file:
        assert [tuple(row) for row in csv.reader(file)] == [("image", "reason"), *failed.items()]
    assert not (out / "3_classes.png").exists()
    os.rmdir(out / "3_instances.png")
    assert not any(row.error for row in predict(sorted(images.glob("?.png")), out))
    assert not (out / "failed.csv").exists()


def test_errors_of_any_kind_are_one_line_each(images, out, monkeypatch):
    class OutOfMemoryError(Exception):  # as PyTorch's is called
        pass

    errors = {
        0: MemoryError("Unable to allocate 3.9 GiB"),
        1: OutOfMemoryError("CUDA out of memory"),
        2: ZeroDivisionError("first\n\n  second line"),
        3: RuntimeError("x" * 5000),
    }

    def fail(self, image, progress):
        raise errors[int((image > 100).sum()) // 2 - 1]

    monkeypatch.setattr(ku.Segmenter, "predict", fail)
    reasons = [row.error for row in predict(images, out, words=in_command)]
    assert all("not enough memory" in reason and "--max-tile" in reason for reason in reasons[:2])
    assert reasons[2] == "ZeroDivisionError: first second line"
    assert len(reasons[3]) == 1200
    assert predict(images, out)[0].error.endswith("give a smaller max_tile, or cut the image")


def test_two_files_of_one_name_both_fail(images, out):
    write_image(images / "2.tif", picture())
    write_image(images.parent / "more" / "0.png", picture())
    rows = {row.name: [] for row in predict([images], out)}
    assert list(rows) == ["0.png", "1.png", "2.png", "2.tif", "3.png"]
    rows = predict([images, images.parent / "more"], out)
    assert [row.name for row in rows if row.error] == ["0.png", "2.png", "2.tif", "0.png"]
    assert str(images / "2.tif") in rows[2].error
    assert str(images / "2.png") in rows[3].error
    assert str(images / "0.png") in rows[-1].error
    assert (out / "1_instances.png").exists()
    assert not (out / "2_instances.png").exists()


def test_where_a_disk_does_not_tell_capitals_they_are_one_name(images, out):
    (images / "2.png").rename(images / "A.png")
    (images / "3.png").rename(images / "a.png")
    assert not any(row.error for row in predict(images, out))
    (out / ".LOCK").touch()  # as if `.lock` were found by this name
    assert [row.name for row in predict(images, out) if row.error] == ["A.png", "a.png"]


def test_strange_names_are_listed_on_one_line(images, out):
    (images / "line\nbreak.png").touch()
    os.rename(images / "1.png", os.fsencode(images) + b"/\xff.png")  # no UTF-8
    rows = predict(images, out)
    assert [row.name for row in rows if row.error] == ["line\nbreak.png"]
    assert len(rows) == 5
    with (out / "failed.csv").open(newline="", encoding="utf-8") as file:
        assert [row[0] for row in csv.reader(file)] == ["image", "line\nbreak.png"]
    assert predict(images, out, resume=True) == rows


# === What ends all of it ===


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_no_room_ends_it_at_once(images, out, monkeypatch, code):
    write_labels = result_files.write_labels

    def full(path, *args, **kwargs):
        if path.name == "2_instances.png":
            raise OSError(code, os.strerror(code))
        write_labels(path, *args, **kwargs)

    monkeypatch.setattr(result_files, "write_labels", full)
    with pytest.raises(UsageError, match=r"2 images are finished; .*resume=True goes on") as caught:
        predict(images, out)
    assert "--resume yes goes on" in caught.value.command_line
    assert os.strerror(code) in str(caught.value)
    assert [name for name in written(out) if name.startswith("2_")] == []
    monkeypatch.undo()
    assert [row.instances for row in predict(images, out, resume=True)] == [1, 2, 3, 4]


def test_a_folder_that_vanishes_ends_it(images, out, monkeypatch):
    def vanish(self, image, progress):
        out.rename(images.parent / "moved")
        return SEGMENTER.finish(np.zeros((9, 14, 2), np.float32))

    monkeypatch.setattr(ku.Segmenter, "predict", vanish)
    with pytest.raises(UsageError, match="removed or moved"):
        predict(images, out)
    assert not out.exists()


def never() -> ku.Segmenter:
    raise AssertionError("the model was loaded")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"axes": "YXQ"}, "axes"),
        ({"max_pixels": 0}, "max_pixels"),
    ],
)
def test_wrong_options_are_refused_before_the_model_is_loaded(images, out, options, message):
    with pytest.raises(ValueError, match=message):
        ku.predict_files(never, images, out, **options)
    assert not out.exists()


def test_where_nothing_can_be_written_nothing_is_loaded(images, out):
    out.write_text("a file")
    with pytest.raises(UsageError, match="out cannot be written") as caught:
        ku.predict_files(never, images, out)
    assert "--out" in caught.value.command_line
    with pytest.raises(UsageError, match="out/below cannot be written"):
        ku.predict_files(never, images, out / "below")


def test_a_second_writer_is_refused(images, out):
    ready, done = threading.Event(), threading.Event()

    def other():
        with folder_lock(out):
            ready.set()
            done.wait(60)

    thread = threading.Thread(target=other)
    thread.start()
    ready.wait(60)
    try:
        with pytest.raises(UsageError, match="being written by process"):
            ku.predict_files(never, images, out)
    finally:
        done.set()
        thread.join()


def test_channels_that_the_model_does_not_take_are_refused(images, out):
    with pytest.raises(UsageError, match="1 channel, not of 3") as caught:
        predict(images, out, channels=3)
    assert caught.value.command_line.endswith("say --channels 1, or leave it away")
    with pytest.raises(UsageError, match="2 channels, not of 1; give channels=2"):
        ku.predict_files(threshold_segmenter(channels=2), images, out, channels=1)


# === Films, volumes, channels ===


def film(path: Path, frames: int, axes: str = "TYX", **options) -> None:
    array = np.stack([picture(number) for number in range(frames)])
    tifffile.imwrite(path, array, imagej=True, metadata={"axes": axes}, **options)


def test_every_frame_of_a_film_is_an_image(images, out, read):
    film(images / "film.tif", 3)
    rows = predict(images / "film.tif", out, probabilities=True)
    assert [(row.name, row.instances) for row in rows] == [
        (f"film_t000{number}.tif", number + 1) for number in range(3)
    ]
    roles = ("classes.tif", "instances.tif", "overlay.png", "probabilities.tif")
    expected = [f"film_t000{number}_{role}" for number in range(3) for role in roles]
    assert written(out) == [*expected, "predict.json"]
    found = read_labels(out / "film_t0002_instances.tif")
    np.testing.assert_array_equal(found > 0, picture(2) > 100)
    read.clear()
    (out / "film_t0001_classes.tif").unlink()
    assert predict(images / "film.tif", out, probabilities=True, resume=True)[2] == rows[2]
    assert read == ["film.tif"]


def test_a_finished_film_is_not_opened(images, out, monkeypatch):
    film(images / "film.tif", 3)
    rows = predict(images, out)
    monkeypatch.setattr(results, "frames_in", lambda *args, **kwargs: 1 / 0)
    assert predict(images, out, resume=True) == rows


def test_axes_that_are_given_make_frames(images, out):
    tifffile.imwrite(images / "x.tif", np.stack([picture(n) for n in range(5)]))
    (row,) = predict(images / "x.tif", out)
    assert "without names of its axes" in row.error
    assert [row.instances for row in predict(images / "x.tif", out, axes="TYX")] == [1, 2, 3, 4, 5]


def test_a_frame_and_an_image_of_its_name_do_not_mix(images, out):
    film(images / "film.tif", 2)
    write_image(images / "film_t0001.png", picture(6))
    rows = {row.name: row for row in predict(images, out)}
    assert str(images / "film.tif") in rows["film_t0001.png"].error
    assert read_labels(out / "film_t0001_instances.tif").max() == 2


def test_a_volume_for_a_model_of_volumes(images, out):
    write_image(images / "v.tif", picture(2, (4, 9, 14))[..., None])
    rows = ku.predict_files(threshold_segmenter(rank=3), images, out)
    assert [row.error is None for row in rows] == [False] * 4 + [True]
    assert rows[-1].shape == (4, 9, 14)
    assert read_labels(out / "v_instances.tif", rank=3).max() == 3
    assert "not a volume" in rows[0].error


def test_channels_are_chosen_as_in_training_unless_others_are_given(images, out):
    both = np.stack([picture(1), picture(5)], axis=-1)
    write_image(images / "two.tif", both)
    trained = SEGMENTER.replace(reading={"channel": 1})
    call = partial(ku.predict_files, images=images / "two.tif", out=out)
    assert call(trained)[0].instances == 6
    assert call(trained, channel=0)[0].instances == 2
    assert call(SEGMENTER, channel=[1])[0].instances == 6
    assert call(trained, channel=1, resume=True)[0].instances == 6
    (row,) = call(SEGMENTER, words=in_command)
    assert "has 2 channels" in row.error
    assert "--channel 1" in row.error


def test_colour_is_turned_to_what_the_model_takes(images, out):
    write_image(images / "rgb.png", np.repeat(picture(3)[..., None], 3, axis=-1))
    for channels in (1, 3):
        segmenter = threshold_segmenter(channels=channels)
        rows = ku.predict_files(segmenter, [images / "3.png", images / "rgb.png"], out)
        assert [row.instances for row in rows] == [4, 4]
