from __future__ import annotations

from dataclasses import fields

import pytest

from keras_unet.training.recipe import Recipe

pytestmark = pytest.mark.core


def test_default_is_same_with_batch_norm_and_adamw():
    recipe = Recipe()
    assert (recipe.model, recipe.padding, recipe.normalization) == ("unet", "same", "batch")
    assert (recipe.optimizer, recipe.schedule) == ("adamw", "cosine")
    assert recipe.batch_size >= 4  # batch normalisation


def test_paper():
    recipe = Recipe.paper(steps=7)
    assert (recipe.filters, recipe.depth, recipe.padding) == (64, 4, "valid")
    assert (recipe.normalization, recipe.dropout) == (None, 0.5)
    assert (recipe.tile, recipe.batch_size) == (572, 1)
    assert (recipe.optimizer, recipe.momentum) == ("sgd", 0.99)
    assert recipe.augmentation == {"grid": 3, "sigma": 10.0}
    assert recipe.steps == 7


RECIPES = [
    Recipe(),
    Recipe.paper(),
    Recipe(class_weights=[0.5, 2], augmentation=None, tile=188, jit_compile=False),
    Recipe(resolution=0.25),
    Recipe(resolution=[2.5, 1, 1], tile=[16, 32, 32]),
    Recipe(learning_rate=1e-5, target_options={"weights": {"w0": 5.0}}, model_options={}),
]


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("suffix", ["yaml", "yml", "json"])
def test_file_round_trip(recipe, suffix, tmp_path):
    path = tmp_path / f"recipe.{suffix}"
    recipe.save(path)
    assert Recipe.from_file(path) == recipe


def test_yaml_explains_every_field(tmp_path):
    Recipe().save(tmp_path / "recipe.yaml")
    lines = (tmp_path / "recipe.yaml").read_text().splitlines()
    for item in fields(Recipe):
        (row,) = [i for i, line in enumerate(lines) if line.startswith(f"{item.name}:")]
        assert lines[row - 1].startswith("# ")


def test_describe_has_every_field_in_order():
    assert list(Recipe.describe()) == [item.name for item in fields(Recipe)]


def test_yaml_number_without_point(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text("learning_rate: 1e-3\n")  # a text for YAML 1.1
    assert Recipe.from_file(path).learning_rate == 0.001


def test_empty_file_is_the_default(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text("# nothing\n")
    assert Recipe.from_file(path) == Recipe()


def test_nested_options_become_plain_values():
    recipe = Recipe(augmentation={"scale": (0.8, 1.2)})
    assert recipe.augmentation == {"scale": [0.8, 1.2]}


def test_whole_numbers_are_fine_for_floats():
    assert isinstance(Recipe(dropout=0).dropout, float)


def test_override():
    recipe = Recipe().override(
        ["steps=500", "augmentation.sigma=5", "tile=null", "class_weights=[1, 2]", "padding=valid"]
    )
    assert recipe.steps == 500
    assert recipe.augmentation == {"sigma": 5}
    assert recipe.class_weights == [1.0, 2.0]
    assert recipe.tile is None
    assert recipe.padding == "valid"


def test_override_of_options_that_are_off():
    recipe = Recipe(augmentation=None).override(["augmentation.grid=4"])
    assert recipe.augmentation == {"grid": 4}


def test_replace_and_differences():
    recipe = Recipe()
    other = recipe.replace(steps=3, seed=1)
    assert recipe.differences(other) == {"steps": (2000, 3), "seed": (0, 1)}
    assert recipe.differences(Recipe()) == {}


ILL_VALUES = [
    ({"steps": 0}, "steps must be at least 1. Received: steps=0"),
    ({"steps": 2.5}, "steps must be a whole number"),
    ({"steps": True}, "steps must be a whole number"),
    ({"steps": None}, "steps must be a whole number"),
    ({"tile": "big"}, "tile must be a whole number or a list of whole numbers or null"),
    ({"tile": [16, 0]}, r"tile must be at least 1. Received: tile=\[16, 0\]"),
    ({"tile": [16, 3.5]}, "tile must be a whole number or a list"),
    ({"tile": [16, True]}, "tile must be a whole number or a list"),
    ({"resolution": [1, 9]}, "resolution must be between 0.05 and 8.0"),
    ({"dropout": 1.0}, "dropout must be between 0 and 0.99"),
    ({"resolution": 0.01}, "resolution must be between 0.05 and 8.0. Received: resolution=0.01"),
    ({"resolution": 9}, "resolution must be between 0.05 and 8.0"),
    ({"resolution": "half"}, "resolution must be a number"),
    ({"learning_rate": 0}, "learning_rate must be positive"),
    ({"learning_rate": float("nan")}, "learning_rate must be a number"),
    ({"learning_rate": "fast"}, "learning_rate must be a number"),
    ({"gradient_clip": -1}, "gradient_clip must be positive"),
    ({"padding": "reflect"}, "padding must be one of"),
    ({"normalization": "layer"}, "normalization must be one of"),
    ({"optimizer": "adam"}, "optimizer must be one of"),
    ({"class_weights": "auto"}, "class_weights must be"),
    ({"class_weights": []}, "class_weights must be a text or a list of numbers or null"),
    ({"class_weights": [1, "x"]}, "class_weights must be"),
    ({"augmentation": True}, "augmentation must be a mapping of options or null"),
    ({"augmentation": {"sigma": object()}}, "augmentation must hold plain values"),
    ({"tensorboard": 1}, "tensorboard must be true or false"),
    ({"learning_rte": 1}, "did you mean 'learning_rate'"),
    ({"qqq": 1}, "unknown recipe field 'qqq'; the fields are"),
]


@pytest.mark.parametrize(("values", "message"), ILL_VALUES)
def test_ill_values(values, message):
    with pytest.raises(ValueError, match=message):
        Recipe.from_dict(values)


ILL_FILES = [
    ("a.yaml", "steps: -1"),
    ("b.yaml", "- steps"),
    ("c.yaml", "steps: [1"),
    ("d.json", "{"),
]


@pytest.mark.parametrize(("name", "text"), ILL_FILES)
def test_ill_files_are_named(name, text, tmp_path):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ValueError, match=name):
        Recipe.from_file(path)


ILL_OVERRIDES = [
    ("steps", "expected name=value"),
    ("steps.x=1", "steps holds no options"),
    ("stepz=1", "did you mean 'steps'"),
]


@pytest.mark.parametrize(("text", "message"), ILL_OVERRIDES)
def test_ill_overrides(text, message):
    with pytest.raises(ValueError, match=message):
        Recipe().override([text])
