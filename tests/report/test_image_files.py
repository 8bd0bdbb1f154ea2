"""Which files of a folder are images to segment."""

from __future__ import annotations

import logging

import pytest

from keras_unet.report.image_files import find_images
from keras_unet.report.result_files import ENDINGS, names_of, stems_behind

pytestmark = pytest.mark.core


def touch(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


def names(*args, **options):
    return [file.name for file in find_images(*args, **options)]


def test_hidden_files_others_and_folders_are_no_images(tmp_path):
    touch(tmp_path, "b.png", "a.TIF", "._b.png", ".DS_Store", ".hidden.tif", "notes.txt", "x.csv")
    touch(tmp_path / "c.png", "inside.png")
    assert names([tmp_path]) == ["a.TIF", "b.png"]


@pytest.mark.parametrize("image", ["cells.png", "cells.ome.tif", "cells.nii.gz", "cells.JPG"])
@pytest.mark.parametrize("frame", ["", "_t0007"])
def test_results_beside_their_image_are_no_images(tmp_path, image, frame):
    touch(tmp_path, image, *names_of(f"cells{frame}"))
    assert len(names_of("cells")) == sum(map(len, ENDINGS.values())) == 8
    assert names([tmp_path]) == [image]


def test_names_like_results_are_images_where_nothing_else_is(tmp_path):
    lone = ["a_instances.png", "b_overlay.png", "c_t0001_classes.tif"]
    other = ["d.png", "d_instances.jpg", "d_overlay.tif", "d_masks.png", "d_classes.ome.tif"]
    touch(tmp_path / "in", *lone, *other)
    assert names([tmp_path / "in"], out=tmp_path / "out") == sorted([*lone, *other])


def test_in_the_folder_of_results_they_never_are(tmp_path, caplog):
    touch(tmp_path, "a.png", "a_instances.png", "gone_instances.png", "gone_overlay.png")
    (tmp_path / "link").symlink_to(tmp_path)
    assert names([tmp_path], out=tmp_path / "link") == ["a.png"]
    (warning,) = caplog.messages  # of those whose image is not there
    assert "gone_instances.png" in warning
    assert "a_instances.png" not in warning
    with pytest.raises(FileNotFoundError, match=r"passed over .*gone_instances\.png"):
        find_images([tmp_path / "gone_instances.png"], out=tmp_path)


def test_the_rules_hold_for_files_that_a_shell_lists(tmp_path, caplog):
    touch(tmp_path, "a.png", "a_instances.png", "a_overlay.png", "._a.png", "b.lsm")
    assert names(sorted(tmp_path.iterdir()), out=tmp_path / "out") == ["a.png", "b.lsm"]
    (warning,) = caplog.messages
    assert warning.count(".png") == 3


def test_a_file_is_taken_once_however_it_is_named(tmp_path, monkeypatch):
    touch(tmp_path / "a", "0.png", "1.png")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    (tmp_path / "a" / "2.png").symlink_to(tmp_path / "a" / "1.png")  # a name of its own
    monkeypatch.chdir(tmp_path / "a")
    assert names(["1.png", tmp_path / "b", tmp_path / "a" / ".." / "a"]) == [
        *("1.png", "0.png", "2.png")
    ]


def test_folders_without_an_image_are_told(tmp_path, caplog):
    empty, full = touch(tmp_path / "empty", "x.txt"), touch(tmp_path / "full", "a.png")
    assert names([empty, full]) == ["a.png"]
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert f"no image in {empty}" in caplog.text


def test_a_missing_file_is_left_to_the_reader_unless_all_are(tmp_path):
    touch(tmp_path, "a.png")
    (tmp_path / "dangling.png").symlink_to(tmp_path / "nothing")
    assert names([tmp_path, tmp_path / "gone.png"]) == ["a.png", "dangling.png", "gone.png"]
    with pytest.raises(FileNotFoundError, match=r"no such file or folder: .*x\.png, .*y$"):
        find_images([tmp_path / "x.png", tmp_path / "y"])
    many = [tmp_path / f"{number}.png" for number in range(30)]
    with pytest.raises(FileNotFoundError, match=r"7\.png, \.\.\. \(30 in all\)$"):
        find_images(many)
    with pytest.raises(FileNotFoundError, match="no image was named"):
        find_images([])


def test_a_decomposed_name_belongs_to_its_composed_image(tmp_path):
    touch(tmp_path, "zélle.png", "ze\u0301lle_instances.png")
    assert names([tmp_path]) == ["zélle.png"]
    assert stems_behind(tmp_path / "line\nbreak_classes.tif") == {"line\nbreak"}
