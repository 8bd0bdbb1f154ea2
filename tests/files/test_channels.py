"""Channels by number, from 0 on in Python and from 1 on the command line, or by name."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from keras_unet.data import read_image
from keras_unet.errors import UsageError
from keras_unet.files.channels import channel_of_option, option_of_channel, pick_channels

pytestmark = pytest.mark.core

STACK = np.arange(5 * 7 * 3, dtype=np.uint16).reshape(5, 7, 3)
NAMES = ("DAPI", "GFP", "Alexa 488, red")


@pytest.mark.parametrize(
    ("channel", "places"),
    [
        (None, [0, 1, 2]),
        (1, [1]),
        ([1, 0], [1, 0]),
        ([2, "DAPI"], [2, 0]),
        ((1, 1), [1, 1]),
        ("GFP", [1]),
        ("GFP, DAPI", [1, 0]),
        ("Alexa 488, red", [2]),
        (["Alexa 488, red", "DAPI"], [2, 0]),
    ],
)
def test_by_number_and_by_name(channel, places):
    picked = pick_channels("x.tif", STACK, NAMES, channel)
    np.testing.assert_array_equal(picked, STACK[..., places])


@pytest.mark.parametrize("channel", [3, -1, "0", "1", [0, 3], "CFP", "dapi,", "", [], True, 1.5])
def test_no_such_channel(channel):
    with pytest.raises(ValueError, match=r"x\.tif has 3 channels \(DAPI, GFP, .*channel=0 or"):
        pick_channels("x.tif", STACK, NAMES, channel)


def test_messages():
    with pytest.raises(UsageError, match=r"no channel=\[-1\], give channel=0 or") as caught:
        pick_channels("x.tif", STACK[..., :2], ("DAPI", "GFP"), channel_of_option("0"))
    assert caught.value.command_line == (
        "x.tif has 2 channels (DAPI, GFP); channels count from 1; there is no --channel 0, "
        "say --channel 1 or --channel 2"
    )
    many = np.zeros((2, 2, 12))
    with pytest.raises(ValueError, match=r"\(0, 1, .*7, \.\.\.\).*channel=0 to channel=11"):
        pick_channels("x.tif", many, tuple(str(k) for k in range(12)), 13)


@pytest.mark.parametrize("text", [None, "2", "2,1", "DAPI", "DAPI, GFP", "GFP,1", "Alexa 488, red"])
def test_what_is_typed_goes_there_and_back(text):
    assert option_of_channel(channel_of_option(text)) == text


def test_what_is_typed_counts_from_1():
    picked = pick_channels("x.tif", STACK, NAMES, channel_of_option("3,DAPI"))
    np.testing.assert_array_equal(picked, STACK[..., [2, 0]])


def test_a_name_that_occurs_twice_is_no_answer():
    with pytest.raises(ValueError, match="no channel='A'"):
        pick_channels("x.tif", STACK, ("A", "A", "B"), "A")


def test_of_a_file(tmp_path):
    tifffile.imwrite(tmp_path / "x.tif", STACK, photometric="minisblack", planarconfig="contig")
    image = read_image(tmp_path / "x.tif", channel=[1, 0])
    np.testing.assert_array_equal(image, STACK[..., [1, 0]])
    image = read_image(tmp_path / "x.tif", channel=2, channels=3)
    np.testing.assert_array_equal(image, STACK[..., [2, 2, 2]])
    with pytest.raises(ValueError, match=r"has 3 channels, not 2; give channel=0 or channel=1"):
        read_image(tmp_path / "x.tif", channels=2)
    with pytest.raises(ValueError, match=r"has 3 channels, not 4; give channels=3"):
        read_image(tmp_path / "x.tif", channels=4)
