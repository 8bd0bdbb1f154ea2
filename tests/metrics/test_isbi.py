"""The five measures of the ISBI 2012 challenge on images whose answers can be done by hand."""

from __future__ import annotations

from math import log2

import numpy as np
import pytest

from keras_unet.metrics import isbi
from keras_unet.metrics.isbi import Mismatch

pytestmark = pytest.mark.core

MEASURES = ("pixel_error", "rand_error", "warping_error", "v_rand", "v_info")


def membranes(*columns: int) -> np.ndarray:
    """6 x 9 pixels of cell with membranes one pixel wide."""
    cells = np.ones((6, 9), dtype=bool)
    cells[:, list(columns)] = False
    return cells


# Two cells of 24 pixels: 48 in all, 2 * 24 * 24 = 1152 ordered pairs, 1 bit of information.
LABEL = membranes(4)

# Name: proposal, then the five measures. Where the proposal's segments refine the cells, precision
# of pairs is 1, and with B pairs within its segments F = 2 B / (B + 1152); with H bits within them
# the information is 1 bit and F = 2 / (1 + H).
CASES = {
    "identical": (LABEL, (0, 0, 0, 1, 1)),
    # One segment: 48 * 48 = 2304 pairs, half of them right.
    "merged": (membranes(), (6 / 102, 1 / 3, 6 / 54, 2 / 3, 0)),
    # 6 + 12 + 24 pixels and 6 alone: B = 36 + 144 + 576 + 6. All but one pixel of the new line are
    # simple points.
    "split": (
        membranes(1, 4),
        (6 / 90, 390 / 1914, 1 / 54, 1524 / 1914, 2 / (1 + 3 / 8 + 2 / 4 + 1 / 2 + log2(48) / 8)),
    ),
    # 18 + 18 pixels and 12 alone: B = 660; thinning makes it perfect.
    "thickened": (membranes(3, 4, 5), (12 / 84, 492 / 1812, 0, 1, 1)),
    # 24 + 18 pixels and 6 alone: B = 906.
    "moved by 1 px": (
        membranes(5),
        (1 / 8, 246 / 2058, 0, 1812 / 2058, 2 / (1 + 1 / 2 + 3 / 8 * log2(8 / 3) + log2(48) / 8)),
    ),
    # 24 + 12 + 6 pixels, the last in one segment with the first cell, and 6 alone. The old membrane
    # stays (6 px merge) and the new one lacks the pixel that would cut.
    "moved by 2 px": (membranes(6), (1 / 8, None, 7 / 54, None, None)),
    # 48 pixels alone; thinning makes one segment. Lost objects are neither splits nor mergers.
    "nothing": (np.zeros((6, 9), dtype=bool), (1, 1104 / 1200, 0, 2 / 3, 0)),
}


@pytest.mark.parametrize("name", CASES)
def test_measures_by_hand(name):
    cells, expected = CASES[name]
    result = isbi.evaluate(LABEL, cells)
    assert result.thresholds == (0.0,)
    soft = np.where(cells, 0.85, 0.15)
    for measure, value in zip(MEASURES, expected, strict=True):
        function = getattr(isbi, measure)
        assert function(LABEL, cells) == getattr(result, measure)
        assert function(LABEL, soft, threshold=0.5) == getattr(result, measure)
        if value is not None:
            assert function(LABEL, cells) == pytest.approx(value, abs=1e-12), measure


def test_sweep_finds_the_good_threshold():
    soft = np.where(LABEL, 0.85, 0.75)
    assert list(isbi.evaluate(LABEL, soft).headline().values()) == [0, 0, 0, 1, 1]


def test_thresholds_are_sums():
    assert len(isbi.THRESHOLDS) == 11
    assert isbi.THRESHOLDS[3] == 0.30000000000000004
    assert isbi.THRESHOLDS[-1] == 0.9999999999999999
    assert isbi.THRESHOLDS[:10] == isbi.WARPING_THRESHOLDS


