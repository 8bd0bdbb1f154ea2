"""What a network computes in: float32 by default, bfloat16 on request, one set of weights."""

from __future__ import annotations

import logging

import cv2
import keras
import numpy as np
import pytest
from command_line import invoke
from threshold import threshold_segmenter

import keras_unet as ku
from keras_unet.inference import precision
from keras_unet.inference.engines.keras_engine import KerasEngine
from keras_unet.inference.engines.twin import computes_in, rebuilt

pytestmark = [pytest.mark.core, pytest.mark.backend]

BATCH = np.random.default_rng(0).random((2, 16, 24, 1), np.float32)


def has_bfloat16(monkeypatch, answer):
    monkeypatch.setattr(precision, "cpu_has_bfloat16", lambda: answer)


@pytest.fixture(scope="module")
def segmenter():
    keras.utils.set_random_seed(3)
    return ku.Segmenter(ku.models.UNet(filters=4, depth=1, padding="same", dropout=0.1))


@pytest.fixture(scope="module")
def half(segmenter):
    return segmenter.replace(precision="bfloat16")


def plain_model():
    inputs = keras.Input((None, None, 1))
    x = keras.layers.Conv2D(4, 3, padding="same", activation="relu")(inputs)
    inner = keras.Sequential([keras.Input((None, None, 4)), keras.layers.Conv2D(3, 3)])
    x = keras.layers.BatchNormalization()(inner(x))
    return keras.Model(inputs, keras.layers.Softmax()(keras.layers.Conv2D(2, 1)(x)))


def test_the_model_of_the_same_weights_and_a_mixed_policy(segmenter, half):
    """The oracle: Keras's own mixed precision, with copied weights."""
    config = {**segmenter.model.get_config(), "dtype": "mixed_bfloat16"}
    mixed = ku.models.UNet.from_config(config)
    mixed.set_weights(segmenter.model.get_weights())
    expected = keras.ops.convert_to_numpy(mixed(BATCH, training=False))
    found = half.engine(BATCH)
    assert found.dtype == expected.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-2)  # traced or not rounds otherwise
    full = segmenter.engine(BATCH)
    assert 1e-4 < np.abs(found - full).max() < 0.1
    assert (half.precision, half.engine.precision) == ("bfloat16", "bfloat16")


def test_later_weights_are_seen_and_none_is_copied(segmenter, half):
    assert half.model is segmenter.model
    weights, before = segmenter.model.get_weights(), half.engine(BATCH)
    segmenter.model.set_weights([1.1 * weight for weight in weights])
    try:
        assert np.abs(half.engine(BATCH) - before).max() > 0.2
        np.testing.assert_allclose(half.engine(BATCH), segmenter.engine(BATCH), atol=0.2)
    finally:
        segmenter.model.set_weights(weights)
    np.testing.assert_array_equal(half.engine(BATCH), before)


def test_the_head_alone_stays_in_float32():
    twin = rebuilt(plain_model(), "mixed_bfloat16")
    layers = [layer for layer in twin._flatten_layers(include_self=False) if layer.weights]
    dtypes = {(type(layer).__name__, layer.compute_dtype) for layer in layers[:-1]}
    assert ("Conv2D", "bfloat16") in dtypes
    assert ("Conv2D", "float32") not in dtypes
    assert layers[-1].compute_dtype == "float32"
    assert twin.layers[-1].compute_dtype == "float32"
    assert computes_in(rebuilt(twin, "float32")) == {"float32"}


def test_a_plain_model():
    geometry = ku.UNetGeometry(depth=0, padding="valid", convs_per_level=1)
    one = ku.Segmenter(plain_model(), geometry=geometry)
    other = one.replace(precision="bfloat16")
    image = BATCH[0, ..., 0]
    full, low = (each.predict(image).probabilities for each in (one, other))
    assert 0 < np.abs(full - low).max() < 0.01


def test_float32_is_float32_whatever_the_model_was_built_for(segmenter):
    config = {**segmenter.model.get_config(), "dtype": "mixed_bfloat16"}
    mixed = ku.models.UNet.from_config(config)
    mixed.set_weights(segmenter.model.get_weights())
    found = ku.Segmenter(mixed).engine
    np.testing.assert_allclose(found(BATCH), segmenter.engine(BATCH), atol=1e-5)
    as_built = ku.Segmenter(mixed, precision="bfloat16").engine
    assert as_built.estimate_memory((64, 64)) < found.estimate_memory((64, 64))


