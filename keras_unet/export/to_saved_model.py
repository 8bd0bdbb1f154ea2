"""A segmenter as a SavedModel that TensorFlow Serving, or any TensorFlow runtime, takes."""

from __future__ import annotations

import json
import math
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from keras_unet.export.graph import SegmenterGraph
from keras_unet.export.signatures import make_signatures
from keras_unet.inference.description import describe

if TYPE_CHECKING:
    from keras_unet.inference.segmenter import Segmenter

MAX_PIXELS = 2**26
WARMUP_SIZES = {1: ((512,),), 2: ((256, 256), (512, 512)), 3: ((32, 128, 128),)}
"""Typical image sizes by the number of axes."""


def saved_model(
    segmenter: Segmenter,
    base_path: str | os.PathLike,
    version: int | None = None,
    *,
    max_tile: int | Sequence[int] | None = None,
    max_pixels: int = MAX_PIXELS,
    probability_png: bool = False,
    warmup_sizes: Sequence[Sequence[int]] | None = None,
    overwrite: bool = False,
) -> Path:
    """Writes `BASE_PATH/VERSION`, from raw images to probabilities, masks and PNG files.

    Normalization, mirror, overlap tiles with bounded memory, network and activation are inside the
    graph and give the numbers of `Segmenter.predict` (without test-time augmentation). Signatures:

    - `serving_default`: `images` float32 `(N, *spatial, C)`, raw -> `probabilities` float32
      `(N, *spatial, K)`.
    - `classes`: `images` uint8 `(N, *spatial, C)` -> `classes` uint8 `(N, *spatial)`.
    - `segment_bytes` (flat images of one or three channels): `image_bytes` string `(N)`, files
      (PNG, JPEG, BMP, GIF, WebP) of any sizes -> `mask_png_bytes` string, `height`, `width` int32,
      all `(N)`; with `probability_png` also `probability_png_bytes`, the probability of the
      foreground times 255. No TensorFlow operation decodes TIFF: `RestClient.segment("x.tif")`
      does before it sends.
    - `metadata`: `query` string `(N)`, anything -> `metadata_json` string `(N)`.

    Wrong ranks, channels, empty batches and images, too large ones, NaN and broken files are
    answered with INVALID_ARGUMENT; one bad image fails its batch. Classes are each pixel's own:
    `min_size` and `close_gaps` of the target, which need connected components, are not in the
    graph.

    The version appears complete or not at all, so a server may watch the folder. It holds core
    TensorFlow operations only, one copy of the weights in float32, no path of this machine, and
    warm-up requests for every signature.

    Args:
        segmenter: The trained segmenter.
        base_path: Folder of all versions; its name is the model's name.
        version: A positive integer. Defaults to None, one more than the highest there is.
        max_tile: Largest input tile in pixels, one number or one per axis. Defaults to None: that
            of the segmenter, or else what fits into its `memory_limit`.
        max_pixels: Largest number of pixels of a request, all its images or picture files together
            (by their headers, before one is decoded). Defaults to 2**26, 8192 x 8192.
        probability_png: Whether `segment_bytes` also answers a picture of the probability. Defaults
            to False.
        warmup_sizes: Spatial shapes of the warm-up images. Defaults to None: 256 and 512 pixels
            square, or 32 x 128 x 128; an empty sequence writes no warm-up.
        overwrite: Whether an existing version is replaced. Defaults to False.

    Returns:
        The folder of the version.

    Raises:
        ValueError: If an argument is out of its range or the segmenter cannot be exported.
        FileExistsError: If the version exists.

    Example:
        >>> segmenter = keras_unet.Segmenter.load("runs/cells")
        >>> keras_unet.export.saved_model(segmenter, "models/cells")
        PosixPath('models/cells/1')
    """
    base = Path(base_path)
    number = _version(base, version, overwrite)
    if max_pixels < 1:
        raise ValueError(f"max_pixels must be at least 1. Received: max_pixels={max_pixels}")
    graph = SegmenterGraph(segmenter, max_tile)
    sizes = _warmup_sizes(graph.rank, warmup_sizes, max_pixels)
    limits = {"max_tile": list(graph.max_tile), "max_pixels": max_pixels}
    text = json.dumps({**describe(segmenter), **limits}, allow_nan=False)
    base.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{number}-", dir=base))
    try:
        _write(unfinished, graph, make_signatures(graph, text, max_pixels, probability_png))
        if sizes:
            write_warmup(unfinished, base.resolve().name, _requests(graph, sizes))
        unfinished.chmod(0o755)
        return _publish(unfinished, base / str(number), overwrite)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _version(base: Path, version: int | None, overwrite: bool) -> int:
    if base.exists() and not base.is_dir():
        raise ValueError(f"base_path must be a folder. Received: base_path={str(base)!r}, a file")
    if version is None:
        entries = base.iterdir() if base.exists() else ()
        return 1 + max((int(e.name) for e in entries if e.name.isdecimal()), default=0)
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise ValueError(f"version must be a positive integer. Received: version={version!r}")
    _refuse(base / str(version), overwrite)
    return version


def _refuse(folder: Path, overwrite: bool) -> None:
    if folder.exists() and not overwrite:
        raise FileExistsError(
            f"{folder} exists and may be in use; leave version out for the next number, or pass "
            "overwrite=True"
        )


def _warmup_sizes(
    rank: int, sizes: Sequence[Sequence[int]] | None, max_pixels: int
) -> list[tuple[int, ...]]:
    shapes = [tuple(map(int, shape)) for shape in (WARMUP_SIZES[rank] if sizes is None else sizes)]
    for shape in shapes:
        if len(shape) != rank or min(shape) < 1:
            raise ValueError(
                f"warmup_sizes must be spatial shapes of {rank} positive sizes. Received: {shape}"
            )
    # A request that fails would keep the model from loading.
    fitting = [shape for shape in shapes if math.prod(shape) <= max_pixels]
    if sizes is not None and fitting != shapes:
        raise ValueError(
            f"warmup_sizes must have at most max_pixels={max_pixels} pixels. Received: {shapes}"
        )
    return fitting


