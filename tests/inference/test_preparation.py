"""What a user may pass as an image, and what is said about the rest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from keras_unet.errors import UsageError
from keras_unet.inference.preparation import as_image

pytestmark = pytest.mark.core

CASES = [
    ((7, 9), 2, 1, (7, 9, 1)),
    ((7, 9), 2, None, (7, 9, 1)),
    ((7, 9, 1), 2, 1, (7, 9, 1)),
    ((7, 9, 3), 2, 3, (7, 9, 3)),
    ((7, 9, 5), 2, None, (7, 9, 5)),
    ((1, 1), 2, 1, (1, 1, 1)),
    ((4, 7, 9), 3, 1, (4, 7, 9, 1)),
    ((4, 7, 9, 2), 3, 2, (4, 7, 9, 2)),
    ((30,), 1, 1, (30, 1)),
    ((7, 9), 2, 3, (7, 9, 3)),
    ((7, 9, 1), 2, 3, (7, 9, 3)),
    ((4, 7, 9), 3, 3, (4, 7, 9, 3)),
]
DTYPES = ["bool", "uint8", "uint16", "int32", "int64", "float16", "float32", "float64", ">u2"]


@pytest.mark.parametrize(("shape", "rank", "channels", "expected"), CASES)
def test_layouts(shape, rank, channels, expected):
    assert as_image(np.ones(shape), rank, channels).shape == expected


@pytest.mark.parametrize("dtype", DTYPES)
def test_dtypes_are_kept(dtype):
    assert as_image(np.ones((3, 4), dtype), 2, 1).dtype == np.dtype(dtype)


@pytest.mark.parametrize("add_axis", [False, True])
def test_grey_is_repeated_for_colour_networks(add_axis):
    grey = np.arange(6, dtype=np.uint16).reshape(2, 3)
    image = as_image(grey[..., None] if add_axis else grey, 2, 3)
    assert image.dtype == np.uint16
    for channel in range(3):
        np.testing.assert_array_equal(image[..., channel], grey)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", ">u2"])
def test_alpha_is_dropped_for_colour_networks(dtype):
    image = np.arange(24).reshape(2, 3, 4).astype(dtype)
    np.testing.assert_array_equal(as_image(image, 2, 3), image[..., :3])
    np.testing.assert_array_equal(as_image(image, 2, 4), image)


def test_anything_that_numpy_understands():
    class Wrapped:
        def __array__(self, dtype=None, copy=None):
            return np.arange(6.0).reshape(2, 3)

    np.testing.assert_array_equal(as_image(Wrapped(), 2, 1)[..., 0], [[0, 1, 2], [3, 4, 5]])


NAN = np.array([[1.0, np.nan], [np.inf, 0.0]])
ILL_CASES = [
    ("cells.png", 2, 1, r"read a file with keras_unet\.data\.read_image"),
    (Path("cells.png"), 2, 1, r"read a file with keras_unet\.data\.read_image"),
    ([np.ones((2, 3)), np.ones((4, 5))], 2, 1, "once for each of several images.*length 2"),
    (np.array("cells.png"), 2, 1, "must hold real numbers"),
    (np.array([[None, 1]]), 2, 1, "must hold real numbers.*object"),
    (None, 2, 1, "must hold real numbers"),
    (np.ones((2, 3), complex), 2, 1, "must hold real numbers.*complex"),
    (NAN, 2, 1, "2 NaN or infinite values"),
    (np.ones((0, 5)), 2, 1, r"must not be empty.*\(0, 5\)"),
    (np.ones((7, 9)), 2, 5, r"\(7, 9\); .*np\.repeat\(image\[\.\.\., None\], 5, -1\)"),
    (np.ones((7, 9, 2), np.uint8), 2, 3, r"with 3 channels\. Received: .*\(7, 9, 2\)"),
    (np.ones((7, 9, 3)), 2, 1, r"\(7, 9, 3\); make a colour image grey first"),
    (np.ones((7, 9, 4)), 2, 3, r"\(7, 9, 4\); drop the alpha channel"),
    (np.ones((3, 7, 9)), 2, 3, r"\(3, 7, 9\); .*np\.moveaxis\(image, 0, -1\)"),
    (np.ones((1, 7, 9, 1)), 2, 1, r"\(1, 7, 9, 1\); .*without a batch axis"),
    (np.ones((7, 9, 2)), 2, 5, r"\(H, W, C\) with 5 channels\. Received: .*\(7, 9, 2\)"),
    (np.ones(9), 2, 1, r"\(H, W\) or \(H, W, C\) with 1 channel\. Received: .*\(9,\)"),
    (np.ones((7, 9)), 3, 1, r"\(D, H, W\) or \(D, H, W, C\)"),
    (np.float32(3), 2, None, "any number of channels"),
]


@pytest.mark.parametrize(("image", "rank", "channels", "message"), ILL_CASES)
def test_errors(image, rank, channels, message):
    with pytest.raises(ValueError, match=message):
        as_image(image, rank, channels)


@pytest.mark.parametrize(
    ("shape", "channels", "advice"),
    [
        ((7, 9, 3), 1, "say --channels 1"),
        ((7, 9, 4), 1, "say --channel 1 or another one"),
        ((7, 9, 4), 3, "say --channel 1,2,3"),
        ((3, 7, 9), 3, "say --axes CYX"),
        ((7, 9, 2), 5, "use images as the network was trained with"),
        ((7, 9), 5, "use images as the network was trained with"),
        ((1, 7, 9, 1), 1, "save each image as a file"),
    ],
)
def test_the_command_line_is_told_its_options(shape, channels, advice):
    with pytest.raises(UsageError) as caught:
        as_image(np.ones(shape), 2, channels)
    assert caught.value.command_line.endswith(f"; {advice}")
