"""What an engine is: a network as a function on arrays, whatever runs it."""

from __future__ import annotations

import math
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_unet.errors import UsageError
from keras_unet.geometry.base import Geometry

if TYPE_CHECKING:
    import keras


class Engine(ABC):
    """A network as a function from normalized tiles to what its last layer gives.

    Attributes:
        name: Name in `Segmenter.load(engine=...)`.
        input_shape: `(*spatial, C)` of a tile, None where any size (or number) is taken.
        num_outputs: Channels of the result.
        gives: What the result is: "logits", "probabilities" or (one channel of) "classes".
        files: The files that hold the network, if any.
        compiles_sizes: Whether each new size of a tile has to be compiled, so that few are better.
        precision: In what it computes: "float32" or "bfloat16".
        precisions: What `in_precision` takes.
        memory: Bytes of activations for a tile of a shape, `{"tile_shape": ..., "bytes": ...}`, by
            which those of others are estimated; None where nobody knows.
    """

    name: str
    input_shape: tuple[int | None, ...]
    num_outputs: int
    gives: str = "logits"
    files: tuple[Path, ...] = ()
    compiles_sizes: bool = False
    precision: str = "float32"
    precisions: tuple[str, ...] = ("float32",)
    memory: Mapping[str, Any] | None = None

    @abstractmethod
    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """Runs a batch.

        Args:
            batch: `(N, *tile_shape, C)` float32; it may be overwritten after the call.

        Returns:
            `(N, *output_shape, num_outputs)` float32, complete on return.
        """

    def in_precision(self, precision: str) -> Engine:
        """The same network, computing in another precision; itself if that is its own.

        Args:
            precision: "float32" or "bfloat16"; results are float32 in any case.

        Raises:
            ValueError: If the engine has no such precision.
        """
        if precision == self.precision:
            return self
        raise UsageError(
            f"the engine {self.name!r} has no precision {precision!r}; 'keras' and 'openvino' do",
            "load the segmenter with engine='keras' or engine='openvino', or leave precision away",
            "say --engine keras or --engine openvino, or leave --precision away",
        )

    def content(self) -> Iterator[bytes]:
        """Bytes by which the network is known again; of one that nobody knows, never the same."""
        for file in self.files:
            yield file.read_bytes()
        if not self.files:
            yield os.urandom(16)

    def estimate_memory(self, tile_shape: Sequence[int]) -> int | None:
        """Bytes of activations for one tile; None where nobody knows."""
        if self.memory is None:
            return None
        share = math.prod(tile_shape) / math.prod(self.memory["tile_shape"])
        return math.ceil(self.memory["bytes"] * share)

    def keras_model(self) -> keras.Model:
        """The Keras model that is run, or that the file was made from.

        Raises:
            ValueError: If nobody knows where that is.
        """
        raise ValueError(
            "an exported file holds no Keras model; load the run folder that it was exported "
            f"from. Received: engine {self.name!r}"
        )


def geometry_of(network: Any, geometry: Geometry | None) -> Geometry:
    """The geometry of a Keras model or an engine.

    Args:
        network: A Keras model, maybe with a `geometry` of its own, or an `Engine`.
        geometry: The one that was given, or None.

    Returns:
        A `Geometry` that fits the network's input.

    Raises:
        ValueError: If there is none, or it does not fit.
    """
    geometry = geometry or getattr(network, "geometry", None)
    if geometry is None:
        raise ValueError(
            "the model has no geometry; pass one that describes it, for example "
            f"geometry=keras_unet.UNetGeometry({_seen_in(network)}). "
            f"Received: model={getattr(network, 'name', network)!r}"
        )
    shape = network.input_shape
    spatial = shape[:-1] if isinstance(network, Engine) else shape[1:-1]
    if not isinstance(shape, tuple) or len(spatial) != geometry.rank:
        raise ValueError(
            f"the model must have one input (batch, *spatial, channels) with {geometry.rank} "
            f"spatial axes. Received: model.input_shape={shape}"
        )
    if None in spatial and set(spatial) != {None}:
        raise ValueError(
            "the model's spatial sizes must be all free or all fixed. "
            f"Received: model.input_shape={shape}"
        )
    return geometry


def _seen_in(network: Any) -> str:
    """What the layers of a model without a geometry show of it, as arguments of `UNetGeometry`."""
    layers = list(_layers_of(network))
    depth = sum("Pooling" in type(one).__name__ and hasattr(one, "pool_size") for one in layers)
    paddings = {
        getattr(one, "padding", None) for one in layers if max(getattr(one, "kernel_size", [1])) > 2
    }
    return f"depth={depth or 4}, padding={'valid' if 'valid' in paddings else 'same'!r}"


def _layers_of(network: Any) -> Iterator[Any]:
    for layer in getattr(network, "layers", ()):
        yield layer
        yield from _layers_of(layer)
