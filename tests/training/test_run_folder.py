from __future__ import annotations

import pytest

from keras_unet.errors import UsageError
from keras_unet.training.checkpoint import TrainingState
from keras_unet.training.recipe import Recipe
from keras_unet.training.run_folder import open_run

pytestmark = pytest.mark.core

RECIPE = Recipe(run={"steps": 10})


def begun(folder, recipe=RECIPE, samples="abc"):
    """A run folder with a checkpoint at step 5."""
    _, meta = open_run(folder, recipe, samples)
    TrainingState(step=5, meta=meta).save(folder / "checkpoint")
    return folder


def test_new_folder_gets_the_recipe(tmp_path):
    checkpoint, meta = open_run(tmp_path / "a" / "b", RECIPE, "abc")
    assert checkpoint is None
    assert Recipe.from_file(tmp_path / "a" / "b" / "recipe.yaml") == RECIPE
    assert meta == {"recipe": RECIPE.to_dict(), "samples": "abc"}


@pytest.fixture
def file_limit():
    """Sets the largest file in bytes, as `ulimit -f` does, for this test."""
    resource = pytest.importorskip("resource")  # not on Windows
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_recipe_that_cannot_be_written(tmp_path, file_limit):
    file_limit(100)
    with pytest.raises(UsageError, match=r"run cannot be written \(File too large") as caught:
        open_run(tmp_path / "run", RECIPE, "abc")
    assert "choose another --out, or make room" in caught.value.command_line
    assert list((tmp_path / "run").iterdir()) == []


@pytest.mark.parametrize("resume", ["auto", True])
def test_same_run_goes_on(tmp_path, resume):
    checkpoint, _ = open_run(begun(tmp_path), RECIPE, "abc", resume)
    assert checkpoint.step == 5


def test_other_recipe_goes_on_when_told(tmp_path):
    longer = RECIPE.replace(run={"steps": 20})
    checkpoint, meta = open_run(begun(tmp_path), longer, "other", resume=True)
    assert checkpoint.step == 5
    assert meta["recipe"]["run"]["steps"] == 20
    assert Recipe.from_file(tmp_path / "recipe.yaml") == longer


def test_start_over_deletes_the_run_only(tmp_path):
    begun(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "model.keras").write_text("old")
    (tmp_path / "segmenter.json").write_text("{}")
    checkpoint, _ = open_run(tmp_path, RECIPE, "abc", resume=False)
    assert checkpoint is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes.txt", "recipe.yaml"]


def test_recipe_without_checkpoint_may_change(tmp_path):
    RECIPE.save(tmp_path / "recipe.yaml")  # killed before its first checkpoint
    checkpoint, _ = open_run(tmp_path, RECIPE.replace(run={"seed": 4}), "abc")
    assert checkpoint is None


ILL_RUNS = [
    (
        {"recipe": RECIPE.replace(run={"steps": 20, "seed": 4})},
        r"run.steps: 10 there, 20 here; run.seed: 0 there, 4",
    ),
    ({"samples_checksum": "xyz"}, r"other samples.*resume=False"),
    ({"resume": "always"}, "resume must be one of"),
]


@pytest.mark.parametrize(("changes", "message"), ILL_RUNS)
def test_ill_runs(tmp_path, changes, message):
    arguments = {"recipe": RECIPE, "samples_checksum": "abc", **changes}
    with pytest.raises(ValueError, match=message):
        open_run(begun(tmp_path), **arguments)


def test_a_run_whose_recipe_cannot_be_read(tmp_path):
    meta = {"recipe": {"run": {"steps": "many"}}, "samples": "abc"}
    TrainingState(step=5, meta=meta).save(tmp_path / "checkpoint")
    with pytest.raises(UsageError, match=r"recipe cannot be read \(run\.steps") as caught:
        open_run(tmp_path, RECIPE, "abc")
    assert "--resume no" in caught.value.command_line


def test_what_was_left_unfinished_is_removed(tmp_path):
    begun(tmp_path)
    left = tmp_path / "checkpoint" / f".step-00000009-4711-{'a' * 32}.npz"
    left.touch()
    open_run(tmp_path, RECIPE, "abc")
    assert not left.exists()


def test_what_cannot_be_deleted_is_said(tmp_path):
    begun(tmp_path / "other")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "checkpoint").symlink_to(tmp_path / "other" / "checkpoint")
    with pytest.raises(OSError, match="symbolic link"):
        open_run(tmp_path / "run", RECIPE, "abc", resume=False)


def test_nothing_to_resume(tmp_path):
    with pytest.raises(ValueError, match="has no checkpoint to go on from"):
        open_run(tmp_path, RECIPE, "abc", resume=True)


def test_a_model_without_checkpoint_is_not_overwritten(tmp_path):
    (tmp_path / "segmenter.json").write_text("{}")
    with pytest.raises(ValueError, match="holds a model without a checkpoint"):
        open_run(tmp_path, RECIPE, "abc")


@pytest.mark.parametrize(
    "stored",
    [
        {"steps": 10, "filters": 32, "model_options": {}, "class_weights": None},  # format 1
        {"run": {"steps": 10}},
    ],
)
def test_a_run_of_an_earlier_version_goes_on(stored, tmp_path):
    """Flat recipes are migrated; fields that came later had what is now their default."""
    meta = {"recipe": stored, "samples": "abc"}
    TrainingState(step=5, meta=meta).save(tmp_path / "checkpoint")
    checkpoint, _ = open_run(tmp_path, RECIPE, "abc")
    assert checkpoint.step == 5
    with pytest.raises(ValueError, match=r"images\.resolution: 1\.0 there, 0\.5 here"):
        open_run(tmp_path, RECIPE.replace(images={"resolution": 0.5}), "abc")
