"""Every example script runs in its quick form; what it prints is a table."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

import keras_unet

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
SCRIPTS = {
    "ablation": {"whole", "no context"},
    "reproduce_cell_tracking": {"dic_seeds, 1 net(s), d4"},
    "reproduce_isbi2012": {"slices 0-1", "all folds", "floor", "paper, secret test"},
    "small_data": {"2 slices, elastic", "2 slices, none"},
    "story": {"sliding window", "sliding window, as windows", "U-Net"},
    "train_nuclei": {"held-out images", "Otsu and watershed"},
    "volumes": {"unet, 2 filters"},
}

OPTIONS = {
    "ablation": ["--only", "whole"],
    "reproduce_isbi2012": ["--folds", "2"],
    "story": ["--only", "sliding window", "U-Net"],
}
"""One of each kind is trained; that the other rows can be is tested below, by their recipes."""


QUICK = [
    pytest.param(name, marks=[pytest.mark.slow] if name in ("story", "volumes") else [])
    for name in SCRIPTS
]
"""The others train the same way; parts of these two are tested below."""


@pytest.mark.parametrize("name", QUICK)
def test_quick(name, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    script = importlib.import_module(name)
    arguments = ["--quick", "--out", str(tmp_path), *OPTIONS.get(name, [])]
    rows = script.main(arguments)
    assert SCRIPTS[name] <= set(rows)
    text = (tmp_path / "results.md").read_text()
    assert all(f"| {row} |" in text for row in rows)
    stamps = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("model.keras")}
    assert stamps
    assert script.main(arguments) == rows  # nothing is trained again
    assert stamps == {file: file.stat().st_mtime_ns for file in tmp_path.rglob("model.keras")}


@pytest.mark.parametrize("name", ["ablation", "small_data"])
def test_every_row_is_a_recipe(name, monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    script = importlib.import_module(name)
    recipe = keras_unet.Recipe.from_file(EXAMPLES / "recipes" / "em_small.yaml")
    rows = getattr(script, "CHANGES", None) or script.AUGMENTATIONS
    changed = [recipe.override(changes) for changes in rows.values()]
    assert changed[0] == recipe
    assert all(row != recipe for row in changed[1:])


def test_every_row_of_the_story_is_a_recipe(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    script = importlib.import_module("story")
    recipe = keras_unet.Recipe.from_file(EXAMPLES / "recipes" / "story.yaml")
    for row, changes in script.MODELS.items():
        name = changes[0].removeprefix("model.name=")
        assert recipe.override(changes).model["name"] == name, row


@pytest.mark.slow
def test_border_weights_are_ablated(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    script = importlib.import_module("reproduce_cell_tracking")
    recipe = EXAMPLES / "recipes" / "dic_classes.yaml"
    rows = script.main(["--quick", "--out", str(tmp_path), "--recipe", str(recipe), "--ablate"])
    assert set(rows) == {
        "dic_classes, 1 net(s), d4",
        "dic_classes, no border weights, 1 net(s), d4",
    }
    masks = tmp_path / "data" / "dic_classes" / "masks, 1 net(s), d4"
    assert [file.name for file in sorted(masks.iterdir())] == ["mask000.tif", "mask001.tif"]


def test_instances_of_a_volume(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    script = importlib.import_module("volumes")
    arguments = ["--quick", "--out", str(tmp_path), "--data-kind", "instances"]
    (row,) = script.main([*arguments, "--set", "augmentation=null"]).values()
    assert {"parameters", "seg", "ap50"} <= set(row)
    assert (tmp_path / "quick" / "unet_2" / "held_out.png").is_file()


def test_volumes_are_cut_and_models_matched(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    script = importlib.import_module("volumes")
    (first,), (last,) = script.quick_parts("instances")
    assert (first.shape, last.shape) == ((14, 20, 18), (14, 10, 18))
    recipe = keras_unet.Recipe(model={"filters": 3, "depth": 1})
    monkeypatch.setattr(
        script,
        "parameters",
        lambda one, _: (100, 40)[one.model["name"] != "unet"] * one.model["filters"] ** 2,
    )
    assert script.with_model(recipe, "res_unet", first, match=True).model["filters"] == 5
    assert script.with_model(recipe, "res_unet", first, match=False).model["filters"] == 3
    with pytest.raises(FileNotFoundError, match=r"none of raw\.tif, img3d\.tif"):
        script.read_parts(EXAMPLES, "instances")


@pytest.mark.parametrize(
    "path", sorted((EXAMPLES / "recipes").glob("*.yaml")), ids=lambda p: p.stem
)
def test_recipe_is_read(path):
    assert keras_unet.Recipe.from_file(path).run.steps > 0
    assert path.read_text().splitlines()[1:3].count("format: 2") == 1


def test_data_are_asked_for(capsys, monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    script = importlib.import_module("ablation")
    with pytest.raises(SystemExit):
        script.main([])
    assert "folder of the data is needed" in capsys.readouterr().err


def test_every_script_is_tested():
    scripts = {path.stem for path in EXAMPLES.glob("*.py")} - {"experiments", "quickstart"}
    assert scripts == set(SCRIPTS)
