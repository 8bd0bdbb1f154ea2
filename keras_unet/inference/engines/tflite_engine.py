"""Segments images with an exported TFLite file, as the `Segmenter` does with its model."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_unet import targets
from keras_unet.data.resolution import resize_image, resize_maps, working_shape
from keras_unet.geometry.tiles import TilePlan, plan_fixed, plan_tiles
from keras_unet.geometry.window import geometry_from_config
from keras_unet.inference.preparation import as_image
from keras_unet.inference.tiling import predict_tiles
from keras_unet.normalization import Normalization
from keras_unet.segmentation import Segmentation

if TYPE_CHECKING:
    from keras_unet.sample import Sample

MAX_TILE = 1024
"""Largest tile of a file that takes any size, in pixels, if the network's margin allows it."""


class TFLiteSegmenter:
    """A `.tflite` file of `export.tflite` with the same `predict` as the `Segmenter`.

    Normalisation, tiles and the way to objects are in NumPy, as described by the `.json` file
    beside it; only the network runs in TFLite. Needs `pip install 'keras-unet-bio[lite]'`, and no
    TensorFlow.

    Args:
        path: The `.tflite` file.
        num_threads: Threads of the interpreter. Defaults to None, its own choice.
        max_tile: Largest tile in pixels; for files that take any size. Defaults to 1024.

    Raises:
        ImportError: If ai-edge-litert is not installed.
        ValueError: If a file is missing, damaged, or belongs to a newer version.

    Example:
        >>> keras_unet.export.TFLiteSegmenter("cells.tflite").predict(image).count
        57
    """

    def __init__(
        self,
        path: str | os.PathLike,
        *,
        num_threads: int | None = None,
        max_tile: int = MAX_TILE,
    ) -> None:
        file = Path(path)
        config = _read_config(file)
        try:
            self.target = targets.create(config["target"]["name"], **config["target"]["config"])
            self.normalization = Normalization(**config["normalization"])
            self.geometry = geometry_from_config(config["geometry"])
            self.resolution, self.channels = config["resolution"], config["channels"]
            self.class_names, self.output = config["class_names"], config["output"]
            self.tile = config["tile"] and tuple(config["tile"])
        except (KeyError, TypeError) as error:
            raise ValueError(
                f"{file.with_suffix('.json')} does not describe a network "
                f"({type(error).__name__}: {error}); export it again"
            ) from error
        self.max_tile = max_tile
        self._interpreter = _open(file, num_threads)
        (self._input,) = self._interpreter.get_input_details()
        (self._output,) = self._interpreter.get_output_details()
        self._shape: tuple[int, ...] | None = None

    def plan(self, shape: tuple[int, ...]) -> TilePlan:
        """The tiles for an image of a spatial shape on the network's grid."""
        if self.tile is not None:
            return plan_fixed(shape, self.geometry, self.tile)
        smallest = self.geometry.nearest(self.geometry.stride + 2 * self.geometry.margin)[1]
        return plan_tiles(shape, self.geometry, max(self.max_tile, smallest))

    def predict(self, image: Any) -> Segmentation:
        """Segments one image of any size.

        Args:
            image: As `Segmenter.predict`.

        Returns:
            `Segmentation(probabilities, classes, instances)`; of a file with class maps the
            probabilities are 0 and 1.

        Raises:
            ValueError: As `Segmenter.predict`.
        """
        image = as_image(image, self.geometry.rank, self.channels)
        shape = image.shape[:-1]
        image = resize_image(image, working_shape(shape, self.resolution))
        stack = image[None] if image.ndim == 2 else image
        normalized = self.normalization(stack).reshape(image.shape)
        found = predict_tiles(normalized, self.plan(image.shape[:-1]), self._run)
        probabilities = resize_maps(found, shape)
        return Segmentation(probabilities, *self.target.decode(probabilities))

    def evaluate(self, samples: Iterable[Sample]) -> dict[str, Any]:
        """Scores of annotated samples, as `Segmenter.evaluate` gives them."""
        from keras_unet.evaluation.scores import evaluate_samples

        return evaluate_samples(self.predict, samples, self.class_names)

    def _run(self, batch: np.ndarray) -> np.ndarray:
        return np.concatenate([self.run_tile(tile[None]) for tile in batch])

    def run_tile(self, tile: np.ndarray) -> np.ndarray:
        """The network alone.

        Args:
            tile: `(1, *tile, C)` float32, normalised.

        Returns:
            `(1, *output, K)` float32 probabilities.
        """
        interpreter = self._interpreter
        if self._shape != tile.shape:  # before anything is allocated for another size
            if self.tile is None:
                interpreter.resize_tensor_input(self._input["index"], tile.shape)
            interpreter.allocate_tensors()
            self._shape = tile.shape
        interpreter.set_tensor(self._input["index"], _quantized(tile, self._input))
        interpreter.invoke()
        values = interpreter.get_tensor(self._output["index"])
        if self.output == "classes":
            return self._certain(values)
        return _dequantized(values, self._output)

    def _certain(self, classes: np.ndarray) -> np.ndarray:
        """Probabilities of 0 and 1 of a class map."""
        if self.target.name == "seeds":
            return np.repeat((classes > 0)[..., None], 2, axis=-1).astype(np.float32)
        return np.eye(self.target.num_outputs, dtype=np.float32)[classes]


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


def _read_config(file: Path) -> dict[str, Any]:
    beside = file.with_suffix(".json")
    for needed in (file, beside):
        if not needed.is_file():
            raise ValueError(
                f"{needed} is missing; export.tflite writes NAME.tflite and NAME.json, copy both. "
                f"Received: path={str(file)!r}"
            )
    try:
        config = json.loads(beside.read_text(encoding="utf-8"))
        version = config["format_version"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{beside} is damaged ({type(error).__name__}: {error}); export the network again"
        ) from error
    if version != 1:
        raise ValueError(
            f"{beside} has format version {version}, this keras_unet reads 1; upgrade keras_unet"
        )
    return config


def _open(file: Path, num_threads: int | None) -> Any:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise ImportError(
            "TFLiteSegmenter needs ai-edge-litert: pip install 'keras-unet-bio[lite]'"
        ) from error
    try:
        return Interpreter(model_path=str(file), num_threads=num_threads)
    except (ValueError, RuntimeError) as error:
        raise ValueError(
            f"{file} is no TFLite file or damaged ({error}); export it again"
        ) from error
