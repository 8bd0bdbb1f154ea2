"""Images with an EXIF orientation are turned as viewers show them, and that is said."""

from __future__ import annotations

import logging

import cv2
import imagecodecs
import numpy as np
import pytest
from PIL import Image

from keras_unet.data import read_folder
from keras_unet.files.orientation import orientation_of, turned
from tests.files.raster_files import exif, jpeg_with_exif, pillow, png, webp_with_exif

pytestmark = pytest.mark.core


class TestOrientation:
    SEEN = cv2.GaussianBlur(
        np.random.default_rng(0).integers(0, 256, (24, 40, 3), np.uint8), (0, 0), 2
    )

    def stored(self, orientation: int) -> np.ndarray:
        """What a camera stores so that viewers show `SEEN`, by Pillow's rule."""
        methods = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
        picture = Image.fromarray(self.SEEN)
        if orientation in methods:
            picture = picture.transpose(Image.Transpose(methods[orientation]))
        return np.ascontiguousarray(np.asarray(picture))

    @pytest.mark.parametrize("order", ["MM", "II"])
    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_images_are_turned_as_viewers_show_them(self, image, caplog, orientation, order):
        stored, data = self.stored(orientation), exif(orientation, order)
        lossless = imagecodecs.webp_encode(stored, lossless=True)
        files = [
            png(stored, 8, 2, extra=[(b"eXIf", data)]),
            webp_with_exif(lossless, data, stored.shape[1], stored.shape[0]),
        ]
        with caplog.at_level(logging.WARNING, logger="keras_unet"):
            for file in files:
                np.testing.assert_array_equal(image(file), self.SEEN)
            jpeg = jpeg_with_exif(pillow(stored, "JPEG", quality=95), data)
            assert abs(image(jpeg).astype(int) - self.SEEN).max() < 30
        assert len(caplog.records) == (0 if orientation == 1 else 3)

    @pytest.mark.parametrize(
        "data", [b"", b"MM\0*", exif(0), exif(9), exif(6)[:30], b"II" + exif(6)[2:], bytes(40)]
    )
    def test_what_says_nothing_turns_nothing(self, data):
        assert orientation_of(data) == 1

    def test_turned_twice_is_as_before(self):
        back = {6: 8, 8: 6}
        for orientation in range(1, 9):
            once = turned(self.SEEN, orientation)
            again = turned(once, back.get(orientation, orientation))
            np.testing.assert_array_equal(again, self.SEEN)

    def folder(self, tmp_path, mask, orientation=6):
        for name in ("images", "masks"):
            (tmp_path / name).mkdir()
        for name in "ab":
            data = jpeg_with_exif(pillow(self.stored(orientation), "JPEG"), exif(orientation))
            (tmp_path / "images" / f"{name}.jpg").write_bytes(data)
            (tmp_path / "masks" / f"{name}.png").write_bytes(png(mask))
        return tmp_path / "images", tmp_path / "masks"

    def test_one_warning_for_a_folder(self, tmp_path, caplog):
        folders = self.folder(tmp_path, np.eye(24, 40, dtype=np.uint8))
        with caplog.at_level(logging.WARNING, logger="keras_unet"):
            samples = read_folder(*folders, kind="instances")
        assert samples[0].image.shape == (24, 40, 3)
        (record,) = caplog.records
        assert record.getMessage().startswith("2 images have an EXIF orientation and were turned")

    def test_a_mask_of_the_unturned_image_is_refused_with_the_reason(self, tmp_path):
        folders = self.folder(tmp_path, np.eye(40, 24, dtype=np.uint8))
        with pytest.raises(ValueError, match=r"a\.jpg.*differ in size.*EXIF orientation"):
            read_folder(*folders, kind="instances")

    def test_other_sizes_have_other_reasons(self, tmp_path):
        folders = self.folder(tmp_path, np.eye(24, 24, dtype=np.uint8))
        with pytest.raises(ValueError, match="differ in size") as error:
            read_folder(*folders, kind="instances")
        assert "EXIF" not in str(error.value)
