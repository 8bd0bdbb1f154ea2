from __future__ import annotations

import csv
import io
import math

import keras
import numpy as np
import pytest
from rich.console import Console

from keras_unet.files.lock import folder_lock
from keras_unet.training.callbacks import (
    AverageWeights,
    CountSteps,
    Diverged,
    SaveRun,
    StopOnNaN,
    WholeImageValidation,
    best_row,
    stalled,
)
from keras_unet.training.checkpoint import TrainingState, latest_checkpoint
from keras_unet.training.progress import ShowProgress
from keras_unet.training.recipe import Recipe

pytestmark = pytest.mark.core


def line(weight=0.0):
    """y = w x, one weight."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.set_weights([np.full((1, 1), weight, np.float32)])
    return model


def weight(model):
    return float(model.get_weights()[0][0, 0])


def fit(model, callbacks, epochs=1, steps=3, loss="mse"):
    x = np.ones((steps, 1), np.float32)
    model.compile(keras.optimizers.SGD(0.1), loss)
    model.fit(x, 2 * x, batch_size=1, epochs=epochs, verbose=0, callbacks=callbacks)


class Stub:
    """Stands for a Segmenter: gives scores one after the other and counts the saves."""

    def __init__(self, scores=()):
        self.scores = list(scores)
        self.saves = 0

    def evaluate(self, samples):
        assert samples == ["samples"]
        return {"mean_iou": self.scores.pop(0), "iou": {"background": 1.0}, "true_count": 3}

    def save(self, folder):
        self.saves += 1


def test_count_steps_stops_within_an_epoch():
    state = TrainingState(step=4)
    seen = []

    class Spy(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(state.step)

    fit(line(), [CountSteps(state, 9), Spy()], epochs=9)
    assert seen == [5, 6, 7, 8, 9]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_stop_on_nan_gives_advice(value):
    def loss(true, pred):
        return keras.ops.mean(pred) * value

    with pytest.raises(FloatingPointError, match=r"at step 7.*no step was saved") as caught:
        fit(line(1.0), [StopOnNaN(TrainingState(step=7))], loss=loss)
    assert "optimizer.learning_rate=0.0001 or optimizer.warmup=0.1," in str(caught.value)


ADVICE = [
    ({"learning_rate": 0.5, "warmup": 0.3}, {}, "--learning-rate 0.05,"),
    ({"gradient_clip": None, "warmup": 0.3}, {}, "0.0001 or --optimizer.gradient_clip 1,"),
    ({"gradient_clip": 7}, {}, "clip 1 or --optimizer.warmup 0.1,"),
    ({}, {"precision": "mixed_float16"}, "warmup 0.1 or --precision float32,"),
]


@pytest.mark.parametrize(("optimizer", "run", "text"), ADVICE)
def test_what_is_set_is_not_advised(optimizer, run, text):
    """The advice for the command line has no Python and only what would change something."""
    recipe = Recipe(optimizer=optimizer, run=run)
    with pytest.raises(Diverged, match="step 4 is kept") as caught:
        StopOnNaN(TrainingState(step=7, saved=4), recipe).on_train_batch_end(0, {"loss": math.nan})
    assert text in caught.value.command_line
    assert "=" not in caught.value.command_line


def test_average_follows_the_formula():
    state, averaged, model = TrainingState(), line(5.0), line(0.0)
    seen = []

    class Spy(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(weight(self.model))

    average = AverageWeights(averaged, state, momentum=0.5, every=2)
    fit(model, [CountSteps(state, 99), Spy(), average], steps=5)
    expected = 5.0
    for step in (2, 4):
        m = min(0.5, (1 + step) / (10 + step)) ** 2
        expected = m * expected + (1 - m) * seen[step - 1]
    assert weight(averaged) == pytest.approx(expected, rel=1e-6)
    assert weight(model) == seen[-1]  # the trained weights are left alone


@pytest.mark.parametrize(("momentum", "steps"), [(0.0, 7), (0.9, 2)])
def test_average_is_a_copy_without_momentum_or_before_its_first_update(momentum, steps):
    state, averaged, model = TrainingState(), line(5.0), line(0.0)
    fit(model, [CountSteps(state, 99), AverageWeights(averaged, state, momentum)], steps=steps)
    assert weight(averaged) == weight(model)


def test_validation_scores_reach_later_callbacks():
    state = TrainingState()
    rows = []

    class Spy(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            rows.append(logs)

    model = line()
    fit(model, [CountSteps(state, 99), WholeImageValidation(Stub([0.25]), ["samples"]), Spy()])
    assert rows[0]["val_mean_iou"] == 0.25
    assert rows[0]["val_true_count"] == 3
    assert "val_iou" not in rows[0]  # not a number
    assert model.history.history["val_mean_iou"] == [0.25]


nan = math.nan
BEST = [
    ([0.1, 0.3, 0.2], 1),
    ([0.3, 0.3], 0),
    ([nan, 0.1, nan], 1),
    ([nan, nan], 0),
]


@pytest.mark.parametrize(("scores", "best"), BEST)
def test_best_row(scores, best):
    assert best_row([{"val_mean_iou": score} for score in scores], "mean_iou") == best


def test_last_row_is_the_best_without_validation():
    assert best_row([{"loss": 1.0}, {"loss": 2.0}], "mean_iou") == 1


def test_unknown_monitor():
    with pytest.raises(ValueError, match=r"has no score .*, but mean_iou; give"):
        best_row([{"val_mean_iou": 0.5}], "iou")


@pytest.mark.parametrize(
    ("scores", "patience", "stops"),
    [
        ([0.5, 0.4, 0.3], 2, True),
        ([0.5, 0.4], 2, False),
        ([0.5, 0.4, 0.6], 2, False),
        ([0.5, 0.4, 0.3], 0, False),
        ([], 1, False),
    ],
)
def test_stalled(scores, patience, stops):
    assert stalled([{"val_mean_iou": score} for score in scores], "mean_iou", patience) == stops


def save_run(tmp_path, scores, state=None, patience=0, epochs=None):
    state = state or TrainingState()
    stub = Stub(scores)
    model = line()
    state.variables = {"network": list(model.weights)}
    with folder_lock(tmp_path) as lock:
        callbacks = [
            CountSteps(state, 99),
            WholeImageValidation(stub, ["samples"]),
            SaveRun(lock, state, stub, patience=patience),
        ]
        fit(model, callbacks, epochs=epochs or len(scores))
    return state, stub, model


def test_save_run_writes_log_checkpoint_and_best_model(tmp_path):
    state, stub, model = save_run(tmp_path, [0.1, 0.3, 0.2])
    assert stub.saves == 2  # the third is not better
    rows = list(csv.DictReader(io.StringIO((tmp_path / "log.csv").read_text())))
    assert [row["step"] for row in rows] == ["3", "6", "9"]
    assert [float(row["val_mean_iou"]) for row in rows] == [0.1, 0.3, 0.2]
    assert [float(row["learning_rate"]) for row in rows] == pytest.approx([0.1] * 3)
    assert float(rows[0]["loss"]) > float(rows[2]["loss"]) > 0
    checkpoint = latest_checkpoint(tmp_path / "checkpoint")
    assert (checkpoint.step, checkpoint.history) == (9, state.history)
    assert checkpoint.groups["network"][0] == weight(model)


def test_save_run_stops_out_of_patience(tmp_path):
    state, stub, _ = save_run(tmp_path, [0.3, 0.2, 0.1, 0.9], patience=2)
    assert stub.scores == [0.9]
    assert len(state.history) == 3


def test_log_is_brought_back_to_the_checkpoint(tmp_path):
    (tmp_path / "log.csv").write_text("step,loss\n3,1.0\n6,0.5\n")  # killed before its checkpoint
    old = {"step": 3, "seconds": 10.0, "loss": 1.0}
    save_run(tmp_path, [0.1], TrainingState(step=3, history=[old]))
    rows = list(csv.DictReader(io.StringIO((tmp_path / "log.csv").read_text())))
    assert [row["step"] for row in rows] == ["3", "6"]
    assert rows[0]["val_mean_iou"] == ""
    assert float(rows[1]["seconds"]) >= 10.0


def shown(force_terminal):
    text = io.StringIO()
    console = Console(file=text, force_terminal=force_terminal, width=120)
    state = TrainingState(step=3)
    callbacks = [
        CountSteps(state, 9),
        WholeImageValidation(Stub([0.25, 0.5]), ["samples"]),
        ShowProgress(state, 9, batch_size=1, console=console),
    ]
    fit(line(), callbacks, epochs=2)
    return text.getvalue()


def test_progress_is_plain_lines_without_a_terminal():
    meanings, first, second = shown(force_terminal=False).splitlines()
    assert "val SEG: mean overlap of their true objects" in meanings
    assert first.startswith("step 6/9  loss ")
    assert "val IoU 0.2500" in first
    assert "images/s" in first
    assert second.startswith("step 9/9")
    assert "\x1b" not in first + second


def test_progress_is_a_bar_on_a_terminal():
    text = shown(force_terminal=True)
    assert "\x1b" in text
    assert "9/9" in text
    assert "val IoU 0.5000" in text
