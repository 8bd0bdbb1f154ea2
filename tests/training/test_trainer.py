from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import keras
import numpy as np
import pytest

import keras_unet as ku
from keras_unet.errors import UsageError
from keras_unet.files.lock import folder_lock
from keras_unet.sample import Sample
from keras_unet.training import Recipe, train
from keras_unet.training.checkpoint import checksum, latest_checkpoint

pytestmark = pytest.mark.core

TINY = Recipe(
    # the random numbers of dropout must be restored, too
    model={"filters": 2, "depth": 1, "dropout": 0.5},
    batches={"tile": 32, "size": 4},
    optimizer={"warmup": 0.2, "ema": 0.5},
    run={"steps": 7, "validate_every": 3, "tensorboard": False},
)


LEARNS = TINY.replace(
    model={"filters": 4, "normalization": None, "dropout": 0},
    optimizer={"learning_rate": 0.02, "schedule": "constant", "ema": 0.9},
    run={"steps": 90, "validate_every": 90},
)


def disks(seed=0, shape=(40, 52)):
    """Bright disks on a dark, noisy ground."""
    random = np.random.default_rng(seed)
    rows, cols = np.indices(shape)
    ids = np.zeros(shape, np.int32)
    for number, (row, col) in enumerate([(8, 9), (10, 34), (29, 14), (31, 42)], start=1):
        row, col = row + random.integers(-3, 4), col + random.integers(-3, 4)
        ids[(rows - row) ** 2 + (cols - col) ** 2 < 30] = number
    image = 60 + 120 * (ids > 0) + 20 * random.standard_normal(shape)
    return Sample(image[..., None].clip(0, 255).astype(np.uint8), ids, name=f"disks{seed}")


SAMPLES = [disks(seed) for seed in range(4)]


class At(keras.callbacks.Callback):
    """Calls a function after a number of steps of this session."""

    def __init__(self, step, function):
        super().__init__()
        self.left = step
        self.function = function

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if self.left == 0:
            self.function()


def read_log(folder):
    with open(folder / "log.csv", newline="") as file:
        return list(csv.DictReader(file))


