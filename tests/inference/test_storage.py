"""Run folders: what is written, what is refused, and what is said about damage."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest

from keras_unet.inference import storage
from keras_unet.inference.storage import load_run, save_run

pytestmark = [pytest.mark.core, pytest.mark.backend]


@pytest.fixture(scope="module")
def model():
    inputs = keras.Input((None, None, 1))
    return keras.Model(inputs, keras.layers.Conv2D(2, 1)(inputs), name="small")


@pytest.fixture
def run(tmp_path, model):
    return save_run(tmp_path / "runs" / "a", model, {"answer": 42})


def test_round_trip(run, model):
    assert sorted(entry.name for entry in run.iterdir()) == ["model.keras", "segmenter.json"]
    loaded, config = load_run(str(run))
    assert config["answer"] == 42
    assert config["format_version"] == storage.FORMAT_VERSION
    assert config["versions"]["keras"] == keras.__version__
    for before, after in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


def test_other_files_of_a_run_are_kept(tmp_path, model):
    (tmp_path / "recipe.yaml").write_text("steps: 1")
    (tmp_path / "log.csv").write_text("step")
    save_run(tmp_path, model, {})
    save_run(tmp_path, model, {"answer": 43})
    assert load_run(tmp_path)[1]["answer"] == 43
    assert (tmp_path / "log.csv").read_text() == "step"


def test_a_failure_leaves_the_old_run(run, model, monkeypatch):
    def fail(path):
        path.write_bytes(b"half a")
        raise OSError("disk full")

    monkeypatch.setattr(model, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        save_run(run, model, {"answer": 43})
    assert sorted(entry.name for entry in run.iterdir()) == ["model.keras", "segmenter.json"]
    assert load_run(run)[1]["answer"] == 42


def test_old_formats_are_upgraded(run, monkeypatch):
    monkeypatch.setattr(storage, "FORMAT_VERSION", storage.FORMAT_VERSION + 2)
    upgrades = {
        storage.FORMAT_VERSION - 2: lambda config: {**config, "answer": config["answer"] + 1},
        storage.FORMAT_VERSION - 1: lambda config: {**config, "answer": config["answer"] * 2},
    }
    monkeypatch.setattr(storage, "UPGRADES", upgrades)
    assert load_run(run)[1]["answer"] == 86


def no_config(run):
    (run / "segmenter.json").unlink()


def no_model(run):
    (run / "model.keras").unlink()


def half_config(run):
    file = run / "segmenter.json"
    file.write_text(file.read_text()[:40])


def config_of_another_kind(run):
    (run / "segmenter.json").write_text("[1, 2]")


def half_model(run):
    file = run / "model.keras"
    file.write_bytes(file.read_bytes()[:1000])


def newer(run):
    config = json.loads((run / "segmenter.json").read_text())
    (run / "segmenter.json").write_text(json.dumps({**config, "format_version": 99}))


ILL_CASES = [
    (no_config, r"segmenter\.json is missing.*not the folder of a segmenter"),
    (no_model, r"model\.keras is missing; copy the whole folder"),
    (half_config, r"segmenter\.json is damaged"),
    (config_of_another_kind, r"segmenter\.json is damaged"),
    (half_model, r"model\.keras cannot be loaded.*copy or save it again"),
    (newer, r"format version 99.*upgrade keras_unet"),
]


@pytest.mark.parametrize(("damage", "message"), ILL_CASES)
def test_damaged_folders(run, damage, message):
    damage(run)
    with pytest.raises(ValueError, match=message):
        load_run(run)


@pytest.mark.parametrize(
    "version", ["0", "-5", "Infinity", "NaN", "true", '"2"', "1.5", "3.0", "null", "[3]", "1e400"]
)
def test_a_version_is_a_whole_number_from_1_on(run, version):
    (run / "segmenter.json").write_text(f'{{"format_version": {version}}}')
    with pytest.raises(ValueError, match=r"segmenter\.json is damaged \(its format_version is "):
        load_run(run)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("target", ["", ', "target": 5', ', "target": [{}]'])
def test_an_old_format_without_its_parts_is_damaged(run, version, target):
    (run / "segmenter.json").write_text(f'{{"format_version": {version}{target}}}')
    with pytest.raises(ValueError, match=r"segmenter\.json is damaged"):
        load_run(run)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 40 + "1" + "}" * 40, "\xff"])
def test_what_cannot_be_a_description_is_refused_by_name(run, text):
    (run / "segmenter.json").write_text(text, encoding="latin-1")
    with pytest.raises(ValueError, match=r"segmenter\.json is damaged"):
        load_run(run)


def test_missing_folder(tmp_path):
    with pytest.raises(ValueError, match="is missing"):
        load_run(tmp_path / "nowhere")


def test_foreign_folders_are_refused(tmp_path, model):
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(ValueError, match=r"choose a new folder.*thesis\.tex"):
        save_run(tmp_path, model, {})
    with pytest.raises(ValueError, match="a file"):
        save_run(tmp_path / "thesis.tex", model, {})
