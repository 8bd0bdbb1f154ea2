from __future__ import annotations

import errno
import shutil
import signal
import subprocess
import sys
import threading

import keras
import numpy as np
import pytest

from keras_unet.errors import UsageError
from keras_unet.files.lock import folder_lock
from keras_unet.training.callbacks import CountSteps
from keras_unet.training.checkpoint import TrainingState, latest_checkpoint, list_checkpoints
from keras_unet.training.interruption import STOPS, SaveBetween, StopSignals, saving

pytestmark = pytest.mark.core


@pytest.fixture
def lock(tmp_path):
    with folder_lock(tmp_path / "run") as lock:
        yield lock


@pytest.mark.posix
@pytest.mark.parametrize(
    ("name", "code"), [("SIGTERM", 143), ("SIGHUP", 129), ("SIGINT", KeyboardInterrupt)]
)
def test_a_signal_waits_for_the_check(name, code, request):
    number = getattr(signal, name)
    if signal.getsignal(number) == signal.SIG_IGN:  # as where tests run behind
        ignored = signal.signal(number, signal.SIG_DFL)
        request.addfinalizer(lambda: signal.signal(number, ignored))
    before = [signal.getsignal(getattr(signal, one)) for one in STOPS]
    with StopSignals() as signals:
        signals.check()
        signal.raise_signal(number)
        assert signals.name == name
        with pytest.raises((SystemExit, KeyboardInterrupt)) as caught:
            signals.check()
    assert caught.type is code or caught.value.code == code
    assert [signal.getsignal(getattr(signal, one)) for one in STOPS] == before


def test_where_nothing_can_be_half_done_it_raises_at_once():
    passed = []

    def validate(signals, function):
        with signals.at_once():
            function()
            passed.append(function)

    with StopSignals() as signals:
        validate(signals, signals.check)
        with pytest.raises(SystemExit):
            validate(signals, lambda: signal.raise_signal(signal.SIGTERM))
        with pytest.raises(SystemExit):
            validate(signals, lambda: pytest.fail("the signal had come before"))
    assert len(passed) == 1


@pytest.mark.posix
def test_a_second_one_ends_at_once():
    code = (
        "import signal; from keras_unet.training.interruption import StopSignals\n"
        "with StopSignals():\n"
        "    signal.raise_signal(signal.SIGTERM); print('one', flush=True)\n"
        "    signal.raise_signal(signal.SIGTERM); print('two', flush=True)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=120)
    assert (done.returncode, done.stdout) == (-signal.SIGTERM, b"one\n")


def test_a_second_interrupt_leaves_the_program_alive():
    with StopSignals():
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_an_ignored_signal_stays_ignored():
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with StopSignals() as signals:
            signal.raise_signal(signal.SIGTERM)
            assert signals.name is None
    finally:
        signal.signal(signal.SIGTERM, before)


def test_another_thread_leaves_the_handlers_alone():
    seen = []

    def run():
        with StopSignals() as signals:
            seen.append(signal.getsignal(signal.SIGTERM))
            signals.check()

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [before]


def fit(lock, state, callbacks, minutes=0.0, steps=4):
    """A training of one weight; gives its `SaveBetween`, whatever the callbacks raise."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    state.variables = {"network": list(model.weights)}
    with StopSignals() as signals:
        between = SaveBetween(lock, state, signals, minutes)
        own = [CountSteps(state, 99), between, *callbacks]
        x = np.ones((steps, 1), np.float32)
        try:
            model.fit(x, x, batch_size=1, verbose=0, callbacks=own)
        except (KeyboardInterrupt, SystemExit):
            return between
    return between


@pytest.mark.parametrize(("minutes", "kept"), [(0.0, []), (1e-9, [4, 3]), (60.0, [])])
def test_checkpoints_between_validations(lock, minutes, kept):
    state = TrainingState()
    fit(lock, state, [], minutes)
    folder = lock.folder / "checkpoint"
    assert list_checkpoints(folder) == [folder / f"step-{step:08d}.npz" for step in kept]
    assert state.saved == (kept[0] if kept else None)


@pytest.mark.parametrize(("moment", "settled"), [("begin", False), ("end", True)])
def test_half_a_step_is_not_settled(lock, moment, settled):
    def interrupt(batch, logs):
        if batch == 2:
            raise KeyboardInterrupt

    callback = keras.callbacks.LambdaCallback(**{f"on_train_batch_{moment}": interrupt})
    assert fit(lock, TrainingState(), [callback]).settled == settled


def test_a_signal_stops_at_the_end_of_its_step(lock):
    def send(batch, logs):
        if batch == 1:
            signal.raise_signal(signal.SIGTERM)

    state = TrainingState()
    between = fit(lock, state, [keras.callbacks.LambdaCallback(on_train_batch_begin=send)])
    assert (state.step, between.settled) == (2, True)
    between.save()
    assert latest_checkpoint(lock.folder / "checkpoint").step == 2


def test_what_is_saved_is_not_written_again(lock):
    state = TrainingState(step=3, saved=3)
    SaveBetween(lock, state, StopSignals()).save()
    assert not (lock.folder / "checkpoint").exists()


@pytest.mark.parametrize(
    ("saved", "kept", "then"),
    [
        (None, "nothing is kept yet", "starts again"),
        (3, "step 3 is kept", "goes on at step 3"),
    ],
)
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EFBIG, errno.EROFS, errno.EDQUOT])
def test_a_write_that_fails_tells_what_is_kept(lock, monkeypatch, saved, kept, then, code):
    def full(file, **arrays):
        raise OSError(code, "no room")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(UsageError) as caught:
        SaveBetween(lock, TrainingState(step=5, saved=saved), StopSignals()).save()
    for text in ("step 5", "no room", f"{lock.folder}/checkpoint/step-00000005.npz", kept):
        assert text in str(caught.value)
    assert caught.value.command_line.endswith(f"and the same command {then}")
    assert list((lock.folder / "checkpoint").iterdir()) == []


def test_an_error_of_hdf5_is_one_of_writing(lock):
    state = TrainingState(step=5, saved=2)
    with pytest.raises(UsageError, match=r"unable to flush.*step 2 is kept"), saving(lock, state):
        raise RuntimeError("unable to flush")


def test_a_folder_that_is_gone_is_not_made_anew(tmp_path):
    with folder_lock(tmp_path / "run") as lock:
        shutil.rmtree(lock.folder)
        with pytest.raises(UsageError, match="run was removed or moved while it was written"):
            SaveBetween(lock, TrainingState(step=5), StopSignals()).save()
        assert not lock.folder.exists()
