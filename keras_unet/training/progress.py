"""The progress of a run on the terminal: a live bar, or plain lines where there is no terminal."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from keras_unet.training.checkpoint import TrainingState
from keras_unet.training.run_callback import RunCallback

MEANINGS = (
    "loss: what the training lowers; IoU: overlap of classes in training tiles, 1 is best; "
    "val IoU: the same in whole validation images; val SEG: mean overlap of their true objects"
)
"""What the numbers of the lines mean, in one line."""


@dataclass(eq=False)
class ShowProgress(RunCallback):
    """Shows steps, loss, IoU, images/s and the time left.

    On a terminal (or in a notebook) a live bar, with a line above it for every validation;
    elsewhere only these lines.

    Args:
        state: The run's state, for the number of the step; counted by a callback before this one.
        steps: Number of steps of the whole run.
        batch_size: Tiles in a step.
        console: Where to show it. Defaults to the standard error stream.
    """

    state: TrainingState
    steps: int
    batch_size: int
    console: Console = field(default_factory=lambda: Console(stderr=True))
    _bar: Progress | None = field(default=None, init=False)
    _task: Any = field(default=None, init=False)
    _epoch_start: float = field(default=0.0, init=False)
    _epoch_step: int = field(default=0, init=False)
    _train_seconds: float = field(default=0.0, init=False)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Says what the numbers mean, and shows the bar."""
        self.console.print(MEANINGS, highlight=False, markup=False, soft_wrap=True)
        if self.console.is_terminal or self.console.is_jupyter:
            self._bar = Progress(
                TextColumn("step"),
                MofNCompleteColumn(),
                BarColumn(),
                TextColumn("{task.description}"),
                TimeRemainingColumn(),
                console=self.console,
            )
            self._task = self._bar.add_task("", total=self.steps, completed=self.state.step)
            self._bar.start()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Starts the clock; validation and saving do not count for images/s."""
        self._epoch_start, self._epoch_step = time.monotonic(), self.state.step

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Moves the bar."""
        self._train_seconds = time.monotonic() - self._epoch_start
        if self._bar is not None:
            text = "  ".join(self._parts(logs or {}, validation=False))
            self._bar.update(self._task, completed=self.state.step, description=text)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Prints the line of the epoch."""
        parts = self._parts(logs or {}, validation=True)
        line = f"step {self.state.step}/{self.steps}  " + "  ".join(parts)
        self.console.print(line, highlight=False, markup=False, soft_wrap=True)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Removes the bar."""
        self.close()

    def close(self) -> None:
        """Gives the terminal back; call it also after an error."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _parts(self, logs: dict[str, Any], validation: bool) -> list[str]:
        shown = {"loss": "loss", "iou": "IoU"}
        if validation:
            shown |= {"val_mean_iou": "val IoU", "val_seg": "val SEG"}
        parts = [
            f"{label} {float(logs[name]):.4f}" for name, label in shown.items() if name in logs
        ]
        images = (self.state.step - self._epoch_step) * self.batch_size
        if self._train_seconds:
            parts.append(f"{images / self._train_seconds:.1f} images/s")
        return parts
