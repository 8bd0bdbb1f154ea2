"""The flood of disputed parts against Meyer's rule, word for word."""

import heapq
import itertools

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy import ndimage

from keras_unet.objects import connected_components, remove_small, watershed_from_seeds
from keras_unet.objects.watershed import flood_parts
from keras_unet.targets import SeedTarget

pytestmark = pytest.mark.core


def plain_flood(landscape, seeds, mask, connectivity):
    """Every seed pixel waits, wherever it is; the lowest first, of equal ones the oldest."""
    ids, ages = np.where(mask, seeds, 0), itertools.count()
    steps = [
        step
        for step in itertools.product((-1, 0, 1), repeat=ids.ndim)
        if 0 < np.abs(step).sum() <= connectivity
    ]
    waiting = [
        (landscape[pixel], next(ages), pixel) for pixel in map(tuple, np.argwhere(ids).tolist())
    ]
    heapq.heapify(waiting)
    while waiting:
        level, _, pixel = heapq.heappop(waiting)
        for step in steps:
            other = tuple(np.add(pixel, step).tolist())
            inside = all(0 <= at < size for at, size in zip(other, ids.shape, strict=True))
            if inside and mask[other] and ids[other] == 0:
                ids[other] = ids[pixel]
                heapq.heappush(waiting, (max(level, landscape[other]), next(ages), other))
    return ids


@settings(max_examples=80, deadline=None)
@given(
    st.integers(0, 2**32),
    st.sampled_from([(1, 9), (8, 11), (17, 13), (4, 5, 6), (13,)]),
    st.sampled_from(["float32", "float64", "int8", "int64"]),
    st.sampled_from([0.02, 0.1, 0.5]),
    st.integers(1, 3),
)
def test_flood_by_the_rule(seed, shape, dtype, share, connectivity):
    rng = np.random.default_rng(seed)
    landscape = (rng.normal(0, 3, shape)).astype(dtype)
    # some ids are in several places, also of different parts
    seeds = np.where(rng.random(shape) < share, rng.choice([1, 2, 3, 2**31 - 1], shape), 0)
    mask = rng.random(shape) < rng.choice([0.4, 0.7, 1.0])
    connectivity = min(connectivity, len(shape))
    expected = plain_flood(landscape, seeds, mask, connectivity)
    found = watershed_from_seeds(landscape, seeds, mask, connectivity)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, expected)


def test_parts_without_a_seed_can_be_instances():
    parts = connected_components(np.array([[1, 0, 1, 1, 1, 0, 1, 0, 1]]))
    seeds = np.array([[0, 0, 4, 0, 7, 0, 0, 0, 9]], np.int32)
    heights = np.zeros(parts.shape)
    assert flood_parts(heights, seeds, parts).tolist() == [[0, 0, 4, 4, 7, 0, 0, 0, 9]]
    found = flood_parts(heights, seeds, parts, unseeded=True)
    assert found.tolist() == [[10, 0, 4, 4, 7, 0, 11, 0, 9]]
    assert flood_parts(heights, seeds * 0, parts, unseeded=True).tolist() == parts.tolist()


@pytest.mark.parametrize("sizes", [(0, 0), (6, 4), (1, 1), (40, 9)])
def test_decoded_seeds_are_those_of_the_rule(sizes):
    rng = np.random.default_rng(sizes[0])
    depth = ndimage.gaussian_filter(rng.normal(size=(46, 61)), 1.5)
    maps = np.stack([(depth > 0) * 0.9, (depth / depth.max()).clip(0, 1)], -1).astype(np.float32)
    target = SeedTarget(seed_threshold=0.4, min_size=sizes[0], min_seed_size=sizes[1])
    cells = maps[..., 0] > 0.5
    seeds = remove_small(connected_components(cells & (maps[..., 1] > 0.4)), sizes[1])
    parts = connected_components(cells)
    alone = cells & ~np.isin(parts, parts[seeds > 0])
    seeds = np.where(alone, parts + seeds.max(), seeds)
    expected = remove_small(plain_flood(-maps[..., 1], seeds, cells, 1), sizes[0])
    assert expected.max() > 8
    np.testing.assert_array_equal(target.decode(maps).instances, expected)
