import numpy as np
import pytest
from nearest_cells import random_cells
from scipy import ndimage

from keras_unet.objects import connected_components
from keras_unet.targets import SeedTarget

pytestmark = pytest.mark.core

ILL_CASES = [
    ({"clip": 0}, "clip=0"),
    ({"normalization": "cell"}, "'instance', 'clip'"),
    ({"threshold": 1}, "threshold=1"),
    ({"seed_threshold": 0.0}, "seed_threshold=0.0"),
    ({"class_weights": [1.0]}, "two finite numbers"),
    ({"class_weights": [1.0, -1.0]}, "two finite numbers"),
    ({"connectivity": 0}, "connectivity=0"),
    ({"min_size": -2}, "min_size=-2"),
    ({"min_seed_size": -1}, "min_seed_size=-1"),
]


@pytest.mark.parametrize(("arguments", "message"), ILL_CASES)
def test_constructor_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        SeedTarget(**arguments)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"clip": 7, "normalization": "clip", "class_weights": [0.5, 2.0], "min_size": 3},
        {"min_seed_size": 4},
    ],
)
def test_config_round_trip(config):
    target = SeedTarget(**config)
    assert SeedTarget.from_config(target.get_config()).get_config() == target.get_config()
    assert config.items() <= target.get_config().items()
    assert (target.num_outputs, target.target_channels, target.halo) == (2, 2, target.clip)


def test_encode_a_row():
    cells = np.array([[1, 1, 1, 2, 2, 2, 2, 2, 0]])
    y, weights = SeedTarget(clip=4, normalization="clip").encode(cells)
    assert y.dtype == weights.dtype == np.float32
    np.testing.assert_array_equal(y[..., 0], cells > 0)
    np.testing.assert_allclose(y[..., 1], [[3 / 4, 2 / 4, 1 / 4, 1 / 4, 0.5, 0.75, 0.5, 0.25, 0]])
    np.testing.assert_array_equal(weights, np.ones((1, 9)))
    by_cell = SeedTarget(clip=2).encode(cells)[0][..., 1]
    np.testing.assert_allclose(by_cell, [[1, 1, 0.5, 0.5, 1, 1, 1, 0.5, 0]])


@pytest.mark.parametrize("shape", [(18, 25), (7, 8, 9)])
@pytest.mark.parametrize("clip", [2, 25])
def test_depth_equals_one_transform_per_cell(shape, clip):
    cells = random_cells(1, shape, 14)
    cells[cells > 2**30] //= 2**20  # some ids small, some large
    expected = np.zeros(shape)
    relative = np.zeros(shape)
    for i in np.unique(cells[cells > 0]):
        depth = np.minimum(ndimage.distance_transform_edt(cells == i), clip) * (cells == i)
        expected += depth / clip
        relative += depth / depth.max()
    y, _ = SeedTarget(clip=clip, normalization="clip").encode(cells)
    np.testing.assert_allclose(y[..., 1], expected, rtol=1e-6)
    y, _ = SeedTarget(clip=clip).encode(cells)
    np.testing.assert_allclose(y[..., 1], relative, rtol=1e-6)


def test_one_cell_everywhere_is_deep_everywhere():
    y, _ = SeedTarget().encode(np.ones((4, 5), int))
    np.testing.assert_array_equal(y, np.ones((4, 5, 2)))


def test_not_annotated():
    cells = np.array([[1, 1, 0, 2]])
    annotated = np.array([[True, False, True, True]])
    classes = np.array([[1, 1, 0, -1]])
    y, weights = SeedTarget(class_weights=[0.5, 2.0]).encode(cells, classes, annotated)
    np.testing.assert_array_equal(y[..., 0], [[1, -1, 0, -1]])
    np.testing.assert_array_equal(y[0, [1, 3], 1], [0, 0])
    np.testing.assert_array_equal(weights, [[2, 0, 0.5, 0]])


ENCODE_ILL_CASES = [
    ({"instances": None}, "needs instances"),
    ({"instances": np.ones((1, 3), bool)}, "mask"),
    ({"annotated": np.ones((2, 3), bool)}, r"shape \(1, 3\)"),
    ({"classes": np.zeros((3, 1), int)}, r"shape \(1, 3\)"),
]


@pytest.mark.parametrize(("arguments", "message"), ENCODE_ILL_CASES)
def test_encode_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        SeedTarget().encode(**{"instances": np.array([[1, 0, 2]]), **arguments})


