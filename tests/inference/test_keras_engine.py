"""The traced network: its values, how often it is traced, and that new weights are seen."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from small_networks import PLAIN, RAW, rng_image, tiny_unet

from keras_unet import Segmenter
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


BACKEND = keras.config.backend()


@pytest.mark.skipif(BACKEND == "torch", reason="torch runs eagerly")
def test_one_trace_for_all_shapes_or_for_each():
    model, counter = small_model()
    run = KerasEngine(model)
    for size in (7, 9, 7, 9, 7):
        run(np.zeros((size % 4, size, 8, 1), np.float32))
    assert counter.calls == {"tensorflow": 1, "jax": 2}[BACKEND]


@pytest.mark.skipif(BACKEND == "torch", reason="torch runs eagerly")
def test_few_traces_are_kept(monkeypatch):
    monkeypatch.setattr(keras_engine, "MAX_TRACES", 2)
    model, counter = small_model()
    run = KerasEngine(model)
    run._is_free = False
    traces = []
    for size in (7, 8, 7, 9, 7, 8):
        run(np.zeros((1, size, 8, 1), np.float32))
        traces.append(counter.calls)
    assert traces == [1, 2, 2, 3, 3, 4]  # 9 took the place of 8, which was used before 7


@pytest.mark.skipif(BACKEND != "tensorflow", reason="others trace no free sizes")
def test_one_trace_gives_what_a_trace_of_each_shape_gives():
    model = tiny_unet(padding="same", normalization="batch")
    free, static = KerasEngine(model), KerasEngine(model)
    static._is_free = False
    for shape in ((1, 16, 24, 1), (3, 40, 16, 1), (2, 16, 24, 1)):
        batch = np.random.default_rng(0).random(shape, np.float32)
        np.testing.assert_array_equal(free(batch), static(batch))
    assert free._traced.cache_info().currsize == 1
    assert static._traced.cache_info().currsize == 3


@pytest.mark.skipif(BACKEND != "tensorflow", reason="others trace no free sizes")
def test_a_network_that_needs_to_know_its_size_is_traced_for_each():
    """Keras's bilinear up-sampling is one, from 3.14 on."""

    class NeedsSize(keras.layers.Layer):
        def call(self, x):
            if x.shape[1] is None:
                raise ValueError("how many rows?")
            return x * x.shape[1]

        def compute_output_shape(self, shape):
            return shape

    inputs = keras.Input((None, None, 1))
    outputs = NeedsSize()(inputs)
    run = KerasEngine(keras.Model(inputs, outputs))
    for size in (3, 4, 3):
        np.testing.assert_array_equal(run(np.ones((1, size, 2, 1), np.float32)), size)
    assert run._traced.cache_info().currsize == 2


@pytest.mark.skipif(BACKEND != "tensorflow", reason="others trace no free sizes")
def test_a_folder_of_many_sizes_is_traced_once():
    segmenter = Segmenter(tiny_unet(padding="same"), PLAIN, RAW)
    for height in range(33, 61, 2):
        for width in range(40, 56, 3):
            result = segmenter.predict(rng_image(height, width))
            assert result.probabilities.shape == (height, width, 2)
    assert segmenter.engine._traced.cache_info().misses == 1


def test_later_weights_are_seen():
    model, _ = small_model()
    run, batch = KerasEngine(model), np.ones((1, 5, 6, 1), np.float32)
    run(batch)
    model.set_weights([np.ones_like(weight) for weight in model.get_weights()])
    expected = keras.ops.convert_to_numpy(model(batch, training=False))
    np.testing.assert_allclose(run(batch), expected, atol=1e-6)
