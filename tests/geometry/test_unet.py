import itertools

import pytest
from hypothesis import given, strategies as st

from keras_unet.geometry.tiles import plan_tiles
from keras_unet.geometry.unet import UNetGeometry

pytestmark = pytest.mark.core

PAPER = UNetGeometry()

# === Sizes ===

# Input and output of the paper's network: N = 16 k + 60, M = N - 184.
SIZES = [(188, 4), (316, 132), (444, 260), (572, 388), (700, 516), (1084, 900), (4124, 3940)]


@pytest.mark.parametrize(("size", "output"), SIZES)
def test_sizes_of_the_paper(size, output):
    assert PAPER.is_legal(size)
    assert PAPER.output_size(size) == PAPER.usable_size(size) == output
    assert PAPER.input_size(output) == size


def test_facts_of_the_paper():
    assert (PAPER.margin, PAPER.stride, PAPER.offset, PAPER.min_size) == (92, 16, 60, 188)
    assert PAPER.nearest(600) == (588, 604)
    assert PAPER.nearest(572) == (572, 572)
    assert PAPER.nearest(1) == (188, 188)
    assert PAPER.level_sizes(572) == [
        (572, 568),
        (284, 280),
        (140, 136),
        (68, 64),
        (32, 28),
        (56, 52),
        (104, 100),
        (200, 196),
        (392, 388),
    ]


# Margins by hand: depth, convolutions per level, kernel, reach of the up-sampling.
MARGINS = [
    (("valid", 0, 2, 3, 0), 2),
    (("valid", 1, 1, 3, 0), 4),
    (("valid", 4, 2, 3, 0), 92),
    (("same", 0, 2, 3, 0), 2),
    # Depth 1, one 3x3: pixel 0 reads -1, its source pixel -1, by the convolution -2, by the pooling
    # -4, by the first convolution -5, rounded up to the grid of 2. Bilinear: -1 still reads -1.
    (("same", 1, 1, 3, 0), 6),
    (("same", 1, 1, 3, 1), 6),
    (("same", 2, 1, 1, 0), 0),
    (("same", 4, 2, 3, 0), 96),
]


@pytest.mark.parametrize(("arguments", "margin"), MARGINS)
def test_margins(arguments, margin):
    padding, depth, convs, kernel, reach = arguments
    geometry = UNetGeometry(depth, padding, 2, convs, kernel, reach)
    assert geometry.margin == margin


@st.composite
def geometries(draw, max_depth=4):
    padding = draw(st.sampled_from(["valid", "same"]))
    return UNetGeometry(
        depth=draw(st.integers(0, max_depth)),
        padding=padding,
        rank=draw(st.integers(1, 3)),
        convs_per_level=draw(st.integers(1, 3)),
        kernel_size=draw(st.sampled_from([1, 3, 5])),
        upsampling_reach=draw(st.integers(0, 1)) if padding == "same" else 0,
    )


def passes(geometry, size):
    """Output size by walking through the network, or None where it does not work out."""
    lost = geometry.loss_per_level if geometry.padding == "valid" else 0
    skips = []
    for level in range(geometry.depth + 1):
        if level:
            skips.append(size)
            if size % 2:
                return None
            size //= 2
        size -= lost
        if size < 1:
            return None
    for skip in reversed(skips):
        size = 2 * size
        if size > skip:
            return None
        size -= lost
        if size < 1:
            return None
    return size


@given(geometries(max_depth=3), st.integers(1, 400))
def test_a_size_is_legal_where_the_network_works_out(geometry, size):
    output = passes(geometry, size)
    assert geometry.is_legal(size) == (output is not None)
    if output is None:
        with pytest.raises(ValueError, match="not a legal input size"):
            geometry.output_size(size)
    else:
        assert geometry.output_size(size) == output
        assert geometry.level_sizes(size)[-1][1] == output


