"""The traced network: its values, how often it is traced, and that new weights are seen."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from keras_unet.inference.engines import keras_engine
from keras_unet.inference.engines.keras_engine import KerasEngine

pytestmark = [pytest.mark.core, pytest.mark.backend]


class CountsCalls(keras.layers.Layer):
    """The identity; `calls` counts how often Python came by."""

    calls = 0

    def call(self, x):
        self.calls += 1
        return x


def small_model():
    inputs = keras.Input((None, None, 1))
    counter = CountsCalls()
    x = keras.layers.Dropout(0.5)(counter(inputs))
    x = keras.layers.BatchNormalization()(x)
    model = keras.Model(inputs, keras.layers.Conv2D(2, 3)(x))
    counter.calls = 0
    return model, counter


def test_equals_the_model_in_inference_mode():
    model, _ = small_model()
    batch = np.random.default_rng(0).random((2, 9, 7, 1), np.float32)
    expected = keras.ops.convert_to_numpy(model(batch, training=False))
    out = KerasEngine(model)(batch)
    assert out.dtype == np.float32
    np.testing.assert_allclose(out, expected, atol=1e-6)


@pytest.mark.skipif(keras.config.backend() == "torch", reason="torch runs eagerly")
def test_one_trace_for_every_shape():
    model, counter = small_model()
    run = KerasEngine(model)
    for size in (7, 9, 7, 9, 7):
        run(np.zeros((2, size, 8, 1), np.float32))
    assert counter.calls == 2


def test_few_traces_are_kept(monkeypatch):
    monkeypatch.setattr(keras_engine, "MAX_TRACES", 2)
    model, counter = small_model()
    run = KerasEngine(model)
    traces = []
    for size in (7, 8, 7, 9, 7, 8):
        run(np.zeros((1, size, 8, 1), np.float32))
        traces.append(counter.calls)
    assert traces == [1, 2, 2, 3, 3, 4]  # 9 took the place of 8, which was used before 7


def test_later_weights_are_seen():
    model, _ = small_model()
    run, batch = KerasEngine(model), np.ones((1, 5, 6, 1), np.float32)
    run(batch)
    model.set_weights([np.ones_like(weight) for weight in model.get_weights()])
    expected = keras.ops.convert_to_numpy(model(batch, training=False))
    np.testing.assert_allclose(run(batch), expected, atol=1e-6)
