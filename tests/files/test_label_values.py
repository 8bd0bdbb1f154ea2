"""Which stored numbers are labels."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from keras_unet.data import read_folder, read_image, read_labels
from keras_unet.files.label_values import as_labels

pytestmark = pytest.mark.core

HUGE = [[0, 2**31 + 5, 7], [2**31, 2**31 + 5, 0]]


@pytest.mark.parametrize("dtype", ["uint32", "uint64", "int64", "float64"])
def test_huge_ids_of_objects_are_numbered_anew(tmp_path, dtype):
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    tifffile.imwrite(tmp_path / "images" / "a.tif", np.zeros((2, 3), np.uint8))
    tifffile.imwrite(tmp_path / "masks" / "a.tif", np.array(HUGE, dtype))
    (sample,) = read_folder(tmp_path / "images", tmp_path / "masks", kind="instances")
    np.testing.assert_array_equal(sample.instances, [[0, 3, 1], [2, 3, 0]])
    with pytest.raises(ValueError, match=r"in 0\.\.2\*\*31-1, it holds .*kind='instances'"):
        read_labels(tmp_path / "masks" / "a.tif")


def test_the_largest_ids_keep_their_order():
    ids = np.array([2**64 - 1, 0, 2**64 - 2, 2**63], np.uint64)
    np.testing.assert_array_equal(as_labels("a", ids, renumber=True), [3, 0, 2, 1])


def test_negative_labels_stay_where_ids_are_numbered_anew():
    ids = np.array([-1, 0, 2**40, 5])
    np.testing.assert_array_equal(as_labels("a", ids, negative=True, renumber=True), [-1, 0, 2, 1])
    with pytest.raises(ValueError, match="a must hold labels from 0 on"):
        as_labels("a", ids, renumber=True)


def test_ids_that_fit_stay_as_they_are():
    ids = np.array([0, 2**31 - 1, 9])
    np.testing.assert_array_equal(as_labels("a", ids, renumber=True), ids)


@pytest.mark.parametrize("value", [0.5, np.nan, np.inf, 1e300])
def test_what_is_no_whole_number_is_shown(value):
    with pytest.raises(ValueError, match=r"a must hold .*labels"):
        as_labels("a", np.array([1, value]))


def test_nan_in_an_image_is_located(tmp_path):
    image = np.zeros((9, 8), np.float32)
    image[2:5, 3], image[4, 6] = np.nan, np.inf
    tifffile.imwrite(tmp_path / "a.tif", image)
    where = r"a\.tif has 4 NaN or infinite values, in rows 2 to 4, columns 3 to 6; crop or fill"
    with pytest.raises(ValueError, match=where):
        read_image(tmp_path / "a.tif")
    volume = np.stack([np.zeros_like(image), image])
    tifffile.imwrite(tmp_path / "a.tif", volume, imagej=True, metadata={"axes": "ZYX"})
    with pytest.raises(ValueError, match="in slices 1 to 1, rows 2 to 4, columns 3 to 6"):
        read_image(tmp_path / "a.tif", rank=3)