@given(geometries(), st.integers(1, 5000))
def test_nearest_sizes_are_legal_and_nothing_lies_between(geometry, size):
    below, above = geometry.nearest(size)
    assert geometry.is_legal(below)
    assert geometry.is_legal(above)
    if size < geometry.min_size:
        assert below == above == geometry.min_size
    else:
        assert below <= size <= above
        assert above - below == (0 if geometry.is_legal(size) else geometry.stride)


@given(geometries(), st.integers(1, 5000))
def test_input_size_inverts_output_size(geometry, output):
    size = geometry.input_size(output)
    assert geometry.output_size(size) >= output
    if size > geometry.min_size:
        assert geometry.output_size(size - geometry.stride) < output
    assert geometry.input_size(geometry.output_size(size)) == size


@given(geometries())
def test_config_makes_the_same_geometry(geometry):
    assert UNetGeometry(**geometry.get_config()) == geometry
    assert geometry.margin % geometry.stride == 0 or geometry.padding == "valid"


# === Plans ===

# Image, largest tile, tile, step, number of tiles.
PLANS = [
    ((512, 512), None, (700, 700), (512, 512), 1),
    ((512, 512), 700, (700, 700), (512, 512), 1),
    ((512, 512), 572, (444, 444), (256, 256), 4),
    ((1024, 1024), 572, (540, 540), (352, 352), 9),
    ((1024, 1024), 1212, (1212, 1212), (1024, 1024), 1),
    ((2048, 2048), 2236, (2236, 2236), (2048, 2048), 1),
    ((2048, 2048), 572, (540, 540), (352, 352), 36),
    ((100, 513), (572, 444), (284, 364), (112, 176), 3),
    ((1, 388), 572, (188, 572), (16, 400), 1),
    ((1, 389), 572, (188, 396), (16, 208), 2),
]


@pytest.mark.parametrize(("shape", "max_tile", "tile", "step", "count"), PLANS)
def test_plans_of_the_paper(shape, max_tile, tile, step, count):
    plan = plan_tiles(shape, PAPER, max_tile)
    assert (plan.tile_shape, plan.step, len(plan)) == (tile, step, count)
    assert len(list(plan)) == count


def test_tiles_of_a_plan_by_hand():
    plan = plan_tiles((389, 20), PAPER, max_tile=572)
    first, second = plan
    assert (first.write, second.write) == (((0, 208), (0, 20)), ((208, 389), (0, 20)))
    assert first.read == ((-92, 304), (-92, 112))
    assert second.read == ((100, 496), (-92, 112))  # it ends where one pass would
    assert second.crop == ((16, 197), (0, 20))


@st.composite
def plans(draw):
    geometry = draw(geometries(max_depth=3))
    smallest = geometry.nearest(geometry.stride + 2 * geometry.margin)[1]
    shape = tuple(draw(st.integers(1, 9 * geometry.stride)) for _ in range(geometry.rank))
    limits = st.integers(smallest, smallest + 6 * geometry.stride)
    max_tile = draw(st.one_of(st.none(), limits, st.tuples(*[limits] * geometry.rank)))
    return plan_tiles(shape, geometry, max_tile), max_tile


@given(plans())
def test_writes_cover_the_image_exactly_once(case):
    plan, _ = case
    tiles = list(plan)
    assert len(tiles) == len(plan)
    axes = [sorted({tile.write[axis] for tile in tiles}) for axis in range(len(plan.shape))]
    for axis, size in enumerate(plan.shape):
        edges = [0, *[stop for _, stop in axes[axis]]]
        assert [start for start, _ in axes[axis]] == edges[:-1]
        assert edges[-1] == size
        assert all(start < stop for start, stop in axes[axis])
    assert [tile.write for tile in tiles] == list(itertools.product(*axes))


