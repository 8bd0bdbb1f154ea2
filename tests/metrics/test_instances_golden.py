"""The measures of instances against values of the field's own programs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from keras_unet.metrics import instances

pytestmark = pytest.mark.core

GOLDEN = Path(__file__).parents[1] / "golden"
COUNTS = ("tp", "fp", "fn", "n_true", "n_pred")
RATIOS = (
    "precision",
    "recall",
    "accuracy",
    "f1",
    "mean_true_score",
    "mean_matched_score",
    "panoptic_quality",
)


@pytest.fixture(scope="module")
def golden():
    """(name, golden numbers, truth, prediction) of every case."""
    cases = json.loads((GOLDEN / "instances_golden.json").read_text())["cases"]
    with np.load(GOLDEN / "instances_golden_arrays.npz") as file:
        return [
            (name, case, file[f"{name}/true"], file[f"{name}/pred"]) for name, case in cases.items()
        ]


def test_cell_tracking_measures(golden):
    for name, case, true, pred in golden:
        expected = case["ctc"]
        assert instances.seg_measure(true, pred) == pytest.approx(expected["SEG"], rel=1e-9), name
        if expected["DET"] is None:
            with pytest.raises(ValueError, match="undefined"):
                instances.det_measure(true, pred)
        else:
            det = instances.det_measure(true, pred)
            assert det == pytest.approx(expected["DET"], rel=1e-9), name


@pytest.mark.parametrize("criterion", ["iou", "iot", "iop"])
def test_matching_at_every_threshold(golden, criterion):
    for name, case, true, pred in golden:
        for row in case[f"stardist_{criterion}"]:
            result = instances.match(true, pred, row["thresh"], criterion=criterion)
            where = (name, row["thresh"])
            for key in COUNTS:
                assert getattr(result, key) == row[key], (*where, key)
            for key in RATIOS:  # the golden overlaps are float32
                assert getattr(result, key) == pytest.approx(row[key], rel=1e-6), (*where, key)
