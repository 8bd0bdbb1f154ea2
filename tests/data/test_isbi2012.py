"""The two layouts of the ISBI 2012 data."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from keras_unet.data import read_isbi2012, write_image

pytestmark = pytest.mark.core

# Two cells that touch at a corner only, and one across the membrane.
LABEL = np.array([[1, 1, 0, 0, 1], [1, 0, 1, 0, 1], [0, 0, 1, 0, 1]], np.uint8) * 255
INSTANCES = [[1, 1, 0, 0, 2], [1, 0, 3, 0, 2], [0, 0, 3, 0, 2]]
NUMBERS = [0, 1, 2, 9, 10]


@pytest.fixture
def folder(tmp_path):
    """Five slices whose grey value is their number."""
    for part in ("train/image", "train/label", "test"):
        (tmp_path / part).mkdir(parents=True)
    for number in NUMBERS:
        image = np.full(LABEL.shape, number, np.uint8)
        write_image(tmp_path / "train" / "image" / f"{number}.png", image)
        write_image(tmp_path / "train" / "label" / f"{number}.png", LABEL)
        write_image(tmp_path / "test" / f"{number}.png", image + 100)
    (tmp_path / "test" / "notes.txt").write_text("not a slice")
    return tmp_path


@pytest.fixture
def stack(tmp_path):
    """The same as the challenge's stacks, without gaps in the numbers."""
    volume = np.repeat(np.arange(11, dtype=np.uint8), LABEL.size).reshape(11, *LABEL.shape)
    tifffile.imwrite(tmp_path / "train-volume.tif", volume, photometric="minisblack")
    tifffile.imwrite(tmp_path / "test-volume.tif", volume + 100, photometric="minisblack")
    labels = np.repeat(LABEL[None], 11, axis=0)
    tifffile.imwrite(tmp_path / "train-labels.tif", labels, photometric="minisblack")
    return tmp_path


def test_folder_is_sorted_by_number(folder):
    samples = read_isbi2012(folder)
    assert [sample.image[0, 0, 0] for sample in samples] == NUMBERS
    assert [sample.name for sample in samples] == [f"train/{number}" for number in NUMBERS]


@pytest.mark.parametrize("layout", ["folder", "stack"])
def test_instances_and_classes(layout, request):
    sample = read_isbi2012(request.getfixturevalue(layout), slices=[9])[0]
    assert sample.image.shape == (3, 5, 1)
    assert sample.image[0, 0, 0] == 9
    np.testing.assert_array_equal(sample.instances, INSTANCES)
    np.testing.assert_array_equal(sample.class_map(), LABEL == 255)
    assert sample.classes is None  # derived from the instances, also after a warp


@pytest.mark.parametrize("layout", ["folder", "stack"])
def test_slices_come_in_the_order_asked(layout, request):
    samples = read_isbi2012(request.getfixturevalue(layout), slices=[10, 1])
    assert [sample.image[0, 0, 0] for sample in samples] == [10, 1]


@pytest.mark.parametrize("layout", ["folder", "stack"])
def test_test_split_has_no_labels(layout, request):
    samples = read_isbi2012(request.getfixturevalue(layout), slices=[2], split="test")
    assert samples[0].image[0, 0, 0] == 102
    assert samples[0].instances is None
    assert samples[0].name == "test/2"


def test_polarity(folder):
    sample = read_isbi2012(folder, slices=[0], polarity="membrane")[0]
    np.testing.assert_array_equal(sample.class_map(), LABEL == 0)


ILL_CASES = [
    ({"polarity": "white"}, "polarity='white'"),
    ({"split": "validation"}, "split='validation'"),
    ({"slices": [1, 30]}, r"slices 0 to 10.*\[30\]"),
]


@pytest.mark.parametrize(("options", "message"), ILL_CASES)
def test_ill_arguments(folder, options, message):
    with pytest.raises(ValueError, match=message):
        read_isbi2012(folder, **options)


def test_no_data(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"train-volume\.tif"):
        read_isbi2012(tmp_path)


def test_label_lacks(folder):
    (folder / "train" / "label" / "9.png").unlink()
    with pytest.raises(ValueError, match=r"slices \[9\]"):
        read_isbi2012(folder)


def test_other_values(folder):
    label = LABEL.copy()
    label[0, 0] = 7
    write_image(folder / "train" / "label" / "2.png", label)
    with pytest.raises(ValueError, match=r"train/2 must hold 0 and 255.*\[0, 7, 255\]"):
        read_isbi2012(folder)


def test_stacks_differ(stack):
    labels = np.repeat(LABEL[None], 10, axis=0)
    tifffile.imwrite(stack / "train-labels.tif", labels, photometric="minisblack")
    with pytest.raises(ValueError, match="11 and 10 slices"):
        read_isbi2012(stack)


def test_real_data(data_root):
    samples = read_isbi2012(data_root / "isbi2012", slices=range(22, 24))
    assert len(read_isbi2012(data_root / "isbi2012", split="test")) == 30
    for sample in samples:
        assert sample.image.shape == (512, 512, 1)
        assert sample.image.dtype == np.uint8
        assert 0.7 < sample.class_map().mean() < 0.9  # membranes are the smaller part
        assert 80 < sample.instances.max() < 250
    with pytest.raises(ValueError, match="slices 0 to 23"):
        read_isbi2012(data_root / "isbi2012", slices=[24])
