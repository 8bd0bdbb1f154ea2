"""Losses and metrics on two logical devices equal one device with the same global batch."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.core

LOSSES = [
    "mean_per_weight",
    "sum",
    "sum_over_batch_size",
    "class_weights",
    "dice_per_image",
    "dice_per_batch",
    "crossentropy_dice",
]


@pytest.fixture(scope="module")
def results():
    run = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("two_devices.py"))],
        env={**os.environ, "KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": "-1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    if run.returncode:
        pytest.fail(run.stderr[-3000:])
    return json.loads(run.stdout)


def difference(a, b):
    return float(np.abs(np.array(a) - np.array(b)).max())


@pytest.mark.parametrize("name", LOSSES)
def test_weights_after_training_are_equal(results, name):
    single, mirrored = results["single"], results["mirrored"]
    assert single["moved"][name] > 0.01
    assert difference(single["weights"][name], mirrored["weights"][name]) < 2e-6


@pytest.mark.parametrize("when", ["history", "evaluated"])
@pytest.mark.parametrize("name", LOSSES)
def test_reported_loss_is_equal(results, name, when):
    single, mirrored = results["single"][when], results["mirrored"][when]
    assert mirrored[f"{name}_loss"] == pytest.approx(single[f"{name}_loss"], rel=2e-6)


@pytest.mark.parametrize("when", ["history", "evaluated"])
@pytest.mark.parametrize("metric", ["mean_iou", "dice", "pixel_accuracy"])
def test_metrics_are_equal(results, metric, when):
    single, mirrored = results["single"][when], results["mirrored"][when]
    assert np.all(np.array(single[f"sum_{metric}"]) > 0.05)
    assert mirrored[f"sum_{metric}"] == pytest.approx(single[f"sum_{metric}"], rel=1e-6)


def test_the_data_tells_a_normalizer_per_replica_apart(results):
    single, mirrored = results["single"]["weights"], results["mirrored"]["weights"]
    assert difference(single["keras"], mirrored["keras"]) > 1e-3


@pytest.mark.parametrize("case", ["plain_fit", "a replica without an image"])
def test_reported_loss_of_a_single_output_is_equal(results, case):
    losses = results[case]
    assert losses["single"][0] > losses["single"][1] > 0
    assert losses["mirrored"] == pytest.approx(losses["single"], rel=2e-6)


def test_custom_loop_adds_the_replicas_losses_up(results):
    losses = results["custom_loop"]
    assert len(losses["single"]) == 2
    assert losses["mirrored"] == pytest.approx(losses["single"], rel=1e-6)


def test_scope_outside_a_replica_changes_nothing(results):
    in_scope, outside = results["cross_replica"]
    assert in_scope == outside > 0


def test_mirrored_takes_all_logical_cpus_or_those_named(results):
    assert results["replicas"] == 2
    assert [device.split("/")[-1] for device in results["one_device"]] == ["device:CPU:1"]


def test_fused_batch_normalization_is_that_of_keras(results):
    for wanted, found in zip(*results["normalized"], strict=True):
        assert difference(wanted, found) < 5e-6
