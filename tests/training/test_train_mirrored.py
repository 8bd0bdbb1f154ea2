"""`Recipe(run={"strategy": "mirrored"})` on two logical devices, in a process of its own.

Logical devices must be made before TensorFlow starts, which in this process it has.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from keras_unet.training.checkpoint import latest_checkpoint

pytestmark = pytest.mark.core

SCRIPT = """
import signal, sys
import tensorflow as tf
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where tests run behind
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
sys.path.insert(0, {tests!r})
from test_trainer import SAMPLES, TINY, At, train

recipe = TINY.replace(
    model={{"dropout": 0, "normalization": None}},
    optimizer={{"name": "sgd", "learning_rate": 0.05}},
    run={{"steps": 6}},
)
mirrored = recipe.replace(run={{"strategy": "mirrored"}})
train(SAMPLES, recipe, {root!r} + "/one", validation=1, progress=False)
interrupt = At(4, lambda: signal.raise_signal(signal.SIGINT))
try:
    train(SAMPLES, mirrored, {root!r} + "/two", validation=1, callbacks=[interrupt])
    sys.exit("it was not interrupted")
except KeyboardInterrupt:
    train(SAMPLES, mirrored, {root!r} + "/two", validation=1)
batch_norm_and_dropout = TINY.replace(run={{"strategy": "mirrored", "steps": 2}})
segmenter = train(SAMPLES, batch_norm_and_dropout, {root!r} + "/more", progress=False)
segmenter.predict(SAMPLES[0].image)
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    root = tmp_path_factory.mktemp("mirrored")
    script = SCRIPT.format(tests=str(Path(__file__).parent), root=str(root))
    subprocess.run([sys.executable, "-c", script], check=True, timeout=240)
    return root


def checkpoint(folder):
    return latest_checkpoint(folder / "checkpoint")


def test_two_devices_with_an_interruption_equal_one(runs):
    one, two = checkpoint(runs / "one"), checkpoint(runs / "two")
    assert one.step == two.step == 6
    for group in ("network", "average"):
        assert len(one.groups[group]) == len(two.groups[group]) > 0
        for a, b in zip(one.groups[group], two.groups[group], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    for a, b in zip(one.history, two.history, strict=True):
        assert a["val_mean_iou"] == pytest.approx(b["val_mean_iou"], rel=1e-4)
    for name in ("loss", "iou"):  # in the other row, of the steps after the interruption
        assert one.history[0][name] == pytest.approx(two.history[0][name], rel=1e-4)


def test_two_devices_learn_something(runs):
    history = checkpoint(runs / "two").history
    assert history[-1]["loss"] != pytest.approx(history[0]["loss"], rel=1e-3)


def test_batch_normalization_and_dropout_run_on_two_devices(runs):
    assert checkpoint(runs / "more").step == 2
