"""Measures of instances on images whose answers can be done by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as arrays

from keras_unet.metrics import instances

pytestmark = pytest.mark.core


def row(text: str) -> np.ndarray:
    """A label image of one row, a digit a pixel."""
    return np.array([[int(digit) for digit in text]])


# Name: truth, prediction, SEG, DET.
CASES = {
    "identical": ("1110220", "1110220", 1, 1),
    "other ids": ("1110220", "5550330", 1, 1),
    "two thirds": ("1110220", "1100220", (2 / 3 + 1) / 2, 1),
    # Half of an object is not more than half of it: not found (10), and one too many (1).
    "exactly half": ("1100220", "1000220", 1 / 2, 1 - 11 / 20),
    # One object covers both: both are found, the second at a cost of 5.
    "merged": ("1110220", "1111111", (3 / 7 + 2 / 7) / 2, 1 - 5 / 20),
    "halves": ("1111000", "1122000", 0, 0),
    "nothing found": ("1110220", "0000000", 0, 0),
    "too many": ("1110000", "1110203", 1, 1 - 2 / 10),
}


@pytest.mark.parametrize("name", CASES)
def test_cell_tracking_measures_by_hand(name):
    true, pred, seg, det = CASES[name]
    assert instances.seg_measure(row(true), row(pred)) == pytest.approx(seg)
    assert instances.det_measure(row(true), row(pred)) == pytest.approx(det)


def test_det_is_never_negative():
    true, pred = np.zeros((2, 20), dtype=int), np.zeros((2, 20), dtype=int)
    true[0, 0] = 1
    pred[1] = np.arange(1, 21)
    assert instances.det_measure(true, pred) == 0


def test_frames_are_pooled_over_objects():
    true = [row("1110220"), row("1110000"), row("0000000")]
    pred = [row("1110220"), row("0000000"), row("0000003")]
    assert instances.seg_measure(true, pred) == pytest.approx(2 / 3)  # not the mean of 1 and 0
    assert instances.det_measure(true, pred) == pytest.approx(1 - 11 / 30)
    assert instances.seg_measure(tuple(true), tuple(pred)) == pytest.approx(2 / 3)


def test_an_array_is_one_image_and_a_list_is_several():
    # The same id in two frames is one object of a volume, but two objects of a sequence.
    true, pred = np.stack([row("110"), row("110")]), np.stack([row("110"), row("000")])
    assert instances.seg_measure(true, pred) == 0
    assert instances.seg_measure(list(true), list(pred)) == 1 / 2


def test_measures_without_references():
    empty = row("0000")
    assert instances.seg_measure(empty, row("0110")) == 0
    with pytest.raises(ValueError, match="undefined without reference markers"):
        instances.det_measure([empty, empty], [row("0110"), empty])


def test_op_csb():
    assert instances.op_csb(0.5, 1.0) == 0.75
    with pytest.raises(ValueError, match=r"det must lie in \[0, 1\]"):
        instances.op_csb(0.5, 98.0)
    with pytest.raises(ValueError, match=r"seg must lie in \[0, 1\]"):
        instances.op_csb(float("nan"), 0.5)


def test_field_of_interest():
    image = np.zeros((6, 8), dtype=np.uint16)
    image[0, :3], image[2, :4], image[5, 7] = 1, 2, 3
    inside = instances.field_of_interest(image, 2)
    assert inside.dtype == np.uint16
    np.testing.assert_array_equal(inside, np.where(image == 2, 2, 0))
    np.testing.assert_array_equal(instances.field_of_interest(image, 0), image)
    assert instances.field_of_interest(image, (0, 2)).any(axis=1).tolist() == [1, 0, 1, 0, 0, 0]
    for border in (3, -1, (0, 4)):
        with pytest.raises(ValueError, match="border must be at least 0"):
            instances.field_of_interest(image, border)


def test_match_by_hand():
    result = instances.match(row("1110220444"), row("7700880003"))
    assert (result.tp, result.fp, result.fn) == (2, 1, 1)
    assert result.pairs == ((1, 7), (2, 8))
    assert result.scores == pytest.approx((2 / 3, 1))
    assert (result.n_true, result.n_pred) == (3, 3)
    assert result.precision == result.recall == result.f1 == pytest.approx(2 / 3)
    assert result.accuracy == 2 / 4
    assert result.mean_matched_score == pytest.approx(5 / 6)
    assert result.mean_true_score == result.panoptic_quality == pytest.approx(5 / 9)


def test_exact_scores_meet_a_threshold_however_it_was_computed():
    true, pred = row("1111100"), row("1110000")  # 3/5
    for threshold in (0.6, 0.5 + 0.1, 0.2 * 3, np.arange(0.5, 1, 0.05)[2], np.float32(0.6)):
        assert instances.match(true, pred, threshold).tp == 1
        assert instances.match(true, pred, threshold, strict=True).tp == 0
    half = row("1100"), row("1000")
    assert instances.match(*half).tp == 1
    assert instances.match(*half, strict=True).tp == 0


def test_match_criteria():
    true, pred = row("11110"), row("11000")
    assert instances.match(true, pred, 0.9, criterion="iop").scores == (1.0,)
    assert instances.match(true, pred, 0.5, criterion="iot").scores == (0.5,)
    assert instances.match(pred, true, 0.9, criterion="iot").scores == (1.0,)


def test_match_takes_as_many_pairs_as_it_can():
    # 1 overlaps both predictions and prefers 7, which is all that is left for 2.
    true, pred = row("1111222"), row("7888778")
    pairs = instances.match(true, pred, 0.1).pairs
    assert pairs == ((1, 8), (2, 7))
    true, pred = row("1111220"), row("8777700")
    assert instances.match(true, pred, 0.15).pairs == ((1, 8), (2, 7))
    assert instances.match(true, pred, 0.5).pairs == ((1, 7),)


@st.composite
def small_pairs(draw):
    shape = draw(st.sampled_from([(3, 4), (2, 9), (13,), (2, 2, 3)]))
    image = arrays.arrays(np.int64, shape, elements=st.integers(0, 4))
    return draw(image), draw(image)


@settings(max_examples=120, deadline=None)
@given(images=small_pairs(), threshold=st.sampled_from([0.1, 0.25, 0.4, 0.5, 0.75]))
def test_match_by_brute_force(images, threshold):
    true, pred = images
    true_ids, pred_ids = (np.unique(image[image > 0]).tolist() for image in images)
    iou = {
        (a, b): ((true == a) & (pred == b)).sum() / ((true == a) | (pred == b)).sum()
        for a in true_ids
        for b in pred_ids
    }
    # Every assignment once: None stands for "no partner".
    options = set(itertools.permutations(pred_ids + [None] * len(true_ids), len(true_ids)))
    found = []
    for partners in options:
        scores = [iou[a, b] for a, b in zip(true_ids, partners, strict=True) if b is not None]
        good = [score for score in scores if score >= threshold]
        found.append((len(good), round(sum(scores), 9), round(sum(good), 9)))
    count, total, _ = max(found)
    result = instances.match(true, pred, threshold)
    assert result.tp == count
    assert round(sum(result.scores), 9) in {f[2] for f in found if f[:2] == (count, total)}
    assert (result.n_true, result.n_pred) == (len(true_ids), len(pred_ids))
    assert all(score == iou[pair] for pair, score in zip(result.pairs, result.scores, strict=True))


def test_aggregate():
    matchings = [
        instances.match(row("1110220"), row("1110220")),
        instances.match(row("1100"), row("0011")),
    ]
    pooled = instances.aggregate(matchings)
    assert (pooled["tp"], pooled["fp"], pooled["fn"]) == (2, 1, 1)
    assert pooled["accuracy"] == 2 / 4
    mean = instances.aggregate(matchings, by_image=True)
    assert (mean["tp"], mean["n_true"], mean["n_pred"]) == (2, 3, 3)
    assert mean["accuracy"] == 1 / 2
    assert mean["panoptic_quality"] == 1 / 2
    assert pooled["panoptic_quality"] == pytest.approx(2 / 3)
    with pytest.raises(ValueError, match="at least one matching"):
        instances.aggregate([])


def test_average_precision():
    true, pred = [row("1111100220"), row("1100")], [row("1110000220"), row("0011")]
    assert instances.average_precision(true, pred, 0.5) == 2 / 4
    assert isinstance(instances.average_precision(true, pred, 0.5), float)
    values = instances.average_precision(true, pred, [0.5, 0.6, 0.65])
    np.testing.assert_allclose(values, [2 / 4, 2 / 4, 1 / 5])
    by_image = instances.average_precision(true, pred, (0.5, 0.65), by_image=True)
    np.testing.assert_allclose(by_image, [1 / 2, 1 / 6])
    assert instances.average_precision(true, pred).shape == (10,)


def test_dsb2018_score():
    # An overlap of 3/5 exceeds 0.50 and 0.55, not 0.60: two of ten.
    assert instances.dsb2018_score(row("11111"), row("11100")) == pytest.approx(2 / 10)
    true, pred = [row("11111"), row("110")], [row("11100"), row("110")]
    assert instances.dsb2018_score(true, pred) == pytest.approx((0.2 + 1) / 2)
    assert instances.dsb2018_score(row("11"), row("00")) == 0


def test_panoptic_quality():
    true, pred = [row("1100220"), row("11")], [row("1000220"), row("00")]
    assert instances.panoptic_quality(true, pred) == pytest.approx(1.5 / (2 + 1 / 2))
    assert instances.panoptic_quality(true, pred, strict=True) == pytest.approx(1 / 2.5)
    assert instances.panoptic_quality(true, pred, by_image=True) == pytest.approx(0.75 / 2)


def test_boundary_iou_by_hand():
    true = np.zeros((9, 11), dtype=int)
    true[1:8, 1:8] = 1
    pred = np.zeros_like(true)
    pred[1:8, 1:9] = 5
    # Rims one pixel wide of 24 and 26 pixels share the left, upper and lower sides: 7 + 6 + 6.
    assert instances.boundary_iou(true, pred, distance=1) == pytest.approx(19 / 31)
    assert instances.boundary_iou(true, pred, 20) == instances.seg_measure(true, pred) == 7 / 8
    assert instances.boundary_iou(true, true) == 1
    assert instances.boundary_iou(true, 0 * pred) == 0
    assert instances.boundary_iou(0 * true, pred) == 0
    assert instances.boundary_iou([true, true], [true, 0 * true]) == 1 / 2
    with pytest.raises(ValueError, match="distance must be at least 1"):
        instances.boundary_iou(true, pred, distance=0)


def test_rims_follow_touching_objects_and_the_border():
    true = np.repeat([[1, 1, 1, 1, 2, 2, 2]], 5, axis=0)
    pred = true.copy()
    pred[2, 1:3] = pred[2, 5] = 0
    # Rims of 14 and 12 pixels; around the holes all of the objects is rim.
    assert instances.boundary_iou(true, pred, distance=1) == pytest.approx((14 / 18 + 12 / 14) / 2)


def test_split_merge_counts():
    counts = instances.split_merge_counts(
        [row("1111022033044055"), row("0011")],
        [row("1122033333300077"), row("1100")],
    )
    # 1 split, 2 and 3 merged, 4 missed, 5 correct; the second image: one missed, one spurious.
    assert counts == instances.SplitMergeCounts(
        objects=6, predicted=5, correct=1, split=1, merged=1, missed=2, spurious=1
    )
    assert instances.split_merge_counts(row("11"), row("22")).correct == 1


def test_three_dimensions_and_one():
    volume = np.zeros((4, 5, 6), dtype=np.int32)
    volume[:2, :3, :3], volume[3, 4, 2:] = 1, 2
    result = instances.evaluate(volume, volume)
    assert result["seg"] == result["accuracy"] == result["boundary_iou"] == 1
    assert result["correct"] == 2
    assert instances.seg_measure(np.array([1, 1, 0]), np.array([2, 2, 0])) == 1


def test_evaluate_agrees_with_each_measure():
    rng = np.random.default_rng(0)
    true = [np.kron(rng.integers(0, 4, (3, 4)), np.ones((4, 5), dtype=int)) for _ in range(2)]
    pred = [np.roll(image, (1, 1), (0, 1)) for image in true]
    result = instances.evaluate(true, pred, threshold=0.3)
    assert result["accuracy"] == instances.average_precision(true, pred, 0.3)
    assert result["panoptic_quality"] == instances.panoptic_quality(true, pred, 0.3)
    assert result["seg"] == instances.seg_measure(true, pred)
    assert result["dsb2018"] == instances.dsb2018_score(true, pred)
    assert result["boundary_iou"] == instances.boundary_iou(true, pred)
    assert result["missed"] == instances.split_merge_counts(true, pred).missed


MEASURES = (
    "seg_measure",
    "det_measure",
    "average_precision",
    "dsb2018_score",
    "panoptic_quality",
    "boundary_iou",
    "split_merge_counts",
    "evaluate",
)
IMAGE = row("0110")
ILL_CASES = {
    "shapes": (IMAGE, IMAGE.T, "must have one shape"),
    "floats": (IMAGE * 1.0, IMAGE, "true must be a label image of integers"),
    "mask": (IMAGE, IMAGE > 0, "pred must be a label image of integers"),
    "negative": (IMAGE, IMAGE - 1, "must not have negative ids"),
    "no axis": (np.int64(1), np.int64(1), "true must be a label image. Received"),
    "empty image": (IMAGE[:0], IMAGE[:0], "true must be a label image. Received"),
    "empty lists": ([], [], "lists of one length, with an image at least"),
    "lengths": ([IMAGE], [IMAGE, IMAGE], "lists of one length"),
    "list and array": ([IMAGE], IMAGE, "two arrays or two lists"),
}


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("name", ILL_CASES)
def test_ill_images(name, measure):
    true, pred, message = ILL_CASES[name]
    with pytest.raises(ValueError, match=message):
        getattr(instances, measure)(true, pred)


def test_match_takes_one_image():
    with pytest.raises(ValueError, match="must have one shape"):
        instances.match(IMAGE, IMAGE.T)
    with pytest.raises(ValueError, match=r"criterion must be one of \('iou', 'iot', 'iop'\)"):
        instances.match(IMAGE, IMAGE, criterion="dice")


@pytest.mark.parametrize("threshold", [0, -0.5, 1.5, float("nan")])
def test_ill_thresholds(threshold):
    for name in ("match", "average_precision", "panoptic_quality", "evaluate"):
        with pytest.raises(ValueError, match=r"threshold must lie in \(0, 1\]"):
            getattr(instances, name)(IMAGE, IMAGE, threshold)
    with pytest.raises(ValueError, match="at least one threshold"):
        instances.average_precision(IMAGE, IMAGE, [])
