"""Which mask belongs to which image, by their names alone."""

import re
import unicodedata
from pathlib import Path

import pytest

from keras_unet.errors import UsageError, counted
from keras_unet.files.names import split_number, stem_of
from keras_unet.files.pairing import Pairing, by_stem

pytestmark = pytest.mark.core

pair = Pairing("images", "masks")
NAME = "café1"
APART = unicodedata.normalize("NFD", NAME)

PAIRED = {
    "equal": (["b", "a"], ["a", "b"], ["b", "a"]),
    "equal and with endings": (["a", "b_img"], ["b_mask", "a"], ["a", "b_mask"]),
    "an ending that belongs to the name": (["gt_1_mask"], ["gt_1_mask"], ["gt_1_mask"]),
    "accents": ([NAME], [APART], [APART]),
    "accents and endings": ([f"{APART}_image"], [f"{NAME}_gt"], [f"{NAME}_gt"]),
}
SAID = {
    "numbers": (["image_01", "image_02"], ["mask_02", "mask_01"], "by number"),
    "numbers without a sign before them": (["img01", "img2"], ["lbl2", "lbl01"], "by number"),
    "numbers of other lengths": (["img_001", "img_010"], ["img_10", "img_1"], "by number"),
    "numbers before an ending": (["i01_img", "i02_img"], ["c02_seg", "c01_seg"], "by number"),
    "the first channel": (["case_001_0000", "b_0000"], ["b", "case_001"], "ending _0000"),
    "the first channel, and endings": (["x_0000", "y_0000"], ["y_seg", "x_mask"], "ending _0000"),
}


@pytest.mark.parametrize("case", PAIRED)
def test_names_that_agree(case, caplog):
    images, masks, found = PAIRED[case]
    assert pair(images, masks) == found
    assert not caplog.records


@pytest.mark.parametrize("case", SAID)
def test_what_is_less_certain_is_said_once(case, caplog):
    images, masks, words = SAID[case]
    assert pair(images, masks) == masks[::-1]
    (record,) = caplog.records
    assert words in record.message
    assert f"{images[0]} with {masks[1]}" in record.message


REFUSED = {
    "nothing agrees": (["a", "b"], ["c", "d"], "a, b lack a partner, c, d are left over"),
    "by mere order": (["a1x", "a2y"], ["b1x", "b2y"], "do not match"),
    "other numbers": (["i1", "i2"], ["m1", "m3"], "i2 lack a partner, m3 are"),
    "one number twice": (["i1"], ["m1", "m01"], "i1 of the images and m1, m01 of"),
    "text after the number": (["01_dapi", "02_dapi"], ["01_cells", "02_cells"], "do not match"),
    "two numbers that vary": (["p1_t1", "p2_t1"], ["q1_t1", "q2_t1"], "do not match"),
    "two masks": (
        ["a", "b"],
        ["a", "b_seg", "b_mask"],
        "b of the images and b_seg, b_mask of the masks have",
    ),
    "two images": (["a_img", "a_raw"], ["a"], "a_img, a_raw of the images and a of"),
    "one mask too many": (["a"], ["a", "b"], "none lack a partner, b are left over"),
    "channels": (
        ["x_0000", "x_0001", "y_0000", "y_0001"],
        ["x", "y"],
        "x_0000, x_0001 look like the channels of one image",
    ),
    "part of a channel": (["x_0000", "y"], ["x", "y"], "x_0000 lack"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_match(case):
    images, masks, words = REFUSED[case]
    with pytest.raises(UsageError, match=words):
        pair(images, masks)


def test_a_part_of_the_masks_may_be_meant():
    part = Pairing("images", "masks", partial=True)
    assert part(["t2"], ["mask1", "mask2", "mask3"]) == ["mask2"]
    assert part(["a"], ["a", "b"]) == ["a"]
    with pytest.raises(UsageError, match="a of the images and a, a_seg of the masks"):
        part(["a"], ["a", "a_seg", "b"])


def test_order_counts_only_where_no_name_tells_anything():
    in_order = Pairing("samples", "predictions", by_order=True)
    assert in_order(["b", "a"], ["x", "y"]) == ["y", "x"]
    for names in (["a", "c"], ["x1", "y"], ["x"]):
        with pytest.raises(UsageError, match="do not match"):
            in_order(["a", "b"], names)


def test_a_message_does_not_grow_with_the_folder():
    images = [f"cell_{number:04d}a" for number in range(3000)]
    masks = [f"mask_{number:04d}b_{number % 7}" for number in range(2999)]
    with pytest.raises(UsageError) as caught:
        pair(images, masks)
    text = str(caught.value)
    assert len(text) < 1200
    assert "3,000 images" in text
    assert "2,999 masks" in text
    assert "_cp_masks, _mask, _masks" in text
    assert re.search(r"nearest: cell_0000a and mask_\d+b_", text)


def test_stems():
    names = ["x.ome.tif", "X.OME.TIFF", "v.1.nii.gz", f"{APART}.png", "a.b.png", ".ome.tif"]
    assert [stem_of(Path(name)) for name in names] == ["x", "X", "v.1", NAME, "a.b", ".ome"]
    with pytest.raises(UsageError, match=r"two files for one name: .*x\.ome\.tif and .*x\.tif"):
        by_stem([Path("x.ome.tif"), Path("x.tif")])


def test_numbers_and_lists():
    assert split_number("t01_c2") == ("t01_c", 2)
    assert split_number("cell") == ("cell", None)
    assert counted("abcdefgh") == "a, b, c, d, e, f, g, h"
    assert counted([]) == "none"
