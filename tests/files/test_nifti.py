"""NIfTI volumes: axes, voxel sizes, header of what is written, broken files."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from keras_unet.data import read_folder, read_image, read_labels, read_spacing, write_labels

nibabel = pytest.importorskip("nibabel")

VOLUME = np.arange(2 * 3 * 4, dtype=np.int16).reshape(2, 3, 4)  # (D, H, W)
AFFINE = np.array([[-0.5, 0, 0, 7], [0, 0.75, 0, -3], [0, 0, 2.5, 11], [0, 0, 0, 1]])


def save(path: Path, volume: np.ndarray, affine: np.ndarray = AFFINE) -> Path:
    nibabel.Nifti1Image(np.moveaxis(volume, (0, 1, 2), (2, 1, 0)), affine).to_filename(path)
    return path


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "A.NII.GZ"])
def test_a_volume_is_read_with_depth_first(tmp_path, name):
    path = save(tmp_path / name.lower(), VOLUME).rename(tmp_path / name)
    image = read_image(path, rank=3)
    assert image.dtype == np.int16
    np.testing.assert_array_equal(image, VOLUME[..., None])
    np.testing.assert_array_equal(read_labels(path, rank=3), VOLUME)
    assert read_spacing(path) == (2.5, 0.75, 0.5)


def test_a_fourth_axis_becomes_channels(tmp_path):
    path = save(tmp_path / "a.nii", np.stack([VOLUME, -VOLUME], axis=-1))
    np.testing.assert_array_equal(read_image(path, rank=3)[..., 1], -VOLUME)


def test_scaled_numbers_are_scaled(tmp_path):
    image = nibabel.Nifti1Image(VOLUME.transpose(2, 1, 0), AFFINE)
    image.header.set_slope_inter(0.5, 10)
    image.to_filename(tmp_path / "a.nii.gz")
    stored = np.asarray(nibabel.load(tmp_path / "a.nii.gz").dataobj).transpose(2, 1, 0)
    np.testing.assert_array_equal(read_image(tmp_path / "a.nii.gz", rank=3)[..., 0], stored)


def test_labels_lie_where_the_image_lies(tmp_path):
    image = save(tmp_path / "a.nii.gz", VOLUME.astype(np.float32))
    write_labels(tmp_path / "b.nii.gz", VOLUME, like=image)
    written = nibabel.load(tmp_path / "b.nii.gz")
    np.testing.assert_array_equal(written.affine, AFFINE)
    assert written.get_data_dtype() == np.uint16
    np.testing.assert_array_equal(read_labels(tmp_path / "b.nii.gz", rank=3), VOLUME)
    write_labels(tmp_path / "c.nii", VOLUME)
    assert read_spacing(tmp_path / "c.nii") == (1, 1, 1)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.nii.gz", "b.nii.gz", "c.nii"]


def test_what_cannot_be_written(tmp_path):
    image = save(tmp_path / "a.nii", VOLUME)
    with pytest.raises(ValueError, match=r"must have the shape of .*\(2, 3, 4\)"):
        write_labels(tmp_path / "b.nii", VOLUME[:1], like=image)
    with pytest.raises(ValueError, match=r"NIfTI takes \(D, H, W\)"):
        write_labels(tmp_path / "b.nii", VOLUME[0])
    with pytest.raises(ValueError, match="like is for NIfTI"):
        write_labels(tmp_path / "b.tif", VOLUME, like=image)
    assert [file.name for file in tmp_path.iterdir()] == ["a.nii"]


def broken_files(folder: Path) -> dict[str, Path]:
    whole = save(
        folder / "whole.nii.gz", np.random.default_rng(0).integers(0, 9, (8, 9, 10), np.int16)
    )
    cut, text, empty = (folder / name for name in ("cut.nii.gz", "text.nii", "empty.nii"))
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    text.write_text("no volume")
    empty.write_bytes(b"")
    fifth = folder / "fifth.nii"
    nibabel.Nifti1Image(np.zeros((2, 3, 4, 2, 2), np.float32), AFFINE).to_filename(fifth)
    nan = save(folder / "nan.nii", np.full((2, 3, 4), np.nan, np.float32))
    complex_ = save(folder / "complex.nii", np.zeros((2, 3, 4), np.complex64))
    return {
        "truncated": cut,
        "not a valid NIfTI": text,
        "is empty": empty,
        "is not a volume": fifth,
        "24 NaN or infinite": nan,
        "must hold real numbers": complex_,
    }


def test_broken_files(tmp_path):
    for message, path in broken_files(tmp_path).items():
        with pytest.raises(ValueError, match=message):
            read_image(path, rank=3)
    with pytest.raises(FileNotFoundError, match="no such image file"):
        read_image(tmp_path / "none.nii", rank=3)
    with pytest.raises(FileNotFoundError, match="no such image file"):
        read_spacing(tmp_path / "none.nii")
    with pytest.raises(ValueError, match=r"2 slices; read it as a volume with rank=3"):
        read_image(save(tmp_path / "a.nii", VOLUME))


def test_nibabel_is_an_extra(tmp_path, monkeypatch):
    path = save(tmp_path / "a.nii", VOLUME)
    monkeypatch.setitem(sys.modules, "nibabel", None)
    with pytest.raises(ImportError, match=r"pip install 'keras-unet-bio\[volumes\]'"):
        read_image(path, rank=3)


def fill(folder: Path, mask_affine: np.ndarray = AFFINE) -> None:
    for name in ("images", "labels"):
        (folder / name).mkdir()
    save(folder / "images" / "case_2.nii.gz", VOLUME)
    save(folder / "labels" / "case_2_label.nii.gz", VOLUME % 3, mask_affine)


def test_a_folder(tmp_path, caplog):
    fill(tmp_path)
    with caplog.at_level(logging.WARNING, logger="keras_unet"):
        folders = (tmp_path / "images", tmp_path / "labels")
        (sample,) = read_folder(*folders, kind="classes", rank=3)
        (bare,) = read_folder(folders[0], rank=3)
    assert (sample.name, sample.spacing) == ("case_2", (2.5, 0.75, 0.5))
    assert bare.spacing == sample.spacing
    np.testing.assert_array_equal(sample.classes, VOLUME % 3)
    assert not caplog.records


def test_a_mask_on_another_grid_is_told(tmp_path, caplog):
    flipped = AFFINE.copy()
    flipped[0] = [0.5, 0, 0, 5.5]  # the same voxels in the other order
    fill(tmp_path, flipped)
    with caplog.at_level(logging.WARNING, logger="keras_unet"):
        read_folder(tmp_path / "images", tmp_path / "labels", kind="classes", rank=3)
    assert "headers put the voxels at different places" in caplog.text


def test_spacing_of_tiff(tmp_path):
    path = tmp_path / "a.tif"
    options = {"resolution": (4.0, 2.0), "metadata": {"spacing": 1.5, "unit": "um", "axes": "ZYX"}}
    tifffile.imwrite(path, VOLUME, imagej=True, photometric="minisblack", **options)
    assert read_spacing(path) == (1.5, 0.5, 0.25)
    sizes = {f"PhysicalSize{axis}": size for axis, size in zip("XYZ", (0.2, 0.3, 900), strict=True)}
    ome = {"axes": "ZYX", **sizes, "PhysicalSizeZUnit": "nm"}
    tifffile.imwrite(tmp_path / "a.ome.tif", VOLUME, photometric="minisblack", metadata=ome)
    assert read_spacing(tmp_path / "a.ome.tif") == pytest.approx((0.9, 0.3, 0.2))
    tifffile.imwrite(path, VOLUME, photometric="minisblack")
    assert read_spacing(path) is None
    path.write_bytes(path.read_bytes()[:6])
    with pytest.raises(ValueError, match="truncated or not a valid TIFF"):
        read_spacing(path)
    (tmp_path / "a.png").write_bytes(b"no TIFF")
    assert read_spacing(tmp_path / "a.png") is None
