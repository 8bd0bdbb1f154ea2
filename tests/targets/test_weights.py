"""The weight map; names of tests follow the pitfalls of public implementations."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from nearest_cells import naive_distances, random_cells

from keras_unet.objects import separate_touching, two_nearest_distances
from keras_unet.targets import WEIGHT_PRESETS, weight_map, weight_reach

pytestmark = pytest.mark.core


def naive_weights(instances, w0=10.0, sigma=5.0, class_weights=(1.0, 1.0), inside=False):
    """The paper's formula, with one distance transform per cell."""
    d1, d2 = naive_distances(instances)
    border = w0 * np.exp(-np.square(d1 + d2) / (2 * sigma**2))
    if not inside:
        border[instances > 0] = 0
    base = np.asarray(class_weights, np.float32)[(instances > 0).astype(int)]
    return (base + border).astype(np.float32)


ILL_CASES = [
    ({"instances": np.zeros((3, 4), bool)}, "boolean|mask"),
    ({"instances": np.zeros((3, 0), int)}, r"shape=\(3, 0\)"),
    ({"w0": -1.0}, "w0 must be at least 0. Received: w0=-1.0"),
    ({"w0": float("inf")}, "w0=inf"),
    ({"sigma": 0.0}, "sigma must be positive"),
    ({"rim": -1.0}, "rim must be at least 0"),
    ({"rim_sigma": float("nan")}, "rim_sigma=nan"),
    ({"preset": "Paper"}, "'paper', 'release'.*Received: preset='Paper'"),
    ({"class_weights": [1.0]}, "each of the classes 0..1"),
    ({"class_weights": [1.0, -2.0]}, "at least 0"),
    ({"class_weights": {0: float("nan")}}, "at least 0"),
    ({"classes": np.zeros((3, 5), int)}, r"shape \(3, 4\)"),
    ({"classes": np.zeros((3, 4))}, "float64"),
    ({"annotated": np.ones((4, 3), bool)}, r"shape=\(4, 3\)"),
    ({"spacing": (1.0,)}, "2 positive numbers"),
]


@pytest.mark.parametrize(("arguments", "message"), ILL_CASES)
def test_errors(arguments, message):
    instances = np.array([[1, 1, 0, 0], [0, 0, 0, 2], [0, 0, 2, 2]])
    with pytest.raises(ValueError, match=message):
        weight_map(**{"instances": instances, **arguments})


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 2**32),
    st.one_of(
        st.tuples(st.integers(1, 40), st.integers(1, 40)),
        st.tuples(st.integers(1, 8), st.integers(1, 9), st.integers(1, 10)),
    ),
    st.integers(0, 12),
    st.floats(0, 1000),
    st.floats(0.2, 20),
    st.lists(st.floats(0.001, 100), min_size=2, max_size=2),
    st.booleans(),
)
def test_equals_naive_bit_for_bit(seed, shape, count, w0, sigma, class_weights, inside):
    cells = random_cells(seed, shape, count)
    ours = weight_map(cells, w0, sigma, class_weights, inside=inside)
    naive = naive_weights(cells, w0, sigma, class_weights, inside)
    assert ours.dtype == np.float32
    np.testing.assert_array_equal(ours, naive)


@pytest.mark.parametrize("count", [2, 10, 40])
def test_equals_naive_bit_for_bit_beyond_the_reach(count):
    cells = random_cells(count, (150, 170), count)
    np.testing.assert_array_equal(weight_map(cells), naive_weights(cells))


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 2**32),
    st.one_of(
        st.tuples(st.integers(1, 40), st.integers(1, 200)),
        st.tuples(st.integers(1, 60)),
        st.tuples(st.integers(1, 8), st.integers(1, 9), st.integers(1, 10)),
    ),
    st.integers(0, 20),
    st.sampled_from(["paper", "release"]),
    st.sampled_from([None, 0.0, 3.0, 1000.0]),
    st.sampled_from([None, 0.4, 4.0, 30.0]),
    st.sampled_from([0.0, 1.5]),
    st.lists(st.sampled_from([0.0, 0.01, 1.0, 3.7, 200.0]), min_size=4, max_size=4),
    st.booleans(),
    st.booleans(),
)
def test_tables_and_packed_distances_have_the_bits_of_the_formula(
    seed, shape, count, preset, w0, sigma, rim, class_weights, inside, plain
):
    cells = random_cells(seed, shape, count)
    rng = np.random.default_rng(seed)
    arguments = {"preset": preset, "w0": w0, "sigma": sigma, "class_weights": class_weights}
    if not plain:
        classes = rng.integers(-2, 4, shape).astype(rng.choice(["int8", "int32", "int64"]))
        annotated = np.asfortranarray(rng.random(shape) < 0.8)
        arguments |= {"rim": rim, "classes": classes, "annotated": annotated}
    found = weight_map(cells, inside=inside, **arguments)
    # a spacing of 1 goes through the general transform and the formula
    expected = weight_map(cells, inside=inside, spacing=(1,) * len(shape), **arguments)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found.view(np.int32), expected.view(np.int32))