def test_binarisation_is_strict_on_float32():
    proposal = np.array([[0.0, 0.3, 0.3, 0.5]])
    assert not isbi.above(proposal, 0.5).any()
    # The float32 next to 0.3 is 0.300000012, above the double 0.3 and the sum of three tenths.
    assert isbi.above(proposal, isbi.THRESHOLDS[3]).tolist() == [[False, True, True, True]]
    assert isbi.above(np.float32([[0.8]]), np.float64(np.float32(0.8))).tolist() == [[False]]


def test_fixed_threshold_replaces_the_sweep():
    proposal = np.where(LABEL, 0.85, 0.15)
    assert isbi.pixel_error(LABEL, proposal, threshold=0.5) == 0
    assert isbi.pixel_error(LABEL, proposal, threshold=0.1) == pytest.approx(6 / 102)
    assert isbi.warping_error(LABEL, proposal, threshold=0.1) == pytest.approx(6 / 54)
    assert isbi.v_rand(LABEL, proposal, threshold=0.1) == pytest.approx(2 / 3)
    assert isbi.v_info(LABEL, proposal, threshold=0.1) == 0
    assert isbi.rand_error(LABEL, proposal, threshold=0.1) == pytest.approx(1 / 3)


def test_warping_error_does_not_sweep_to_one():
    # Membrane at 0.95 is found at the last threshold only, which the warping error does not try.
    proposal = np.where(LABEL, 1.0, 0.95)
    assert isbi.v_rand(LABEL, proposal) == 1
    assert isbi.warping_error(LABEL, proposal) == pytest.approx(6 / 54)
    assert isbi.evaluate(LABEL, proposal).warping_error == pytest.approx(6 / 54)


def test_options_of_pixel_and_rand_error():
    merged = membranes()
    assert isbi.pixel_error(LABEL, merged, kind="difference") == pytest.approx(6 / 54)
    # Unordered pairs of 54 pixels: 1431, within truth 276 + 276 + 15, within the proposal all.
    plain = isbi.rand_error(LABEL, merged, foreground_restricted=False)
    assert plain == pytest.approx(1 - 2 * 567 / (567 + 1431))


def test_averages_over_slices():
    # A small merged cell pair beside a perfect slice: per slice (2/3 + 1) / 2, pooled otherwise.
    labels = np.stack([LABEL, LABEL])
    proposals = np.stack([membranes(), LABEL])
    assert isbi.v_rand(labels, proposals) == pytest.approx(5 / 6)
    micro = isbi.v_rand(labels, proposals, average="micro")
    assert micro == pytest.approx(2 * 2304 / (2304 + 2304 + 1152))
    assert isbi.v_rand(labels, proposals, thinning=False, average="micro") == pytest.approx(
        1 - isbi.rand_error(labels, proposals)
    )
    assert isbi.v_info(labels, proposals) == pytest.approx(1 / 2)
    assert isbi.pixel_error(labels, proposals) == pytest.approx(6 / (2 * 96 + 6))
    assert isbi.warping_error(labels, proposals) == pytest.approx(6 / 108)


def test_options_of_warping_error():
    merged = membranes()
    every = ~Mismatch(0)
    assert isbi.warping_error(LABEL, merged, by_error=True) == pytest.approx(1 / 54)
    assert isbi.warping_error(LABEL, merged, classes=Mismatch.SPLIT) == 0
    nothing = np.zeros_like(LABEL)
    assert isbi.warping_error(LABEL, nothing, classes=every) == pytest.approx(2 / 54)
    mask = np.zeros(LABEL.shape, dtype=np.uint8)
    mask[:2] = 7
    assert isbi.warping_error(LABEL, merged, mask=mask) == pytest.approx(2 / 54)
    assert isbi.warping_error(LABEL[None], merged[None], mask=mask[None]) == pytest.approx(2 / 54)


def test_labels_and_proposals_in_several_types():
    proposal = np.where(membranes(1, 4), 0.75, 0.25)
    expected = isbi.rand_error(LABEL, proposal)
    for label in (LABEL.astype(np.uint8), LABEL * np.uint8(255), LABEL.astype(np.float64)):
        for dtype in (np.float16, np.float32, np.float64):
            assert isbi.rand_error(label, proposal.astype(dtype)) == expected


def test_label_without_any_cell():
    label = np.zeros((5, 7), dtype=bool)
    result = isbi.evaluate(label, np.full((5, 7), 0.5))
    assert np.isfinite(list(result.headline().values())).all()
    assert result.pixel_error == 0


