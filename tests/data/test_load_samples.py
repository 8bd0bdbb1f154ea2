"""Finding out what a folder holds, and the text form of a selection."""

from __future__ import annotations

import numpy as np
import pytest

from keras_unet.data import load_samples, parse_selection, write_image, write_labels

pytestmark = pytest.mark.core

CELL = np.array([[0, 255, 0], [0, 255, 0]], np.uint8)


@pytest.fixture
def isbi(tmp_path):
    for part in ("image", "label"):
        (tmp_path / "train" / part).mkdir(parents=True)
        for number in range(3):
            write_image(tmp_path / "train" / part / f"{number}.png", CELL)
    return tmp_path


@pytest.fixture
def tracking(tmp_path):
    for part in ("01", "01_GT/SEG", "02"):
        (tmp_path / part).mkdir(parents=True)
    for frame in range(2):
        write_image(tmp_path / "01" / f"t{frame:03d}.tif", CELL)
        write_image(tmp_path / "02" / f"t{frame:03d}.tif", CELL)
        write_labels(tmp_path / "01_GT" / "SEG" / f"man_seg{frame:03d}.tif", CELL)
    return tmp_path


@pytest.fixture
def plain(tmp_path):
    for part in ("images", "masks"):
        (tmp_path / part).mkdir()
        for number in range(11):
            write_image(tmp_path / part / f"{number}.png", CELL)
    return tmp_path


CASES = [
    ("isbi", "isbi2012", ["train/0", "train/1", "train/2"], [2], ["train/2"]),
    ("tracking", "cell-tracking", ["01/t000", "01/t001"], [1, 0], ["01/t001", "01/t000"]),
    ("plain", "folder", [str(n) for n in range(11)], [10, 2], ["10", "2"]),
]


@pytest.mark.parametrize(("layout", "format", "names", "selection", "selected"), CASES)
def test_layouts(layout, format, names, selection, selected, request):
    path = request.getfixturevalue(layout)
    for given in ("auto", format):
        assert [sample.name for sample in load_samples(path, given)] == names
    assert [sample.name for sample in load_samples(str(path), selection=selection)] == selected


def test_options_reach_the_reader(tracking):
    samples = load_samples(tracking, sequence="02", truth=None)
    assert [sample.name for sample in samples] == ["02/t000", "02/t001"]


def test_ill_arguments(plain):
    with pytest.raises(ValueError, match="format='tiff'"):
        load_samples(plain, "tiff")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        load_samples(plain / "nowhere")
    with pytest.raises(ValueError, match="images 0 to 10, not 11, -1"):
        load_samples(plain, selection=[0, 11, -1])
    with pytest.raises(FileNotFoundError, match="no ISBI 2012"):
        load_samples(plain, "isbi2012")
    with pytest.raises(
        ValueError, match="truth is no option of the format folder; its options are m"
    ):
        load_samples(plain, "folder", truth="GT")


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("3", [3]), ("0-2,20", [0, 1, 2, 20]), (" 5 , 1 - 2", [5, 1, 2]), ("4-4", [4])],
)
def test_selection(text, numbers):
    assert parse_selection(text) == numbers


ILL_SELECTIONS = ["", "a", "1,", "3-1", "1--2", "-1", "1.5", "0-3,2"]


@pytest.mark.parametrize("text", ILL_SELECTIONS)
def test_ill_selections(text):
    with pytest.raises(ValueError, match=f"^'{text}' (does not select|selects an image twice)"):
        parse_selection(text)
