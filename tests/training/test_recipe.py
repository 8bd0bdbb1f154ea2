from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import fields

import pytest
import yaml

from keras_unet.training.recipe import FIXED, Recipe
from keras_unet.training.recipe_groups import ModelOptions, RunOptions

pytestmark = pytest.mark.core

GROUPS = ["model", "target", "images", "augmentation", "batches", "optimizer", "run"]


def test_default_is_same_with_batch_norm_and_adamw():
    recipe = Recipe()
    assert recipe.model == {
        "name": "unet",
        "filters": 32,
        "depth": 4,
        "padding": "same",
        "normalization": "batch",
        "dropout": 0,
    }
    assert recipe.target == {"name": "classes"}
    assert recipe.augmentation == {}
    assert (recipe.optimizer.name, recipe.optimizer.schedule) == ("adamw", "cosine")
    assert recipe.batches.size >= 4  # batch normalization


def test_paper():
    recipe = Recipe.paper(run={"steps": 7})
    shown = [recipe.model[name] for name in ("filters", "depth", "padding", "normalization")]
    assert shown == [64, 4, "valid", None]
    assert recipe.target["class_weights"] == "balanced"
    assert (recipe.batches.tile, recipe.batches.size) == (572, 1)
    assert (recipe.optimizer.name, recipe.optimizer.momentum) == ("sgd", 0.99)
    assert recipe.augmentation == {"grid": 3, "sigma": 10.0}
    assert (recipe.run.steps, recipe.run.validate_every) == (7, 500)


RECIPES = [
    Recipe(),
    Recipe.paper(),
    Recipe(target={"class_weights": [0.5, 2, 1]}, augmentation=None, run={"jit_compile": False}),
    Recipe(images={"resolution": [2.5, 1, 1]}, batches={"tile": [16, 32, 32]}),
    Recipe(images={"normalization": {"mode": "percentile", "low": 2}}),
    Recipe(optimizer={"learning_rate": 1e-5}, target={"weights": {"w0": 5.0}}),
    Recipe(model={"name": "res_unet", "shortcut": "identity"}, target={"name": "seeds"}),
    Recipe(augmentation={"flip": (True, False), "scale": (0.8, 1.2)}),
]


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("suffix", ["yaml", "yml", "json"])
def test_file_round_trip(recipe, suffix, tmp_path):
    path = tmp_path / f"recipe.{suffix}"
    recipe.save(path)
    assert Recipe.from_file(path) == recipe


@pytest.mark.parametrize("recipe", RECIPES)
def test_dict_round_trip(recipe):
    values = recipe.to_dict()
    assert list(values) == ["format", *GROUPS]
    assert Recipe.from_dict(json.loads(json.dumps(values))) == recipe
    values["model"]["filters"] = 1
    (values["augmentation"] or {})["sigma"] = 1
    assert Recipe.from_dict(recipe.to_dict()) == recipe  # what it gave was a copy


def test_yaml_explains_every_field(tmp_path):
    recipe = Recipe(
        model={"name": "fcn", "units": 16}, target={"min_size": 3}, augmentation={"sigma": 4}
    )
    recipe.save(tmp_path / "recipe.yaml")
    lines = (tmp_path / "recipe.yaml").read_text().splitlines()
    assert lines[0] == "format: 2"
    assert max(map(len, lines)) <= 100
    explained = [row for row, line in enumerate(lines) if ":" in line and "#" not in line][1:]
    assert len(explained) == len(GROUPS) + len(recipe.by_path()) - 1
    for row in explained:
        indent = len(lines[row]) - len(lines[row].lstrip())
        assert lines[row - 1].startswith(" " * indent + "# ") or "name:" in lines[row]
    (units,) = [row for row in explained if "units:" in lines[row]]
    assert "Channels of the two fully connected layers." in lines[units - 1]


def test_describe_has_every_field_in_order():
    notes = Recipe.describe()
    assert [path for path in notes if "." not in path] == GROUPS
    for group, cls in {**FIXED, "model": ModelOptions}.items():
        described = [path for path in notes if path.startswith(f"{group}.")]
        assert described == [f"{group}.{item.name}" for item in fields(cls)]
    assert all(note.endswith(".") for note in notes.values())


