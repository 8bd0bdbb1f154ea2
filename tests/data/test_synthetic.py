"""Synthetic cells: deterministic, whole, touching, and not solved by a threshold."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from scipy import ndimage

from keras_unet.data import synthetic_cells

pytestmark = pytest.mark.core

CASES = [(96, 160), (128, 100), (33, 47), (24, 50, 61)]


def touching_pairs(instances):
    """Number of pairs of ids that are 4- (6-) neighbours somewhere."""
    pairs = set()
    for axis in range(instances.ndim):
        a = np.moveaxis(instances, axis, 0)
        left, right = a[:-1].ravel(), a[1:].ravel()
        both = (left > 0) & (right > 0) & (left != right)
        pairs |= {tuple(sorted(pair)) for pair in zip(left[both], right[both], strict=True)}
    return len(pairs)


@pytest.mark.parametrize("shape", CASES)
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_shapes_and_types(shape, dtype):
    sample = synthetic_cells(1, shape, seed=5, radius=10, dtype=dtype)[0]
    assert sample.image.shape == (*shape, 1)
    assert sample.image.dtype == dtype
    assert sample.instances.shape == shape
    assert sample.instances.dtype == np.int32
    assert sample.name == "synthetic-0000"


def test_a_sample_depends_on_seed_and_place_only():
    first = synthetic_cells(3, (64, 80), seed=7)
    again = synthetic_cells(2, (64, 80), seed=7)
    for one, other in zip(first, again, strict=False):
        np.testing.assert_array_equal(one.image, other.image)
        np.testing.assert_array_equal(one.instances, other.instances)
    assert (first[0].image != first[1].image).any()
    assert (first[0].image != synthetic_cells(1, (64, 80), seed=8)[0].image).any()
    assert synthetic_cells(0) == []


@pytest.mark.parametrize("shape", CASES)
def test_ids_are_dense_and_each_cell_is_whole(shape):
    instances = synthetic_cells(1, shape, seed=1, radius=10)[0].instances
    ids = np.unique(instances)
    np.testing.assert_array_equal(ids, np.arange(instances.max() + 1))
    for ident in ids[1:]:
        assert ndimage.label(instances == ident)[1] == 1
        assert (instances == ident).sum() >= 0.12 * 10 ** len(shape)


def test_most_cells_touch_and_background_remains():
    for sample in synthetic_cells(3, (256, 320), seed=2):
        assert touching_pairs(sample.instances) > 0.7 * sample.instances.max()
        assert 0.3 < (sample.instances > 0).mean() < 0.85


def test_density_and_radius():
    def cells(**options):
        return synthetic_cells(1, (200, 240), seed=3, **options)[0].instances

    assert (cells(density=0.3) > 0).mean() < 0.5 * (cells(density=1.0) > 0).mean()
    assert cells(radius=10).max() > 3 * cells(radius=20).max()
    assert (cells(density=1.0) > 0).mean() > 0.75


@pytest.mark.parametrize("seed", range(3))
def test_a_threshold_merges_touching_cells(seed):
    """Otsu's foreground is about right, but its connected components are far too few."""
    sample = synthetic_cells(1, (256, 320), seed=seed)[0]
    smooth = cv2.GaussianBlur(sample.image[..., 0], (0, 0), 1)
    found = cv2.threshold(smooth, 0, 255, cv2.THRESH_OTSU)[1] > 0
    truth = sample.instances > 0
    assert (found & truth).sum() > 0.7 * (found | truth).sum()
    sizes = np.bincount(ndimage.label(found)[0].ravel())[1:]
    assert (sizes > 60).sum() < 0.5 * sample.instances.max()


def test_seams_are_darker_than_bodies_but_weaker_than_background():
    """What separates touching cells is there to be learned: on average, not pixel by pixel."""
    sample = synthetic_cells(1, (512, 512), seed=4)[0]
    instances, image = sample.instances, sample.image[..., 0].astype(float)
    other = ndimage.maximum_filter(instances, 3) != instances
    clear = ndimage.minimum_filter(instances, 5) > 0
    seam = other & clear
    body = (ndimage.minimum_filter(instances, 9) == ndimage.maximum_filter(instances, 9)) & clear
    background = ndimage.maximum_filter(instances, 9) == 0
    assert image[background].mean() + 20 < image[seam].mean() < image[body].mean() - 15
    assert np.percentile(image[seam], 90) > np.percentile(image[body], 10)


def test_exposure():
    for sample in synthetic_cells(3, (256, 256), seed=6):
        assert (sample.image == 255).mean() < 0.01
        assert (sample.image == 0).mean() < 0.01
        assert np.ptp(np.percentile(sample.image, [1, 99])) > 80
    wide = synthetic_cells(1, (64, 96), seed=6, dtype="uint16")[0].image
    narrow = synthetic_cells(1, (64, 96), seed=6)[0].image
    np.testing.assert_allclose(wide / 257, narrow, atol=0.51)


ILL_CASES = [
    ({"count": -1}, "count=-1"),
    ({"count": 1, "seed": -1}, "seed=-1"),
    ({"count": 1, "shape": (64,)}, r"shape=\(64,\)"),
    ({"count": 1, "shape": (0, 64)}, r"shape=\(0, 64\)"),
    ({"count": 1, "shape": (8, 8, 8, 8)}, r"shape=\(8, 8, 8, 8\)"),
    ({"count": 1, "radius": 3}, "radius=3"),
    ({"count": 1, "density": 0}, "density=0"),
    ({"count": 1, "density": 1.5}, r"density=1\.5"),
    ({"count": 1, "dtype": "float32"}, "dtype='float32'"),
]


@pytest.mark.parametrize(("options", "message"), ILL_CASES)
def test_ill_cases(options, message):
    with pytest.raises(ValueError, match=message):
        synthetic_cells(**options)
