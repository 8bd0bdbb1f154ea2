"""A target that the package does not know: it trains, is saved, predicts and is exported."""

from __future__ import annotations

import numpy as np
import pytest

import keras_unet as ku
from keras_unet.objects import connected_components
from keras_unet.targets import Decoded, Target
from keras_unet.targets.activations import cast, sigmoid
from keras_unet.targets.base import check_channels


class ForegroundTarget(Target):
    """One channel: is this pixel in a cell. Cells that touch are one."""

    name = "foreground only"
    num_outputs = 1
    halo = 0
    target_channels = 1

    def __init__(self, threshold=0.4):
        self.threshold = threshold

    def encode(self, instances, classes=None, annotated=None):
        y = (instances > 0).astype(np.float32)[..., None]
        known = np.ones(instances.shape, bool) if annotated is None else annotated
        return y, known.astype(np.float32)

    def loss(self):
        import keras

        return keras.losses.BinaryCrossentropy(from_logits=True)

    def metrics(self):
        return []

    def activate(self, logits, ops=np):
        return sigmoid(check_channels(logits, 1, "logits", ops), ops)

    def pixel_classes(self, maps, ops=np):
        return cast(maps[..., 0] > self.threshold, "int32", ops)

    def foreground(self, maps, ops=np):
        return maps[..., 0]

    def decode(self, probabilities):
        classes = self.pixel_classes(probabilities)
        return Decoded(classes, connected_components(classes))

    def get_config(self):
        return {"threshold": self.threshold}


SAMPLES = ku.data.synthetic_cells(3, shape=(72, 88), radius=8, seed=1)
IMAGE = SAMPLES[2].image


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "own"
    recipe = ku.Recipe(
        model={"filters": 4, "depth": 2, "normalization": None},
        target={"name": ForegroundTarget.name, "threshold": 0.3},
        batches={"tile": 48, "size": 2},
        optimizer={"learning_rate": 5e-3},
        run={"steps": 20, "validate_every": 20, "tensorboard": False, "jit_compile": False},
    )
    ku.train(SAMPLES[:2], recipe, folder, SAMPLES[2:], progress=False)
    return folder


@pytest.fixture(scope="module")
def segmenter(run):
    return ku.Segmenter.load(run)


def test_it_learns_and_comes_back_with_its_options(segmenter, run):
    assert type(segmenter.target) is ForegroundTarget
    assert segmenter.target.threshold == 0.3
    rows = (run / "log.csv").read_text().splitlines()
    row = dict(zip(rows[0].split(","), map(float, rows[1].split(",")), strict=True))
    assert row["step"] == 20
    assert row["val_foreground_iou"] > 0.5


def test_it_predicts(segmenter):
    found = segmenter.replace(max_tile=56).predict(IMAGE)
    assert found.probabilities.shape == (72, 88, 1)
    np.testing.assert_array_equal(found.classes, found.probabilities[..., 0] > 0.3)
    np.testing.assert_array_equal(found.instances > 0, found.classes > 0)


def test_it_is_scored(segmenter):
    assert ku.evaluate(segmenter, SAMPLES[2:])["foreground_iou"] > 0.5


def test_a_saved_model_gives_the_same_numbers(segmenter, tmp_path):
    tf = pytest.importorskip("tensorflow")
    folder = segmenter.export(tmp_path / "own", warmup_sizes=())
    signatures = tf.saved_model.load(str(folder)).signatures
    expected = segmenter.predict(IMAGE)
    batch = tf.constant(IMAGE[None])
    answer = signatures["serving_default"](images=tf.cast(batch, tf.float32))
    np.testing.assert_array_equal(answer["probabilities"][0], expected.probabilities)
    answer = signatures["classes"](images=batch)
    np.testing.assert_array_equal(answer["classes"][0], expected.classes)


def test_a_tflite_file_gives_the_same_numbers(segmenter, tmp_path):
    pytest.importorskip("ai_edge_litert")
    file = segmenter.export(tmp_path / "own.tflite", "tflite")
    expected = segmenter.predict(IMAGE)
    found = ku.Segmenter.load(file).predict(IMAGE)
    np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=1e-5)
    assert (found.instances == expected.instances).mean() > 0.999


def test_a_class_map_needs_a_rule_of_the_target(segmenter, tmp_path):
    pytest.importorskip("ai_edge_litert")
    file = segmenter.export(tmp_path / "own.tflite", "tflite", output="classes")
    with pytest.raises(ValueError, match="cannot be decoded from classes; export probabilities"):
        ku.Segmenter.load(file).predict(IMAGE)
