"""Keras callbacks of a run: averaged weights, validation on whole images, the run folder."""

from __future__ import annotations

import csv
import io
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import keras

from keras_unet.errors import UsageError
from keras_unet.files.atomic import write_atomically
from keras_unet.files.lock import FolderLock
from keras_unet.training.checkpoint import TrainingState, as_numpy
from keras_unet.training.interruption import StopSignals, saving
from keras_unet.training.recipe import Recipe
from keras_unet.training.run_callback import RunCallback

if TYPE_CHECKING:
    from keras_unet.inference.segmenter import Segmenter
    from keras_unet.sample import Sample


@dataclass(eq=False)
class CountSteps(RunCallback):
    """Counts the steps of a run over all its sessions and stops it after the last one.

    Args:
        state: The run's state; its `step` goes up.
        steps: Number of steps of the whole run.
    """

    state: TrainingState
    steps: int

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Counts one step."""
        self.state.step += 1
        if self.state.step >= self.steps:
            self.model.stop_training = True


class Diverged(UsageError, FloatingPointError):
    """The loss is NaN or infinite."""


@dataclass(eq=False)
class StopOnNaN(RunCallback):
    """Raises an error with advice as soon as the loss is not finite.

    Args:
        state: The run's state, for the number of the step.
        recipe: The recipe; what it sets already is not advised.

    Raises:
        Diverged: On a loss that is NaN or infinite.
    """

    state: TrainingState
    recipe: Recipe = field(default_factory=Recipe)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Looks at the loss."""
        loss = float((logs or {}).get("loss", 0.0))
        if math.isfinite(loss):
            return
        saved = self.state.saved
        kept = "no step was saved before" if saved is None else f"step {saved} is kept"
        options = self.recipe.optimizer
        advice = [("optimizer.learning_rate", "learning-rate", f"{options.learning_rate / 10:g}")]
        if options.gradient_clip is None or options.gradient_clip > 1:
            advice.append(("optimizer.gradient_clip", "optimizer.gradient_clip", "1"))
        if options.warmup < 0.1:
            advice.append(("optimizer.warmup", "optimizer.warmup", "0.1"))
        if self.recipe.run.precision != "float32":
            advice.append(("run.precision", "precision", "float32"))
        fields = " or ".join(f"{path}={value}" for path, _, value in advice)
        words = " or ".join(f"--{option} {value}" for _, option, value in advice)
        raise Diverged(
            f"the loss is {loss} at step {self.state.step}: the training diverged; {kept}",
            f"start over with {fields}, and resume=False",
            f"start over with {words}, and --resume no",
        )


@dataclass(eq=False)
class AverageWeights(RunCallback):
    r"""Keeps an exponential moving average of the weights in a second model.

    After every `every` steps,

        average <- m average + (1 - m) weights,    m = min(momentum, (1 + t) / (10 + t))^every

    at step t, so that the initial weights are soon forgotten also in short runs. Statistics of
    batch normalization are averaged too.

    Args:
        averaged: A model of the same architecture, which receives the average.
        state: The run's state, for the number of the step.
        momentum: Momentum per step; 0 copies the weights. Defaults to 0.99.
        every: Steps from one update to the next. Defaults to 5.

    Reference:
        Polyak, Juditsky. "Acceleration of Stochastic Approximation by Averaging." SIAM J. Control
        Optim. 1992. doi:10.1137/0330046
    """

    averaged: keras.Model
    state: TrainingState
    momentum: float = 0.99
    every: int = 5

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Updates the average where it is due."""
        step = self.state.step
        if self.momentum and step % self.every == 0:
            self._update(min(self.momentum, (1 + step) / (10 + step)) ** self.every)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Copies the weights where there is no average."""
        if not self.momentum or self.state.step < self.every:
            self._update(0.0)

    def _update(self, momentum: float) -> None:
        for average, weight in zip(self.averaged.weights, self.model.weights, strict=True):
            value = keras.ops.convert_to_tensor(weight)
            if momentum:
                value = momentum * average + (1.0 - momentum) * value
            average.assign(value)


