"""How much is mirrored beyond an image, and tiles that lie inside the mirrored image."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from keras_unet.geometry.margins import mirrored_margin
from keras_unet.geometry.tiles import few_canvases, plan_fixed, plan_tiles
from keras_unet.geometry.unet import UNetGeometry
from keras_unet.geometry.window import WindowGeometry

pytestmark = pytest.mark.core

SAME, PAPER = UNetGeometry(padding="same"), UNetGeometry()  # margins of 96 and 92, stride 16

MARGINS = [
    (SAME, None, 32),
    (SAME, "full", 96),
    (SAME, 0, 0),
    (SAME, 1, 16),
    (SAME, 32, 32),
    (SAME, 81, 96),
    (UNetGeometry(depth=1, padding="same"), None, 4),
    (UNetGeometry(depth=0, padding="same"), None, 2),
    (WindowGeometry(margin=16, stride=16, padding="same"), None, 16),
    (PAPER, None, 92),
    (PAPER, "full", 92),
    (PAPER, 92, 92),
]


@pytest.mark.parametrize(("geometry", "margin", "pixels"), MARGINS)
def test_pixels_that_are_mirrored(geometry, margin, pixels):
    assert mirrored_margin(geometry, margin) == pixels
    assert mirrored_margin(geometry, pixels) == pixels


ILL_CASES = [
    (SAME, -1, r"between 0 and 96 px .*margin=-1"),
    (SAME, 97, r"between 0 and 96 px .*margin=97"),
    (SAME, "half", "not 'half'"),
    (SAME, 3.5, "not '3.5'"),
    (SAME, True, "not 'True'"),
    (SAME, [32], r"not '\[32\]'"),
    (PAPER, 32, r"^margin=32: a network without padding needs all of its 92 px. Received: marg"),
    (PAPER, 0, "needs all of its 92 px. Received: margin=0"),
]


@pytest.mark.parametrize(("geometry", "margin", "message"), ILL_CASES)
def test_errors(geometry, margin, message):
    with pytest.raises(ValueError, match=message):
        mirrored_margin(geometry, margin)
    with pytest.raises(ValueError, match=message):
        plan_tiles((10, 10), geometry, None, margin)


WORK = [
    (256, None, {"full": 3.0625, 32: 1.5625, 16: 1.265625, 0: 1}),
    (512, None, {"full": 1.890625, 16: 1.12890625}),
    (1024, None, {"full": 1.41015625, 16: 1.0634765625}),
    (2048, 1024, {"full": (3 * 880 / 2048) ** 2, 16: 1.4853515625}),
]


@pytest.mark.parametrize(("size", "limit", "works"), WORK)
def test_pixels_that_run_for_a_pixel_of_the_image(size, limit, works):
    for margin, work in works.items():
        assert plan_tiles((size, size), SAME, limit, margin).work == work


def test_tiles_by_hand():
    """A canvas from -16 to 416; tiles of 320 write all but 96 px at the ends within it."""
    first, second = plan_tiles((400,), UNetGeometry(padding="same", rank=1), 320, 16)
    assert (first.read, first.write, first.crop) == (((-16, 304),), ((0, 208),), ((16, 224),))
    assert (second.read, second.write, second.crop) == (((96, 416),), ((208, 400),), ((112, 304),))


def test_a_fixed_tile():
    assert plan_fixed((256, 256), SAME, (256, 256)).counts == (4, 4)
    assert plan_fixed((256, 256), SAME, (256, 256), 16).counts == (2, 2)
    (only,) = plan_fixed((100, 224), SAME, (256, 256), 16)  # there is room for more mirror
    assert only.read == ((-16, 240), (-16, 240))


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_few_canvases(padding):
    geometry = UNetGeometry(depth=2, padding=padding, rank=1)
    exact, few = set(), set()
    for size in range(1, 300):
        (smallest,) = plan_tiles((size,), geometry, None, None).canvas
        (canvas,) = few_canvases((size,), geometry, None)
        assert geometry.is_legal(canvas)
        assert smallest <= canvas < 1.125 * smallest + geometry.stride
        exact.add(smallest)
        few.add(canvas)
    assert len(exact) == 75
    assert len(few) <= 30


@st.composite
def plans(draw):
    padding = draw(st.sampled_from(["valid", "same"]))
    geometry = UNetGeometry(draw(st.integers(0, 3)), padding, 1, draw(st.integers(1, 2)))
    stride, full = geometry.stride, geometry.margin
    size = draw(st.integers(1, 40 * stride))
    margin = full if padding == "valid" else draw(st.integers(0, full // stride)) * stride
    limit = geometry.smallest_tile + draw(st.integers(0, 8 * stride))
    if draw(st.booleans()):
        return plan_fixed((size,), geometry, (geometry.nearest(limit)[0],), margin), None
    canvas = draw(st.sampled_from([None, few_canvases((size,), geometry, margin)]))
    return plan_tiles((size,), geometry, limit, margin, canvas), None if canvas else limit


@given(plans())
def test_tiles_lie_inside_the_canvas_and_are_the_fewest(case):
    plan, limit = case
    geometry, (canvas,), margin, end = plan.geometry, plan.canvas, plan.margin, 0
    assert canvas >= plan.shape[0] + 2 * margin
    lost = geometry.margin if geometry.padding == "valid" else 0
    for tile in plan:
        (start, stop), (first, last) = tile.read[0], tile.crop[0]
        before, (begin, end) = end, tile.write[0]
        assert before == begin < end
        assert -margin <= start
        assert stop == start + plan.tile_shape[0] <= canvas - margin
        assert (start + margin) % geometry.stride == 0
        assert start == -margin or start <= begin - geometry.margin
        assert stop == canvas - margin or stop >= end + geometry.margin
        assert (begin - start - lost, end - start - lost) == (first, last)
        assert 0 <= first < last <= geometry.output_size(plan.tile_shape[0])
    assert end == plan.shape[0]
    if limit is not None and len(plan) > 1:
        step = (geometry.nearest(limit)[0] - 2 * geometry.margin) // geometry.stride
        reached = (len(plan) - 1) * step * geometry.stride + 2 * (geometry.margin - margin)
        assert reached < plan.shape[0]
