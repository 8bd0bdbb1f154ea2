"""Scores that can be done by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from keras_unet.evaluation.scores import (
    INSTANCE_SCORES,
    MONITORS,
    PIXEL_SCORES,
    confusion_matrix,
    evaluate_samples,
    instance_measures,
    instance_scores,
    pixel_scores,
    score,
)
from keras_unet.sample import Sample
from keras_unet.segmentation import Segmentation

pytestmark = pytest.mark.core

TRUE = np.array([[0, 0, 1, 1], [0, 1, 1, 0]])
PRED = np.array([[0, 1, 1, 0], [0, 1, 1, 1]])  # 2 hits of background, 3 of objects, 2 + 1 wrong
NAMES = ["background", "cell"]


def as_result(classes, instances=None) -> Segmentation:
    classes = np.asarray(classes, np.int32)
    instances = classes if instances is None else np.asarray(instances, np.int32)
    return Segmentation(np.eye(3, dtype=np.float32)[classes], classes, instances)


def test_confusion_matrix():
    np.testing.assert_array_equal(confusion_matrix(TRUE, PRED, 2), [[2, 2], [1, 3]])
    annotated = np.array([[True, False, True, True], [False] * 4])
    np.testing.assert_array_equal(confusion_matrix(TRUE, PRED, 2, annotated), [[1, 0], [1, 1]])


def test_pixel_scores():
    scores = pixel_scores(confusion_matrix(TRUE, PRED, 2), NAMES)
    assert scores["pixel_accuracy"] == pytest.approx(5 / 8)
    assert scores["pixel_error"] == pytest.approx(3 / 8)
    assert scores["iou"] == pytest.approx({"background": 2 / 5, "cell": 3 / 6})
    assert scores["dice"] == pytest.approx({"background": 4 / 7, "cell": 6 / 9})
    assert scores["mean_iou"] == pytest.approx((2 / 5 + 1 / 2) / 2)
    assert scores["mean_dice"] == pytest.approx((4 / 7 + 2 / 3) / 2)
    assert scores["foreground_iou"] == pytest.approx(1 / 2)
    assert scores["foreground_dice"] == pytest.approx(2 / 3)


def test_foreground_is_every_class_but_the_first():
    true, pred = np.array([0, 1, 2, 2]), np.array([0, 2, 1, 0])
    scores = pixel_scores(confusion_matrix(true, pred, 3), ["a", "b", "c"])
    assert scores["foreground_iou"] == pytest.approx(2 / 3)
    assert scores["iou"] == pytest.approx({"a": 1 / 2, "b": 0, "c": 0})


def test_a_class_that_is_nowhere_does_not_count():
    empty = np.zeros((3, 2), int)
    scores = pixel_scores(confusion_matrix(empty, empty, 2), NAMES)
    assert math.isnan(scores["iou"]["cell"])
    assert math.isnan(scores["foreground_dice"])
    assert scores["mean_iou"] == scores["mean_dice"] == 1


def test_nothing_annotated_has_no_score():
    scores = pixel_scores(np.zeros((2, 2)), NAMES)
    assert math.isnan(scores["mean_iou"])
    assert math.isnan(scores["pixel_error"])


def test_totals_are_from_counts_and_samples_are_listed():
    samples = [
        Sample(np.zeros((2, 4, 1)), classes=TRUE, name="first"),
        Sample(np.ones((1, 2, 1)), classes=[[1, 0]]),
    ]
    results = {0.0: as_result(PRED), 1.0: as_result([[1, 0]])}
    scores = evaluate_samples(lambda image: results[image.flat[0]], samples, NAMES)
    assert scores["confusion_matrix"] == [[3, 2], [1, 4]]
    assert scores["iou"]["cell"] == pytest.approx(4 / 7)
    assert [row["name"] for row in scores["samples"]] == ["first", "1"]
    assert [row["pixel_accuracy"] for row in scores["samples"]] == [5 / 8, 1]
    assert "seg" not in scores


def test_instances():
    """Two objects; one is found exactly, one is missed, and one is invented."""
    true = np.array([[1, 1, 0, 2, 2], [1, 1, 0, 2, 2]])
    pred = np.array([[5, 5, 0, 0, 0], [5, 5, 0, 0, 7]])
    sample = Sample(np.zeros((2, 5, 1)), instances=true)
    scores = evaluate_samples(lambda image: as_result(pred > 0, pred), [sample], NAMES)
    assert scores["seg"] == pytest.approx(1 / 2)
    assert scores["ap50"] == pytest.approx(1 / 3)
    assert scores["f1"] == pytest.approx(2 / 4)
    assert (scores["true_count"], scores["pred_count"]) == (2, 2)
    assert scores["samples"][0]["f1"] == scores["f1"]

    annotated = np.array([[True] * 4 + [False]] * 2)
    sample = sample.replace(annotated=annotated, instances=np.where(annotated, true, 0))
    scores = evaluate_samples(lambda image: as_result(pred > 0, pred), [sample], NAMES)
    assert scores["pred_count"] == 1


TRUE_IDS = np.array([[1, 1, 1, 1, 0, 2, 2, 3], [0] * 8])
PRED_IDS = np.array([[5, 5, 5, 0, 0, 6, 6, 6], [0] * 7 + [9]])


def test_all_measures_of_instances():
    """1 is found (IoU 3/4), 2 too (2/3), with 3 merged into it; 9 is invented."""
    scores = instance_measures([TRUE_IDS], [PRED_IDS])
    expected = {
        "seg": (3 / 4 + 2 / 3 + 1 / 3) / 3,  # 6 covers 3 wholly, too
        "ap50": 2 / 4,
        "f1": 4 / 6,
        "true_count": 3,
        "pred_count": 3,
        "precision": 2 / 3,
        "recall": 2 / 3,
        # both pairs to 0.65, one to 0.75, none above
        "ap": (4 * 2 / 4 + 2 * 1 / 5) / 10,
        "dsb2018": (4 * 2 / 4 + 1 * 1 / 5) / 10,  # 3/4 does not exceed 0.75
        "pq": (3 / 4 + 2 / 3) / 3,
        "sq": (3 / 4 + 2 / 3) / 2,
        "rq": 4 / 6,
        "boundary_iou": (3 / 4 + 2 / 3 + 1 / 3) / 3,  # objects this thin are all rim
        "correct": 1,
        "split": 0,
        "merged": 1,
        "missed": 0,
        "spurious": 1,
    }
    assert scores == pytest.approx(expected)
    basic = instance_scores([TRUE_IDS], [PRED_IDS])
    assert {name: scores[name] for name in basic} == basic


def test_ratios_without_anything_to_count_are_nan():
    empty = np.zeros((2, 3), int)
    scores = instance_measures([empty], [empty])
    nan = {name for name, value in scores.items() if math.isnan(value)}
    assert nan == {
        *("seg", "ap50", "f1", "precision", "recall", "ap", "pq", "sq", "rq", "boundary_iou"),
    }
    missed = instance_measures([empty + 1], [empty])
    assert (missed["seg"], missed["recall"], missed["missed"]) == (0, 0, 1)
    assert math.isnan(missed["precision"])


def test_the_measures_of_instances_can_be_chosen():
    sample = Sample(np.zeros((2, 8, 1)), instances=TRUE_IDS)
    pairs = [(sample, as_result(PRED_IDS > 0, PRED_IDS))] * 2
    scores = score(pairs, NAMES, of_instances=instance_measures)
    assert (scores["merged"], scores["samples"][1]["merged"]) == (2, 1)
    assert "merged" not in score(pairs, NAMES)


def test_a_function_of_maps_can_score_them_too():
    def objects(trues, preds):
        return {"objects": sum(int(ids.max()) for ids in (*trues, *preds))}

    sample = Sample(np.zeros((2, 8, 1)), instances=TRUE_IDS)
    pairs = [(sample, as_result(ids > 0, ids)) for ids in (PRED_IDS, TRUE_IDS)]
    scores = score(pairs, NAMES, of_instances=objects)
    assert scores["objects"] == 18
    assert [row["objects"] for row in scores["samples"]] == [3 + 9, 3 + 3]


ILL_CASES = [
    ([], "samples must not be empty"),
    ([Sample(np.zeros((2, 4, 1)), name="frame 3")], "'frame 3'.*neither instances nor classes"),
    ([Sample(np.zeros((2, 4, 1)), classes=TRUE * 2)], r"sample '0'.*0\.\.1.*0\.\.2"),
    ([Sample(np.zeros((1, 4, 1)), classes=TRUE[:1])], "sample '0': true and pred"),
]


@pytest.mark.parametrize(("samples", "message"), ILL_CASES)
def test_errors(samples, message):
    with pytest.raises(ValueError, match=message):
        evaluate_samples(lambda image: as_result(PRED), samples, NAMES)


def test_the_lists_of_scores_are_what_the_functions_give():
    numbers = {
        name
        for name, value in pixel_scores(np.eye(2), ["a", "b"]).items()
        if isinstance(value, (int, float))
    }
    assert numbers == set(PIXEL_SCORES)
    ids = np.array([[0, 1, 1]])
    assert set(instance_scores([ids], [ids])) == set(INSTANCE_SCORES)
    assert set(MONITORS) < numbers | set(INSTANCE_SCORES)