# 1. fewer than two cells


def test_lone_cell_has_no_border_term():
    cells = np.zeros((9, 11), int)
    cells[3:5, 4:7] = 1
    np.testing.assert_array_equal(weight_map(cells), np.ones((9, 11), "float32"))


def test_no_cell_gives_class_weights():
    weights = weight_map(np.zeros((3, 4), int), class_weights=[0.25, 2.0])
    np.testing.assert_array_equal(weights, np.full((3, 4), 0.25, "float32"))


# 2. dtype


@pytest.mark.parametrize("dtype", ["int8", "uint8", "uint16", "int32", "int64", "uint64"])
def test_integer_dtypes_do_not_truncate_class_weights(dtype):
    cells = np.array([[1, 0, 0, 2, 0]], dtype)
    weights = weight_map(cells, class_weights=[0.3, 0.7])
    assert weights.dtype == np.float32
    np.testing.assert_array_equal(weights, naive_weights(cells, class_weights=[0.3, 0.7]))


def test_ids_up_to_the_largest():
    small = np.array([[1, 0, 2, 0, 3], [1, 0, 0, 0, 3]])
    large = np.array([0, 2**31 - 1, 2**31 - 2, 7])[small]
    np.testing.assert_array_equal(weight_map(large), weight_map(small))


def test_non_contiguous_input():
    cells = random_cells(5, (21, 34), 6)
    view = cells[::2, ::-3]
    np.testing.assert_array_equal(weight_map(view), weight_map(view.copy()))
    np.testing.assert_array_equal(weight_map(cells.T), weight_map(cells).T)


# 3. binary input and touching cells


def test_boolean_mask_is_refused_and_one_id_is_legal():
    mask = np.array([[1, 0, 1, 0]], bool)
    with pytest.raises(ValueError, match=r"objects that touch are one.*connected_components"):
        weight_map(mask)
    np.testing.assert_array_equal(weight_map(mask.astype(int)), [[1, 1, 1, 1]])


def test_touching_cells_have_a_border_after_separation():
    cells = np.array([[1, 1, 1, 2, 2, 2]])
    np.testing.assert_array_equal(weight_map(cells), np.ones((1, 6)))
    gap = weight_map(separate_touching(cells))
    np.testing.assert_allclose(gap, [[1, 1, 1, 1 + 10 * np.exp(-4 / 50), 1, 1]], rtol=1e-6)


# 4. inside cells


def test_cells_get_no_border_term_unless_asked():
    cells = np.array([[1, 1, 0, 2]])
    np.testing.assert_array_equal(weight_map(cells)[cells > 0], [1, 1, 1])
    inside = weight_map(cells, inside=True)
    expected = [1 + 10 * np.exp(-(d**2) / 50) for d in (3, 2, 2, 2)]  # d1 = 0 in cells
    np.testing.assert_allclose(inside, [expected], rtol=1e-6)


# 5. distance to the border


def test_narrowest_gap_weighs_ten_times_exp_of_minus_4_by_50():
    weights = weight_map(np.array([[1, 0, 2]]), class_weights=[0.5, 1.0])
    assert weights[0, 1] == np.float32(0.5 + 10 * np.exp(-4 / 50))


# 6. sigma or sigma squared; sum or difference


def test_sigma_is_not_squared_and_distances_are_added():
    cells = np.array([[1, 0, 0, 0, 2]])  # the middle has d1 = d2 = 2, its neighbours 1 and 3
    expected = 1 + 10 * np.exp(-16 / (2 * 9))
    np.testing.assert_allclose(weight_map(cells, sigma=3.0)[0, 1:4], [expected] * 3, rtol=1e-6)


# 7. class weights