@given(plans())
def test_tiles_are_legal_aligned_and_see_their_margin(case):
    plan, max_tile = case
    geometry = plan.geometry
    limits = max_tile if isinstance(max_tile, tuple) else (max_tile,) * geometry.rank
    for axis, (tile_size, limit) in enumerate(zip(plan.tile_shape, limits, strict=True)):
        assert geometry.is_legal(tile_size)
        assert limit is None or tile_size <= limit
        single = geometry.nearest(plan.shape[axis] + 2 * geometry.margin)[1]
        if limit is None or single <= limit:
            assert (plan.counts[axis], tile_size) == (1, single)
    for tile in plan:
        for axis, (read, write, crop) in enumerate(
            zip(tile.read, tile.write, tile.crop, strict=True)
        ):
            assert read[1] - read[0] == plan.tile_shape[axis]
            assert (read[0] + geometry.margin) % geometry.stride == 0
            assert read[0] <= write[0] - geometry.margin
            assert read[1] >= write[1] + geometry.margin
            assert crop[1] - crop[0] == write[1] - write[0]
            assert crop[0] >= 0
            assert crop[1] <= geometry.output_size(plan.tile_shape[axis])
            shift = geometry.margin if geometry.padding == "valid" else 0
            assert read[0] + shift + crop[0] == write[0]  # the crop is the written pixels


@given(plans())
def test_fewest_tiles(case):
    """One tile fewer along an axis would not fit."""
    plan, max_tile = case
    geometry = plan.geometry
    limits = max_tile if isinstance(max_tile, tuple) else (max_tile,) * geometry.rank
    for size, count, limit in zip(plan.shape, plan.counts, limits, strict=True):
        if count > 1:
            largest = geometry.nearest(limit)[0] - 2 * geometry.margin
            assert (count - 1) * (largest // geometry.stride * geometry.stride) < size


# === Errors ===

ILL_GEOMETRIES = [
    ({"padding": "full"}, "padding must be one of"),
    ({"depth": -1}, "depth must be between 0 and 12"),
    ({"depth": 13}, "depth must be between"),
    ({"rank": 4}, "rank must be between 1 and 3"),
    ({"convs_per_level": 0}, "convs_per_level must be between"),
    ({"kernel_size": 4}, "kernel_size must be odd"),
    ({"kernel_size": 0}, "kernel_size must be odd"),
    ({"upsampling_reach": 2, "padding": "same"}, "upsampling_reach must be 0"),
    ({"upsampling_reach": 1}, "valid network needs up-convolutions"),
]


@pytest.mark.parametrize(("arguments", "message"), ILL_GEOMETRIES)
def test_errors_of_a_geometry(arguments, message):
    with pytest.raises(ValueError, match=message):
        UNetGeometry(**arguments)


def test_errors_name_the_nearest_sizes():
    with pytest.raises(
        ValueError,
        match=r"a tile of 600 px is not a legal .* nearest are 588 and 604. Received: tile=600",
    ):
        PAPER.check(600)
    with pytest.raises(ValueError, match=r"nearest are 188 \(the smallest\)"):
        PAPER.output_size(100)
    with pytest.raises(ValueError, match="size of 573 px is not a legal"):
        PAPER.usable_size(573)
    with pytest.raises(ValueError, match=r"output must be at least 1. Received: output=0"):
        PAPER.input_size(0)


ILL_PLANS = [
    ((512,), None, "shape needs 2 sizes"),
    ((512, 0), None, "shape needs 2 sizes of at least 1"),
    ((512, 512), (572,), "max_tile needs one number or 2"),
    ((512, 512), 100, "of 100 px is too small.*max_tile=204"),
    ((512, 512), 188, "of 188 px is too small.*margin is 92 px"),  # writes 4 px, no grid step
    ((512, 512), (572, 203), "of 203 px is too small"),
]


@pytest.mark.parametrize(("shape", "max_tile", "message"), ILL_PLANS)
def test_errors_of_a_plan(shape, max_tile, message):
    with pytest.raises(ValueError, match=message):
        plan_tiles(shape, PAPER, max_tile)
