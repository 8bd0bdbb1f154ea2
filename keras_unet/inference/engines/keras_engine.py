"""Calls a Keras model on NumPy batches, compiled once, or once per batch shape, on every backend.

`keras.Model.predict` builds a data set, callbacks and a progress bar for every call; a traced
function is more than twice as fast on single images. TensorFlow traces a network of free size once
for all shapes, JAX compiles each one.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import cache, lru_cache, partial
from typing import Any

import keras
import numpy as np

from keras_unet.errors import UsageError, one_line
from keras_unet.inference.engines.base import Engine
from keras_unet.inference.engines.twin import LOW, Twin, computes_in
from keras_unet.inference.memory import TILE, estimate_memory
from keras_unet.inference.precision import warn_of_slowness

MAX_TRACES = 32
"""Traced functions that are kept; the least recently used one is dropped."""


class KerasEngine(Engine):
    """A model as a function from float32 arrays to float32 arrays, in inference mode.

    Later changes of the model's weights are seen: no weight is copied.

    Args:
        model: A Keras model with one input and one output.
        precision: "float32" or "bfloat16", whatever the model's dtype policy is; the head stays in
            float32. Defaults to "float32".

    Raises:
        ValueError: If it has several outputs, or its output is in a dictionary, or it cannot be
            built anew for bfloat16.
    """

    name = "keras"
    precisions = ("float32", "bfloat16")

    def __init__(self, model: keras.Model, precision: str = "float32") -> None:
        _check_outputs(model)
        self.model = model
        self.precision = precision
        network = _network(model, precision)
        self.input_shape = tuple(model.input_shape[1:])
        self.num_outputs = int(model.output_shape[-1])
        self.compiles_sizes = keras.config.backend() == "jax" and None in self.input_shape[:-1]
        self._is_free = keras.config.backend() == "tensorflow" and None in self.input_shape[:-1]
        self._traced = lru_cache(MAX_TRACES)(partial(_trace, network))
        self._memory_of = cache(partial(_memory, getattr(network, "network", network)))

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """Runs one batch; the result is complete on return."""
        function = self._function(batch.shape)
        return np.asarray(keras.ops.convert_to_numpy(function(batch)), np.float32)

    def in_precision(self, precision: str) -> Engine:
        """The same model in another precision."""
        return self if precision == self.precision else KerasEngine(self.model, precision)

    def _function(self, shape: tuple[int, ...]) -> Callable[[np.ndarray], Any]:
        """The traced network for a batch of a shape: on TensorFlow one for all, where it can be."""
        if self._is_free:
            try:
                return self._traced((*(None,) * (len(shape) - 1), shape[-1]))
            except Exception:  # whatever a layer says that needs to know its size
                self._is_free = False
        return self._traced(shape)

    def keras_model(self) -> keras.Model:
        """The model."""
        return self.model

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


def _network(model: keras.Model, precision: str) -> keras.Model | Twin:
    """What is called in place of the model: itself if it computes in this precision already."""
    dtypes = computes_in(model)
    if precision == "float32":
        if not dtypes & set(LOW):
            return model
    elif "bfloat16" in dtypes:
        return model
    else:
        warn_of_slowness()
    try:
        return Twin(model, precision)
    except (TypeError, ValueError, NotImplementedError) as error:
        problem = f"{model.name!r} cannot be built anew in {precision} ({one_line(str(error))})"
        if precision == "float32":
            warnings.warn(f"{problem}, and is run in the precision it has", stacklevel=2)
            return model
        raise UsageError(problem, "leave precision away", "leave --precision away") from error


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


def _trace(model: keras.Model, shape: tuple[int | None, ...]) -> Callable[[np.ndarray], Any]:
    makers = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}
    return makers[keras.config.backend()](model, shape)


def _tensorflow(model: keras.Model, shape: tuple[int | None, ...]) -> Callable[[np.ndarray], Any]:
    import tensorflow as tf

    @tf.function(autograph=False)
    def call(images: Any) -> Any:
        return model(images, training=False)

    # A concrete function has the shape that it is told and does not count as a retracing.
    concrete = call.get_concrete_function(tf.TensorSpec(shape, tf.float32))
    return lambda batch: concrete(tf.convert_to_tensor(batch))


def _jax(model: keras.Model, shape: tuple[int | None, ...]) -> Callable[[np.ndarray], Any]:
    import jax

    @jax.jit
    def call(trainable: list, rest: list, images: Any) -> Any:
        return model.stateless_call(trainable, rest, images, training=False)[0]

    def run(batch: np.ndarray) -> Any:
        trainable = [variable.value for variable in model.trainable_variables]
        rest = [variable.value for variable in model.non_trainable_variables]
        return call(trainable, rest, batch)

    return run


def _torch(model: keras.Model, shape: tuple[int | None, ...]) -> Callable[[np.ndarray], Any]:
    import torch

    def run(batch: np.ndarray) -> Any:
        with torch.no_grad():
            return model(keras.ops.convert_to_tensor(batch), training=False)

    return run
