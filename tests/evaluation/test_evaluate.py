"""Scores of predictions in files, done by hand."""

import json
from functools import partial

import cv2
import numpy as np
import pytest
import tifffile

from keras_unet.data.data_set import DataSet
from keras_unet.evaluation.evaluate import MEANINGS, evaluate
from keras_unet.report import write_error_pictures

pytestmark = pytest.mark.core

CELLS = np.zeros((6, 9), np.uint16)
CELLS[1:3, 1:5], CELLS[4:6, 1:5], CELLS[1:6, 7:9] = 1, 2, 3  # 8, 8 and 10 pixels
FOUND = np.where(CELLS == 2, 0, CELLS)
FOUND[1:3, 4] = 0  # 6 of 8 pixels of the first, nothing of the second, all of the third
FOUND[0, 0] = 9
SEG = (6 / 8 + 0 + 1) / 3


def write(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".tif":
        tifffile.imwrite(path, image, photometric="minisblack")
    else:
        cv2.imwrite(str(path), image)


@pytest.fixture
def folder(tmp_path):
    """Two images with the same cells; `found` lacks one in the first."""
    for name in ("a", "b"):
        write(tmp_path / "images" / f"{name}.png", (CELLS > 0) * np.uint8(200))
        write(tmp_path / "masks" / f"{name}.png", CELLS)
        write(tmp_path / "found" / f"{name}_mask.png", FOUND if name == "a" else CELLS)
    return tmp_path


def test_instances(folder):
    scores = evaluate(folder / "found", DataSet(folder, kind="instances"))
    assert scores["scored"] == "instances, an id per object"
    assert scores["notes"] == []
    first, second = scores["samples"]
    assert (first["name"], second["name"]) == ("a", "b")
    assert first["seg"] == pytest.approx(SEG)
    assert scores["seg"] == pytest.approx((SEG + 1) / 2)
    assert first["pixel_error"] == pytest.approx((2 + 8 + 1) / 54)
    assert scores["precision"] == pytest.approx(5 / 6)
    assert scores["recall"] == pytest.approx(5 / 6)
    assert scores["ap50"] == pytest.approx(5 / 7)
    # Two right, one wrong and one missed below an IoU of 0.75, which the first does not exceed.
    assert first["dsb2018"] == pytest.approx((5 * 2 / 4 + 5 * 1 / 5) / 10)
    assert scores["dsb2018"] == pytest.approx((first["dsb2018"] + 1) / 2)
    counts = ("correct", "split", "merged", "missed", "spurious")
    assert [scores[name] for name in counts] == [5, 0, 0, 1, 1]
    assert second["iou.object"] == 1
    json.dumps(scores, allow_nan=False)


def test_pixels_only(folder):
    data = DataSet(folder, kind="instances")
    scores = evaluate(folder / "found", data, measures="pixels")
    assert scores["foreground_iou"] == pytest.approx((16 + 26) / (27 + 26))
    assert "seg" not in scores


def test_what_is_missing_is_none(folder):
    for name in ("a", "b"):
        write(folder / "masks" / f"{name}.png", CELLS * 0)
        write(folder / "found" / f"{name}_mask.png", CELLS * 0)
    scores = evaluate(folder / "found", DataSet(folder, kind="instances"))
    assert scores["seg"] is None
    assert scores["iou.object"] is None
    assert scores["samples"][0]["recall"] is None


def test_classes(folder):
    for name in ("a", "b"):
        write(folder / "masks" / f"{name}.png", CELLS % 3)
        write(folder / "found" / f"{name}_mask.png", FOUND % 3 % 9)
    scores = evaluate(folder / "found", DataSet(folder, kind="classes"))
    assert scores["scored"] == "binary masks of the foreground"  # class 2 was never found
    assert scores["iou.class 1"] == pytest.approx(6 / 8)
    assert scores["dice.class 1"] == pytest.approx(2 * 6 / 14)
    assert scores["iou.class 2"] == 0
    assert "seg" not in scores


def test_pictures(folder, tmp_path):
    data = DataSet(folder, kind="instances")
    evaluate(folder / "found", data, on_found=partial(write_error_pictures, tmp_path / "pictures"))
    picture = cv2.imread(str(tmp_path / "pictures" / "a.png"))
    assert picture.shape == (6, 9 + 4 + 9, 3)


@pytest.fixture
def membranes(tmp_path):
    """Slices 0..2 with a membrane in the middle; the predictions are a stack of grey levels."""
    label = np.full((8, 11), 255, np.uint8)
    label[:, 5] = 0
    grey = np.where(label > 0, 153, 76).astype(np.uint8)  # 0.6 and 0.298
    grey[3, 5] = 102  # a hole in the membrane, not above the threshold 0.5
    for number in range(3):
        write(tmp_path / "train" / "image" / f"{number}.png", label)
        write(tmp_path / "train" / "label" / f"{number}.png", label)
    write(tmp_path / "stack.tif", np.stack([grey] * 3))
    write(tmp_path / "membrane.tif", 255 - np.stack([grey] * 3))
    return tmp_path


@pytest.mark.parametrize("name", ["stack", "membrane"])
def test_isbi2012(membranes, name):
    data = DataSet(membranes, select="1,2")
    scores = evaluate(membranes / f"{name}.tif", data, membrane=name == "membrane")
    assert scores["scored"].endswith("values / 255")
    assert scores["isbi.pixel_error"] == scores["isbi.warping_error"] == 0
    assert scores["isbi.v_rand"] == scores["isbi.v_info"] == 1
    assert scores["isbi.threshold.pixel_error"] == pytest.approx(0.5)
    assert scores["pixel_error"] == 0
    assert [row["isbi.rand_error"] for row in scores["samples"]] == [0, 0]
    assert [row["name"] for row in scores["samples"]] == ["train/1", "train/2"]
    assert set(scores) & set(MEANINGS) >= {"isbi.threshold.v_info", "isbi.v_info"}


def test_a_threshold_of_its_own(membranes):
    data = DataSet(membranes, select="0")
    scores = evaluate(membranes / "stack.tif", data, measures="pixels", threshold=0.35)
    assert scores["pixel_error"] == pytest.approx(1 / 88)


@pytest.fixture
def tracking(tmp_path):
    """Frames 1 and 4 of which frame 4 lacks the third cell in its truth."""
    for frame in range(5):
        write(tmp_path / "01" / f"t{frame:03d}.tif", CELLS)
        write(tmp_path / "01_GT" / "TRA" / f"man_track{frame:03d}.tif", CELLS)
        write(tmp_path / "01_RES" / f"mask{frame:03d}.tif", FOUND)
    write(tmp_path / "01_GT" / "SEG" / "man_seg001.tif", CELLS)
    write(tmp_path / "01_GT" / "SEG" / "man_seg004.tif", np.where(CELLS == 3, 0, CELLS))
    return tmp_path


def test_tracking(tracking):
    scores = evaluate(tracking / "01_RES", DataSet(tracking))
    assert [row["name"] for row in scores["samples"]] == ["01/t001", "01/t004"]
    assert scores["ctc.seg"] == pytest.approx((2 * 6 / 8 + 1) / 5)
    det = 1 - 2 * (10 + 1) / (10 * 6)  # a marker missed and an object invented in each frame
    assert scores["ctc.det"] == pytest.approx(det)
    assert scores["ctc.op_csb"] == pytest.approx((scores["ctc.seg"] + det) / 2)
    assert scores["notes"][0].startswith("DET rests on the tracking markers")
    assert "not annotated" in scores["notes"][1]
    # The third cell is not annotated in frame 4: what was found of it does not count there.
    assert scores["samples"][1]["true_count"] == 2
    assert scores["samples"][1]["pred_count"] < 3


def test_the_field_of_interest(tracking):
    scores = evaluate(tracking / "01_RES", DataSet(tracking, select="1"), border=1)
    assert scores["ctc.det"] == pytest.approx(1 - 10 / 30)  # what was invented lies in the corner


def test_tracking_without_markers(tracking):
    for file in (tracking / "01_GT" / "TRA").iterdir():
        file.unlink()
    scores = evaluate(tracking / "01_RES", DataSet(tracking, select="1"))
    assert scores["ctc.det"] == pytest.approx(1 - 11 / 30)
    assert scores["notes"] == ["No tracking markers: DET rests on the annotated objects."]
    write(tracking / "01_GT" / "SEG" / "man_seg001.tif", CELLS * 0)
    scores = evaluate(tracking / "01_RES", DataSet(tracking, select="1"))
    assert scores["ctc.seg"] is None
    assert "ctc.det" not in scores


ILL_CASES = {
    "measures": ({"measures": "best"}, {}, "measures must be one of"),
    "no instances": ({"measures": "instances"}, {"kind": "classes"}, "'a' has no instances"),
    "border": ({"border": 3}, {}, "belongs to the measures of tracking, not of"),
    "options of a model": ({"tta": "d4"}, {}, "found is no run folder; tta cannot"),
    "kind": ({"predictions": "greys"}, {}, "predictions must be one of"),
}


@pytest.mark.parametrize("case", ILL_CASES)
def test_errors(case, folder):
    options, reading, message = ILL_CASES[case]
    data = DataSet(folder, **{"kind": "instances", **reading})
    with pytest.raises(ValueError, match=message):
        evaluate(folder / "found", data, **options)


def test_options_of_predictions_with_a_run(folder):
    write(folder / "run" / "recipe.yaml.png", CELLS)
    (folder / "run" / "segmenter.json").write_text("{}")
    with pytest.raises(ValueError, match=r"run is a run folder.*; threshold, membrane cannot"):
        evaluate(folder / "run", DataSet(folder, kind="instances"), threshold=0.3, membrane=True)


def test_isbi_measures_need_slices_of_one_shape_annotated_everywhere(folder, tracking):
    with pytest.raises(ValueError, match=r"annotated everywhere. Received: sample '01/t004'"):
        evaluate(tracking / "01_RES", DataSet(tracking, format="cell-tracking"), isbi=True)
    write(folder / "images" / "b.png", CELLS[:4])
    write(folder / "masks" / "b.png", CELLS[:4])
    data = DataSet(folder, format="folder", kind="instances")
    with pytest.raises(ValueError, match=r"one shape. Received: \[\(4, 9\), \(6, 9\)\]"):
        evaluate(folder / "found", data, isbi=True)
