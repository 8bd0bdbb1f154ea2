"""NIfTI volumes: axes, voxel sizes, header of what is written, broken files."""

from __future__ import annotations

import gzip
import logging
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from keras_unet.data import read_folder, read_image, read_labels, read_spacing, write_labels
from keras_unet.files.grids import on_grid_of

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
        "truncated: its gzip data have no end": cut,
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


class TestScaledLabels:
    """Labels that were saved as floats, or that the header scales."""

    def scaled(self, path: Path, slope: float, inter: float) -> Path:
        header = nibabel.Nifti1Header()
        header.set_data_shape((4, 3, 2))
        header.set_data_dtype(np.int16)
        header.set_slope_inter(slope, inter)
        header["vox_offset"] = 352
        numbers = np.rint((VOLUME.T - inter) / slope).astype(np.int16).tobytes(order="F")
        path.write_bytes(header.binaryblock + bytes(4) + numbers)
        return path

    @pytest.mark.parametrize(
        ("slope", "inter"), [(0.00076296, 0), (1 / 3, 0), (0.07, 0), (-0.001, 0), (0.001, 5)]
    )
    def test_labels_within_a_step_are_taken(self, tmp_path, slope, inter):
        path = self.scaled(tmp_path / "a.nii", slope, inter)
        np.testing.assert_array_equal(read_labels(path, rank=3), VOLUME)

    @pytest.mark.parametrize("away", [0.0009, -0.0009])
    def test_floats_near_whole_numbers_are_taken(self, tmp_path, away):
        path = save(tmp_path / "a.nii.gz", VOLUME + np.float32(away))
        np.testing.assert_array_equal(read_labels(path, rank=3), VOLUME)

    def test_what_nibabel_makes_of_floats_in_an_integer_header(self, tmp_path):
        header = nibabel.Nifti1Header()
        header.set_data_dtype(np.int16)
        nibabel.Nifti1Image(VOLUME.T * 1.0, AFFINE, header).to_filename(tmp_path / "a.nii.gz")
        assert (read_image(tmp_path / "a.nii.gz", rank=3)[..., 0] != VOLUME).any()
        np.testing.assert_array_equal(read_labels(tmp_path / "a.nii.gz", rank=3), VOLUME)

    @pytest.mark.parametrize("factor", [1.25, 0.5, 1.002])
    def test_other_numbers_are_refused(self, tmp_path, factor):
        path = save(tmp_path / "a.nii", np.full((2, 3, 4), factor, np.float32))
        with pytest.raises(ValueError, match=rf"a\.nii .*it holds {factor}; save them as whole"):
            read_labels(path, rank=3)


class TestOneSlice:
    @pytest.mark.parametrize("shape", [(4, 3), (4, 3, 1), (4, 3, 1, 1)])
    def test_one_slice_is_an_image(self, tmp_path, shape):
        flat = VOLUME[0].T
        nibabel.Nifti1Image(flat.reshape(shape), AFFINE).to_filename(tmp_path / "a.nii")
        for rank in (2, None):
            np.testing.assert_array_equal(read_image(tmp_path / "a.nii", rank)[..., 0], flat.T)
            np.testing.assert_array_equal(read_labels(tmp_path / "a.nii", rank=rank), flat.T)
        assert read_image(tmp_path / "a.nii", rank=3).shape == (1, 3, 4, 1)
        assert (read_spacing(tmp_path / "a.nii") is None) == (len(shape) == 2)

    def test_with_channels(self, tmp_path):
        path = save(tmp_path / "a.nii", np.stack([VOLUME[:1], -VOLUME[:1]], axis=-1))
        np.testing.assert_array_equal(read_image(path)[..., 1], -VOLUME[0])


def folder_of(tmp_path: Path, mask: np.ndarray, affine: np.ndarray, name="a.nii.gz") -> tuple:
    """A folder of one image, `VOLUME` on the grid `AFFINE`, and one of its mask."""
    folders = tmp_path / "images", tmp_path / "labels"
    for one in folders:
        one.mkdir()
    save(folders[0] / name, VOLUME)
    nibabel.Nifti1Image(mask, affine).to_filename(folders[1] / name)
    return folders


