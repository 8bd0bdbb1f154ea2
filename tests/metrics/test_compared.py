"""Measures from tables of runs against the same from every pixel, kept in `former_objects`."""

from __future__ import annotations

import dataclasses

import former_objects as former
import numpy as np
import pytest
from scipy import ndimage

from keras_unet.metrics import instances
from keras_unet.metrics._matching import CRITERIA, match_overlap
from keras_unet.metrics._overlap import contingency, overlap
from keras_unet.metrics._rims import rims

pytestmark = pytest.mark.core

DTYPES = ["uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]
SHAPES = [(1,), (57,), (23, 31), (40, 9), (7, 11, 13)]
CUTS = (0.05, 0.25, 1 / 3, 0.5, 0.55, 0.75, 1.0)


def blobs(rng: np.random.Generator, shape: tuple[int, ...], grain: float) -> np.ndarray:
    """Irregular objects that touch, with holes in the numbering, and some background."""
    noise = ndimage.gaussian_filter(rng.normal(size=shape), grain)
    steps = np.digitize(noise, np.quantile(noise, [0.2, 0.4, 0.6, 0.8]))
    parts = ndimage.label(steps == rng.integers(1, 5))[0]
    parts += np.where(parts == 0, ndimage.label(steps == 0)[0] + parts.max() + 1, 0)
    names = rng.permutation(120)
    return np.where(steps == 4, 0, names[parts % 120])


def pair(seed: int, shape: tuple[int, ...], dtype: str = "int64") -> tuple[np.ndarray, np.ndarray]:
    """Two images that have much in common, sometimes nothing in one of them."""
    rng = np.random.default_rng(seed)
    true = blobs(rng, shape, rng.choice([0.6, 1.5, 3.0]))
    moved = np.roll(true, 1, axis=rng.integers(len(shape)))
    pred = np.where(rng.random(shape) < rng.choice([0, 0.1]), blobs(rng, shape, 1.5), moved)
    if seed % 5 == 0:
        true = true * 0
    return true.astype(dtype), pred.astype(DTYPES[seed % len(DTYPES)])


def assert_same_table(true: np.ndarray, pred: np.ndarray) -> None:
    ours, plain = overlap(true, pred), former.overlap(true, pred)
    for field in dataclasses.fields(plain):
        values, expected = (getattr(table, field.name) for table in (ours, plain))
        np.testing.assert_array_equal(values, expected, field.name)
        assert len(values) == 0 or type(values.tolist()[0]) is type(expected.tolist()[0])
    assert (ours.true_ids.dtype, ours.pred_ids.dtype) == (true.dtype, pred.dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_tables(shape, dtype):
    for seed in range(6):
        assert_same_table(*pair(seed, shape, dtype))


def test_tables_of_views_and_of_large_ids():
    true, pred = pair(1, (23, 31))
    assert_same_table(true[::2, ::-1].T, pred[::2, ::-1].T)
    assert_same_table(np.asfortranarray(true), pred)
    assert_same_table(true.astype(">u2"), pred)
    far = np.where(true > 0, true + 2**40, 0)
    assert_same_table(far, pred)
    assert_same_table(pred, np.where(pred > 0, far.astype(np.uint64) + 2**63, 0))
    assert_same_table(far + 1, far + 2**32 - 1)  # no background
    assert_same_table(np.where(true > 0, 2**32 - 1, 0), np.where(pred > 0, 2**32, 0))


def test_the_table_of_labels_without_pixels():
    for size in (0, 1, 30):
        true, pred = np.arange(size) // 4, np.arange(size) // 3
        ours, plain = contingency(true, pred), former.contingency(true, pred)
        assert ours.shape == plain.shape
        np.testing.assert_array_equal(ours.toarray(), plain.toarray())


@pytest.mark.parametrize("criterion", ["iou", "iot", "iop"])
@pytest.mark.parametrize("shape", SHAPES)
def test_matching(shape, criterion):
    disputes = 0
    for seed in range(12):
        table = former.overlap(*pair(seed, shape))
        for cut in CUTS:
            for strict in (False, True):
                ours = match_overlap(table, cut, strict, criterion)
                assert ours == former.match(table, cut, strict, criterion)
                counts = match_overlap(table, cut, strict, criterion, listed=False)
                assert counts == dataclasses.replace(ours, pairs=(), scores=())
            good = getattr(table, CRITERIA[criterion]) >= cut
            disputes += np.bincount(table.rows[good]).max(initial=0) > 1
    assert disputes > 0 or shape == (1,)


def test_matching_where_objects_have_a_choice():
    # two halves reach 0.5 with one object; a chain where each end would do for both
    for true, pred in (
        ([1, 1, 1, 1, 0, 6, 6], [2, 2, 3, 3, 0, 6, 6]),
        ([1, 1, 2, 2, 3, 3, 4, 4], [9, 5, 5, 6, 6, 7, 7, 8]),
        ([1, 1, 2, 2, 0, 3, 3], [1, 2, 1, 2, 0, 4, 3]),
    ):
        for cut in CUTS:
            for images in ((true, pred), (pred, true)):
                table = former.overlap(*map(np.array, images))
                assert match_overlap(table, cut) == former.match(table, cut)


@pytest.mark.parametrize("distance", [1, 2, 5])
@pytest.mark.parametrize("shape", [*SHAPES, (60, 70)])
def test_rims(shape, distance):
    for seed in range(6):
        for image in pair(seed, shape, DTYPES[seed]):
            coarse = np.kron(image, np.ones((3,) * image.ndim, image.dtype))
            for view in (image, coarse, coarse[..., ::-1]):
                ours = rims(view, distance)
                assert ours.dtype == view.dtype
                np.testing.assert_array_equal(ours, former.rims(view, distance))


def test_rims_of_large_ids():
    image = np.kron(pair(1, (9, 8))[1], np.ones((6, 6), int)).astype(np.int64)
    for far in (np.where(image > 0, image + 2**40, 0), image + 2**31, image + 2**33):
        np.testing.assert_array_equal(rims(far, 1), former.rims(far, 1))


@pytest.mark.parametrize("shape", [(37, 41), (6, 9, 12)])
def test_measures(shape):
    true, pred = map(list, zip(*(pair(seed, shape) for seed in range(7)), strict=True))
    cuts = instances.DSB2018_THRESHOLDS
    assert instances.seg_measure(true, pred) == former.seg(true, pred)
    assert instances.dsb2018_score(true, pred) == former.dsb2018(true, pred, cuts)
    for distance in (1, 2, 4):
        ours = instances.boundary_iou(true, pred, distance)
        assert ours == former.boundary_iou(true, pred, distance)
    for by_image in (False, True):
        ours = instances.average_precision(true, pred, cuts, by_image=by_image)
        expected = former.average_precision(true, pred, cuts, by_image)
        np.testing.assert_array_equal(ours, expected)
    for image in (*true, *pred):
        ours, expected = instances.field_of_interest(image, 2), former.field_of_interest(image, 2)
        assert ours.dtype == expected.dtype
        np.testing.assert_array_equal(ours, expected)
