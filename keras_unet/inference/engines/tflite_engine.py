"""A TFLite file, run by LiteRT; needs no TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_unet._extras import import_extra
from keras_unet.inference.engines.base import Engine


class TFLiteEngine(Engine):
    """A `.tflite` file of `export.tflite`: float32, 16 or 8 bits, probabilities or classes.

    Args:
        file: The file.
        description: What the `.json` file beside it holds.
        num_threads: Threads of the interpreter. Defaults to None, its own choice.

    Raises:
        ImportError: If ai-edge-litert is not installed.
        ValueError: If the file is damaged.
    """

    name = "tflite"

    def __init__(
        self, file: Path, description: Mapping[str, Any], num_threads: int | None = None
    ) -> None:
        self.files = (file,)
        self.gives = description["output"]
        tile = description.get("tile") or (None,) * description["rank"]
        self.input_shape = (*tile, description["channels"])
        self._interpreter = _open(file, num_threads)
        (self._input,) = self._interpreter.get_input_details()
        (self._output,) = self._interpreter.get_output_details()
        self.num_outputs = 1 if self.gives == "classes" else int(self._output["shape"][-1])
        self._shape: tuple[int, ...] | None = None

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """Runs a batch, one tile after the other."""
        return np.concatenate([self._run(tile[None]) for tile in batch])

    def _run(self, tile: np.ndarray) -> np.ndarray:
        interpreter = self._interpreter
        if self._shape != tile.shape:  # before anything is allocated for another size
            if None in self.input_shape:
                interpreter.resize_tensor_input(self._input["index"], tile.shape)
            interpreter.allocate_tensors()
            self._shape = tile.shape
        interpreter.set_tensor(self._input["index"], _quantized(tile, self._input))
        interpreter.invoke()
        values = interpreter.get_tensor(self._output["index"])
        if self.gives == "classes":
            return values[..., None].astype(np.float32)
        return _dequantized(values, self._output)


def _quantized(values: np.ndarray, details: dict[str, Any]) -> np.ndarray:
    if details["dtype"] == np.float32:
        return values
    scale, zero = details["quantization"]
    limits = np.iinfo(details["dtype"])
    return np.clip(np.rint(values / scale) + zero, limits.min, limits.max).astype(details["dtype"])


def _dequantized(values: np.ndarray, details: dict[str, Any]) -> np.ndarray:
    if details["dtype"] == np.float32:
        return values
    scale, zero = details["quantization"]
    return np.float32(scale) * (values.astype(np.float32) - np.float32(zero))


def _open(file: Path, num_threads: int | None) -> Any:
    module = import_extra("ai_edge_litert.interpreter", str(file), "'keras-unet-bio[lite]'")
    try:
        return module.Interpreter(model_path=str(file), num_threads=num_threads)
    except (ValueError, RuntimeError) as error:
        raise ValueError(
            f"{file} is no TFLite file or damaged ({error}); export it again"
        ) from error
