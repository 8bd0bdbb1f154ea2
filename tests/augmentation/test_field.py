"""The maths of the random field against NumPy, SciPy and numbers done by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.interpolate import BSpline, CubicSpline

from keras_unet.augmentation import field, ranges

pytestmark = pytest.mark.core


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_mirror_fold_is_numpy_reflect_at_any_distance(size):
    around = 3 * size + 5
    expected = np.pad(np.arange(size), around, mode="reflect")
    folded = field.mirror_fold(
        np.arange(-around, size + around, dtype=np.float32), np.float32(size)
    )
    np.testing.assert_array_equal(folded, expected)
    once = field.mirror_fold(np.arange(1.0 - size, 2 * size - 1), float(size), once=True)
    np.testing.assert_array_equal(once, expected[around + 1 - size : around + 2 * size - 1])


def test_knots_lie_on_the_outermost_pixels():
    offsets = np.array([-4.0, 0.0, 4.0])  # of 9 pixels, from the centre
    np.testing.assert_allclose(field.knot_units(offsets, 9, 3), [0, 1, 2])
    np.testing.assert_allclose(field.knot_units(np.array([0.0]), 1, 3), [1])


@pytest.mark.parametrize("points", [2, 3, 6])
def test_bicubic_basis_is_the_natural_cubic_spline(points):
    positions = np.linspace(0, points - 1, 50)
    found = field.basis(positions, points, "bicubic")
    expected = CubicSpline(np.arange(points), np.eye(points), bc_type="natural")(positions).T
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_bicubic_basis_goes_on_as_a_straight_line():
    outside = field.basis(np.array([-3.0, -2.0, -1.0, 3.0, 4.0, 5.0]), 3, "bicubic")
    np.testing.assert_allclose(np.diff(outside[:, :3], 2), 0, atol=1e-12)
    np.testing.assert_allclose(np.diff(outside[:, 3:], 2), 0, atol=1e-12)


def test_bspline_basis_is_the_uniform_cubic_bspline_and_fades():
    positions = np.linspace(-4, 7, 90)
    found = field.basis(positions, 3, "bspline")
    assert found.shape == (field.knot_count(3, "bspline"), 90) == (5, 90)
    element = BSpline.basis_element(np.arange(-2, 3), extrapolate=False)
    expected = np.nan_to_num([element(positions - knot) for knot in range(-1, 4)])
    np.testing.assert_allclose(found, expected, atol=1e-12)
    inside = (positions >= 0) & (positions <= 2)
    np.testing.assert_allclose(found[:, inside].sum(axis=0), 1)
    np.testing.assert_array_equal(found[:, positions < -3], 0)


@pytest.mark.parametrize(("interpolation", "pixels"), [("bicubic", 7.7), ("bspline", 4.8)])
def test_strength_over_all_pixels_of_ten_pixels_at_the_knots(interpolation, pixels):
    basis = field.basis(np.linspace(0, 2, 512), 3, interpolation)
    along = np.sqrt(np.mean((basis**2).sum(axis=0)))
    assert 10 * along**2 == pytest.approx(pixels, abs=0.1)


@pytest.mark.parametrize(
    ("counts", "sizes", "subscripts"),
    [((3, 4), (5, 6), "...ij,iy,jx->...yx"), ((2, 3, 4), (5, 6, 7), "...ijk,iz,jy,kx->...zyx")],
)
def test_displacement_is_the_separable_product(counts, sizes, subscripts):
    rng = np.random.default_rng(0)
    knots = rng.normal(size=(2, len(counts), *counts))
    bases = [rng.normal(size=shape) for shape in zip(counts, sizes, strict=True)]
    expected = np.einsum(subscripts, knots, *bases)
    np.testing.assert_allclose(field.displacement(knots, bases), expected, atol=1e-12)


@pytest.mark.parametrize("interpolation", ranges.INTERPOLATIONS)
def test_fields_at_the_largest_sigma_do_not_fold(interpolation):
    shape, rng = (64, 96), np.random.default_rng(0)
    count = field.knot_count(3, interpolation)
    bases = [field.basis(np.linspace(0, 2, n), 3, interpolation) for n in shape]
    sigma = [field.largest_sigma(n, 3, interpolation) for n in shape]
    knots = rng.normal(size=(100, 2, count, count)) * np.reshape(sigma, (2, 1, 1))
    y, x = np.moveaxis(field.displacement(knots, bases), 1, 0)
    (yy, yx), (xy, xx) = (np.gradient(d, axis=(1, 2)) for d in (y, x))
    assert ((1 + yy) * (1 + xx) - yx * xy).min() > 0


def test_largest_sigma_at_192_pixels_is_the_papers():
    assert field.largest_sigma(192, 3, "bicubic") == pytest.approx(10.03, abs=0.01)
    assert field.largest_sigma(1, 3, "bicubic") == pytest.approx(0.0525)


@pytest.mark.parametrize("turns", range(4))
def test_quarter_turns_are_exact(turns):
    angle = turns * math.pi / 2
    found = np.array(field.matrix(2, 1.0, 0.0, float(turns), [1, 1], 1.0))
    exact = np.round([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    np.testing.assert_array_equal(found, exact)


def test_matrix_by_hand():
    found = field.matrix(3, 0.6, 0.8, 0.0, [1, -1, 1], 2.0)
    np.testing.assert_allclose(found, [[0.5, 0, 0], [0, -0.3, -0.4], [0, -0.4, 0.3]])


def test_coordinates_by_hand():
    y, x = field.coordinates(
        [[1, 10], [0, 2]], [np.array([-1.0, 1.0]), np.array([-1.0, 0.0, 1.0])], [5.0, np.ones(3)]
    )
    np.testing.assert_array_equal(y, [[-6, 4, 14], [-4, 6, 16]])
    np.testing.assert_array_equal(x, [[-1, 1, 3], [-1, 1, 3]])


def test_what_a_number_means_as_a_range():
    chosen = ranges.SpatialRanges(rotation=20, scale=1.25, shift=(-1, 3))
    assert chosen.range_of("rotation") == (-20, 20)
    assert chosen.range_of("scale") == (0.8, 1.25)
    assert chosen.range_of("shift") == (-1, 3)


def test_sigma_shrinks_along_short_axes_only():
    chosen = ranges.SpatialRanges(sigma=10.0)
    assert chosen.sigma_for((192, 572)) == (10, 10)
    assert chosen.sigma_for((101, 572)) == (pytest.approx(5.25), 10)
    assert ranges.SpatialRanges(sigma=(1, 2, 3)).sigma_for((200, 200, 200)) == (1, 2, 3)


ILL_CASES = [
    ({"grid": 1}, "grid must be an integer >= 2"),
    ({"grid": 2.5}, "grid must be an integer >= 2"),
    ({"grid": ()}, "grid"),
    ({"sigma": -1}, "sigma must be a number >= 0"),
    ({"sigma": (1, True)}, "sigma"),
    ({"interpolation": "cubic"}, "'cubic'"),
    ({"rotation": -5}, "rotation must not be negative"),
    ({"rotation": (10, -10)}, "low <= high"),
    ({"rotation": (1, 2, 3)}, "pair"),
    ({"shift": float("nan")}, "finite"),
    ({"scale": 0.5}, "x >= 1"),
    ({"scale": (0, 2)}, "positive"),
]


@pytest.mark.parametrize(("arguments", "message"), ILL_CASES)
def test_ill_ranges(arguments, message):
    with pytest.raises(ValueError, match=message) as error:
        ranges.SpatialRanges(**arguments)
    assert "Received: " in str(error.value)


def test_wrong_number_of_axes():
    with pytest.raises(ValueError, match="grid needs one value or 2 of them"):
        ranges.SpatialRanges(grid=(3, 3, 3)).sigma_for((10, 10))