def test_window_with_its_halo_equals_the_whole_image():
    cells = random_cells(3, (70, 90), 60)
    for target in (SeedTarget(clip=6, normalization="clip"), SeedTarget(clip=6)):
        halo = target.halo
        part, _ = target.encode(cells[30 - halo : 45 + halo, 40 - halo : 61 + halo])
        whole, _ = target.encode(cells)
        np.testing.assert_array_equal(part[halo:-halo, halo:-halo], whole[30:45, 40:61])


def test_activate():
    result = SeedTarget().activate(np.array([[[0.0, -1.0], [1e4, 0.25], [-1e4, 7.0]]]))
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, [[[0.5, 0], [1, 0.25], [0, 1]]])


@pytest.mark.parametrize("method", ["activate", "decode"])
def test_number_of_channels_is_checked(method):
    with pytest.raises(ValueError, match=r"\(\*spatial, 2\)"):
        getattr(SeedTarget(), method)(np.zeros((3, 4, 1)))


def probabilities(foreground, depth):
    return np.stack([np.array(foreground, float), np.array(depth, float)], axis=-1)


def test_decode_divides_at_the_lowest_depth_and_keeps_parts_without_seed():
    foreground = [[0.9, 0.8, 0.9, 0.6, 0.9, 0.1, 0.7, 0.7]]
    depth = [[0.6, 0.4, 0.2, 0.4, 0.8, 0.9, 0.3, 0.2]]
    decoded = SeedTarget().decode(probabilities(foreground, depth))
    np.testing.assert_array_equal(decoded.instances, [[1, 1, 2, 2, 2, 0, 3, 3]])
    np.testing.assert_array_equal(decoded.classes, [[1, 1, 1, 1, 1, 0, 1, 1]])
    assert decoded.classes.dtype == decoded.instances.dtype == np.int32
    merged = SeedTarget(seed_threshold=0.7).decode(probabilities(foreground, depth))
    np.testing.assert_array_equal(merged.instances, [[1, 1, 1, 1, 1, 0, 2, 2]])
    large = SeedTarget(min_size=3, threshold=0.65).decode(probabilities(foreground, depth))
    np.testing.assert_array_equal(large.instances, [[1, 1, 1, 0, 0, 0, 0, 0]])
    np.testing.assert_array_equal(large.classes, large.instances)


def test_small_seeds_are_noise():
    depth = [[0.9, 0.9, 0.3, 0.6, 0.3, 0.2, 0.0, 0.8]]
    foreground = [[1, 1, 1, 1, 1, 1, 0, 1]]
    split = SeedTarget().decode(probabilities(foreground, depth))
    assert split.instances.max() == 3
    whole = SeedTarget(min_seed_size=2).decode(probabilities(foreground, depth))
    # The lone pixel at the end has no seed left, and is an object all the same.
    np.testing.assert_array_equal(whole.instances, [[1, 1, 1, 1, 1, 1, 0, 2]])


def test_decode_without_foreground():
    decoded = SeedTarget().decode(np.zeros((3, 4, 2)))
    np.testing.assert_array_equal(decoded.instances, np.zeros((3, 4)))


@pytest.mark.parametrize("shape", [(2, 3), (1, 3), (2, 2, 3)])
@pytest.mark.parametrize("normalization", ["instance", "clip"])
def test_round_trip_of_touching_boxes_is_exact(shape, normalization):
    small = np.arange(1, np.prod(shape) + 1).reshape(shape)
    cells = np.kron(small, np.ones((8,) * len(shape), int))
    cells = np.pad(cells, 3)
    target = SeedTarget(clip=4, normalization=normalization)
    np.testing.assert_array_equal(target.decode(target.encode(cells)[0]).instances, cells)


@pytest.mark.parametrize("shape", [(60, 80), (30, 40, 35)])
def test_round_trip_of_touching_discs_of_all_sizes(shape):
    rng = np.random.default_rng(5)
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"))
    cells = np.zeros(shape, np.int32)
    nearest = np.full(shape, np.inf)
    for i, x in enumerate(range(8, shape[-1] - 7, 13), 1):
        centre = np.array([*(size // 2 for size in shape[:-1]), x])
        radius = rng.uniform(5, 12)
        own = ((grid - centre.reshape(-1, *(1,) * len(shape))) ** 2).sum(0) - radius**2
        cells[(own < 0) & (own < nearest)] = i
        nearest = np.minimum(nearest, own)
    assert connected_components(cells > 0).max() < cells.max()
    target = SeedTarget()
    result = target.decode(target.encode(cells)[0]).instances
    np.testing.assert_array_equal(result > 0, cells > 0)
    assert result.max() == cells.max()
    assert (result != cells).sum() < 0.03 * (cells > 0).sum()