def test_evaluation_tables():
    rng = np.random.default_rng(0)
    labels = np.stack([LABEL, membranes(2, 6)])
    proposals = np.clip(labels * 0.6 + rng.uniform(0, 0.4, labels.shape), 0, 1)
    result = isbi.evaluate(labels, proposals)
    assert set(result.headline()) == set(MEASURES)
    assert result.thresholds == isbi.THRESHOLDS
    for index, threshold in enumerate(isbi.THRESHOLDS):
        row = result.threshold_table()[index]
        assert row["threshold"] == threshold
        for name in MEASURES:
            assert row[name] == pytest.approx(
                getattr(isbi, name)(labels, proposals, threshold=threshold)
            )
            for z in range(2):
                alone = getattr(isbi, name)(labels[z], proposals[z], threshold=threshold)
                assert result.per_slice[name][z, index] == pytest.approx(alone)
    for name in MEASURES:
        best = result.thresholds.index(result.best_threshold[name])
        assert result.per_threshold[name][best] == getattr(result, name)
        assert [row[name] for row in result.slice_table()] == list(result.per_slice[name][:, best])
    counted = (result.mismatches["merge"] + result.mismatches["split"]).sum(axis=0)
    np.testing.assert_allclose(counted / labels.size, result.per_threshold["warping_error"])
    assert "array" not in repr(result)


def test_mismatch_picture():
    result = isbi.evaluate(LABEL, membranes())
    picture = result.mismatch_picture()
    assert picture.shape == (6, 9, 3)
    assert picture.dtype == np.uint8
    red = (picture == isbi.MISMATCH_COLORS[Mismatch.MERGE]).all(axis=-1)
    np.testing.assert_array_equal(red, ~LABEL)
    assert (picture[LABEL] == 255).all()
    np.testing.assert_array_equal(result.mismatch_picture(0, 0.5), picture)


GOOD = LABEL.astype(np.float32)
ILL_CASES = {
    "0..255": (LABEL, GOOD * 255, "divide 0..255 by 255"),
    "8 bit": (LABEL, (GOOD * 255).astype(np.uint8), "boolean or floating"),
    "integers": (LABEL, LABEL.astype(np.int64), "boolean or floating"),
    "NaN": (LABEL, np.where(LABEL, np.nan, 0), "without NaN"),
    "infinite": (LABEL, np.where(LABEL, np.inf, 0), r"in \[0, 1\]"),
    "negative": (LABEL, GOOD - 0.1, r"in \[0, 1\]"),
    "shapes": (LABEL, GOOD[:, :-1], "must have the shape of the labels"),
    "channel axis": (LABEL, GOOD[..., None], "must have the shape of the labels"),
    "rank": (LABEL[0], GOOD[0], r"labels must be \(H, W\)"),
    "empty": (LABEL[:0], GOOD[:0], r"labels must be \(H, W\)"),
    "instances": (LABEL * 7, GOOD, "labels must be 0 on membrane"),
    "NaN label": (np.where(LABEL, np.nan, 0), GOOD, "labels must be 0 on membrane"),
}


@pytest.mark.parametrize("measure", [*MEASURES, "evaluate"])
@pytest.mark.parametrize("name", ILL_CASES)
def test_ill_images(name, measure):
    labels, proposals, message = ILL_CASES[name]
    with pytest.raises(ValueError, match=message):
        getattr(isbi, measure)(labels, proposals)


ILL_OPTIONS = [
    ("pixel_error", {"kind": "iou"}, "kind must be"),
    ("v_rand", {"average": "none"}, "average must be"),
    ("rand_error", {"threshold": 128}, "threshold must lie"),
    ("v_info", {"threshold": float("nan")}, "threshold must lie"),
    ("warping_error", {"threshold": -0.1}, "threshold must lie"),
    ("warping_error", {"mask": np.ones((9, 6))}, "mask must have the shape"),
]


@pytest.mark.parametrize(("measure", "options", "message"), ILL_OPTIONS)
def test_ill_options(measure, options, message):
    with pytest.raises(ValueError, match=message):
        getattr(isbi, measure)(LABEL, GOOD, **options)
