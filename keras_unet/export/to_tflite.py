"""A segmenter's network as a TFLite (LiteRT) file for phones, boards and browsers."""

from __future__ import annotations

import itertools
import json
import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from keras_unet._arguments import check_one_of
from keras_unet.export.float32 import float32_model
from keras_unet.export.graph import check_exportable
from keras_unet.files.atomic import write_atomically
from keras_unet.geometry.mirrored import mirrored_box
from keras_unet.geometry.tiles import TilePlan, plan_fixed, plan_tiles
from keras_unet.inference.description import describe
from keras_unet.inference.outputs import activated
from keras_unet.inference.tile_runner import LARGE
from keras_unet.sample import Sample

if TYPE_CHECKING:
    from keras_unet.inference.segmenter import Segmenter

QUANTIZATIONS = (None, "float16", "dynamic", "int8")
IO = ("float32", "uint8")
OUTPUTS = ("probabilities", "classes")


def tflite(
    segmenter: Segmenter,
    path: str | os.PathLike,
    *,
    tile: int | Sequence[int] | None = None,
    quantization: str | None = None,
    samples: Iterable[Any] | None = None,
    io: str = "float32",
    output: str = "probabilities",
    overwrite: bool = False,
) -> Path:
    """Writes a `.tflite` file, and beside it a `.json` file that says how to use it.

    The file holds the network with the target's activation, of builtin operations only: a
    normalized tile `(1, H, W, C)` goes in, named `image`; probabilities `(1, H', W', K)` or classes
    uint8 `(1, H', W')` come out. Normalization and overlap tiles need the whole image, so they are
    the caller's part: `TFLiteSegmenter` in Python, the page of `export.web` in a browser.

    Args:
        segmenter: The trained segmenter, not of volumes.
        path: The file, ending in `.tflite`.
        tile: Input size in pixels, one number or two. Defaults to None, any size: the interpreter
            must then be told one (`resize_tensor_input`) before it is used; browsers cannot.
        quantization: None for float32; `"float16"`: weights of half the size; `"dynamic"`: weights
            of 8 bits, activations as they come (runtimes of 2023 and before refuse its
            up-convolutions); `"int8"`: both of 8 bits, with ranges measured on `samples`. Defaults
            to None.
        samples: `Sample`s or raw images like those that the network will see, some ten; for
            `"int8"` only. Defaults to None.
        io: `"uint8"`, for `"int8"` only: input and output are bytes, with scale and zero point in
            the file. Defaults to `"float32"`.
        output: `"probabilities"` or `"classes"`, each pixel's own. Defaults to `"probabilities"`.
        overwrite: Whether existing files are replaced. Defaults to False.

    Returns:
        The path.

    Raises:
        ValueError: If an argument is out of its range, the segmenter segments volumes, or the
            network has an operation that TFLite lacks.
        FileExistsError: If a file exists.

    Example:
        >>> keras_unet.export.tflite(segmenter, "lite/cells.tflite", tile=64)
        PosixPath('lite/cells.tflite')
    """
    file = Path(path)
    check_exportable(segmenter)
    rank = segmenter.geometry.rank
    if rank > 2:
        raise ValueError(
            "TFLite has no builtin pooling of volumes (MaxPool3D); export a SavedModel, ONNX or "
            f"OpenVINO. Received: a segmenter with {rank} spatial axes"
        )
    check_one_of("quantization", quantization, QUANTIZATIONS)
    check_one_of("io", io, IO)
    check_one_of("output", output, OUTPUTS)
    if (quantization == "int8") != (samples is not None):
        given = "no samples" if samples is None else "samples"
        raise ValueError(
            "samples are needed for quantization='int8', to measure ranges, and for nothing else. "
            f"Received: quantization={quantization!r} and {given}"
        )
    if io == "uint8" and quantization != "int8":
        raise ValueError(
            f"io='uint8' needs quantization='int8'. Received: quantization={quantization!r}"
        )
    if file.suffix != ".tflite":
        raise ValueError(f"path must end in .tflite. Received: path={str(file)!r}")
    for existing in (file, file.with_suffix(".json")):
        if existing.exists() and not overwrite:
            raise FileExistsError(f"{existing} exists; pass overwrite=True or another path")
    tile_shape = _tile_shape(segmenter, tile)
    module = _module(segmenter, float32_model(segmenter.model), tile_shape, output)
    content = _convert(module, quantization, io, _feed(segmenter, tile_shape, samples))
    about = describe(
        segmenter,
        tile=tile_shape and list(tile_shape),
        quantization=quantization,
        io=io,
        output=output,
    )
    text = json.dumps(about, indent=2)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file.with_suffix(".json"), text.encode() + b"\n")
    write_atomically(file, content)
    return file


