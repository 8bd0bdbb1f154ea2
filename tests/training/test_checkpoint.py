from __future__ import annotations

import io
import struct
import zipfile

import keras
import numpy as np
import pytest

from keras_unet.errors import UsageError
from keras_unet.sample import Sample
from keras_unet.training.checkpoint import (
    TrainingState,
    as_numpy,
    checksum,
    latest_checkpoint,
    list_checkpoints,
)

pytestmark = pytest.mark.core


def state(*values, **fields):
    variables = [keras.Variable(np.asarray(value)) for value in values]
    return TrainingState({"network": variables}, **fields)


def test_round_trip(tmp_path):
    rows = [{"step": 3, "loss": 0.1}, {"step": 5, "loss": float("nan")}]
    seed = np.array([1, 2**32 - 1], np.uint32)
    saved = state(np.float32([[0.1, 2]]), np.int64(7), seed, step=5, history=rows, meta={"a": 1})
    saved.save(tmp_path)

    restored = state(np.zeros((1, 2), np.float32), np.int64(0), np.zeros(2, np.uint32))
    checkpoint = latest_checkpoint(tmp_path)
    restored.restore(checkpoint)
    for old, new in zip(saved.variables["network"], restored.variables["network"], strict=True):
        assert old.dtype == new.dtype
        np.testing.assert_array_equal(as_numpy(old), as_numpy(new))
    assert checkpoint.meta == {"a": 1}
    assert restored.step == 5
    assert restored.history[0] == rows[0]
    assert np.isnan(restored.history[1]["loss"])


def test_many_variables_keep_their_order(tmp_path):
    state(*[np.float32(i) for i in range(12)]).save(tmp_path)
    assert latest_checkpoint(tmp_path).groups["network"] == list(range(12))


def test_two_are_kept(tmp_path):
    for step in (2, 10, 100):
        state(np.float32(step), step=step).save(tmp_path)
    assert [path.name for path in list_checkpoints(tmp_path)] == [
        "step-00000100.npz",
        "step-00000010.npz",
    ]
    assert latest_checkpoint(tmp_path).step == 100


@pytest.mark.parametrize("damage", [b"", b"half a file", None])
def test_damaged_newest_is_passed_over(tmp_path, damage, caplog):
    state(np.float32(1), step=1).save(tmp_path)
    newest = state(np.float32(2), step=2).save(tmp_path)
    newest.write_bytes(newest.read_bytes()[:-30] if damage is None else damage)
    assert latest_checkpoint(tmp_path).step == 1
    assert "step-00000002.npz is damaged" in caplog.text


def archive(path, members, compress=False):
    """A zip file of given bytes."""
    kind = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", kind) as file:
        for name, data in members.items():
            file.writestr(f"{name}.npy", data)


def npy(array, shape=None, version=b"\x01\x00"):
    """The bytes of an array, maybe with another shape in the header."""
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    data = file.getvalue()
    start = 10 + struct.unpack("<H", data[8:10])[0]
    if shape is None:
        return data[:6] + version + data[8:]
    text = str({"descr": array.dtype.str, "fortran_order": False, "shape": shape}).encode()
    return b"\x93NUMPY" + version + struct.pack("<H", len(text) + 1) + text + b"\n" + data[start:]


def told(about):
    return npy(np.frombuffer(about.encode(), np.uint8))


ABOUT = told('{"step": 2, "history": [], "meta": {}}')
ONE = np.ones(9, np.float32)
DAMAGES = {
    "no zip": b"x" * 100,
    "more values than bytes": {"about": ABOUT, "network/0000": npy(ONE, (10**12,))},
    "fewer values than bytes": {"about": ABOUT, "network/0000": npy(ONE, (2,))},
    "two negative axes": {"about": ABOUT, "network/0000": npy(ONE, (-3, -3))},
    "objects": {"about": ABOUT, "network/0000": npy(np.array([{}], object))},
    "another version": {"about": ABOUT, "network/0000": npy(ONE, version=b"\x03\x00")},
    "no array": {"about": ABOUT, "network/0000": b"text"},
    "no about": {"network/0000": npy(ONE)},
    "no JSON": {"about": told("{")},
    "deep JSON": {"about": told("[" * 100_000)},
    "a list": {"about": told("[]")},
    "no step": {"about": told('{"history": [], "meta": {}}')},
    "step below 0": {"about": told('{"step": -2, "history": [], "meta": {}}')},
    "half a step": {"about": told('{"step": 2.5, "history": [], "meta": {}}')},
    "step true": {"about": told('{"step": true, "history": [], "meta": {}}')},
    "history is a number": {"about": told('{"step": 2, "history": 5, "meta": {}}')},
    "history of texts": {"about": told('{"step": 2, "history": ["x"], "meta": {}}')},
    "history holds a text": {
        "about": told('{"step": 2, "history": [{"step": 1, "loss": "x"}], "meta": {}}')
    },
    "meta is null": {"about": told('{"step": 2, "history": [], "meta": null}')},
    "meta tells less": {"about": told('{"step": 2, "history": [], "meta": {"recipe": {}}}')},
}