def test_class_weights_of_a_class_map():
    cells = np.array([[1, 1, 0, 0, 0, 0]])
    classes = np.array([[2, 2, 0, 1, 0, -1]])
    weights = weight_map(cells, class_weights=[0.5, 3.0, 4.0], classes=classes)
    np.testing.assert_array_equal(weights, [[4, 4, 0.5, 3, 0.5, 0]])
    as_dict = weight_map(cells, class_weights={0: 0.5, 1: 3.0}, classes=classes)
    np.testing.assert_array_equal(as_dict, [[1, 1, 0.5, 3, 0.5, 0]])


def test_zero_class_weight_leaves_the_border():
    weights = weight_map(np.array([[1, 0, 2, 0, 0]]), class_weights=[0.0, 1.0])
    np.testing.assert_allclose(
        weights, [[1, 9.231163, 1, 10 * np.exp(-16 / 50), 10 * np.exp(-36 / 50)]], rtol=1e-6
    )


def test_pixels_that_are_not_annotated_weigh_nothing_but_their_cells_count():
    cells = np.array([[1, 0, 2, 0]])
    annotated = np.array([[True, True, False, False]])
    full = weight_map(cells)
    np.testing.assert_array_equal(
        weight_map(cells, annotated=annotated), np.where(annotated, full, 0)
    )
    assert full[0, 1] > 9


# 8. tiles


@pytest.mark.parametrize("arguments", [{}, {"preset": "release"}, {"w0": 3.0, "sigma": 2.0}])
def test_tile_with_its_reach_equals_the_whole_image(arguments):
    cells = random_cells(11, (190, 230), 25)
    reach = weight_reach(**arguments)
    assert 5 < reach < 70
    window = (slice(80 - reach, 105 + reach), slice(90 - reach, 121 + reach))
    inner = (slice(reach, -reach),) * 2
    np.testing.assert_array_equal(
        weight_map(cells[window], **arguments)[inner],
        weight_map(cells, **arguments)[80:105, 90:121],
    )


def test_tile_without_context_forgets_cells_outside():
    cells = np.array([[1, 0, 2]])
    assert weight_map(cells[:, :2])[0, 1] == 1 < weight_map(cells)[0, 1]


# 9. membranes


def test_membranes_between_cells_weigh_nearly_ten():
    membranes = np.zeros((24, 30), int)
    membranes[:10, :], membranes[13:, :14], membranes[13:, 17:] = 1, 2, 3
    weights = weight_map(membranes)
    assert weights[membranes == 0].min() > 1 + 10 * np.exp(-32 / 50)


# the rest of the contract


def test_presets_are_the_constants_of_paper_and_release():
    cells = random_cells(4, (60, 70), 5)
    np.testing.assert_array_equal(weight_map(cells), weight_map(cells, preset="paper"))
    np.testing.assert_array_equal(weight_map(cells), weight_map(cells, 10.0, 5.0))
    d1, d2 = two_nearest_distances(cells)
    background = (
        0.1 + 50 * np.exp(-((d1 + d2) ** 2) / (2 * 6**2)) + 0.9 * np.exp(-(d1**2) / (2 * 10**2))
    )
    expected = np.where(cells > 0, 1, background)
    np.testing.assert_allclose(weight_map(cells, preset="release"), expected, rtol=2e-7)


def test_release_weighs_background_around_a_lone_cell():
    weights = weight_map(np.array([[1, 0] + [0] * 198]), preset="release")
    assert weights[0, 0] == 1
    assert weights[0, 1] == np.float32(np.float32(0.1) + 0.9 * np.exp(-1 / 200))
    assert weights[0, -1] == np.float32(0.1)


def test_given_constants_win_over_the_preset():
    cells = np.array([[1, 0, 2, 0]])
    mixed = weight_map(cells, 7.0, preset="release", rim=0.0, class_weights=[1.0, 1.0])
    np.testing.assert_array_equal(mixed, weight_map(cells, 7.0, 6.0))
    assert WEIGHT_PRESETS["release"]["w0"] == 50


def test_spacing_gives_sigma_its_unit():
    cells = np.array([[[1, 0, 2]], [[0, 0, 0]]])
    np.testing.assert_array_equal(
        weight_map(cells, sigma=5.0, spacing=(0.5, 0.5, 0.5)), weight_map(cells, sigma=10.0)
    )


def test_no_terms_need_no_context():
    assert weight_reach(w0=0.0) == 0
    np.testing.assert_array_equal(weight_map(np.array([[1, 0, 2]]), w0=0.0), [[1, 1, 1]])
