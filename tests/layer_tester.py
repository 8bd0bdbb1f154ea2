"""Checks that hold for every layer of the package, on the current backend."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np


def run_layer(layer: keras.layers.Layer, inputs: Any) -> np.ndarray:
    """Output of a layer as an array, after checking what every layer must do.

    The declared shape is the real one, also where sizes are None; the layer comes back equal from
    its configuration and computes the same.
    """
    arrays = inputs if isinstance(inputs, list) else [inputs]
    outputs = keras.ops.convert_to_numpy(layer(inputs))

    shapes = [array.shape for array in arrays]
    declared = layer.compute_output_shape(shapes if isinstance(inputs, list) else shapes[0])
    assert tuple(declared) == outputs.shape

    symbols = [keras.Input((*[None] * (array.ndim - 2), array.shape[-1])) for array in arrays]
    symbolic = layer(symbols if isinstance(inputs, list) else symbols[0])
    assert len(symbolic.shape) == outputs.ndim
    assert all(a in (None, b) for a, b in zip(symbolic.shape, outputs.shape, strict=True))
    assert symbolic.shape[-1] == outputs.shape[-1]

    config = keras.saving.serialize_keras_object(layer)
    assert config["registered_name"] == f"keras_unet>{type(layer).__name__}"
    again = keras.saving.deserialize_keras_object(config)
    assert again.get_config() == layer.get_config()
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(again(inputs)), outputs)
    return outputs


def run_traced(layer: keras.layers.Layer, inputs: Any) -> tuple[np.ndarray, tuple]:
    """Output of a layer in a tf.function that knows no size but the channels, and its shape."""
    import tensorflow as tf

    arrays = inputs if isinstance(inputs, list) else [inputs]
    specs = [
        tf.TensorSpec((*[None] * (array.ndim - 1), array.shape[-1]), tf.float32) for array in arrays
    ]

    @tf.function(input_signature=specs)
    def run(*tensors: Any) -> Any:
        return layer(list(tensors) if isinstance(inputs, list) else tensors[0])

    outputs = run(*[tf.constant(array, tf.float32) for array in arrays])
    return outputs.numpy(), tuple(run.get_concrete_function().structured_outputs.shape)
