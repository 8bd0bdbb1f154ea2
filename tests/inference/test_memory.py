"""The memory estimate on graphs that can be done by hand, and plans within a limit."""

from __future__ import annotations

import math

import keras
import numpy as np
import pytest

from keras_unet.geometry.tiles import plan_tiles
from keras_unet.geometry.unet import UNetGeometry
from keras_unet.inference.engines.base import Engine
from keras_unet.inference.memory import estimate_memory, plan_for, plan_within
from keras_unet.inference.tiling import predict_tiles

pytestmark = [pytest.mark.core, pytest.mark.backend]


def chain(dtype=None):
    inputs = keras.Input((None, None, 1))
    x = keras.layers.Conv2D(4, 3, padding="same", dtype=dtype)(inputs)
    x = keras.layers.Conv2D(8, 3, padding="same", dtype=dtype)(x)
    return keras.Model(inputs, keras.layers.Conv2D(2, 1, dtype=dtype)(x))


def test_a_chain_holds_the_inputs_and_outputs_of_one_layer():
    assert estimate_memory(chain(), (10, 6)) == 60 * (4 + 8) * 4
    assert estimate_memory(chain(), (10, 6), batch_size=3) == 3 * 60 * (4 + 8) * 4


def test_mixed_precision_takes_half():
    assert estimate_memory(chain("mixed_bfloat16"), (10, 6)) == 60 * (4 + 8) * 2


def test_a_skip_connection_lives_until_it_is_joined():
    inputs = keras.Input((None, None, 1))
    skip = keras.layers.Conv2D(4, 1)(inputs)
    x = keras.layers.Conv2D(8, 1)(skip)
    x = keras.layers.Conv2D(8, 1)(x)
    model = keras.Model(inputs, keras.layers.Concatenate()([x, skip]))
    # At the end: 8 of the last convolution, 4 of the skip and the 12 of both together.
    assert estimate_memory(model, (5, 7)) == 35 * (8 + 4 + 12) * 4


def test_a_layer_counts_where_it_is_called_first():
    inputs = keras.Input((None, None, 2))
    layer = keras.layers.Conv2D(2, 1)
    assert estimate_memory(keras.Model(inputs, layer(layer(inputs))), (5, 7)) == 35 * (2 + 2) * 4


def test_other_models_are_refused():
    with pytest.raises(ValueError, match="choose max_tile yourself"):
        estimate_memory(keras.Sequential([keras.layers.Conv2D(1, 1)]), (8, 8))


PLANS = [
    ((300, 412), {"depth": 2}, 10**4),
    ((300, 412), {"depth": 2, "padding": "same"}, 2 * 10**4),
    ((4, 2000), {"depth": 1}, 2000),
    ((40, 50, 60), {"depth": 1, "convs_per_level": 1}, 6000),
]


@pytest.mark.parametrize(("shape", "options", "limit"), PLANS)
def test_tiles_stay_within_the_limit(shape, options, limit):
    """One byte a pixel; the plan is the one with the fewest tiles along its divided axes."""
    geometry = UNetGeometry(rank=len(shape), **options)
    plan = plan_within(shape, geometry, math.prod, limit)
    assert math.prod(plan.tile_shape) <= limit < math.prod(plan_tiles(shape, geometry).tile_shape)
    image = np.random.default_rng(0).random((*shape, 1), np.float32)
    margin = geometry.margin if geometry.padding == "valid" else 0

    def crop(batch):
        return batch[(0, *(slice(margin, n - margin) for n in batch.shape[1:-1]))][None]

    np.testing.assert_array_equal(predict_tiles(image, plan, crop), image)


def test_one_pass_if_it_fits():
    geometry = UNetGeometry()
    plan = plan_within((512, 500), geometry, math.prod, 700 * 700)
    assert plan == plan_tiles((512, 500), geometry)


def test_the_long_axis_is_divided_first():
    plan = plan_within((30, 4000), UNetGeometry(depth=1), math.prod, 10**4)
    assert plan.counts[0] == 1
    assert plan.counts[1] > 10


def test_a_limit_that_no_tile_meets():
    with pytest.raises(ValueError, match=r"no smaller one is legal.*memory_limit=1000"):
        plan_within((300, 412), UNetGeometry(), math.prod, 1000)


# === Engines that compile every size ===


class Compiles(Engine):
    """Takes a byte a pixel."""

    input_shape, num_outputs, compiles_sizes = (None, None, 1), 2, True

    def __call__(self, batch):
        return batch

    def estimate_memory(self, tile_shape):
        return math.prod(tile_shape)


@pytest.mark.parametrize(("limit", "tile", "count"), [(10**6, 576, 1), (545**2, 384, 2)])
def test_an_engine_that_compiles_gets_few_sizes_within_its_memory(limit, tile, count):
    geometry = UNetGeometry(padding="same")
    plan = plan_for(Compiles(), geometry, (450, 480), None, limit, 32)
    assert plan.canvas == (576, 576)  # and not 528 x 544
    assert plan.tile_shape[1] == tile
    assert len(plan) == count