class TestGrids:
    @pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 0, 1), (2, 1, 0)])
    @pytest.mark.parametrize("signs", [(-1, 1, 1), (1, -1, -1), (1, 1, 1)])
    def test_masks_with_other_axes_are_put_right(self, tmp_path, caplog, order, signs):
        turn = np.stack([order, signs], axis=1)
        labels = VOLUME.T % 5
        mask = nibabel.orientations.apply_orientation(labels, turn)
        affine = AFFINE @ nibabel.orientations.inv_ornt_aff(turn, labels.shape)
        folders = folder_of(tmp_path, mask, affine)
        with caplog.at_level(logging.WARNING, logger="keras_unet"):
            (sample,) = read_folder(*folders, kind="classes", rank=3)
        np.testing.assert_array_equal(sample.classes, VOLUME % 5)
        turned = order != (0, 1, 2) or signs != (1, 1, 1)
        assert ("turned as both headers say" in caplog.text) == turned

    @pytest.mark.parametrize(
        "change",
        [
            lambda affine: affine + np.diag([0, 0, 1, 0]),  # thicker slices
            lambda affine: affine + np.eye(4)[:, [3, 3, 3, 0]] * [0, 0, 0, 0.2],  # beside it
            lambda affine: np.diag([-1, -1, 1, 1]) @ affine,  # another place, other signs
            lambda affine: affine + 0.1 * np.eye(4)[:, [1, 0, 2, 3]] * [1, 1, 0, 0],  # sheared
        ],
    )
    def test_other_differences_are_refused(self, tmp_path, change):
        folders = folder_of(tmp_path, VOLUME.T % 5, change(AFFINE))
        with pytest.raises(ValueError, match=r"labels/a\.nii\.gz and .*at different places"):
            read_folder(*folders, kind="classes", rank=3)

    def test_a_grid_without_depth_is_refused(self, tmp_path):
        header = nibabel.Nifti1Header()
        header.set_data_shape((4, 3, 2))
        header.set_sform(AFFINE * [1, 1, 0, 1], code=1)
        header["vox_offset"] = 352
        (tmp_path / "flat.nii").write_bytes(header.binaryblock + bytes(4 + 24 * 4))
        image = save(tmp_path / "a.nii", VOLUME)
        with pytest.raises(ValueError, match=r"flat\.nii and .*at different places"):
            on_grid_of(VOLUME, tmp_path / "flat.nii", image)

    def test_rounding_of_headers_is_no_difference(self, tmp_path):
        folders = folder_of(tmp_path, VOLUME.T % 5, AFFINE + 1e-3)
        (sample,) = read_folder(*folders, kind="classes", rank=3)
        np.testing.assert_array_equal(sample.classes, VOLUME % 5)

    def test_slices(self, tmp_path, caplog):
        (tmp_path / "images").mkdir()
        (tmp_path / "labels").mkdir()
        flipped = AFFINE.copy()
        flipped[0] = [0.5, 0, 0, 5.5]
        save(tmp_path / "images" / "a.nii", VOLUME[:1])
        save(tmp_path / "labels" / "a.nii", VOLUME[:1, :, ::-1] % 3, flipped)
        with caplog.at_level(logging.WARNING, logger="keras_unet"):
            (sample,) = read_folder(tmp_path / "images", tmp_path / "labels", kind="classes")
        np.testing.assert_array_equal(sample.classes, VOLUME[0] % 3)
        assert "turned" in caplog.text


class TestLimits:
    def test_voxels_are_limited_by_the_header(self, tmp_path):
        for name in ("a.nii", "a.nii.gz"):
            path = save(tmp_path / name, np.stack([VOLUME, -VOLUME], axis=-1))
            assert read_image(path, rank=3, max_pixels=24).shape == (2, 3, 4, 2)
            for read in (read_image, read_labels):
                with pytest.raises(ValueError, match=r"2 x 3 x 4 = 24 pixels, the limit is 23"):
                    read(path, rank=3, max_pixels=23)

    def test_a_long_fourth_axis_counts(self, tmp_path):
        path = save(tmp_path / "a.nii.gz", np.zeros((2, 3, 4, 20), np.uint8))
        with pytest.raises(ValueError, match=r"20 x 2 x 3 x 4 = 480 pixels"):
            read_image(path, rank=3, max_pixels=479)

    def changed(self, path: Path, change, size: int) -> Path:
        """A packed file whose header is changed, with this many zeros after it."""
        header = nibabel.Nifti1Header()
        header.set_data_shape((4, 3, 2))
        change(header)
        with gzip.open(path, "wb") as file:
            file.write(header.binaryblock + bytes(4 + size))
        return path

    def test_gzip_that_unpacks_to_more_is_refused(self, tmp_path):
        def fit(header):
            header["vox_offset"] = 352

        path = self.changed(tmp_path / "a.nii.gz", fit, 24 * 4)
        assert read_image(path, rank=3).shape == (2, 3, 4, 1)
        path = self.changed(tmp_path / "a.nii.gz", fit, 24 * 4 + 1)
        with pytest.raises(ValueError, match="unpacks to more than its header declares"):
            read_image(path, rank=3)
        path = self.changed(tmp_path / "a.nii.gz", fit, 24 * 4 - 1)
        with pytest.raises(
            ValueError, match="it holds 95 bytes of numbers, its header declares 96"
        ):
            read_image(path, rank=3)

    def test_sizes_that_the_file_cannot_hold_take_no_memory(self, tmp_path):
        def large(header):
            header.set_data_shape((600, 600, 600, 12))
            header["vox_offset"] = 352

        path = self.changed(tmp_path / "a.nii.gz", large, 24)
        with pytest.raises(ValueError, match="truncated: its header declares 10,368,000,000 bytes"):
            read_image(path, rank=3)

    def test_headers_that_are_none(self, tmp_path):
        for field, value, message in (
            ("vox_offset", 2**30, "1073741824 bytes come before its numbers"),
            ("magic", b"ni1", "its numbers are in another file"),
            ("dim", [3, -4, 3, 2, 1, 1, 1, 1], "not a valid|no pixels"),
            ("dim", [9, 4, 3, 2, 1, 1, 1, 1], "not a valid|not a volume"),
            ("datatype", 999, "not a valid"),
        ):

            def change(header, field=field, value=value):
                header["vox_offset"] = 352
                header[field] = value

            path = self.changed(tmp_path / "a.nii.gz", change, 24 * 4)
            with pytest.raises(ValueError, match=message):
                read_image(path, rank=3)

    def test_a_packed_file_under_another_name(self, tmp_path):
        path = save(tmp_path / "a.nii.gz", VOLUME).rename(tmp_path / "b.nii")
        np.testing.assert_array_equal(read_labels(path, rank=3), VOLUME)

    def test_damage_in_packed_numbers_is_seen(self, tmp_path):
        path = save(tmp_path / "a.nii.gz", np.tile(VOLUME, (9, 9, 9)))
        data = bytearray(path.read_bytes())
        data[-6] ^= 1  # of the checksum
        path.write_bytes(data)
        with pytest.raises(ValueError, match="gzip data cannot be decoded"):
            read_image(path, rank=3)


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