@dataclass(eq=False)
class WholeImageValidation(RunCallback):
    """Segments whole images after every epoch and adds the scores to the logs as `val_*`.

    Tiles are laid as in any later use of the network, so the score is that of the result which a
    user gets, not of single tiles.

    Args:
        segmenter: A `Segmenter` whose model holds the weights to validate.
        samples: Annotated samples.
        signals: Signals that stop the run; they need not wait for the end of the validation.
    """

    segmenter: Segmenter
    samples: Sequence[Sample]
    signals: StopSignals = field(default_factory=StopSignals)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Adds the scores to `logs`, where the callbacks after this one find them."""
        if logs is None:
            return
        with self.signals.at_once():
            scores = self.segmenter.evaluate(self.samples)
        for name, value in scores.items():
            if isinstance(value, (int, float)):
                logs[f"val_{name}"] = value


def best_row(history: Sequence[dict[str, float]], monitor: str) -> int:
    """Index of the first row with the highest `val_<monitor>`; the last one without a validation.

    Rows whose score is missing or NaN never are the best unless all are so.

    Raises:
        ValueError: If there are validation scores but not this one.
    """
    key = f"val_{monitor}"
    if not any(name.startswith("val_") for name in history[-1]):
        return len(history) - 1
    if key not in history[-1]:
        names = [name[4:] for name in history[-1] if name.startswith("val_")]
        raise UsageError(
            f"the validation has no score {monitor!r}, but {', '.join(names)}",
            "give run={'monitor': ...} with one of them",
            "say --monitor with one of them",
        )
    scores = [row.get(key, math.nan) for row in history]
    return max(range(len(scores)), key=lambda i: (not math.isnan(scores[i]), scores[i], -i))


@dataclass(eq=False)
class SaveRun(RunCallback):
    """Writes the run folder after every epoch: the log, the best model so far and a checkpoint.

    Every file appears complete or not at all, so the folder is usable and resumable whenever the
    process dies. What is written after the last checkpoint is written again, equally, on resuming.

    Args:
        lock: The run folder.
        state: The run's state; the epoch's row is added to its `history`.
        segmenter: Saved when its validation is the best so far, or always without one.
        monitor: Score that decides, see `RunOptions`.
        patience: Epochs without a better score after which the run stops; 0 is never.
    """

    lock: FolderLock
    state: TrainingState
    segmenter: Segmenter
    monitor: str = "mean_iou"
    patience: int = 0
    _start: float = field(default=0.0, init=False)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Starts the clock and brings `log.csv` back to the checkpoint's state."""
        rows = self.state.history
        self._start = time.monotonic() - (rows[-1].get("seconds", 0.0) if rows else 0.0)
        with saving(self.lock, self.state):
            self._write_log()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes log, model and checkpoint."""
        optimizer = getattr(self.model.optimizer, "inner_optimizer", self.model.optimizer)
        rate = float(as_numpy(optimizer.learning_rate))
        seconds = round(time.monotonic() - self._start, 3)
        row = {"step": self.state.step, "seconds": seconds, "learning_rate": rate, **(logs or {})}
        self.state.history.append({name: _number(value) for name, value in row.items()})
        history = self.state.history
        with saving(self.lock, self.state):
            if best_row(history, self.monitor) == len(history) - 1:
                self.segmenter.save(self.lock.folder)
            self.state.save(self.lock.folder / "checkpoint")
            self._write_log()
        if stalled(history, self.monitor, self.patience):
            self.model.stop_training = True

    def _write_log(self) -> None:
        names = list(dict.fromkeys(name for row in self.state.history for name in row))
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, names, restval="")
        writer.writeheader()
        writer.writerows(self.state.history)
        write_atomically(self.lock.folder / "log.csv", lambda f: f.write(text.getvalue().encode()))


def stalled(history: Sequence[dict[str, float]], monitor: str, patience: int) -> bool:
    """Whether the last `patience` validations brought no better score."""
    if not patience or not history:
        return False
    return len(history) - 1 - best_row(history, monitor) >= patience


def _number(value: Any) -> int | float:
    return value if isinstance(value, int) else float(value)
