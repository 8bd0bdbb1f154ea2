"""The steps behind the ISBI 2012 measures, against plain code and against brute force."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from keras_unet.metrics import isbi
from keras_unet.metrics.isbi import Mismatch

pytestmark = pytest.mark.core

SHAPES = st.tuples(st.integers(1, 9), st.integers(1, 12))


@pytest.fixture(scope="module")
def plain():
    """The benchmark's plain implementation of the same definitions."""
    pytest.importorskip("rich")
    path = Path(__file__).parents[2] / "benchmarks" / "isbi_metrics.py"
    spec = importlib.util.spec_from_file_location("isbi_metrics_benchmark", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@st.composite
def slices(draw):
    """A label, a proposal with many equal distances to the threshold, and a threshold."""
    shape = draw(SHAPES)
    label = draw(arrays.arrays(bool, shape))
    twentieths = draw(arrays.arrays(np.int8, shape, elements=st.integers(0, 20)))
    return label, (twentieths / 20).astype(np.float32), draw(st.sampled_from(isbi.THRESHOLDS))


@settings(max_examples=150, deadline=None)
@given(case=slices(), radius=st.sampled_from([0, 1, 2, 20]))
def test_warping_equals_plain_code(plain, case, radius):
    label, proposal, threshold = case
    warped = isbi.homotopic_warping(label, proposal, threshold)
    np.testing.assert_array_equal(warped, plain.plain_warping(label, proposal, threshold))
    classes = isbi.mismatch_classes(warped, proposal, threshold, radius)
    expected = plain.plain_classes(warped, proposal, threshold, radius)
    np.testing.assert_array_equal(classes, expected)


@settings(max_examples=100, deadline=None)
@given(case=slices())
def test_warping_keeps_topology(case):
    label, proposal, threshold = case
    warped = isbi.homotopic_warping(label, proposal, threshold)
    square = np.ones((3, 3))
    assert ndimage.label(warped)[1] == ndimage.label(label)[1]
    holes = [
        ndimage.label(np.pad(~image, 1, constant_values=True), square)[1]
        for image in (label, warped)
    ]
    assert holes[0] == holes[1]
    wrong = warped != isbi.above(proposal, threshold)
    assert not (wrong & (label == isbi.above(proposal, threshold))).any()
    classes = isbi.mismatch_classes(warped, proposal, threshold)
    np.testing.assert_array_equal(classes > 0, wrong)
    pixels = isbi.count_mismatches(classes, warped)
    clusters = isbi.count_mismatches(classes, warped, by_error=True)
    assert sum(pixels.values()) == wrong.sum()
    assert all(bool(pixels[kind]) == bool(clusters[kind]) for kind in Mismatch)
    assert all(clusters[kind] <= pixels[kind] for kind in Mismatch)


@settings(max_examples=150, deadline=None)
@given(cells=arrays.arrays(bool, SHAPES))
def test_thinning_equals_plain_code(plain, cells):
    thinned = isbi.thin_borders(cells)
    np.testing.assert_array_equal(thinned, plain.plain_thinning(cells))
    assert thinned.dtype == np.int32
    if cells.any():
        assert (thinned[cells] > 0).all()
        assert thinned.max() == ndimage.label(cells)[1]


def test_thinning_by_hand():
    cells = np.array([[1, 0, 0, 1, 0, 0, 0, 1]])
    # Between an even number of membrane pixels the left object, first in the queue, gets one more.
    assert isbi.thin_borders(cells).tolist() == [[1, 1, 0, 2, 2, 0, 3, 3]]
    assert isbi.thin_borders(np.zeros((2, 3))).tolist() == [[1, 1, 1], [1, 1, 1]]
    # Labels in column-major order.
    corners = np.array([[0, 0, 1], [1, 0, 0]])
    assert isbi.thin_borders(corners)[1, 0] == 1
    assert isbi.components(corners)[0, 2] == 1


def test_simple_points():
    table = isbi.simple_point_table()
    assert table.shape == (256,)
    assert table.sum() == 116
    north, north_east, west, east, south = 2, 4, 8, 16, 64
    assert table[north]
    assert not table[0]  # an isolated point
    assert not table[255]  # the inside of an object
    assert not table[north | south]  # joins two
    assert not table[north | east]  # joins two, the corner between them is background
    assert table[north | north_east | east]
    assert not table[north_east]  # touches by a corner only
    assert not table[255 - 1 - 128]  # two background corners, nothing between
    assert table[255 - north]
    assert not table[255 - west - east]
    with pytest.raises(ValueError, match="read-only"):
        table[0] = True


def square(size: int, *pixels: tuple[int, int]) -> np.ndarray:
    """A square image with some pixels set."""
    image = np.zeros((size, size), dtype=bool)
    for pixel in pixels:
        image[pixel] = True
    return image


BLOCK = np.pad(np.ones((5, 5), dtype=bool), 1)
LINES = np.ones((7, 7), dtype=bool)
LINES[:, 3] = False
CLASSES = [
    ("merge", LINES, LINES | True, Mismatch.MERGE, 7, 1),
    ("split", BLOCK, BLOCK & (np.arange(7) != 3), Mismatch.SPLIT, 1, 1),
    ("hole added", BLOCK, BLOCK & ~square(7, (3, 3)), Mismatch.HOLE_ADDITION, 1, 1),
    ("hole filled", BLOCK & ~square(7, (3, 3)), BLOCK, Mismatch.HOLE_DELETION, 1, 1),
    ("object lost", BLOCK, BLOCK & False, Mismatch.OBJECT_DELETION, 1, 1),
    ("object added", square(7, (0, 0)), square(7, (0, 0), (4, 4)), Mismatch.OBJECT_ADDITION, 1, 1),
]


@pytest.mark.parametrize(("name", "label", "target", "kind", "pixels", "clusters"), CLASSES)
def test_mismatch_classes_by_hand(name, label, target, kind, pixels, clusters):
    proposal = target.astype(np.float32)
    warped = isbi.homotopic_warping(label, proposal, 0.5)
    classes = isbi.mismatch_classes(warped, proposal, 0.5)
    for by_error, number in [(False, pixels), (True, clusters)]:
        counts = isbi.count_mismatches(classes, warped, by_error)
        assert counts == {k: number if k == kind else 0 for k in Mismatch}


def test_radius_turns_a_filled_ring_into_a_split():
    # A ring one pixel wide, cut: within the window of 1 pixel both ends seem to part for good.
    ring = BLOCK & ~np.pad(np.ones((3, 3), dtype=bool), 2)
    cut = ring & ~square(7, (1, 3))
    warped = isbi.homotopic_warping(ring, cut.astype(np.float32), 0.5)
    for radius, kind in [(1, Mismatch.SPLIT), (20, Mismatch.HOLE_DELETION)]:
        classes = isbi.mismatch_classes(warped, cut.astype(np.float32), 0.5, radius)
        assert classes[1, 3] == kind


def test_image_of_one_pixel():
    for label in (np.zeros((1, 1)), np.ones((1, 1))):
        warped = isbi.homotopic_warping(label, 1 - label, 0.5)
        kind = Mismatch.OBJECT_DELETION if label[0, 0] else Mismatch.OBJECT_ADDITION
        assert isbi.mismatch_classes(warped, 1 - label, 0.5).tolist() == [[kind]]


def test_ill_slices():
    image = np.zeros((4, 5))
    for function in (isbi.homotopic_warping, isbi.mismatch_classes):
        with pytest.raises(ValueError, match="two images"):
            function(image, image.T, 0.5)
        with pytest.raises(ValueError, match="two images"):
            function(image[None], image[None], 0.5)
        with pytest.raises(ValueError, match="two images"):
            function(image, image, 0.5, mask=image.T)


@st.composite
def segmentations(draw):
    """Two label images of one shape, with a pixel of truth at least."""
    shape = draw(SHAPES)
    truth = draw(arrays.arrays(np.int32, shape, elements=st.integers(0, 4)))
    truth[0, 0] = 1
    return truth, draw(arrays.arrays(np.int32, shape, elements=st.integers(0, 4)))


def alone(truth, predicted):
    """Labels within the truth, each predicted background pixel with a label of its own."""
    truth, predicted = truth[truth > 0], predicted[truth > 0].copy()
    background = predicted == 0
    predicted[background] = 100 + np.arange(background.sum())
    return truth, predicted


def brute(truth, predicted, pairs):
    """Confusion of pairs, one by one."""
    same_truth = truth.ravel()[:, None] == truth.ravel()
    same_predicted = predicted.ravel()[:, None] == predicted.ravel()
    return isbi.Confusion(
        tp=int((same_truth & same_predicted)[pairs].sum()),
        fp=int((~same_truth & same_predicted)[pairs].sum()),
        fn=int((same_truth & ~same_predicted)[pairs].sum()),
        tn=int((~same_truth & ~same_predicted)[pairs].sum()),
    )


@settings(max_examples=80, deadline=None)
@given(images=segmentations())
def test_pairs_by_brute_force(images):
    truth, predicted = images
    inside, segments = alone(truth, predicted)
    every = np.ones((inside.size, inside.size), dtype=bool)
    overlaps = isbi.foreground_overlaps(truth, predicted)
    assert isbi.foreground_pairs(overlaps) == brute(inside, segments, every)
    unordered = brute(inside, segments, np.triu(every, 1))
    wrong = unordered.fp + unordered.fn
    expected = wrong / np.triu(every, 1).sum() if inside.size > 1 else 0
    assert isbi.foreground_index_error(overlaps) == pytest.approx(expected)
    everywhere = np.triu(np.ones((truth.size, truth.size), dtype=bool), 1)
    assert isbi.all_pairs(truth, predicted) == brute(truth, predicted, everywhere)


def entropy(*labels):
    """Entropy in nats of the joint distribution of labels."""
    counts = np.unique(np.stack(labels), axis=1, return_counts=True)[1]
    share = counts / counts.sum()
    return -(share * np.log(share)).sum()


@settings(max_examples=80, deadline=None)
@given(images=segmentations())
def test_information_from_entropies(images):
    inside, segments = alone(*images)
    result = isbi.information(isbi.foreground_overlaps(*images))
    own, other, both = entropy(inside), entropy(segments), entropy(inside, segments)
    assert result.variation == pytest.approx(2 * both - own - other, abs=1e-12)
    mutual = own + other - both
    if own < 1e-12 or other < 1e-12:
        assert result.f_score == pytest.approx(0, abs=1e-6)
    elif mutual > 1e-9:
        assert result.f_score == pytest.approx(2 * mutual / (own + other), abs=1e-9)


def test_confusion_without_errors_or_hits():
    assert isbi.Confusion(tp=0, fp=0, fn=0, tn=9).f_score == 1
    nothing = isbi.Confusion(tp=0, fp=2, fn=3, tn=0)
    assert (nothing.precision, nothing.recall, nothing.f_score) == (0, 0, 0)
    assert isbi.Confusion(tp=0, fp=0, fn=3, tn=0).precision == 1
    assert isbi.Confusion(3, 1, 0, 4) + nothing == isbi.Confusion(3, 3, 3, 4)
    assert isbi.Confusion(3, 1, 0, 4).accuracy == 7 / 8


@settings(max_examples=40, deadline=None)
@given(case=slices(), turn=st.sampled_from([np.flipud, np.fliplr, np.rot90, np.transpose]))
def test_turning_changes_nothing_without_thinning(case, turn):
    label, proposal, threshold = case
    turned = turn(label), turn(proposal)
    for measure in (isbi.pixel_error, isbi.rand_error):
        assert measure(*turned, threshold=threshold) == measure(
            label, proposal, threshold=threshold
        )
