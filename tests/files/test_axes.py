"""Names of axes: from the file, from the user, asked for; frames and slices."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from keras_unet.data import read_image, read_labels
from keras_unet.files.reading import frames_in

pytestmark = pytest.mark.core

STACK = np.arange(3 * 4 * 5 * 7, dtype=np.uint16).reshape(3, 4, 5, 7)


def imagej(path, array, axes):
    tifffile.imwrite(path, array, imagej=True, metadata={"axes": axes})
    return path


@pytest.fixture
def write(tmp_path):
    """Writes an array without names of its axes."""

    def write(array, **options):
        options = {"photometric": "minisblack", **options}
        tifffile.imwrite(tmp_path / "x.tif", np.ascontiguousarray(array), **options)
        return tmp_path / "x.tif"

    return write


class TestNames:
    @pytest.mark.parametrize(
        ("axes", "rank"), [("YXC", 2), ("cyx", 2), ("XYS", 2), ("ZYX", 3), ("YZX", 3)]
    )
    def test_the_user_names_three_axes(self, write, axes, rank):
        image = read_image(write(STACK[0]), rank=rank, axes=axes)
        letters = axes.upper().replace("S", "C")
        order = [letters.index(a) for a in ("ZYX" if rank == 3 else "YXC")]
        expected = STACK[0].transpose(order)
        np.testing.assert_array_equal(image, expected[..., None] if rank == 3 else expected)

    @pytest.mark.parametrize("axes", ["ZCYX", "CZYX", "ZYXC", "YXZC"])
    def test_the_user_names_four_axes(self, write, axes):
        image = read_image(write(STACK), rank=3, axes=axes)
        np.testing.assert_array_equal(image, STACK.transpose([axes.index(a) for a in "ZYXC"]))

    def test_the_user_is_asked(self, write):
        path = write(STACK[0])
        with pytest.raises(ValueError, match=r"is 4 x 5 x 7 without names.*axes='YXC'") as caught:
            read_image(path)
        assert caught.value.command_line.endswith(
            "say --axes YXC (channels last), CYX, ZYX (slices) or TYX (frames)"
        )
        np.testing.assert_array_equal(read_image(path, rank=3)[..., 0], STACK[0])
        with pytest.raises(ValueError, match=r"3 x 4 x 5 x 7 without names.*axes='ZYXC', ZCYX"):
            read_image(write(STACK), rank=3)
        with pytest.raises(ValueError, match="2 x 3 x 4 x 5 x 6 without"):
            read_image(write(np.zeros((2, 3, 4, 5, 6), np.uint8)))

    def test_the_user_goes_before_the_file(self, tmp_path):
        path = imagej(tmp_path / "x.tif", STACK[0], "ZYX")
        image = read_image(path, axes="CYX")
        np.testing.assert_array_equal(image, np.moveaxis(STACK[0], 0, -1))

    def test_one_answer_for_images_and_masks(self, write):
        path = write(STACK[0, 0])
        np.testing.assert_array_equal(read_image(path, axes="CYX")[..., 0], STACK[0, 0])
        np.testing.assert_array_equal(read_labels(path, axes="YXC"), STACK[0, 0])
        np.testing.assert_array_equal(read_labels(path, axes="CXY"), STACK[0, 0].T)
        path = write(STACK[0])
        np.testing.assert_array_equal(read_labels(path, rank=3, axes="ZCYX"), STACK[0])

    def test_axes_of_size_1_that_a_file_leaves_away(self, tmp_path):
        path = imagej(tmp_path / "x.tif", STACK[0], "ZYX")
        image = read_image(path, rank=3, axes="TZCYX")
        np.testing.assert_array_equal(image[..., 0], STACK[0])

    @pytest.mark.parametrize("axes", ["", "YX?", "YXX", "CX", "QYX", 3])
    def test_ill_letters(self, write, axes, tmp_path):
        path = write(STACK[0])
        with pytest.raises(ValueError, match="axes must be letters of T, Z, C, Y, X"):
            read_image(path, axes=axes)
        tifffile.imwrite(path, STACK[0, 0])
        path.rename(tmp_path / "y.nii")  # no TIFF by its name
        with pytest.raises(ValueError, match="axes must be letters"):
            frames_in(tmp_path / "y.nii", axes=axes)

    def test_letters_that_do_not_fit(self, write):
        with pytest.raises(ValueError, match=r"is 4 x 5 x 7.*axes ZCYX do not fit"):
            read_image(write(STACK[0]), axes="ZCYX")
        rgb = write(np.zeros((5, 7, 3), np.uint8), photometric="rgb")
        with pytest.raises(ValueError, match="its last axis the 3 samples of each pixel"):
            read_image(rgb, axes="CYX")
        assert read_image(rgb, axes="YXS").shape == (5, 7, 3)


class TestFrames:
    def test_each_frame_is_an_image(self, tmp_path):
        path = imagej(tmp_path / "x.tif", STACK[0], "TYX")
        assert frames_in(path) == 4
        for k in range(4):
            np.testing.assert_array_equal(read_image(path, frame=k)[..., 0], STACK[0, k])
            np.testing.assert_array_equal(read_labels(path, frame=k), STACK[0, k])

    def test_frames_with_channels_by_the_users_names(self, write):
        path = write(STACK)
        assert frames_in(path) is None
        assert frames_in(path, axes="TYXC") == 3
        assert frames_in(path, axes="YTXC") == 4
        np.testing.assert_array_equal(read_image(path, axes="TYXC", frame=2), STACK[2])
        np.testing.assert_array_equal(read_image(path, axes="YTXC", frame=2), STACK[:, 2])

    def test_frames_of_volumes(self, tmp_path):
        path = imagej(tmp_path / "x.tif", STACK, "TZYX")
        assert frames_in(path, rank=3) == frames_in(path) == 3
        image = read_image(path, rank=3, frame=1)
        np.testing.assert_array_equal(image[..., 0], STACK[1])
        with pytest.raises(ValueError, match="has 4 slices; read it as a volume with rank=3"):
            read_image(path, frame=1)

    def test_frames_without_slices_make_a_volume(self, tmp_path, caplog):
        path = imagej(tmp_path / "x.tif", STACK[0], "TYX")
        assert frames_in(path, rank=3) is None
        np.testing.assert_array_equal(read_image(path, rank=3)[..., 0], STACK[0])
        assert "x.tif holds 4 frames; they are taken for slices" in caplog.text

    def test_one_frame_is_an_image(self, write):
        path = write(STACK[0, 0])
        assert frames_in(path, axes="TYX") is None
        assert read_image(path, axes="TYX").shape == (5, 7, 1)

    @pytest.mark.parametrize("frame", [-1, 4, 1.0, "1"])
    def test_no_such_frame(self, tmp_path, frame):
        path = imagej(tmp_path / "x.tif", STACK[0], "TYX")
        with pytest.raises(ValueError, match=rf"has frames 0\.\.3\. Received: frame={frame!r}"):
            read_image(path, frame=frame)

    def test_a_frame_must_be_chosen(self, tmp_path):
        path = imagej(tmp_path / "x.tif", STACK[0], "TYX")
        with pytest.raises(ValueError, match=r"holds 4 frames; give frame=K with K in 0\.\.3"):
            read_image(path)

    def test_no_frames(self, tmp_path):
        path = imagej(tmp_path / "x.tif", STACK[0], "ZYX")
        with pytest.raises(ValueError, match=r"x\.tif has no frames"):
            read_image(path, rank=3, frame=0)
        (tmp_path / "x.png").write_bytes(b"\x89PNG")
        assert frames_in(tmp_path / "x.png") is None
        with pytest.raises(ValueError, match=r"x\.png has no frames"):
            read_image(tmp_path / "x.png", frame=0)
