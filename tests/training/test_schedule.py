from __future__ import annotations

from itertools import pairwise

import keras
import pytest

from keras_unet.training.checkpoint import as_numpy
from keras_unet.training.recipe import Recipe
from keras_unet.training.schedule import learning_rate_schedule, make_optimizer

pytestmark = pytest.mark.core


def rates(steps, **options):
    schedule = learning_rate_schedule(0.8, steps, **options)
    return [float(as_numpy(schedule(step))) for step in range(steps + 1)]


def test_warm_up_then_cosine_to_zero():
    values = rates(10, warmup=0.3)
    assert values[:4] == pytest.approx([0.2, 0.4, 0.6, 0.8], rel=1e-5)
    assert values[-1] == pytest.approx(0, abs=1e-6)
    assert all(a > b for a, b in pairwise(values[3:]))


def test_cosine_is_half_way_at_half_time():
    assert rates(10)[5] == pytest.approx(0.4)


@pytest.mark.parametrize("warmup", [0.0, 0.2])
def test_constant(warmup):
    values = rates(10, schedule="constant", warmup=warmup)
    assert values[2:] == pytest.approx([0.8] * 9)
    assert values[0] == pytest.approx(0.8 if warmup == 0 else 0.8 / 3)


def test_sgd_of_the_paper():
    optimizer = make_optimizer(Recipe.paper())
    assert isinstance(optimizer, keras.optimizers.SGD)
    assert optimizer.momentum == 0.99
    assert optimizer.global_clipnorm is None
    assert not optimizer.weight_decay


def test_decay_leaves_biases_and_normalizations_alone():
    model = keras.Sequential(
        [keras.Input((2,)), keras.layers.Dense(2), keras.layers.BatchNormalization()]
    )
    for variable in model.trainable_variables:
        variable.assign(keras.ops.ones(variable.shape))
    recipe = Recipe(
        optimizer={"learning_rate": 0.1, "weight_decay": 0.5, "warmup": 0, "schedule": "constant"}
    )
    optimizer = make_optimizer(recipe)
    zeros = [keras.ops.zeros(variable.shape) for variable in model.trainable_variables]
    optimizer.apply(zeros, model.trainable_variables)
    after = {v.name: float(as_numpy(v).ravel()[0]) for v in model.trainable_variables}
    assert after == pytest.approx({"kernel": 0.95, "bias": 1, "gamma": 1, "beta": 1})


def test_adam_without_decay():
    optimizer = make_optimizer(
        Recipe(optimizer={"weight_decay": 0, "momentum": 0.8, "gradient_clip": 0.5})
    )
    assert type(optimizer) is keras.optimizers.Adam
    assert (optimizer.beta_1, optimizer.global_clipnorm) == (0.8, 0.5)


def test_float16_scales_the_loss():
    optimizer = make_optimizer(Recipe(run={"precision": "mixed_float16"}))
    assert isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
