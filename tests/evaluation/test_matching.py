"""Which file is the prediction for which sample."""

import cv2
import numpy as np
import pytest
import tifffile

from keras_unet.evaluation.matching import match_predictions
from keras_unet.sample import Sample

pytestmark = pytest.mark.core


def named(*names, rank=2):
    return [Sample(np.zeros((2, 3, 4, 1)[-rank - 1 :]), name=name) for name in names]


def files(folder, *names):
    for name in names:
        cv2.imwrite(str(folder / name), np.zeros((3, 4), np.uint8))
    return folder


def matched(folder, samples, **options):
    matches = match_predictions(folder, samples, **options)
    return [{role: source.path.name for role, source in match.items()} for match in matches]


CASES = {
    "equal names, in the order of the samples": (
        ["a.png", "b.tif"],
        ["train/b", "train/a"],
        ["b.tif", "a.png"],
    ),
    "an equal name before one with an ending": (["a_mask.png"], ["a_mask"], ["a_mask.png"]),
    "endings": (["a_cp_masks.png", "b-PRED.png"], ["a_img", "b"], ["a_cp_masks.png", "b-PRED.png"]),
    "tracking results": (["mask000.tif", "mask001.tif"], ["01/t001", "01/t000"], None),
    "tracking truth": (["man_seg000.tif", "man_seg001.tif"], ["01/t001", "01/t000"], None),
    "numbers without zeros": (["slice9.png", "slice10.png"], ["train/10", "train/9"], None),
    "no number anywhere: sorted": (["x.png", "y.png"], ["b", "a"], None),
}


@pytest.mark.parametrize("case", CASES)
def test_names(case, tmp_path):
    written, names, expected = CASES[case]
    found = matched(files(tmp_path, *written), named(*names))
    assert found == [{"": name} for name in expected or written[::-1]]


def test_what_predict_writes(tmp_path):
    endings = ("_instances.png", "_classes.png", "_probabilities.tif", "_overlay.png")
    files(tmp_path, *[f"t00{n}{ending}" for n in (0, 1) for ending in endings])
    first, second = matched(tmp_path, named("01/t000", "01/t001"))
    assert first == {
        "instances": "t000_instances.png",
        "classes": "t000_classes.png",
        "probabilities": "t000_probabilities.tif",
    }
    assert second["instances"] == "t001_instances.png"


def test_other_images_may_have_predictions_where_the_samples_are_a_part(tmp_path):
    files(tmp_path, "mask000.tif", "mask001.tif", "mask002.tif")
    assert matched(tmp_path, named("t001"), partial=True) == [{"": "mask001.tif"}]


def pages(samples, count, folder, **options):
    path = folder / "stack.tif"
    tifffile.imwrite(path, np.zeros((count, 3, 4), np.uint8), photometric="minisblack")
    found = match_predictions(path, samples, **options)
    assert {source.path for match in found for source in match.values()} == {path}
    return [match[""].page for match in found]


def test_pages_of_a_stack(tmp_path):
    samples = named("train/10", "train/9")
    assert pages(samples, 12, tmp_path, places=[10, 9], partial=True) == [10, 9]
    assert pages(samples, 2, tmp_path, places=[10, 9], partial=True) == [1, 0]
    assert pages(samples, 2, tmp_path) == [1, 0]
    assert pages(samples, 2, tmp_path, places=[1, 0]) == [1, 0]


def test_a_stack_alone_in_a_folder_and_a_volume(tmp_path):
    tifffile.imwrite(tmp_path / "s.tif", np.zeros((2, 3, 4), np.uint8), photometric="minisblack")
    found = match_predictions(tmp_path, named("a1", "a2"))
    assert [match[""].page for match in found] == [0, 1]
    assert str(found[1][""]) == f"{tmp_path / 's.tif'}, page 1"
    (volume,) = match_predictions(tmp_path / "s.tif", named("a", rank=3))
    assert volume[""].page is None


def test_a_file_for_the_only_sample(tmp_path):
    files(tmp_path, "other7.png")
    assert matched(tmp_path / "other7.png", named("a1")) == [{"": "other7.png"}]


ILL_CASES = {
    "lacking": (["a.png"], ["a", "b"], {}, "b lack a partner, none are left over"),
    "other": (["x1.png", "y2.png"], ["a1", "a2"], {}, "a1, a2 lack a partner, x1, y2 are"),
    "surplus": (["a.png", "b.png"], ["a"], {}, "none lack a partner, b are left over"),
    "ambiguous": (["a_mask.png", "a_seg.png"], ["a"], {}, "a of the samples and a_mask, a_seg of"),
    "doubtful": (
        ["a.png", "a_seg.png"],
        ["a"],
        {"partial": True},
        "and a, a_seg of the predictions",
    ),
    "two formats": (["a.png", "a.tif"], ["a"], {}, "two predictions for one name: .*a.png .*a.tif"),
    "sorted against numbers": (["x1.png", "y.png"], ["a", "b"], {}, "a, b lack"),
    "one number twice": (["m1.png", "m01.png"], ["t1"], {}, "t1 of the samples and m01, m1 of"),
    "same samples": (["a.png"], ["01/a", "02/a"], {}, "names that differ. Received: a, a"),
    "no sample": (["a.png"], [], {}, "no sample"),
}


@pytest.mark.parametrize("case", ILL_CASES)
def test_errors(case, tmp_path):
    written, names, options, message = ILL_CASES[case]
    with pytest.raises(ValueError, match=message):
        match_predictions(files(tmp_path, *written), named(*names), **options)


def test_too_many_pages(tmp_path):
    with pytest.raises(ValueError, match=r"stack.tif has 3 pages for 2 samples.*a1, a2"):
        pages(named("a1", "a2"), 3, tmp_path)
    with pytest.raises(ValueError, match="5 pages for 2"):
        pages(named("a1", "a2"), 5, tmp_path, places=[1, 2])


def test_nothing_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no such file or folder: .*nowhere"):
        match_predictions(tmp_path / "nowhere", named("a"))
    with pytest.raises(FileNotFoundError, match="holds no predictions"):
        match_predictions(files(tmp_path, "a_overlay.png"), named("a"))
