"""What is written is read back with the same numbers, and nothing half-written remains."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from keras_unet.data import read_image, read_labels, write_image, write_labels

pytestmark = pytest.mark.core


@pytest.mark.parametrize("name", ["x.png", "x.tif", "x.tiff"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1), (5, 7, 3)])
def test_images_round_trip(tmp_path, name, dtype, shape):
    image = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    write_image(tmp_path / name, image)
    back = read_image(tmp_path / name)
    assert back.dtype == dtype
    np.testing.assert_array_equal(back, image.reshape(5, 7, -1))


@pytest.mark.parametrize("shape", [(5, 7, 1), (5, 7, 2), (5, 7, 3), (5, 7, 4)])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int16"])
def test_tiff_takes_any_type_and_channels(tmp_path, shape, dtype):
    image = np.linspace(-3, 90, np.prod(shape)).reshape(shape).astype(dtype)
    write_image(tmp_path / "x.tif", image)
    np.testing.assert_array_equal(read_image(tmp_path / "x.tif"), image)


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_volume_round_trip(tmp_path, channels):
    image = np.arange(2 * 5 * 7 * channels, dtype=np.uint16).reshape(2, 5, 7, channels)
    write_image(tmp_path / "x.tif", image)
    np.testing.assert_array_equal(read_image(tmp_path / "x.tif", rank=3), image)


@pytest.mark.parametrize("name", ["x.png", "x.tif"])
def test_labels_have_16_bits(tmp_path, name):
    labels = np.array([[0, 1, 65535]])
    write_labels(tmp_path / name, labels)
    assert read_image(tmp_path / name).dtype == np.uint16
    np.testing.assert_array_equal(read_labels(tmp_path / name), labels)


def test_boolean_labels(tmp_path):
    write_labels(tmp_path / "x.png", np.array([[True, False]]))
    np.testing.assert_array_equal(read_labels(tmp_path / "x.png"), [[1, 0]])


def test_large_ids_need_32_bits(tmp_path):
    labels = np.array([[0, 65536, 2**31 - 1]])
    write_labels(tmp_path / "x.tif", labels)
    assert tifffile.imread(tmp_path / "x.tif").dtype == np.uint32
    np.testing.assert_array_equal(read_labels(tmp_path / "x.tif"), labels)


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    write_labels(tmp_path / "x.tif", np.ones((2, 3), int))

    def fail(file, *args, **kwargs):
        file.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(tifffile, "imwrite", fail)
    with pytest.raises(OSError, match="disk full"):
        write_labels(tmp_path / "x.tif", np.zeros((2, 3), int))
    assert [file.name for file in tmp_path.iterdir()] == ["x.tif"]
    np.testing.assert_array_equal(read_labels(tmp_path / "x.tif"), np.ones((2, 3)))


ILL_IMAGES = [
    ("x.png", np.zeros((2, 3), np.float32), "PNG holds"),
    ("x.png", np.zeros((2, 3, 2), np.uint8), "PNG holds"),
    ("x.png", np.zeros((2, 3, 4, 1), np.uint8), "PNG holds"),
    ("x.jpg", np.zeros((2, 3), np.uint8), "must end in"),
    ("x.tif", np.zeros(3), r"shape=\(3,\)"),
    ("x.tif", np.zeros((0, 3)), r"shape=\(0, 3\)"),
    ("x.tif", np.zeros((2, 3), bool), "dtype=bool"),
]
ILL_LABELS = [
    ("x.png", np.array([[65536]]), "largest id 65536"),
    ("x.tif", np.array([[-1]]), r"-1\.\.-1"),
    ("x.tif", np.array([[2**32]]), "4294967296"),
    ("x.tif", np.array([[0.5]]), "dtype=float64"),
    ("x.tif", np.zeros((2, 3, 4, 1), int), r"shape=\(2, 3, 4, 1\)"),
]


@pytest.mark.parametrize(("name", "image", "message"), ILL_IMAGES)
def test_ill_images(tmp_path, name, image, message):
    with pytest.raises(ValueError, match=message):
        write_image(tmp_path / name, image)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("name", "labels", "message"), ILL_LABELS)
def test_ill_labels(tmp_path, name, labels, message):
    with pytest.raises(ValueError, match=message):
        write_labels(tmp_path / name, labels)
    assert not list(tmp_path.iterdir())