@pytest.mark.parametrize("name", DAMAGES)
def test_any_damage_is_passed_over(tmp_path, name, caplog):
    state(np.float32(1), step=1, meta={"recipe": {}, "samples": ""}).save(tmp_path)
    newest, damage = tmp_path / "step-00000002.npz", DAMAGES[name]
    if isinstance(damage, bytes):
        newest.write_bytes(damage)
    else:
        archive(newest, damage)
    assert latest_checkpoint(tmp_path, told=("recipe", "samples")).step == 1
    assert f"{newest} is damaged (" in caplog.text
    assert len(caplog.text) < 800


def test_what_unpacks_to_more_than_the_file_is_not_read(tmp_path, caplog):
    state(np.float32(1), step=1).save(tmp_path)
    zeros = np.zeros(10**6, np.uint8)
    archive(tmp_path / "step-00000002.npz", {"about": ABOUT, "network/0000": npy(zeros)}, True)
    assert latest_checkpoint(tmp_path).step == 1
    assert "larger than the file" in caplog.text


def test_a_flipped_bit_anywhere_is_damage_or_no_difference(tmp_path):
    """Also in the zip's directory, where one bit makes another compression or a password of it."""
    state(np.arange(9, dtype=np.float32), step=1).save(tmp_path)
    newest = state(np.arange(9, dtype=np.float32), step=2).save(tmp_path)
    whole = newest.read_bytes()
    random = np.random.default_rng(0)
    for position in random.choice(len(whole), 150, replace=False):
        data = bytearray(whole)
        data[position] ^= 1 << random.integers(8)
        newest.write_bytes(data)
        found = latest_checkpoint(tmp_path)
        np.testing.assert_array_equal(found.groups["network"][0], np.arange(9))


def test_all_damaged_is_an_error_that_names_them(tmp_path):
    for step in (1, 2):
        state(np.float32(1), step=step).save(tmp_path).write_bytes(b"")
    with pytest.raises(UsageError, match=r"step-00000002\.npz.*step-00000001\.npz") as caught:
        latest_checkpoint(tmp_path)
    assert caught.value.command_line.endswith("start over with --resume no")


def test_no_checkpoint(tmp_path):
    assert latest_checkpoint(tmp_path / "nowhere") is None


OTHERS = [state(np.zeros(3, np.float32)), state(np.float32(0), np.float32(0)), state()]


@pytest.mark.parametrize("other", OTHERS)
def test_another_network_is_refused(tmp_path, other):
    state(np.float32(1)).save(tmp_path)
    with pytest.raises(ValueError, match="does not fit this recipe's network"):
        other.restore(latest_checkpoint(tmp_path))


def test_checksum_sees_every_part():
    image = np.arange(12, dtype=np.uint8).reshape(3, 4, 1)
    ids = np.arange(12).reshape(3, 4)
    samples = [
        Sample(image, ids),
        Sample(image.astype(np.int16), ids),
        Sample(image[::-1], ids),
        Sample(image, ids[::-1]),
        Sample(image, classes=ids),
        Sample(image, ids, annotated=ids > 3),
        Sample(image.reshape(4, 3, 1), ids.reshape(4, 3)),
    ]
    assert len({checksum([sample]) for sample in samples}) == len(samples)
    assert checksum(samples[:2]) != checksum(samples[1::-1])
    assert checksum(samples) == checksum([sample.replace() for sample in samples])
