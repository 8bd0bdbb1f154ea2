"""Every field of a recipe is an option by its path, the usual ones by a short name."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

import keras_unet as ku
from keras_unet.commands.recipe_options import SHORT, RecipeCommand, with_recipe
from keras_unet.targets.registry import MODULES
from keras_unet.training.recipe import FIXED
from keras_unet.training.recipe_objects import NOT_OPTIONS

app = typer.Typer()
found: list[ku.Recipe] = []


@app.callback()
def main() -> None:
    """Makes the command below one of several."""


@app.command(cls=RecipeCommand)
@with_recipe
def show(recipe: ku.Recipe, place: str = typer.Argument("here")) -> None:
    """Keeps the recipe."""
    found.append(recipe)
    typer.echo(place)


def recipe_of(*arguments: object) -> ku.Recipe:
    result = CliRunner().invoke(app, ["show", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    return found[-1]


CASES = [
    ((), {}),
    (("--filters", 8, "--depth", 2), {"model": {"filters": 8, "depth": 2}}),
    (
        ("--normalization", "none", "--padding", "valid", "--dropout", "0.5"),
        {"model": {"normalization": None, "padding": "valid", "dropout": 0.5}},
    ),
    (("--model", "fcn", "--model.units", 16), {"model": {"name": "fcn", "units": 16}}),
    (("--model.kernel-size", 5), {"model": {"kernel_size": 5}}),
    (("--target", "seeds", "--target.clip=9"), {"target": {"name": "seeds", "clip": 9}}),
    (("--target.weights", "none"), {"target": {"weights": None}}),
    (("--target.weights", "{w0: 5, sigma: 3}"), {"target": {"weights": {"w0": 5, "sigma": 3}}}),
    (("--target.class_weights", "1,2"), {"target": {"class_weights": [1, 2]}}),
    (
        ("--augmentation.sigma", 5, "--augmentation.offset", "-0.1,0.2"),
        {"augmentation": {"sigma": 5, "offset": [-0.1, 0.2]}},
    ),
    (("--augmentation", "none"), {"augmentation": None}),
    (("--tile", "16,32", "--batch-size", 3), {"batches": {"tile": [16, 32], "size": 3}}),
    (
        ("--tile", "none", "--sampling", "area", "--foreground-fraction", 0.5),
        {"batches": {"sampling": "area", "foreground_fraction": 0.5}},
    ),
    (("--resolution", "2,1,1"), {"images": {"resolution": [2, 1, 1]}}),
    (("--images.normalization", "none"), {"images": {"normalization": "none"}}),
    (
        ("--learning-rate", "3e-4", "--optimizer.ema", 0),
        {"optimizer": {"learning_rate": 3e-4, "ema": 0}},
    ),
    (
        ("--steps", 9, "--validate-every", 3, "--seed", 4, "--precision", "mixed_bfloat16"),
        {"run": {"steps": 9, "validate_every": 3, "seed": 4, "precision": "mixed_bfloat16"}},
    ),
    (
        ("--strategy", "mirrored", "--monitor", "f1", "--patience", 2),
        {"run": {"strategy": "mirrored", "monitor": "f1", "patience": 2}},
    ),
    (
        ("--no-tensorboard", "--run.jit_compile", "false"),
        {"run": {"tensorboard": False, "jit_compile": False}},
    ),
    (("--tensorboard",), {}),
    (("--steps", 9, "--run.steps", 7), {"run": {"steps": 7}}),  # the path comes last
]


@pytest.mark.parametrize(("arguments", "groups"), CASES)
def test_options(arguments, groups):
    assert recipe_of(*arguments) == ku.Recipe(**groups)


def fields_that_may_be_none():
    """Paths of the fixed groups' fields, and of arguments of all classes that a recipe names."""
    for group, cls in FIXED.items():
        for name, note in inspect.get_annotations(cls).items():
            if "None" in str(note):
                yield group, name, ()
    for name in MODULES:
        taken = may_be_none(ku.targets.get(name))
        yield from (("target", one, ("--target", name)) for one in taken)
    for name in ku.models.list_models():
        taken = may_be_none(ku.models.get(name))
        yield from (("model", one, ("--model", name)) for one in taken)
    yield from (("augmentation", one, ()) for one in may_be_none(ku.data.Augmentation))


def may_be_none(cls):
    found = inspect.signature(cls).parameters.values()
    may_be = [one.name for one in found if "None" in str(one.annotation)]
    return [name for name in may_be if name not in NOT_OPTIONS]


@pytest.mark.parametrize(("group", "name", "of_class"), list(fields_that_may_be_none()))
def test_what_may_be_none_takes_none(group, name, of_class):
    for word in ("none", "None"):
        value = getattr(recipe_of(*of_class, f"--{group}.{name}", word), group)
        assert (value[name] if isinstance(value, dict) else getattr(value, name)) is None


def test_gradient_clip_has_a_short_option():
    assert recipe_of("--gradient-clip", "none").optimizer.gradient_clip is None
    assert recipe_of("--gradient-clip", 0.5).optimizer.gradient_clip == 0.5


def test_options_change_a_file(tmp_path):
    path = tmp_path / "recipe.yaml"
    ku.Recipe(model={"filters": 4}, augmentation={"sigma": 3, "grid": 4}).save(path)
    changed = recipe_of("--augmentation.sigma", 5, "--recipe", path, "--depth", 1)
    assert changed == ku.Recipe(
        model={"filters": 4, "depth": 1}, augmentation={"sigma": 5, "grid": 4}
    )


def test_paths_stand_anywhere_between_other_arguments():
    for arguments in (["--run.steps", "5", "there"], ["there", "--run.steps=5"]):
        result = CliRunner().invoke(app, ["show", *arguments])
        assert result.output == "there\n"
        assert found[-1].run.steps == 5


@pytest.mark.parametrize("arguments", [["--run.steps"], ["--stepz", "3"]])
def test_wrong_usage(arguments):
    result = CliRunner().invoke(app, ["show", *arguments])
    assert result.exit_code == 2
    assert arguments[0] in result.output


def test_every_short_option_has_the_help_of_its_field():
    output = CliRunner().invoke(app, ["show", "--help"], env={"COLUMNS": "200"}).output
    words = re.sub(r"[^\w.,:]+", " ", output)
    for name, path in SHORT.items():
        assert f"--{name.replace('_', '-')} " in output
        start = ku.Recipe.describe()[path].split(".")[0]
        assert re.sub(r"[^\w.,:]+", " ", start)[:40] in words


HELP = """
import sys
from typer.testing import CliRunner
from keras_unet.commands.app import app
for arguments in (["train", "--help"], ["train", "x", "--out", "y", "--augmentation.sgima", "5"]):
    CliRunner().invoke(app, arguments)
print({"keras", "tensorflow"} & set(sys.modules))
"""


def test_help_and_a_typing_error_need_no_keras():
    done = subprocess.run([sys.executable, "-c", HELP], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