def test_a_model_that_cannot_be_built_anew(segmenter):
    @keras.saving.register_keras_serializable("tests")
    class Odd(keras.layers.Layer):
        def __init__(self, function, **kwargs):
            super().__init__(**kwargs)
            self.function = function

        def call(self, x):
            return self.function(x)

    inputs = keras.Input((None, None, 1))
    odd = Odd(lambda x: 2 * x, dtype="mixed_bfloat16")(inputs)
    model = keras.Model(inputs, keras.layers.Conv2D(2, 1, dtype="float32")(odd), name="odd")
    with pytest.warns(
        UserWarning, match=r"'odd' cannot be built anew in float32 .*is run in the precision it has"
    ):
        assert KerasEngine(model)(BATCH).shape == (2, 16, 24, 2)
    inputs = keras.Input((None, None, 1))
    model = keras.Model(inputs, keras.layers.Conv2D(2, 1)(Odd(lambda x: 2 * x)(inputs)), name="odd")
    with pytest.raises(ValueError, match=r"'odd' cannot .* in bfloat16 .*leave precision"):
        KerasEngine(model, "bfloat16")


def test_one_line_says_that_this_cpu_has_none(segmenter, monkeypatch, caplog):
    for answer, lines in ((True, 0), (False, 1)):
        has_bfloat16(monkeypatch, answer)
        caplog.clear()
        asked = segmenter.replace(precision="bfloat16")
        asked.replace(max_tile=64)
        told = [one for one in caplog.records if "no bfloat16" in one.message]
        assert len(told) == lines
        assert all(one.levelno == logging.WARNING for one in told)


def test_auto_takes_it_where_cpu_and_engine_have_it(segmenter, monkeypatch):
    for answer, expected in ((True, "bfloat16"), (False, "float32")):
        has_bfloat16(monkeypatch, answer)
        assert segmenter.replace(precision="auto").engine.precision == expected
        assert threshold_segmenter().replace(precision="auto").engine.precision == "float32"


@pytest.mark.parametrize(
    ("text", "answer"),
    [("flags\t: fpu avx512_bf16 avx", True), ("Features : fp bf16", True), ("fpu avx512f", False)],
)
def test_what_the_cpu_says(text, answer, tmp_path, monkeypatch):
    (tmp_path / "cpuinfo").write_text(text)
    monkeypatch.setattr(precision, "CPU_INFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(precision.sys, "platform", "linux")
    assert precision.cpu_has_bfloat16.__wrapped__() is answer
    monkeypatch.setattr(precision, "CPU_INFO", tmp_path / "nothing")
    assert not precision.cpu_has_bfloat16.__wrapped__()


def test_engines_that_have_none_name_those_that_do():
    with pytest.raises(ValueError, match=r"'threshold' has no .*'keras' and 'openvino' do"):
        threshold_segmenter().replace(precision="bfloat16")
    with pytest.raises(ValueError, match=r"no precision 'bfloat' \(did you mean 'bfloat16'\?\)"):
        threshold_segmenter().replace(precision="bfloat")


def test_it_is_no_part_of_what_is_saved(half, tmp_path):
    assert ku.Segmenter.load(half.save(tmp_path / "run")).precision == "float32"


def test_predict_and_evaluate_on_the_command_line(half, tmp_path, caplog):
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    (sample,) = ku.data.synthetic_cells(1, shape=(40, 50), seed=0)
    keras.utils.save_img(
        tmp_path / "images" / "a.png", sample.image.reshape(40, 50, 1), scale=False
    )
    cv2.imwrite(str(tmp_path / "masks" / "a.png"), np.uint8(sample.instances > 0))
    run = half.save(tmp_path / "run")
    call = ("predict", run, tmp_path / "images", "--out", tmp_path / "out", "--precision")
    invoke(*call, "bfloat16")
    output = invoke(*call, "float32", "--resume", "yes", code=1)
    assert "there --precision bfloat16, here no --precision" in output
    expected = ku.evaluate(half, ku.data.read_folder(tmp_path / "images", tmp_path / "masks"))
    output = invoke("evaluate", run, tmp_path, "--precision", "bfloat16", "--json")
    assert f'"mean_iou": {expected["mean_iou"]}' in output
    with pytest.raises(ValueError, match="precision cannot be used with it"):
        ku.evaluate(tmp_path / "masks", [sample], precision="bfloat16")
