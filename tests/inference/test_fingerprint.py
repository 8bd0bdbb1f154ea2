"""A model is known again, and another one is not taken for it."""

from __future__ import annotations

import numpy as np
import pytest
from threshold import threshold_segmenter

import keras_unet as ku
from keras_unet.inference.engines.base import Engine
from keras_unet.inference.fingerprint import fingerprint
from keras_unet.targets import ClassTarget

pytestmark = pytest.mark.core


@pytest.fixture(scope="module")
def segmenter():
    return ku.Segmenter(ku.models.UNet(filters=2, depth=1, padding="same"))


def test_a_saved_model_is_the_same_in_another_process(segmenter, tmp_path):
    segmenter.save(tmp_path / "run")
    assert fingerprint(ku.Segmenter.load(tmp_path / "run")) == fingerprint(segmenter)
    assert len(fingerprint(segmenter)) == 64


def test_what_a_call_chooses_has_no_part_in_it(segmenter):
    chosen = segmenter.replace(tta="d4", max_tile=64, margin=4, reading={"channel": 2})
    assert fingerprint(chosen) == fingerprint(segmenter)


@pytest.mark.parametrize(
    "change",
    [{"target": ClassTarget(threshold=0.4)}, {"resolution": 0.5}, {"class_names": ["a", "b"]}],
)
def test_what_is_done_before_and_after_the_network_has(segmenter, change):
    assert fingerprint(segmenter.replace(**change)) != fingerprint(segmenter)


def test_one_other_weight_makes_another_model(segmenter):
    before = fingerprint(segmenter)
    weights = segmenter.model.get_weights()
    changed = [weight.copy() for weight in weights]
    changed[0].flat[3] = np.nextafter(changed[0].flat[3], np.float32(9))
    segmenter.model.set_weights(changed)
    try:
        assert fingerprint(segmenter) != before
    finally:
        segmenter.model.set_weights(weights)
    assert fingerprint(segmenter) == before


def test_an_exported_network_is_known_by_its_files(tmp_path):
    plain = threshold_segmenter()
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(name.encode())
    prints = []
    for files in (["a"], ["b"], ["a", "b"], ["a"]):
        plain.engine.files = tuple(tmp_path / name for name in files)
        plain.engine.content = lambda: Engine.content(plain.engine)
        prints.append(fingerprint(plain))
    assert len(set(prints)) == 3
    assert prints[0] == prints[-1]
    plain.engine.files = ()  # nobody knows it
    assert fingerprint(plain) != fingerprint(plain)
