"""A run that is interrupted: signals stop it after a step, and little is lost when nobody asks."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from keras_unet.errors import UsageError
from keras_unet.files.lock import FolderLock
from keras_unet.training.checkpoint import TrainingState
from keras_unet.training.run_callback import RunCallback

STOPS = ("SIGINT", "SIGTERM", "SIGHUP")
"""Ctrl-C; batch systems, containers and machines that are taken back; a terminal that is closed."""


class StopSignals:
    """Notes a signal instead of ending the process at once; a second one ends it.

    As a context it holds the handlers of `STOPS`, in the main thread only, and puts those back that
    were there. A signal that is ignored, as under nohup, stays so.

    Attributes:
        name: Name of the signal that came, or None.
    """

    def __init__(self) -> None:
        self.name: str | None = None
        self._at_once = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():
            numbers = [getattr(signal, name) for name in STOPS if hasattr(signal, name)]
            handlers = {number: signal.getsignal(number) for number in numbers}
            self._before = {
                number: handler
                for number, handler in handlers.items()
                if handler is not None and handler != signal.SIG_IGN
            }
            for number in self._before:
                signal.signal(number, self._receive)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.name = signal.Signals(number).name
        for other in self._before:  # Ctrl-C a second time must not end a notebook's kernel
            ends = signal.default_int_handler if other == signal.SIGINT else signal.SIG_DFL
            signal.signal(other, ends)
        if self._at_once:
            self.check()

    def check(self) -> None:
        """Raises what ends the program in order, if a signal has come.

        Raises:
            KeyboardInterrupt: After Ctrl-C.
            SystemExit: After another one, with the exit code 128 + its number.
        """
        if self.name == "SIGINT":
            raise KeyboardInterrupt
        if self.name is not None:
            raise SystemExit(128 + signal.Signals[self.name])

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """Within, a signal raises at once: there is nothing that must not be left half done."""
        self._at_once = True
        try:
            self.check()
            yield
        finally:
            self._at_once = False


@dataclass(eq=False)
class SaveBetween(RunCallback):
    """Saves between validations: every few minutes, and when a signal came.

    Called after those that belong to a step.

    Args:
        lock: The run folder.
        state: The run's state.
        signals: Signals that stop the run after a step.
        minutes: Minutes from one checkpoint to the next; 0 is none.
    """

    lock: FolderLock
    state: TrainingState
    signals: StopSignals
    minutes: float = 0.0
    settled: bool = field(default=True, init=False)
    """Whether no step is under way: the state is that of a whole number of steps."""
    _saved: float = field(default_factory=time.monotonic, init=False)

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Notes that a step begins."""
        self.settled = False

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Saves where it is time; raises where a signal came."""
        self.settled = True
        self.signals.check()
        if self.minutes and time.monotonic() - self._saved >= 60 * self.minutes:
            self.save()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """The validation's checkpoint counts, too."""
        self._saved = time.monotonic()

    def save(self) -> None:
        """Writes a checkpoint, if this step has none."""
        with saving(self.lock, self.state):
            if self.state.saved != self.state.step:
                self.state.save(self.lock.folder / "checkpoint")
        self._saved = time.monotonic()


@contextlib.contextmanager
def saving(lock: FolderLock, state: TrainingState) -> Iterator[None]:
    """Turns a write that fails into an error that tells what is kept.

    Raises:
        UsageError: If the folder is gone, or something cannot be written.
    """
    lock.check()
    try:
        yield
    except (OSError, RuntimeError) as error:  # of Keras and HDF5, too
        kept = "nothing is kept yet" if state.saved is None else f"step {state.saved} is kept"
        then = "starts again" if state.saved is None else f"goes on at step {state.saved}"
        raise UsageError(
            f"{lock.folder}: step {state.step} cannot be saved ({error}); {kept}",
            f"make room or give the right to write, and the same call {then}",
            f"make room or give the right to write, and the same command {then}",
        ) from error
