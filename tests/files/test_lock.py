"""A folder has one writer at a time, and none after a kill."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading

import pytest

from keras_unet.errors import UsageError
from keras_unet.files import lock as module
from keras_unet.files.atomic import new_file
from keras_unet.files.lock import folder_lock

pytestmark = pytest.mark.core

HOLDER = """
import sys, time
from pathlib import Path
from keras_unet.files.lock import folder_lock
with folder_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def in_a_thread(function):
    """What the function raises in another thread."""
    raised = []

    def run():
        try:
            function()
        except UsageError as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return raised


def take(folder):
    with folder_lock(folder):
        pass


@pytest.fixture
def holder(tmp_path):
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "run")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


def test_another_process_is_named_and_a_kill_frees_the_folder(tmp_path, holder):
    with pytest.raises(UsageError, match=rf"process {holder.pid} on .+ since \d\d:\d\d;") as found:
        take(tmp_path / "run")
    assert found.value.command_line.endswith("choose another --out")
    holder.send_signal(signal.SIGTERM if os.name == "nt" else signal.SIGKILL)
    holder.wait()
    assert (tmp_path / "run" / ".lock").exists()
    take(tmp_path / "run")
    assert list((tmp_path / "run").iterdir()) == []


def test_a_thread_gets_it_again_another_one_does_not(tmp_path):
    with folder_lock(tmp_path) as one, folder_lock(tmp_path / "x" / "..") as other:
        assert one is other
        (error,) = in_a_thread(lambda: take(tmp_path))
        assert f"process {os.getpid()} on" in str(error)
    assert in_a_thread(lambda: take(tmp_path)) == []


def test_nothing_stays_of_a_folder_without_content(tmp_path):
    take(tmp_path / "a" / "b")
    assert list((tmp_path / "a").iterdir()) == []
    with folder_lock(tmp_path / "c"):
        (tmp_path / "c" / "mine").touch()
    assert [file.name for file in (tmp_path / "c").iterdir()] == ["mine"]


def test_unfinished_files_are_removed_and_no_others(tmp_path):
    with new_file(tmp_path / "volume.nii.gz") as temporary:
        temporary.write_bytes(b"whole")
        kept = temporary.with_name(temporary.name.replace("-", "_"))
        kept.touch()
        take(tmp_path)
        assert not temporary.exists()
        temporary.write_bytes(b"whole")  # for the end of `new_file`
    assert sorted(tmp_path.iterdir()) == sorted([kept, tmp_path / "volume.nii.gz"])


def test_a_removed_folder_is_noticed_also_when_it_is_made_anew(tmp_path):
    with folder_lock(tmp_path / "run") as lock:
        lock.check()
        (tmp_path / "run").rename(tmp_path / "moved")
        for _ in range(2):
            with pytest.raises(UsageError, match="run was removed or moved while it was written"):
                lock.check()
            (tmp_path / "run").mkdir(exist_ok=True)
            (tmp_path / "run" / ".lock").touch()
    assert (tmp_path / "run" / ".lock").exists()  # of the one who made it


@pytest.mark.parametrize("content", ["", "{", "{}", '{"since": 5}'])
def test_a_holder_that_says_nothing_is_another_process(tmp_path, content, monkeypatch):
    monkeypatch.setattr(module.time, "sleep", lambda seconds: None)
    with folder_lock(tmp_path):
        (tmp_path / ".lock").write_text(content)
        (error,) = in_a_thread(lambda: take(tmp_path))
        assert "written by another process" in str(error)


def test_a_file_system_without_locks_is_warned_of(tmp_path, monkeypatch, caplog):
    def refuse(descriptor):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(module, "_lock", refuse)
    with new_file(tmp_path / "file") as temporary:
        temporary.touch()
        take(tmp_path)
        assert temporary.exists()  # it may be another writer's
    assert "no locks here" in caplog.text


@pytest.mark.parametrize("code", [errno.EROFS, errno.ENOSPC, errno.EMFILE])
def test_a_folder_that_cannot_be_written(tmp_path, code, monkeypatch):
    def refuse(*arguments):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(module.os, "open", refuse)
    with pytest.raises(UsageError, match="cannot be written") as found:
        take(tmp_path / "run")
    assert os.strerror(code) in str(found.value)
    assert "--out" in found.value.command_line


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(UsageError, match="cannot be written"):
            take(path)
