"""The ISBI 2012 measures against values of the challenge's own programs."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from scipy import ndimage

from keras_unet.metrics import isbi

pytestmark = pytest.mark.core

EVERY = ~isbi.Mismatch(0)
GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture(scope="module")
def golden():
    cases = json.loads((GOLDEN / "isbi_golden.json").read_text())["cases"]
    with np.load(GOLDEN / "isbi_golden_arrays.npz") as file:
        return SimpleNamespace(cases=cases, arrays=dict(file))


@pytest.fixture
def images(golden):
    """(name, golden numbers, labels, proposals) of the cases without a mask."""
    return [
        (name, case, golden.arrays[f"{name}/label"], golden.arrays[f"{name}/proposal"])
        for name, case in golden.cases.items()
        if "thresholds" in case
    ]


def close(value, expected, tolerance):
    """Equal within a relative tolerance; not a number equals itself."""
    return np.isclose(value, float(expected), rtol=tolerance, atol=1e-15, equal_nan=True)


def test_simple_points(golden):
    table = isbi.simple_point_table()
    for expected in golden.arrays["simple_point_lut_conn4"]:
        np.testing.assert_array_equal(table, expected)


def test_intermediate_images(golden, images):
    for name, _, labels, proposals in images:
        warped = [
            isbi.homotopic_warping(*pair, 0.5) for pair in zip(labels, proposals, strict=True)
        ]
        steps = {
            "gt_components": [isbi.components(label) for label in labels],
            "proposal_components": [isbi.components(isbi.above(p, 0.5)) for p in proposals],
            "proposal_thinned": [isbi.thin_borders(isbi.above(p, 0.5)) for p in proposals],
            "warped_label": warped,
            "mismatch_class": [
                isbi.mismatch_classes(*pair, 0.5, radius=0)
                for pair in zip(warped, proposals, strict=True)
            ],
        }
        for step, got in steps.items():
            expected = golden.arrays[f"{name}/{step}_th0.5"]
            np.testing.assert_array_equal(got, expected, err_msg=f"{name} {step}")


def test_errors_at_every_threshold(images):
    for name, case, labels, proposals in images:
        for row in case["thresholds"]:
            at = {"threshold": row["threshold"]}
            errors = {
                "pixel_error": isbi.pixel_error(labels, proposals, kind="difference", **at),
                "warping_error": isbi.warping_error(labels, proposals, classes=EVERY, **at),
                "warping_error_splits_mergers_bytype": isbi.warping_error(
                    labels, proposals, radius=0, **at
                ),
                "warping_error_splits_mergers_bytype_radius20": isbi.warping_error(
                    labels, proposals, **at
                ),
                "warping_error_splits_mergers_byerror": isbi.warping_error(
                    labels, proposals, radius=0, by_error=True, **at
                ),
            }
            for key, value in errors.items():
                assert close(value, row[key], 1e-9), (name, at, key)


def test_mismatch_counts_at_every_threshold(images):
    for name, case, labels, proposals in images:
        for row in case["thresholds"]:
            for by_error, key in [(False, "mismatches_by_type"), (True, "mismatches_by_error")]:
                counts = dict.fromkeys(row[key], 0)
                for label, proposal in zip(labels, proposals, strict=True):
                    warped = isbi.homotopic_warping(label, proposal, row["threshold"])
                    classes = isbi.mismatch_classes(warped, proposal, row["threshold"], radius=0)
                    for kind, number in isbi.count_mismatches(classes, warped, by_error).items():
                        counts[kind.name.lower()] += number
                assert counts == row[key], (name, row["threshold"], key)


def test_segments_at_every_threshold(images):
    for name, case, labels, proposals in images:
        truths = [isbi.components(label) for label in labels]
        for row in case["thresholds"]:
            where = (name, row["threshold"])
            cells = [isbi.above(proposal, row["threshold"]) for proposal in proposals]
            found = [isbi.components(image) for image in cells]
            thinned = [isbi.thin_borders(image) for image in cells]
            overlaps = [isbi.foreground_overlaps(*p) for p in zip(truths, found, strict=True)]
            thin = [isbi.foreground_overlaps(*p) for p in zip(truths, thinned, strict=True)]
            plain = [isbi.all_pairs(*p) for p in zip(truths, found, strict=True)]
            check_counts(plain, row["rand_stats"], where)
            check_counts(map(isbi.foreground_pairs, overlaps), row["fr_rand_stats"], where)
            check_counts(
                map(isbi.foreground_pairs, thin), row["fr_rand_thinned_stats_micro"], where
            )
            index = np.mean([isbi.foreground_index_error(o) for o in overlaps])
            assert close(index, row["fr_rand_error"], 1e-9), where
            variation = np.mean([isbi.information(o).variation for o in overlaps])
            assert close(variation, row["fr_vi"], 1e-9), where
            score = np.mean([isbi.information(o).f_score for o in overlaps])
            assert close(score, row["fr_vi_fscore"], 1e-6), where
            score = np.mean([isbi.information(o).f_score for o in thin])
            assert close(score, row["fr_vinfo_thinned"], 1e-6), where


def check_counts(counts, expected, where):
    """Pairs summed over slices; the golden counts went through divisions."""
    got = sum(counts, start=isbi.Confusion(0, 0, 0, 0))
    size = got.tp + got.fp + got.fn + got.tn
    for key in ("tp", "fp", "fn", "tn"):
        assert abs(getattr(got, key) - float(expected[key])) <= 1e-9 * size, (where, key)
    assert close(got.precision, expected["precision"], 1e-6), where
    assert close(got.recall, expected["recall"], 1e-6), where
    assert close(got.f_score, expected["fscore"], 1e-6), where


def test_pixel_and_thinned_scores_at_every_threshold(images):
    for name, case, labels, proposals in images:
        for row in case["thresholds"]:
            at = {"threshold": row["threshold"]}
            where = (name, at)
            pixels = 1 - isbi.pixel_error(labels, proposals, **at)
            assert close(pixels, row["pixel_stats"]["fscore"], 1e-6), where
            macro = row["fr_rand_thinned_stats_macro"]["fscore"]
            assert close(isbi.v_rand(labels, proposals, **at), macro, 1e-6), where


def test_best_over_thresholds(images):
    for name, case, labels, proposals in images:
        pair = labels, proposals
        results = {
            "pixel_max_fscore_0_1": 1 - isbi.pixel_error(*pair),
            "pixel_min_error_0_1": isbi.pixel_error(*pair, kind="difference"),
            "warping_min_error_0_09": isbi.warping_error(*pair, classes=EVERY),
            "warping_min_splits_mergers_0_09_bytype": isbi.warping_error(*pair, radius=0),
            "warping_min_splits_mergers_0_09_bytype_radius20": isbi.warping_error(*pair),
            "warping_min_splits_mergers_0_09_byerror": isbi.warping_error(
                *pair, radius=0, by_error=True
            ),
            "rand_max_fscore_0_1": 1 - isbi.rand_error(*pair, foreground_restricted=False),
            "fr_rand_max_fscore_0_1": 1 - isbi.rand_error(*pair),
            "v_rand_thinned_max_macro_0_1": isbi.v_rand(*pair),
            "v_rand_thinned_max_micro_0_1": isbi.v_rand(*pair, average="micro"),
            "v_info_thinned_max_0_1": isbi.v_info(*pair),
            "fr_vi_max_fscore_0_1": isbi.v_info(*pair, thinning=False),
        }
        for key, value in results.items():
            tolerance = 1e-9 if "error" in key or "warping" in key else 1e-6
            assert close(value, case["sweep"][key], tolerance), (name, key)
        assert isbi.evaluate(*pair).headline() == {
            "pixel_error": isbi.pixel_error(*pair),
            "rand_error": isbi.rand_error(*pair),
            "warping_error": isbi.warping_error(*pair),
            "v_rand": isbi.v_rand(*pair),
            "v_info": isbi.v_info(*pair),
        }


def test_warping_under_a_mask(golden):
    masked = {name: case["masked"] for name, case in golden.cases.items() if "masked" in case}
    assert masked
    for name, rows in masked.items():
        label, proposal, mask = (
            golden.arrays[f"{name}/{key}"] for key in ("label", "proposal", "mask")
        )
        for threshold, (total, splits_and_mergers) in rows.items():
            options = {"threshold": float(threshold), "mask": mask}
            value = isbi.warping_error(label, proposal, classes=EVERY, **options)
            assert close(value, total, 1e-9), (name, threshold)
            value = isbi.warping_error(label, proposal, **options)
            assert close(value, splits_and_mergers, 1e-9), (name, threshold)


# What the raw image already reaches, blurred with sigma 2 and rounded to 8 bits.
FLOOR = [
    (0, 0.1044332, 0.2662996, 0.0030441, 0.9361132, 0.9534745),
    (1, 0.1013964, 0.2621724, 0.0029297, 0.8324071, 0.9177867),
    (2, 0.1022900, 0.2669798, 0.0028954, 0.8899404, 0.9475800),
]


@pytest.mark.parametrize("row", FLOOR)
def test_floor_of_the_blurred_image(data_root, row):
    folder = data_root / "isbi2012" / "train"
    index, *expected = row
    image, label = (
        cv2.imread(str(folder / kind / f"{index}.png"), cv2.IMREAD_GRAYSCALE)
        for kind in ("image", "label")
    )
    if image is None or label is None:
        pytest.skip(f"no slice {index} in {folder}")
    blurred = np.rint(ndimage.gaussian_filter(image.astype(np.float64), 2))
    result = isbi.evaluate(label, blurred / 255)
    np.testing.assert_allclose(list(result.headline().values()), expected, atol=6e-8)