def assert_same_run(one, other, interrupted=None):
    """Equal bit for bit: every variable of the last checkpoint, the log, the model that is kept.

    Training means of the row that was interrupted are those of the steps after it.
    """
    left, right = (latest_checkpoint(folder / "checkpoint") for folder in (one, other))
    assert left.step == right.step
    assert left.groups.keys() == right.groups.keys()
    for group in left.groups:
        for a, b in zip(left.groups[group], right.groups[group], strict=True):
            np.testing.assert_array_equal(a, b, err_msg=group)
    for index, (a, b) in enumerate(zip(left.history, right.history, strict=True)):
        names = set(a) - {"seconds"}
        if index == interrupted:
            names = {name for name in a if name.startswith("val_")} | {"step", "learning_rate"}
        assert {name: a[name] for name in names} == {name: b[name] for name in names}
    kept = [ku.Segmenter.load(folder).model.get_weights() for folder in (one, other)]
    for a, b in zip(*kept, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run without interruption."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    segmenter = train(SAMPLES, TINY, folder, validation=1, progress=False)
    return folder, segmenter


def test_run_folder(whole):
    folder, segmenter = whole
    names = ["checkpoint", "log.csv", "model.keras", "recipe.yaml", "segmenter.json"]
    assert sorted(path.name for path in folder.iterdir()) == names
    assert Recipe.from_file(folder / "recipe.yaml") == TINY
    rows = read_log(folder)
    assert [row["step"] for row in rows] == ["3", "6", "7"]  # the last part is shorter
    assert all(np.isfinite(float(row[key])) for row in rows for key in ("loss", "iou"))
    assert all(0 <= float(row["val_mean_iou"]) <= 1 for row in rows)
    assert isinstance(segmenter, ku.Segmenter)
    assert segmenter.normalization.mode == "percentile"


def test_best_weights_are_kept(whole):
    folder, segmenter = whole
    best = max(float(row["val_mean_iou"]) for row in read_log(folder))
    assert segmenter.evaluate(SAMPLES[-1:])["mean_iou"] == pytest.approx(best, abs=1e-6)


def test_result_is_for_one_device_and_any_size(whole):
    _, segmenter = whole
    result = segmenter.predict(disks(7, (61, 45)).image)
    assert result.classes.shape == (61, 45)
    assert not segmenter.model.compiled


def test_same_seed_same_run_other_seed_other_run(whole, tmp_path):
    folder, _ = whole
    train(SAMPLES, TINY, tmp_path / "again", validation=1, progress=False)
    assert_same_run(folder, tmp_path / "again")
    other = TINY.replace(run={"seed": 1, "steps": 3})
    train(SAMPLES, other, tmp_path / "other", progress=False)
    losses = [read_log(path)[0]["loss"] for path in (folder, tmp_path / "other")]
    assert losses[0] != losses[1]


KILL = """
import os, signal, sys
sys.path.insert(0, {tests!r})
from test_trainer import SAMPLES, TINY, At, train
die = lambda: os.kill(os.getpid(), signal.SIGKILL)
train(SAMPLES, {recipe}, {folder!r}, validation=1, callbacks=[At(5, die)])
"""


@pytest.mark.posix
def test_resume_after_kill_equals_the_whole_run(whole, tmp_path, capsys):
    script = KILL.format(
        tests=str(Path(__file__).parent), recipe="TINY", folder=str(tmp_path / "killed")
    )
    process = subprocess.run([sys.executable, "-c", script], env=os.environ, timeout=120)
    assert process.returncode == -9
    assert latest_checkpoint(tmp_path / "killed" / "checkpoint").step == 3
    train(SAMPLES, TINY, tmp_path / "killed", validation=1)
    assert "goes on at step 3" in capsys.readouterr().err
    assert_same_run(whole[0], tmp_path / "killed")


@pytest.mark.posix
def test_resume_between_validations_after_a_kill(whole, tmp_path):
    """As above, with a checkpoint after every step: killed at step 5, two after the validation."""
    folder = tmp_path / "killed"
    script = KILL.format(
        tests=str(Path(__file__).parent),
        recipe="TINY.replace(run={'checkpoint_minutes': 1e-9})",
        folder=str(folder),
    )
    process = subprocess.run([sys.executable, "-c", script], env=os.environ, timeout=120)
    assert process.returncode == -9
    assert latest_checkpoint(folder / "checkpoint").step == 5
    often = TINY.replace(run={"checkpoint_minutes": 1e-9})
    train(SAMPLES, often, folder, validation=1, progress=False)
    assert_same_run(whole[0], folder, interrupted=1)


@pytest.mark.parametrize(
    ("name", "step", "error"),
    [
        ("SIGTERM", 2, SystemExit),  # before the first validation and the first average
        ("SIGINT", 7, KeyboardInterrupt),  # in the last step: the validation is still to come
    ],
)
def test_a_signal_stops_after_the_step(whole, tmp_path, capsys, name, step, error):
    number, seen = getattr(signal, name), []
    before = signal.getsignal(number)

    def send(batch, logs):
        seen.append(batch)
        if len(seen) == step:
            signal.raise_signal(number)

    callback = keras.callbacks.LambdaCallback(on_train_batch_begin=send)
    with pytest.raises(error) as caught:
        train(SAMPLES, TINY, tmp_path, validation=1, callbacks=[callback])
    assert signal.getsignal(number) == before
    by = "Ctrl-C" if name == "SIGINT" else name
    text = f"stopped at step {step} by {by}; saved; the same command goes on at step {step}"
    assert text in capsys.readouterr().err
    if error is SystemExit:
        assert caught.value.code == 143
    assert latest_checkpoint(tmp_path / "checkpoint").step == step
    train(SAMPLES, TINY, tmp_path, validation=1, progress=False)
    assert_same_run(whole[0], tmp_path, interrupted=(step - 1) // 3)


def test_a_signal_during_a_validation_does_not_wait_for_it(whole, tmp_path, monkeypatch):
    calls, evaluate = [], ku.Segmenter.evaluate

    def interrupted(segmenter, samples):
        calls.append(samples)
        if len(calls) == 2:
            signal.raise_signal(signal.SIGTERM)
            pytest.fail("the validation went on")
        return evaluate(segmenter, samples)

    monkeypatch.setattr(ku.Segmenter, "evaluate", interrupted)
    with pytest.raises(SystemExit):
        train(SAMPLES, TINY, tmp_path, validation=1, progress=False)
    found = latest_checkpoint(tmp_path / "checkpoint")
    assert (found.step, len(found.history)) == (6, 1)
    train(SAMPLES, TINY, tmp_path, validation=1, progress=False)
    assert_same_run(whole[0], tmp_path, interrupted=1)


@pytest.mark.parametrize("resume", ["auto", False])
def test_a_run_that_is_being_written_is_refused(whole, resume):
    folder, _ = whole
    raised = []

    def second():
        try:
            train(SAMPLES, TINY, folder, validation=1, resume=resume, progress=False)
        except UsageError as error:
            raised.append(str(error))

    with folder_lock(folder):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
    assert f"process {os.getpid()} on" in raised[0]
    assert latest_checkpoint(folder / "checkpoint").step == 7


def test_finished_run_is_only_loaded(whole, tmp_path):
    folder, segmenter = whole
    before = (folder / "model.keras").stat().st_mtime_ns
    again = train(SAMPLES, TINY, folder, validation=1, progress=False)
    assert (folder / "model.keras").stat().st_mtime_ns == before
    for a, b in zip(segmenter.model.get_weights(), again.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_more_steps_when_told(tmp_path):
    short = TINY.replace(run={"steps": 4, "validate_every": 4})
    train(SAMPLES, short, tmp_path, progress=False)
    longer = short.replace(run={"steps": 6})
    with pytest.raises(ValueError, match=r"run\.steps: 4 there, 6 here"):
        train(SAMPLES, longer, tmp_path, progress=False)
    train(SAMPLES, longer, tmp_path, resume=True, progress=False)
    assert [row["step"] for row in read_log(tmp_path)] == ["4", "6"]


def test_without_validation_the_last_weights_are_kept(tmp_path):
    recipe = TINY.replace(optimizer={"ema": 0}, run={"steps": 2, "validate_every": 1})
    segmenter = train(SAMPLES, recipe, tmp_path, progress=False, class_names=["ground", "disk"])
    assert "val_mean_iou" not in read_log(tmp_path)[0]
    weights = latest_checkpoint(tmp_path / "checkpoint").groups["average"]
    for a, b in zip(weights, segmenter.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert segmenter.class_names == ["ground", "disk"]


def test_other_samples_are_refused(whole):
    with pytest.raises(ValueError, match="other samples"):
        train([disks(9), *SAMPLES[1:]], TINY, whole[0], validation=1, progress=False)


def test_a_file_where_tensorboard_writes(tmp_path):
    pytest.importorskip("tensorboard")
    (tmp_path / "tensorboard").touch()
    with pytest.raises(UsageError, match=r"tensorboard cannot be written \(File exists\)"):
        train(SAMPLES, TINY.replace(run={"tensorboard": True}), tmp_path, progress=False)


def test_early_stopping(tmp_path):
    # A rate of nearly zero: no validation is better than the first.
    recipe = TINY.replace(
        model={"normalization": None},
        optimizer={"learning_rate": 1e-12, "ema": 0},
        run={"validate_every": 1, "patience": 2},
    )
    train(SAMPLES, recipe, tmp_path, validation=1, progress=False)
    assert [row["step"] for row in read_log(tmp_path)] == ["1", "2", "3"]


def test_divergence_gives_advice(tmp_path):
    recipe = TINY.replace(
        model={"normalization": None},
        optimizer={"name": "sgd", "learning_rate": 1e30, "gradient_clip": None, "warmup": 0},
    )
    with pytest.raises(
        FloatingPointError, match=r"diverged.*gradient_clip=1.*warmup=0.1"
    ) as caught:
        train(SAMPLES, recipe, tmp_path, progress=False)
    advice = "start over with --learning-rate 1e+29 or --optimizer.gradient_clip 1 or"
    assert advice in caught.value.command_line


RECIPES = {
    "paper": Recipe.paper(
        model={"filters": 2, "depth": 1},
        batches={"tile": 36},
        run={"steps": 2, "validate_every": 2},
    ),
    "float16": TINY.replace(run={"precision": "mixed_float16", "steps": 2}),
    "seeds": TINY.replace(target={"name": "seeds"}, augmentation=None, run={"steps": 2}),
    "one output": TINY.replace(model={"num_classes": 1}, run={"steps": 2}),
}


@pytest.mark.parametrize("name", RECIPES)
def test_recipes(name, tmp_path):
    recipe = RECIPES[name].replace(run={"tensorboard": False})
    segmenter = train(SAMPLES[:2], recipe, tmp_path, validation=SAMPLES[2:], progress=False)
    assert segmenter.model.output.dtype == "float32"
    assert np.isfinite(segmenter.predict(SAMPLES[3].image).probabilities).all()


def test_resolution(tmp_path, capsys):
    """Trained on the coarse grid, scored at the image's size, resumed by the images themselves."""
    recipe = LEARNS.replace(
        target={"class_weights": "balanced"}, images={"resolution": 0.5}, batches={"tile": 24}
    )
    segmenter = train(SAMPLES, recipe, tmp_path, validation=1)
    assert "3 training samples at resolution 0.5: class 0" in capsys.readouterr().err
    assert segmenter.resolution == 0.5
    result = segmenter.predict(SAMPLES[3].image)
    assert result.classes.shape == (40, 52)
    assert result.count == 4
    scores = segmenter.evaluate(SAMPLES[3:])
    assert scores["foreground_iou"] > 0.7
    assert float(read_log(tmp_path)[0]["val_mean_iou"]) == pytest.approx(scores["mean_iou"])
    meta = latest_checkpoint(tmp_path / "checkpoint").meta
    assert meta["samples"] == checksum(SAMPLES)
    finer = recipe.replace(images={"resolution": 1})
    with pytest.raises(ValueError, match=r"images\.resolution: 0\.5 there, 1\.0 here"):
        train(SAMPLES, finer, tmp_path, validation=1, progress=False)


def test_tensorboard(tmp_path):
    pytest.importorskip("tensorboard")
    train(SAMPLES, TINY.replace(run={"steps": 1, "tensorboard": True}), tmp_path, progress=False)
    assert list((tmp_path / "tensorboard").rglob("events.*"))


def test_it_learns(tmp_path):
    segmenter = train(SAMPLES, LEARNS, tmp_path, progress=False)
    assert segmenter.evaluate([disks(11)])["foreground_iou"] > 0.7


def test_batch_is_divided_among_the_devices(tmp_path, monkeypatch):
    class Three:
        num_replicas_in_sync = 3

    monkeypatch.setattr("keras_unet.training.trainer.make_strategy", lambda name: Three())
    with pytest.raises(ValueError, match=r"multiple of 3. Received: batches\.size=4"):
        train(SAMPLES, TINY, tmp_path, progress=False)


def test_plain_keras():
    model = ku.models.UNet(filters=2, depth=1, padding="same", dropout=0)
    dataset = ku.data.training_dataset(SAMPLES, model.geometry, tile=32, batch_size=2)
    model.compile(
        keras.optimizers.Adam(0.02),
        loss=ku.losses.WeightedCrossentropy(),
        metrics=[ku.metrics.MeanIoU(2, name="iou")],
    )
    history = model.fit(dataset, epochs=2, steps_per_epoch=10, verbose=0, shuffle=False).history
    assert history["loss"][1] < history["loss"][0]
