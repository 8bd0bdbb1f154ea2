"""A network file that stands for the Keras model it was made from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from keras_unet.inference.engines.base import Engine

if TYPE_CHECKING:
    import keras


class Source:
    """A Keras model that is loaded when somebody asks for it.

    Args:
        load: Loads it.

    Attributes:
        model: The model; None as long as nobody has asked.
    """

    def __init__(self, load: Callable[[], keras.Model]) -> None:
        self._load = load
        self.model: keras.Model | None = None

    def get(self) -> keras.Model:
        """The model."""
        if self.model is None:
            self.model = self._load()
        return self.model


class NetworkEngine(Engine):
    """Runs a network file; loads the Keras model that it was made from when it is asked for.

    Whoever asks for the model may change its weights, which the file would not see. From then on
    the model is run, unless the file's engine was chosen by its name.

    Args:
        engine: What runs the file.
        source: The model it was made from.
        chosen: Whether the engine was chosen by its name. Defaults to False.
    """

    def __init__(self, engine: Engine, source: Source, chosen: bool = False) -> None:
        self._engine, self._source, self._chosen = engine, source, chosen
        self._is_model = False
        self.input_shape, self.num_outputs = engine.input_shape, engine.num_outputs
        self.gives = engine.gives
        self._tell()

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """Runs a batch."""
        return self._running()(batch)

    def keras_model(self) -> keras.Model:
        """The model, loaded at the first call."""
        model = self._source.get()
        self._running()
        return model

    def in_precision(self, precision: str) -> Engine:
        """The same network in another precision, run by Keras if the file's engine has it not."""
        if precision == self.precision:
            return self
        if precision in self._running().precisions:
            engine = self._running().in_precision(precision)
            return NetworkEngine(engine, self._source, self._chosen)
        if self._chosen:
            return self._engine.in_precision(precision)  # which says that it has none
        return _keras(self._source.get(), precision)

    def content(self) -> Iterator[bytes]:
        """What the network that runs is known by."""
        return self._running().content()

    def estimate_memory(self, tile_shape: Sequence[int]) -> int | None:
        """Bytes of activations for one tile; None where nobody knows."""
        return self._running().estimate_memory(tile_shape)

    def _running(self) -> Engine:
        """The file's engine, or the model's since somebody has it."""
        model = self._source.model
        if model is not None and not (self._chosen or self._is_model):
            self._engine, self._is_model = _keras(model, self.precision), True
            self._tell()
        return self._engine

    def _tell(self) -> None:
        self.name, self.precisions = self._engine.name, self._engine.precisions
        self.precision, self.files = self._engine.precision, self._engine.files
        self.compiles_sizes = self._engine.compiles_sizes


def _keras(model: keras.Model, precision: str) -> Engine:
    from keras_unet.inference.engines.keras_engine import KerasEngine

    return KerasEngine(model, precision)
