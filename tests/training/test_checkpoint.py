from __future__ import annotations

import keras
import numpy as np
import pytest

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
