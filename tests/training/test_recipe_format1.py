"""Flat recipes of the first format are read as groups that are equal in effect."""

from __future__ import annotations

import pytest

from keras_unet.training.recipe import Recipe
from keras_unet.training.recipe_format1 import FIELDS, is_flat

pytestmark = pytest.mark.core

FLAT = {
    "model": ("fcn", {"model": {"name": "fcn"}}),
    "filters": (16, {"model": {"filters": 16}}),
    "depth": (2, {"model": {"depth": 2}}),
    "padding": ("valid", {"model": {"padding": "valid"}}),
    "normalization": (None, {"model": {"normalization": None}}),
    "dropout": (0.3, {"model": {"dropout": 0.3}}),
    "model_options": ({"kernel_size": 5}, {"model": {"kernel_size": 5}}),
    "target": ("seeds", {"target": {"name": "seeds"}}),
    "target_options": ({"weights": None}, {"target": {"weights": None}}),
    "class_weights": ("balanced", {"target": {"class_weights": "balanced"}}),
    "image_normalization": ("unit", {"images": {"normalization": "unit"}}),
    "resolution": ([2, 1], {"images": {"resolution": [2, 1]}}),
    "augmentation": ({"sigma": 3}, {"augmentation": {"sigma": 3}}),
    "tile": (64, {"batches": {"tile": 64}}),
    "batch_size": (2, {"batches": {"size": 2}}),
    "sampling": ("area", {"batches": {"sampling": "area"}}),
    "foreground_fraction": (0.5, {"batches": {"foreground_fraction": 0.5}}),
    "optimizer": ("sgd", {"optimizer": {"name": "sgd"}}),
    "learning_rate": ("1e-3", {"optimizer": {"learning_rate": 0.001}}),
    "momentum": (0.8, {"optimizer": {"momentum": 0.8}}),
    "weight_decay": (0, {"optimizer": {"weight_decay": 0}}),
    "warmup": (0.2, {"optimizer": {"warmup": 0.2}}),
    "schedule": ("constant", {"optimizer": {"schedule": "constant"}}),
    "gradient_clip": (None, {"optimizer": {"gradient_clip": None}}),
    "ema": (0, {"optimizer": {"ema": 0}}),
    "steps": (5, {"run": {"steps": 5}}),
    "validate_every": (5, {"run": {"validate_every": 5}}),
    "validation_images": (5, {"run": {"validation_images": 5}}),
    "precision": ("mixed_bfloat16", {"run": {"precision": "mixed_bfloat16"}}),
    "jit_compile": (True, {"run": {"jit_compile": True}}),
    "strategy": ("mirrored", {"run": {"strategy": "mirrored"}}),
    "seed": (5, {"run": {"seed": 5}}),
    "monitor": ("seg", {"run": {"monitor": "seg"}}),
    "patience": (5, {"run": {"patience": 5}}),
    "tensorboard": (False, {"run": {"tensorboard": False}}),
}


def test_every_field_is_tested():
    assert set(FLAT) == set(FIELDS)


@pytest.mark.parametrize("name", FLAT)
def test_field(name):
    value, groups = FLAT[name]
    flat = {name: value}
    assert is_flat(flat) or name == "augmentation"  # which is the same in both
    assert Recipe.from_dict({"format": 1, **flat}) == Recipe.from_dict(flat) == Recipe(**groups)
    assert Recipe(**groups) != Recipe() or (name, value) == ("learning_rate", "1e-3")


def test_all_fields_together():
    flat = {name: value for name, (value, _) in FLAT.items()}
    flat |= {"model": "unet", "target": "classes"}
    recipe = Recipe.from_dict(flat)
    assert recipe.model == {
        "name": "unet",
        "filters": 16,
        "depth": 2,
        "padding": "valid",
        "normalization": None,
        "dropout": 0.3,
        "kernel_size": 5,
    }
    assert recipe.target == {"name": "classes", "weights": None, "class_weights": "balanced"}
    assert not is_flat(recipe.to_dict())


def test_fields_that_the_architecture_does_not_take_had_no_effect():
    flat = {"model": "res_unet", "padding": "valid", "dropout": 0.2, "depth": 2}
    assert Recipe.from_dict(flat) == Recipe(model={"name": "res_unet", "depth": 2})


def test_options_win_over_fields():
    flat = {"filters": 4, "model_options": {"filters": 8}, "class_weights": [1, 2]}
    flat["target_options"] = {"class_weights": [3, 4]}
    recipe = Recipe.from_dict(flat)
    assert (recipe.model["filters"], recipe.target["class_weights"]) == (8, [1, 2])
    assert Recipe.from_dict({**flat, "class_weights": None}).target["class_weights"] == [3, 4]


def test_augmentation_is_switched_off():
    assert Recipe.from_dict({"steps": 5, "augmentation": None}).augmentation is None


ILL_VALUES = [
    ({"model": "unett"}, "did you mean 'unet'"),
    ({"model_options": 3}, "model_options must be a mapping of options"),
    ({"model_options": {"kernel": 3}}, "unknown model argument 'kernel'"),
    ({"target_options": {"wieghts": 3}}, "did you mean 'weights'"),
    ({"steps": -1}, "run.steps must be at least 1"),
    ({"steps": 1, "stepz": 3}, "did you mean 'steps'"),
]


@pytest.mark.parametrize(("values", "message"), ILL_VALUES)
def test_ill_values(values, message):
    with pytest.raises(ValueError, match=message):
        Recipe.from_dict(values)