def _requests(
    graph: SegmenterGraph, sizes: Sequence[tuple[int, ...]]
) -> list[tuple[str, dict[str, Any]]]:
    """One request for each signature and size."""
    requests: list[tuple[str, dict[str, Any]]] = [("metadata", {"query": [b"warm-up"]})]
    for shape in sizes:
        # Smooth, so that the files are small.
        ramp = np.linspace(0, 255, math.prod(shape)).astype(np.uint8).reshape(shape)
        image = np.repeat(ramp[..., None], graph.channels, axis=-1)[None]
        unit = np.float32(255 if graph.normalization.mode == "unit" else 1)
        requests.append(("serving_default", {"images": image.astype(np.float32) / unit}))
        requests.append(("classes", {"images": image}))
        if graph.rank == 2 and graph.channels in (1, 3):
            picture = tf.io.encode_png(image[0]).numpy()
            requests.append(("segment_bytes", {"image_bytes": [picture]}))
    return requests


def _write(folder: Path, graph: SegmenterGraph, signatures: dict[str, Any]) -> None:
    module = tf.Module()
    # The functions' variables; the model itself would bring Keras's own functions along.
    module.weights = [weight.value for weight in graph.model.weights]
    module.signatures_kept = signatures
    tf.saved_model.save(module, str(folder), signatures=signatures)
    check_core(folder)


def _publish(unfinished: Path, folder: Path, overwrite: bool) -> Path:
    """Gives the finished version its name; an older one is there until that moment."""
    _refuse(folder, overwrite)
    if not folder.exists():
        unfinished.rename(folder)
        return folder
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-old-", dir=folder.parent))
    old = folder.rename(aside / folder.name)
    try:
        unfinished.rename(folder)
    except OSError:
        old.rename(folder)
        raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return folder


PYTHON = ("PyFunc", "PyFuncStateless", "EagerPyFunc")
"""Operations that call back into the process that made the graph."""


def operations(version: str | os.PathLike) -> set[str]:
    """Names of the operations in a SavedModel, those in its functions included.

    Args:
        version: Folder with `saved_model.pb`.

    Returns:
        The names, without those of the functions themselves.
    """
    content = saved_model_pb2.SavedModel.FromString((Path(version) / "saved_model.pb").read_bytes())
    found: set[str] = set()
    for meta_graph in content.meta_graphs:
        functions = meta_graph.graph_def.library.function
        found |= {node.op for node in meta_graph.graph_def.node}
        found |= {node.op for function in functions for node in function.node_def}
        found -= {function.signature.name for function in functions}
    return found


def check_core(version: str | os.PathLike) -> None:
    """Raises a `ValueError` if a SavedModel needs more than TensorFlow itself.

    Args:
        version: Folder with `saved_model.pb`.

    Raises:
        ValueError: If there is a Python function, or an operation of an extra library.
    """
    found = operations(version)
    strange = sorted(op for op in found if op in PYTHON or not hasattr(tf.raw_ops, op))
    if strange:
        raise ValueError(
            "a server has TensorFlow's own operations only; build the network of layers that use "
            f"no others and no Python function. Received: {', '.join(strange)}"
        )


FOLDER = "assets.extra"
FILE = "tf_serving_warmup_requests"
MAX_RECORDS = 1000
"""Records that TensorFlow Serving reads at most."""

# Field numbers of tensorflow_serving/apis: prediction_log, predict and model .proto
PREDICT_LOG, REQUEST = 6, 1
MODEL_SPEC, INPUTS = 1, 2
NAME, SIGNATURE_NAME = 1, 3
KEY, VALUE = 1, 2


def write_warmup(
    version: str | Path, model: str, requests: Sequence[tuple[str, Mapping[str, Any]]]
) -> Path:
    """Writes the warm-up requests of one version of a model.

    Args:
        version: Folder of the version.
        model: Name of the model.
        requests: Pairs of a signature's name and its inputs, arrays (strings as bytes).

    Returns:
        The file.

    Raises:
        ValueError: If there are more requests than TensorFlow Serving reads.
    """
    if len(requests) > MAX_RECORDS:
        raise ValueError(
            f"TensorFlow Serving reads up to {MAX_RECORDS} warm-up requests. Received: "
            f"{len(requests)}; give fewer warmup_sizes"
        )
    file = Path(version) / FOLDER / FILE
    file.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(file)) as writer:
        for signature, inputs in requests:
            writer.write(prediction_log(model, signature, inputs))
    return file


def prediction_log(model: str, signature: str, inputs: Mapping[str, Any]) -> bytes:
    """A serialized `PredictionLog` that holds one `PredictRequest`."""
    spec = _field(NAME, model.encode()) + _field(SIGNATURE_NAME, signature.encode())
    request = _field(MODEL_SPEC, spec)
    for name, value in inputs.items():
        tensor = tf.make_tensor_proto(value).SerializeToString()
        request += _field(INPUTS, _field(KEY, name.encode()) + _field(VALUE, tensor))
    return _field(PREDICT_LOG, _field(REQUEST, request))


def _field(number: int, content: bytes) -> bytes:
    """A field of bytes, a string or a message: its tag, the length and the content."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; the eighth says that more follow."""
    digits = bytearray()
    while value >= 128:
        digits.append(value % 128 | 128)
        value //= 128
    return bytes([*digits, value])
