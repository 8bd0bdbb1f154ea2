"""Files appear whole or not at all."""

from __future__ import annotations

import pytest

from keras_unet.files.atomic import new_file, write_atomically

pytestmark = pytest.mark.core


@pytest.mark.parametrize("content", [b"new", lambda file: file.write(b"new")])
def test_a_file_is_replaced(tmp_path, content):
    path = tmp_path / "folder" / "file.nii.gz"
    write_atomically(path, b"old")
    write_atomically(path, content)
    assert path.read_bytes() == b"new"
    assert list(path.parent.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def fail(file):
        file.write(b"new")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, fail)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_two_writers_do_not_disturb_each_other(tmp_path):
    path = tmp_path / "volume.nii.gz"
    with new_file(path) as one, new_file(path) as other:
        assert one != other
        assert one.name.endswith(".nii.gz")
        one.write_bytes(b"one")
        other.write_bytes(b"other")
    assert path.read_bytes() == b"one"  # the last one to be ready
    assert list(tmp_path.iterdir()) == [path]


def test_a_writer_that_writes_nothing_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError), new_file(tmp_path / "file"):
        pass
    assert list(tmp_path.iterdir()) == []