def test_yaml_number_without_point(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text("optimizer: {learning_rate: 1e-3}\n")  # a text for YAML 1.1
    assert Recipe.from_file(path).optimizer.learning_rate == 0.001


def test_empty_file_is_the_default(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text("# nothing\n")
    assert Recipe.from_file(path) == Recipe()


def test_nested_options_become_plain_copies():
    given = {"scale": (0.8, 1.2)}
    recipe = Recipe(augmentation=given)
    assert recipe.augmentation == {"scale": [0.8, 1.2]}
    assert given == {"scale": (0.8, 1.2)}
    assert isinstance(Recipe(model={"dropout": 0}).model["dropout"], float)


def test_a_group_may_be_the_object():
    assert Recipe(run=RunOptions(steps=3)) == Recipe(run={"steps": 3})


def test_an_architecture_gets_only_the_defaults_that_it_takes():
    assert Recipe(model={"name": "res_unet", "depth": 3}).model == {
        "name": "res_unet",
        "filters": 32,
        "depth": 3,
        "normalization": "batch",
    }
    sliding = Recipe(model={"filters": 5, "dropout": 0.1}).replace(model={"name": "sliding_window"})
    assert sliding.model == {
        "name": "sliding_window",
        "filters": 5,
        "normalization": "batch",
        "dropout": 0.1,
    }
    assert sliding.replace(model={"name": "unet"}).model == {
        **Recipe().model,
        "filters": 5,
        "dropout": 0.1,
    }


OVERRIDES = [
    ("run.steps=500", "run", {"steps": 500}),
    ("augmentation.sigma=5", "augmentation", {"sigma": 5.0}),
    ("augmentation.scale=0.8,1.2", "augmentation", {"scale": [0.8, 1.2]}),
    ("augmentation.flip=[true, false]", "augmentation", {"flip": [True, False]}),
    ("augmentation=null", "augmentation", None),
    ("augmentation=none", "augmentation", None),
    ("augmentation={sigma: 5}", "augmentation", {"sigma": 5}),
    ("batches.tile=16,32", "batches", {"tile": [16, 32]}),
    ("batches.tile=none", "batches", {"tile": None}),
    ("target.class_weights=[1, 2]", "target", {"class_weights": [1, 2]}),
    ("target.weights=none", "target", {"weights": None}),
    ("model.padding=valid", "model", {"padding": "valid"}),
    ("model.normalization=none", "model", {"normalization": None}),
    ("images.normalization=none", "images", {"normalization": "none"}),
    ("optimizer.learning_rate=3e-4", "optimizer", {"learning_rate": 0.0003}),
    ("run.jit_compile=none", "run", {"jit_compile": None}),
]


@pytest.mark.parametrize(("text", "group", "change"), OVERRIDES)
def test_override(text, group, change):
    assert Recipe().override([text]) == Recipe(**{group: change})


def test_override_of_several_fields():
    recipe = Recipe(augmentation=None).override(
        ["augmentation.grid=4", "augmentation.sigma=5", " run.steps =500", "run.seed=1"]
    )
    assert recipe.augmentation == {"grid": 4, "sigma": 5}
    assert (recipe.run.steps, recipe.run.seed) == (500, 1)
    assert Recipe().override(["augmentation=none", "augmentation.sigma=5"]).augmentation == {
        "sigma": 5
    }


def test_replace_and_differences():
    recipe = Recipe(target={"min_size": 5}, augmentation={"sigma": 4})
    other = recipe.replace(run={"steps": 3, "seed": 1}, target={"threshold": 0.4})
    assert other.target == {"name": "classes", "min_size": 5, "threshold": 0.4}
    assert other.augmentation == {"sigma": 4}
    assert recipe.differences(other) == {
        "target.threshold": (None, 0.4),
        "run.steps": (2000, 3),
        "run.seed": (0, 1),
    }
    assert recipe.differences(recipe.replace()) == {}
    assert recipe.differences(recipe.replace(augmentation=None)) == {
        "augmentation.sigma": (4, None)
    }


UNKNOWN = [
    ({"augmentation": {"sgima": 5}}, r"unknown augmentation argument 'sgima' \(did you mean 'sigm"),
    ({"augmentation": {"qqq": 5}}, "unknown augmentation argument 'qqq'; there are grid, sigma"),
    ({"model": {"filterz": 3}}, r"unknown model argument 'filterz' of 'unet' \(did you mean 'fil"),
    ({"model": {"name": "res_unet", "padding": "same"}}, "argument 'padding' of 'res_unet'; there"),
    ({"model": {"name": "unet", "dtype": "float32"}}, "unknown model argument 'dtype'"),
    ({"model": {"name": "unett"}}, r"model.name must be one of .* \(did you mean 'unet'\?\)"),
    ({"target": {"min_sise": 3}}, r"argument 'min_sise' of 'classes' \(did you mean 'min_size'"),
    ({"target": {"name": "seedz"}}, r"target.name must be one of .* \(did you mean 'seeds'"),
    ({"images": {"resolutoin": 2}}, r"unknown images argument 'resolutoin' \(did you mean 'resol"),
    ({"images": {"normalization": "zscor"}}, r"must be one of .* \(did you mean 'zscore'\?\)"),
    (
        {"images": {"normalization": {"hgih": 99}}},
        r"images.normalization argument 'hgih' \(did",
    ),
    ({"batches": {"tiel": 3}}, r"unknown batches argument 'tiel' \(did you mean 'tile'\?\)"),
    ({"optimizer": {"learning_rte": 1}}, r"'learning_rte' \(did you mean 'learning_rate'\?\)"),
    ({"optimizer": {"name": "adamv"}}, r"optimizer.name must be .* \(did you mean 'adamw'\?\)"),
    ({"run": {"stepz": 3}}, r"unknown run argument 'stepz' \(did you mean 'steps'\?\)"),
    ({"run": {"monitor": "mean_iuo"}}, r"run.monitor must be one of .* \(did you mean 'mean_iou'"),
    ({"run": {"monitor": "pixel_error"}}, "run.monitor must be one of"),  # the lowest is the best
    ({"run": {"strategy": "mirorred"}}, r"run.strategy must be .* \(did you mean 'mirrored'\?\)"),
    ({"run": {"precision": "float16"}}, r"run.precision must be .* \(did you mean '"),
    ({"runs": {}}, r"unknown recipe group 'runs' \(did you mean 'run'\?\)"),
    ({"run": {}, "stepz": 5}, r"unknown recipe group 'stepz' \(did you mean 'run.steps'\?\)"),
    ({"format": 2, "steps": 5}, r"unknown recipe group 'steps' \(did you mean 'run.steps'\?\)"),
    ({"qqq": 1}, "unknown recipe group 'qqq'; there are model, target, images"),
    ({"format": 1, "learning_rte": 1}, r"'learning_rte' of format 1 \(did you mean 'learning_r"),
    ({"steps": 1, "qqq": 1}, "unknown recipe field 'qqq' of format 1; the fields are model, mod"),
    ({"steps": 1, "run": {}}, r"flat fields \(format 1\) or groups \(format 2\), not both.*run"),
    ({"format": 3}, "reads recipes of format 1 and 2. Received: format=3"),
]
ILL_VALUES = [
    ({"run": {"steps": 0}}, "run.steps must be at least 1. Received: run.steps=0"),
    ({"run": {"steps": 2.5}}, "run.steps must be a whole number"),
    ({"run": {"steps": True}}, "run.steps must be a whole number"),
    ({"run": {"steps": None}}, "run.steps must be a whole number"),
    ({"run": {"tensorboard": 1}}, "run.tensorboard must be true or false"),
    ({"run": 5}, "run must be a mapping of its fields. Received: 5"),
    (
        {"batches": {"tile": "big"}},
        "a whole number or a list of whole numbers or null",
    ),
    ({"batches": {"tile": [16, 0]}}, r"tile must be at least 1. Received: batches.tile=\[16, 0\]"),
    ({"batches": {"tile": [16, 3.5]}}, "tile must be a whole number or a list"),
    ({"batches": {"tile": [16, True]}}, "tile must be a whole number or a list"),
    ({"batches": {"tile": []}}, "tile must be a whole number or a list"),
    ({"images": {"resolution": [1, 9]}}, "images.resolution must be between 0.05 and 8.0"),
    ({"images": {"resolution": 0.01}}, "between 0.05 and 8.0. Received: images.resolution=0.01"),
    ({"images": {"resolution": "half"}}, "images.resolution must be a number"),
    ({"images": {"normalization": None}}, "images.normalization must be a text or a mapping"),
    ({"images": {"normalization": {"low": 99.9}}}, "low and high must be percentiles"),
    ({"optimizer": {"learning_rate": 0}}, "learning_rate must be positive"),
    ({"optimizer": {"learning_rate": float("nan")}}, "learning_rate must be a number"),
    ({"optimizer": {"learning_rate": "fast"}}, "learning_rate must be a number"),
    ({"optimizer": {"gradient_clip": -1}}, "gradient_clip must be positive"),
    ({"format": 2, "model": "res_unet"}, "model must be a mapping of its name and its arg"),
    ({"model": {"filters": 0}}, "model.filters must be at least 1. Received: model.filters=0"),
    ({"model": {"filters": "wide"}}, "model.filters must be a whole number"),
    ({"model": {"dropout": 1.0}}, "model.dropout must be between 0 and 0.99"),
    ({"model": {"depth": 13}}, "model.depth must be between 0 and 12"),
    ({"model": {"padding": "reflect"}}, "model.padding must be one of"),
    ({"model": {"normalization": "layer"}}, "model.normalization must be one of"),
    ({"model": {"kernel_size": 4}}, "model: kernel_size must be odd"),
    ({"model": {"convs_per_level": "two"}}, "model.convs_per_level must be a whole number"),
    ({"model": {"padding": "valid", "upsampling": "bilinear"}}, "use it with padding='same'"),
    ({"model": {"activation": "rleu"}}, "model: .*rleu"),
    ({"model": {"name": "res_unet_a", "window": 33}}, "model: window must be a multiple of 32"),
    ({"model": {"name": "fcn", "units": 0}}, "model: units must be a positive integer"),
    ({"model": {"name": "fcn", "units": True}}, "model.units must be a whole number or null"),
    ({"target": {"class_weights": "auto"}}, 'must be numbers, or "balanced"'),
    ({"target": {"class_weights": []}}, "target.class_weights must be"),
    ({"target": {"class_weights": [1, "x"]}}, "target.class_weights must be"),
    ({"target": {"name": "seeds", "class_weights": "balanced"}}, '"balanced" for a target of cla'),
    ({"target": {"num_classes": 3, "class_weights": [1, 2]}}, "class_weights needs 3 numbers"),
    ({"target": {"threshold": 2}}, "target: threshold must be between 0 and 1"),
    ({"target": {"weights": "papr"}}, "target: preset must be one of"),
    ({"target": {"weights": {"w1": 3}}}, "target: weights may be one of"),
    ({"target": {"min_size": "small"}}, "target.min_size must be a whole number"),
    ({"target": {"name": "seeds", "clip": 0}}, "target: clip must be at least 1 pixel"),
    ({"augmentation": True}, "augmentation must be a mapping of arguments"),
    ({"augmentation": {"sigma": object()}}, "augmentation.sigma must be a number or a list"),
    ({"augmentation": {"flip": [object()]}}, "augmentation.flip must hold plain values"),
    ({"augmentation": {"sigma": -1}}, "augmentation: sigma must be a number >= 0"),
    ({"augmentation": {"scale": [1, 2, 3]}}, "augmentation.scale must be a number or a list"),
    ({"augmentation": {"resampling": "lanczos"}}, "augmentation: resampling must be one of"),
]


@pytest.mark.parametrize(("values", "message"), [*UNKNOWN, *ILL_VALUES])
def test_what_does_not_fit_is_refused_at_birth(values, message):
    with pytest.raises(ValueError, match=message) as caught:
        Recipe.from_dict(values)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("values", ["steps", [1], 3])
def test_a_recipe_is_a_mapping(values):
    with pytest.raises(ValueError, match="a recipe must be a mapping"):
        Recipe.from_dict(values)


ILL_FILES = [
    ("a.yaml", "run: {steps: -1}"),
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


@pytest.mark.parametrize("version", ["0", "-5", "3", ".inf", "true", "'2'", "2.0", "null", "[2]"])
def test_a_format_is_one_that_is_known(version, tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(f"format: {version}\nrun: {{steps: 5}}")
    with pytest.raises(ValueError, match=r"a\.yaml: this version reads recipes of format 1 and 2"):
        Recipe.from_file(path)


TOO_LARGE = [
    *("model.filters=65537", "model.filters=10000000000", "model.kernel_size=1000"),
    *("model.convs_per_level=65", "batches.tile=65537", "batches.tile=[64,99999]"),
    *("batches.size=1e5", "batches.size=70000", "run.steps=1000000001", "run.seed=-1"),
    *("run.seed=4294967296", "run.patience=10000000000", "run.validate_every=9999999999"),
    *("optimizer.learning_rate=1e31", "optimizer.gradient_clip=1e38", "optimizer.weight_decay=1e9"),
    *("augmentation.grid=257", "augmentation.sigma=[1,1e9]", "augmentation.blur=-1e9"),
    *("target.num_classes=65537", "target.min_size=1000000001", "target.weights={w0: 99999999999}"),
    *("target.connectivity=70000", "images.resolution=9", "run.checkpoint_minutes=-1"),
]


@pytest.mark.parametrize("text", TOO_LARGE)
def test_every_number_has_an_end(text):
    with pytest.raises(ValueError, match=r"^.{,1200}$") as caught:
        Recipe().override([text])
    assert text.partition("=")[0].rpartition(".")[2] in str(caught.value)


def test_numbers_that_never_end_are_none():
    cycle: list = []
    cycle.append(cycle)
    for group in ("model", "target", "augmentation"):
        with pytest.raises(ValueError, match="must hold plain values"):
            Recipe(**{group: {"spacing" if group != "model" else "filters": cycle}})


def test_messages_do_not_grow_with_what_was_given():
    deep: list = []
    for _ in range(5000):
        deep = [deep]
    many = list(range(5000))
    for group in ("model", "target", "images", "augmentation", "batches", "optimizer", "run"):
        for given in (many, "x" * 5000, {"x" * 5000: 1}, {"name": many}, {"name": deep}):
            with pytest.raises(ValueError, match=r"^.{,1200}$"):
                Recipe(**{group: given})
    for field in ("run.steps", "images.resolution", "batches.tile", "optimizer.name"):
        for text in ("x" * 5000, f"[{'x,' * 3000}]", f"[{'1,' * 20000}]", "[" * 200):
            with pytest.raises(ValueError, match=r"^.{,1200}$"):
                Recipe().override([f"{field}={text}"])


ILL_OVERRIDES = [
    ("run.steps", "expected group.field=value"),
    ("run.steps.x=1", "unknown run argument 'steps.x'"),
    ("run=1", "run must be a mapping"),
    ("rum.steps=1", r"unknown recipe group 'rum.steps' \(did you mean 'run'\?\)"),
    ("steps=1", r"unknown recipe group 'steps' \(did you mean 'run.steps'\?\)"),
    ("augmentation.sigma=&a [*a]", "augmentation.sigma=.*stands within itself"),
    ("augmentation.sigma=[1", r"augmentation.sigma=\[1: "),
]


@pytest.mark.parametrize(("text", "message"), ILL_OVERRIDES)
def test_ill_overrides(text, message):
    with pytest.raises(ValueError, match=message):
        Recipe().override([text])


def test_a_wrong_group_is_refused_by_replace():
    with pytest.raises(ValueError, match=r"unknown recipe group 'seed' \(did you mean 'run.seed'"):
        Recipe().replace(seed=1)


WITHOUT_KERAS = """
import sys
import keras_unet as ku
recipe = ku.Recipe(model={"filters": 16}, target={"name": "seeds", "clip": 9}, run={"steps": 5})
assert ku.Recipe.from_dict({"steps": 5, "padding": "valid"}).run.steps == 5
recipe.save(sys.argv[1])
assert ku.Recipe.from_file(sys.argv[1]) == recipe
print({"keras", "tensorflow"} & set(sys.modules))
"""


def test_the_usual_recipe_needs_no_keras(tmp_path):
    path = str(tmp_path / "recipe.yaml")
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_KERAS, path], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
    assert yaml.safe_load((tmp_path / "recipe.yaml").read_text())["target"]["clip"] == 9


def test_the_seed_target_was_spelled_otherwise_in_format_1():
    recipe = Recipe.from_dict({"target": "seeds", "target_options": {"normalisation": "clip"}})
    assert recipe.target == {"name": "seeds", "normalization": "clip"}
