"""Calls a Keras model on NumPy batches, compiled once per batch shape, on every backend.

`keras.Model.predict` builds a data set, callbacks and a progress bar for every call; a traced
function is more than twice as fast on single images.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import cache, lru_cache, partial
from typing import Any

import keras
import numpy as np

from keras_unet.errors import UsageError
from keras_unet.inference.engines.base import Engine
from keras_unet.inference.memory import TILE, estimate_memory

MAX_TRACES = 8
"""Traced functions that are kept; the least recently used one is dropped."""


class KerasEngine(Engine):
    """A model as a function from float32 arrays to float32 arrays, in inference mode.

    Later changes of the model's weights are seen: no weight is copied.

    Args:
        model: A Keras model with one input and one output.

    Raises:
        ValueError: If it has several outputs, or its output is in a dictionary.
    """

    name = "keras"

    def __init__(self, model: keras.Model) -> None:
        _check_outputs(model)
        self.model = model
        self.input_shape = tuple(model.input_shape[1:])
        self.num_outputs = int(model.output_shape[-1])
        self._traced = lru_cache(MAX_TRACES)(partial(_trace, model))
        self._memory_of = cache(partial(_memory, model))

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """Runs one batch; the result is complete on return."""
        function = self._traced(batch.shape)
        return np.asarray(keras.ops.convert_to_numpy(function(batch)), np.float32)

    def content(self) -> Iterator[bytes]:
        """The weights, in their order."""
        for weight in self.model.get_weights():
            yield f"{weight.dtype}{weight.shape}".encode()
            yield np.ascontiguousarray(weight).tobytes()

    def estimate_memory(self, tile_shape: Sequence[int]) -> int | None:
        """See `inference.estimate_memory`; None, with a warning, where it cannot tell."""
        return self._memory_of(tuple(tile_shape))


def _check_outputs(model: keras.Model) -> None:
    outputs = getattr(model, "outputs", None) or []
    if len(outputs) > 1 or (outputs and isinstance(getattr(model, "_outputs_struct", None), dict)):
        shapes = ", ".join(f"{one.name} {tuple(one.shape)}" for one in outputs[:8])
        what = f"{len(outputs)} outputs" if len(outputs) > 1 else "its output in a dictionary"
        raise UsageError(
            f"the model has {what} ({shapes}), a segmenter needs one",
            "give keras.Model(model.input, model.outputs[0]), or another one of them",
        )


def _memory(model: keras.Model, tile_shape: tuple[int, ...]) -> int | None:
    try:
        return estimate_memory(model, tile_shape)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        warnings.warn(
            f"the memory of {model.name!r} is not known, so its tiles have up to {TILE} pixels a "
            f"side; give Segmenter(..., max_tile=...) for others ({error})",
            stacklevel=2,
        )
        return None


def _trace(model: keras.Model, shape: tuple[int, ...]) -> Callable[[np.ndarray], Any]:
    makers = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}
    return makers[keras.config.backend()](model, shape)


def _tensorflow(model: keras.Model, shape: tuple[int, ...]) -> Callable[[np.ndarray], Any]:
    import tensorflow as tf

    @tf.function(autograph=False)
    def call(images: Any) -> Any:
        return model(images, training=False)

    # A concrete function has static shapes and does not count as a retracing of `call`.
    concrete = call.get_concrete_function(tf.TensorSpec(shape, tf.float32))
    return lambda batch: concrete(tf.convert_to_tensor(batch))


def _jax(model: keras.Model, shape: tuple[int, ...]) -> Callable[[np.ndarray], Any]:
    import jax

    @jax.jit
    def call(trainable: list, rest: list, images: Any) -> Any:
        return model.stateless_call(trainable, rest, images, training=False)[0]

    def run(batch: np.ndarray) -> Any:
        trainable = [variable.value for variable in model.trainable_variables]
        rest = [variable.value for variable in model.non_trainable_variables]
        return call(trainable, rest, batch)

    return run


def _torch(model: keras.Model, shape: tuple[int, ...]) -> Callable[[np.ndarray], Any]:
    import torch

    def run(batch: np.ndarray) -> Any:
        with torch.no_grad():
            return model(keras.ops.convert_to_tensor(batch), training=False)

    return run
