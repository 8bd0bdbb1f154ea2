import cv2
import numpy as np
import pytest

from keras_unet.report import pictures

pytestmark = pytest.mark.core

TOUCHING = np.array([[1, 1, 2, 2, 0], [1, 1, 2, 2, 0], [0, 0, 0, 0, 0]])


def test_to_rgb_stretches_every_kind_of_image():
    ramp = np.arange(12, dtype=np.uint16).reshape(3, 4) * 5000
    for image in (ramp, ramp[..., None], np.stack([ramp] * 3, -1), np.stack([ramp] * 5, -1)):
        picture = pictures.to_rgb(image)
        assert picture.shape == (3, 4, 3)
        assert picture.dtype == np.uint8
        assert picture[0, 0, 0] == 0
        assert picture[2, 3, 0] == 255
    volume = np.stack([ramp * 0, ramp, ramp * 0])[..., None]
    np.testing.assert_array_equal(pictures.to_rgb(volume), pictures.to_rgb(ramp))


def test_a_constant_image_is_black_not_nan():
    assert pictures.to_rgb(np.full((3, 4), 7.0)).max() == 0


@pytest.mark.parametrize("shape", [(3,), (0, 4), (1, 2, 3, 4, 5)])
def test_to_rgb_refuses_what_is_no_image(shape):
    with pytest.raises(ValueError, match="Received"):
        pictures.to_rgb(np.zeros(shape))


def test_outlines_separate_touching_objects():
    expected = np.array([[0, 1, 1, 1, 0], [1, 1, 1, 1, 0], [0, 0, 0, 0, 0]], bool)
    np.testing.assert_array_equal(pictures.outlines(TOUCHING), expected)


def test_instance_colors_are_stable_and_distinct():
    colors = pictures.instance_colors(TOUCHING)
    assert tuple(colors[2, 0]) == (0, 0, 0)
    assert tuple(colors[0, 0]) != tuple(colors[0, 2])
    alone = pictures.instance_colors(np.where(TOUCHING == 2, 2, 0))
    assert tuple(alone[0, 2]) == tuple(colors[0, 2])


def test_overlay_leaves_the_background_and_checks_shapes():
    image = np.arange(15, dtype=np.float32).reshape(3, 5)
    picture = pictures.overlay(image, TOUCHING)
    np.testing.assert_array_equal(picture[2], pictures.to_rgb(image)[2])
    with pytest.raises(ValueError, match="one spatial shape"):
        pictures.overlay(image, TOUCHING[:2])


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_overlay_paints_grey_and_colour_images(channels):
    image = np.full((*TOUCHING.shape, channels), 7, np.uint8)
    picture = pictures.overlay(image, TOUCHING)
    assert picture[:2, :4].any(axis=-1).all()
    assert not picture[2].any()


def test_errors_are_green_red_and_blue():
    picture = pictures.errors(np.zeros((1, 4)), np.array([[1, 0, 1, 0]]), np.array([[1, 1, 0, 0]]))
    assert picture[0].argmax(-1).tolist()[:3] == [1, 0, 2]
    assert picture[0, 3].max() == 0


def test_heat_runs_from_dark_to_bright():
    picture = pictures.heat(np.array([[0.0, 5.0, 10.0]]))
    assert picture[0].sum(-1).tolist() == sorted(picture[0].sum(-1).tolist())


def test_side_by_side_and_png_round_trip(tmp_path):
    left, right = np.zeros((2, 3, 3), np.uint8), np.full((2, 4, 3), (200, 10, 30), np.uint8)
    row = pictures.side_by_side([left, right], gap=1)
    assert row.shape == (2, 8, 3)
    pictures.write_png(tmp_path / "row.png", row)
    read = cv2.imread(str(tmp_path / "row.png"))[..., ::-1]
    np.testing.assert_array_equal(read, row)
    with pytest.raises(ValueError, match="one height"):
        pictures.side_by_side([left, right[:1]])
