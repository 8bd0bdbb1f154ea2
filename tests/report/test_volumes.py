"""Pictures of volumes: which voxel is shown where."""

from __future__ import annotations

import numpy as np
import pytest

from keras_unet import Sample
from keras_unet.report import volumes

IMAGE = np.zeros((4, 6, 10, 1), np.uint8)
IMAGE[..., 0] = np.arange(4)[:, None, None] * 10  # every slice has a grey value of its own
CUBE = np.zeros((4, 6, 10), np.int32)
CUBE[1:4, 1:5, 2:8] = 3


def grey(picture: np.ndarray) -> np.ndarray:
    assert (np.ptp(picture, axis=-1) == 0).all()
    return picture[..., 0]


def test_middle_slices_lie_side_by_side():
    picture = grey(volumes.middle_slices(IMAGE, gap=2))
    assert picture.shape == (6, 10 + 2 + 10 + 2 + 6)
    assert np.unique(picture[:, :10]).tolist() == [170]  # slice 2 of 0..3
    assert picture[:4, 12].tolist() == [0, 85, 170, 255]  # depth goes down in (D, W)
    assert (picture[4:, 12:22] == 255).all()
    assert picture[:4, 24].tolist() == [0, 85, 170, 255]  # and in (D, H)


def test_slices_have_their_physical_proportions():
    picture = volumes.middle_slices(IMAGE, spacing=(5, 2, 2), gap=2)
    assert picture.shape == (10, 30, 3)  # 4 slices of 2.5 pixels


def test_objects_are_drawn_in_all_three_planes():
    picture = volumes.middle_slices(IMAGE[..., 0], CUBE, gap=2)
    coloured = np.ptp(picture, axis=-1) > 0
    assert coloured[:, :10].sum() == 4 * 6
    assert coloured[:, 12:22].sum() == 3 * 6
    assert coloured[:, 24:].sum() == 3 * 4


def test_montage_spreads_slices_in_rows():
    picture = grey(volumes.montage(IMAGE, gap=1))
    assert picture.shape == (6 + 1 + 6, 10 + 1 + 10)
    assert [picture[0, 0], picture[0, 11], picture[7, 0], picture[7, 11]] == [0, 85, 170, 255]
    assert grey(volumes.montage(IMAGE, slices=3, gap=1))[-1, -1] == 255  # an empty place
    assert grey(volumes.montage(IMAGE, slices=1))[0, 0] == 170
    assert (np.ptp(volumes.montage(IMAGE, CUBE), axis=-1) > 0).sum() == 3 * 4 * 6


def test_small_pictures_are_enlarged():
    picture = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    large = volumes.enlarge(picture, width=7)
    assert large.shape == (4, 6, 3)
    np.testing.assert_array_equal(large[::2, 1::2], picture)
    np.testing.assert_array_equal(volumes.enlarge(picture, width=2), picture)


ILL = [
    (lambda: volumes.montage(np.zeros((4, 5))), r"image must be \(D, H, W"),
    (lambda: volumes.montage(np.zeros((0, 4, 5))), r"image must be \(D, H, W"),
    (lambda: volumes.montage(IMAGE, CUBE[1:]), r"spatial shape \(4, 6, 10\)"),
    (lambda: volumes.montage(IMAGE, slices=0), "slices must be at least 1"),
    (lambda: volumes.middle_slices(IMAGE, spacing=(1, 1)), "spacing must be 3 positive"),
    (lambda: volumes.middle_slices(IMAGE, spacing=(1, 1, 0)), "spacing must be 3 positive"),
]


@pytest.mark.parametrize(("call", "message"), ILL)
def test_ill_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("kind", ["instances", "classes"])
def test_the_report_of_a_volume(kind):
    from keras_unet.report.html import Report
    from keras_unet.report.run_report import add_volume
    from keras_unet.segmentation import Segmentation

    sample = Sample(IMAGE, **{kind: CUBE})
    probabilities = np.eye(4, dtype=np.float32)[CUBE]
    page = Report("Volumes")
    add_volume(page, Segmentation(probabilities, CUBE, CUBE), sample, "a, 4 x 6 x 10 px")
    text = page.render()
    assert text.count("data:image/png") == 6
    assert "middle slices" in text
    assert "slices across depth" in text