def _tile_shape(segmenter: Segmenter, tile: int | Sequence[int] | None) -> tuple[int, ...] | None:
    fixed = segmenter.model.input_shape[1:-1]
    rank = segmenter.geometry.rank
    if tile is None:
        return None if None in fixed else tuple(fixed)
    shape = (tile,) * rank if isinstance(tile, int) else tuple(map(int, tile))
    if len(shape) != rank or (None not in fixed and shape != tuple(fixed)):
        raise ValueError(
            f"tile needs one number or {rank} of them, those of the network if it has any. "
            f"Received: tile={tile}, model.input_shape={segmenter.model.input_shape}"
        )
    plan_fixed((LARGE,) * rank, segmenter.geometry, shape)
    return shape


# === Conversion ===


def _module(segmenter: Segmenter, model: Any, tile: tuple[int, ...] | None, output: str) -> Any:
    """The network as a module with one signature."""
    rank, channels, target = segmenter.geometry.rank, segmenter.channels, segmenter.target
    ops = _PhoneOps()
    spec = tf.TensorSpec((1, *(tile or (None,) * rank), channels), tf.float32, name="image")

    def run(image: tf.Tensor) -> dict[str, tf.Tensor]:
        outputs = model(image, training=False)
        found = activated(target, outputs, segmenter.gives == "logits", ops)
        if output == "classes":
            found = tf.cast(target.pixel_classes(found, ops), tf.uint8)
        return {output: found}

    module = tf.Module()
    module.weights = [weight.value for weight in model.weights]
    module.run = tf.function(run, input_signature=[spec], autograph=False)
    return module


class _PhoneOps:
    """`keras.ops` of operations that phones have: nothing of 64 bits, soft-max as one of them."""

    is_plain = True
    softmax, sigmoid = staticmethod(tf.nn.softmax), staticmethod(tf.sigmoid)

    @staticmethod
    def argmax(values: tf.Tensor, axis: int) -> tf.Tensor:
        return tf.argmax(values, axis, output_type=tf.int32)

    def __getattr__(self, name: str) -> Any:
        return getattr(keras.ops, name)


def _feed(segmenter: Segmenter, tile: tuple[int, ...] | None, samples: Any) -> Any:
    if samples is None:
        return None
    tiles = calibration_tiles(segmenter, samples, tile)
    return lambda: ([part[None]] for part in tiles)


def _convert(module: Any, quantization: str | None, io: str, feed: Any) -> bytes:
    """Through a SavedModel: concrete functions of Keras 3 would leave weights unfrozen (NaN)."""
    with tempfile.TemporaryDirectory() as scratch:
        tf.saved_model.save(module, scratch, signatures={"serving_default": module.run})
        converter = tf.lite.TFLiteConverter.from_saved_model(
            scratch, signature_keys=["serving_default"]
        )
        builtin = tf.lite.OpsSet.TFLITE_BUILTINS
        if quantization is not None:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if quantization == "float16":
            converter.target_spec.supported_types = [tf.float16]
        if quantization == "int8":
            converter.representative_dataset = feed
            builtin = tf.lite.OpsSet.TFLITE_BUILTINS_INT8
            if io == "uint8":
                converter.inference_input_type = tf.uint8
                converter.inference_output_type = tf.uint8
        converter.target_spec.supported_ops = [builtin]
        try:
            return converter.convert()
        except Exception as error:
            raise ValueError(
                "the network has an operation that TFLite does not have builtin; export a "
                f"SavedModel, ONNX or OpenVINO. TFLite says: {error}"
            ) from error


MAX_TILES = 100
TILE = 256
"""Side of the tiles of a network that takes any size, or the next legal one."""


def calibration_tiles(
    segmenter: Segmenter, samples: Iterable[Any], tile: Sequence[int] | None
) -> list[np.ndarray]:
    """Normalized tiles of images, evenly chosen where there are many.

    Args:
        segmenter: The segmenter.
        samples: `Sample`s or raw images.
        tile: Shape of the tiles; None for those of about 256 pixels.

    Returns:
        Up to 100 arrays `(*tile, C)`, float32.

    Raises:
        ValueError: If there is no image, or one does not fit the network.
    """
    images = [
        segmenter.prepare(sample.image if isinstance(sample, Sample) else sample)
        for sample in samples
    ]
    if not images:
        raise ValueError("samples must hold at least one image. Received: none")
    plans = [_plan(segmenter, image.shape[:-1], tile) for image in images]
    every = -(-sum(map(len, plans)) // MAX_TILES)
    pairs = (
        (image, plan.tile_shape, part)
        for image, plan in zip(images, plans, strict=True)
        for part in plan
    )
    found = []
    for image, shape, part in itertools.islice(pairs, 0, None, every):
        found.append(np.empty((*shape, image.shape[-1]), np.float32))
        found[-1][...] = mirrored_box(image, part.read)
    return found


def _plan(segmenter: Segmenter, shape: tuple[int, ...], tile: Sequence[int] | None) -> TilePlan:
    geometry = segmenter.geometry
    if tile is not None:
        return plan_fixed(shape, geometry, tile, segmenter.margin)
    return plan_tiles(shape, geometry, max(TILE, geometry.smallest_tile), segmenter.margin)
