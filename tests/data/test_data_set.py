"""A data set as the command line names it."""

import cv2
import numpy as np
import pytest
import tifffile

from keras_unet.data.data_set import DataSet

pytestmark = pytest.mark.core


@pytest.fixture
def tracking(tmp_path):
    cells = np.zeros((6, 9), np.uint16)
    cells[1:3, 2:5] = 4
    for folder, name in (("01", "t"), ("01_GT/SEG", "man_seg"), ("01_GT/TRA", "man_track")):
        (tmp_path / folder).mkdir(parents=True)
        for frame in (3, 12):
            tifffile.imwrite(tmp_path / folder / f"{name}{frame:03d}.tif", cells * (frame > 3))
    return tmp_path


def test_tracking(tracking):
    data = DataSet(tracking)
    assert data.layout == "cell-tracking"
    assert [sample.name for sample in data.samples] == ["01/t003", "01/t012"]
    assert (data.places, data.is_part) == ([3, 12], True)
    assert [marker.max() for marker in data.markers()] == [0, 4]


def test_tracking_without_markers(tracking):
    for file in (tracking / "01_GT" / "TRA").iterdir():
        file.unlink()
    assert DataSet(tracking, sequence="01", select="12").markers() is None


def test_isbi2012(tmp_path):
    for folder in ("image", "label"):
        (tmp_path / "train" / folder).mkdir(parents=True)
        for number in (2, 10):
            cv2.imwrite(f"{tmp_path}/train/{folder}/{number}.png", np.full((3, 4), 255, np.uint8))
    data = DataSet(tmp_path)
    assert (data.layout, data.places, data.is_part) == ("isbi2012", [2, 10], False)
    assert DataSet(tmp_path, select="10").is_part


def test_folder(tmp_path):
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
        for name in "abc":
            cv2.imwrite(f"{tmp_path}/{folder}/{name}.png", np.ones((3, 4), np.uint8))
    data = DataSet(tmp_path / "images", masks=tmp_path / "masks", kind="binary")
    assert (data.layout, data.places, data.is_part) == ("folder", None, False)
    assert data.markers() is None
    assert data.samples[0].instances is not None
    assert DataSet(tmp_path, select="0,2").places == [0, 2]
    assert [sample.name for sample in DataSet(tmp_path, select="0,2").samples] == ["a", "c"]


def test_an_option_of_another_format(tracking):
    with pytest.raises(ValueError, match="masks is no option of the format cell-tracking"):
        _ = DataSet(tracking, masks=tracking).samples
