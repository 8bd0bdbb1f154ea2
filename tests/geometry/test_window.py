import pytest

from keras_unet.geometry.tiles import plan_tiles
from keras_unet.geometry.unet import UNetGeometry
from keras_unet.geometry.window import WindowGeometry, geometry_from_config

pytestmark = pytest.mark.core


def test_a_sliding_window():
    """Ciresan's 95 pixels: one pixel out of 95 in, 512 out of 606."""
    geometry = WindowGeometry(margin=47)
    assert (geometry.min_size, geometry.stride, geometry.depth) == (95, 1, 0)
    assert [geometry.output_size(size) for size in (95, 96, 606)] == [1, 2, 512]
    assert geometry.input_size(512) == 606
    assert not geometry.is_legal(94)
    assert geometry.nearest(3) == (95, 95)


def test_a_coarse_network_of_same_padding():
    geometry = WindowGeometry(margin=64, stride=32, padding="same", rank=3)
    assert (geometry.min_size, geometry.offset, geometry.depth) == (32, 0, 5)
    assert geometry.output_size(96) == 96
    assert geometry.usable_size(224) == 96
    assert geometry.nearest(100) == (96, 128)
    assert geometry.level_sizes(96) == [(96, 96)]


def test_tiles_of_windows_cover_the_image():
    plan = plan_tiles((100, 130), WindowGeometry(margin=5, stride=4), max_tile=(50, 60))
    assert all(size <= limit for size, limit in zip(plan.tile_shape, (50, 60), strict=True))
    assert all(
        count * step >= size
        for count, step, size in zip(plan.counts, plan.step, (100, 130), strict=True)
    )


@pytest.mark.parametrize(
    "geometry",
    [
        WindowGeometry(margin=47),
        WindowGeometry(margin=64, stride=32, padding="same", rank=3),
        UNetGeometry(depth=3, padding="same"),
    ],
)
def test_comes_back_from_its_configuration(geometry):
    assert geometry_from_config(geometry.get_config()) == geometry


ILL_CASES = [
    ({"margin": -1}, "margin=-1"),
    ({"margin": 0, "stride": 0}, "stride=0"),
    ({"margin": 0, "rank": 4}, "rank=4"),
    ({"margin": 0, "padding": "full"}, "padding='full'"),
    ({"margin": 33, "stride": 32, "padding": "same"}, "multiple of stride=32"),
]


@pytest.mark.parametrize(("arguments", "message"), ILL_CASES)
def test_ill_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        WindowGeometry(**arguments)


def test_messages_name_the_nearest_sizes():
    with pytest.raises(ValueError, match=r"tile of 94 px is not.*valid windows of 1 px.*95"):
        WindowGeometry(margin=47).check(94)
    with pytest.raises(ValueError, match="kind='fcn'"):
        geometry_from_config({"kind": "fcn"})
