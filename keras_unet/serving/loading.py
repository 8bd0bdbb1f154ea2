"""One version of a SavedModel in memory: its signatures, its guards, its warm-up."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

from keras_unet.export.picture_headers import measure_pictures, too_large
from keras_unet.serving.contract import HTTP_STATUS, ServingError, TensorSpec, invalid

TAG = "serve"
WARMUP = Path("assets.extra") / "tf_serving_warmup_requests"
MAX_WARMUP_RECORDS = 1000
PICTURES = {"serving_default": "images", "classes": "images", "segment_bytes": "image_bytes"}
"""Signatures of an export that answer every picture of a batch alone, and their only input."""
MEASURED = 64
"""Files whose headers are read between two looks at the clock."""


class LoadedModel:
    """A version that answers requests; safe to call from several threads.

    TensorFlow's own Python loader runs the functions. Every input is compared with the signature
    first (names, type, rank and sizes), because a convolution that gets a tensor of the wrong rank
    can end the process. Batches of a model that `keras_unet` has exported are run picture by
    picture, which gives the same numbers, so that the work ends soon after it is not wanted.

    Args:
        folder: Folder of the version.

    Raises:
        ServingError: If the folder holds no SavedModel with the tag `serve` that can be loaded.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.signature_defs = _signature_defs(folder)
        try:
            self._loaded = tf.saved_model.load(str(folder), tags=[TAG])
        except Exception as error:
            # A damaged file fails in many ways; each of them keeps this version from serving.
            raise ServingError("DATA_LOSS", f"{folder.name}: {error}") from error
        self._functions = {name: self._loaded.signatures[name] for name in self._loaded.signatures}
        self.inputs = {n: _specs(self.signature_defs[n].inputs) for n in self._functions}
        self.outputs = {n: _specs(self.signature_defs[n].outputs) for n in self._functions}
        self._max_pixels = self._told_limit()

    def _told_limit(self) -> int | None:
        """Pixels of a request, if this is an export of `keras_unet` that tells them."""
        if set(self.inputs.get("metadata", ())) != {"query"}:
            return None
        try:
            found = self._functions["metadata"](query=tf.constant([b""]))["metadata_json"]
            limit = json.loads(found.numpy()[0])["max_pixels"]
        except (tf.errors.OpError, KeyError, IndexError, TypeError, ValueError):
            return None
        return limit if type(limit) is int else None

    def predict(
        self,
        signature: str,
        inputs: Mapping[str, np.ndarray],
        outputs: Sequence[str] = (),
        check: Callable[[], object] = lambda: None,
    ) -> dict[str, np.ndarray]:
        """Runs a signature.

        Args:
            signature: Its name.
            inputs: Arrays by name; strings as object arrays of bytes.
            outputs: Names of the outputs that are wanted; none means all.
            check: Called before every picture; what it raises ends the work.

        Returns:
            Arrays by name.

        Raises:
            ServingError: INVALID_ARGUMENT if the inputs do not fit, or what TensorFlow answers.
        """
        tensors = {
            name: _tensor(name, inputs[name], spec) for name, spec in self.inputs[signature].items()
        }
        names = outputs or sorted(self.outputs[signature])
        check()
        images = tensors.get(PICTURES.get(signature, ""))
        if self._max_pixels is None or len(tensors) != 1 or images is None or len(images) < 2:
            return self._run(signature, tensors, names)
        if images.dtype == tf.string:
            _check_sizes(images, self._max_pixels, check)
        elif tf.size(images) // images.shape[-1] > self._max_pixels:
            return self._run(signature, tensors, names)  # which refuses it, in its own words
        found = []
        for index in range(len(images)):
            check()
            one = {PICTURES[signature]: images[index : index + 1]}
            found.append(self._run(signature, one, names))
        return {name: np.concatenate([one[name] for one in found]) for name in names}

    def _run(
        self, signature: str, tensors: Mapping[str, tf.Tensor], names: Sequence[str]
    ) -> dict[str, np.ndarray]:
        with _errors_of_tensorflow():
            found = self._functions[signature](**tensors)
        return {name: found[name].numpy() for name in names}

    def warm_up(self) -> int:
        """Replays the warm-up requests of the version.

        Returns:
            Number of requests.

        Raises:
            ServingError: If a request fails or the file cannot be read.
        """
        file = self.folder / WARMUP
        if not file.is_file():
            return 0
        from tensorflow_serving.apis import prediction_log_pb2

        count = 0
        try:
            for record in tf.data.TFRecordDataset(str(file)).take(MAX_WARMUP_RECORDS):
                log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
                request = log.predict_log.request
                name = request.model_spec.signature_name or "serving_default"
                if name not in self._functions:
                    raise invalid(f"warm-up of an unknown signature: {name}")
                arrays = {key: tf.make_ndarray(value) for key, value in request.inputs.items()}
                missing = set(self.inputs[name]) - set(arrays)
                if missing:
                    raise invalid(f"warm-up lacks the inputs {sorted(missing)}")
                self.predict(name, arrays)
                count += 1
        except tf.errors.OpError as error:
            raise ServingError("DATA_LOSS", f"{WARMUP.name}: {error.message}") from error
        if not count and file.stat().st_size:
            raise ServingError("DATA_LOSS", f"{WARMUP.name} holds no record")
        return count


def _signature_defs(folder: Path) -> dict[str, meta_graph_pb2.SignatureDef]:
    """The signatures as the file tells them, `__saved_model_init_op` included."""
    saved = saved_model_pb2.SavedModel()
    try:
        saved.ParseFromString((folder / "saved_model.pb").read_bytes())
    except Exception as error:
        raise ServingError("DATA_LOSS", f"{folder.name}/saved_model.pb: {error}") from error
    for graph in saved.meta_graphs:
        if TAG in graph.meta_info_def.tags:
            return dict(graph.signature_def.items())
    raise ServingError("NOT_FOUND", f"{folder.name}: no meta graph with the tag {TAG!r}")


def _specs(infos: Any) -> dict[str, TensorSpec]:
    specs = {}
    for name, info in sorted(infos.items()):
        shape = info.tensor_shape
        sizes = tuple(None if dim.size < 0 else dim.size for dim in shape.dim)
        kind = tf.dtypes.as_dtype(info.dtype)
        specs[name] = TensorSpec(
            dtype=_numpy_type(kind),
            shape=None if shape.unknown_rank else sizes,
            type_name=types_pb2.DataType.Name(info.dtype),
        )
    return specs


def _numpy_type(kind: tf.DType) -> np.dtype | None:
    if kind == tf.string:
        return np.dtype("S")
    plain = kind.is_floating or kind.is_integer or kind.is_bool
    return np.dtype(kind.as_numpy_dtype) if plain and kind not in (tf.bfloat16, tf.half) else None


def _tensor(name: str, array: np.ndarray, spec: TensorSpec) -> tf.Tensor:
    """The array as a tensor, if it is what the signature asks for."""
    is_string = array.dtype.kind in "OSU"
    if is_string != spec.is_string or not (is_string or array.dtype == spec.dtype):
        received = "string" if is_string else array.dtype.name
        raise invalid(
            f"Input {name!r}: Expects arg to be {spec.type_name} {spec.sizes} but {received} is "
            "provided"
        )
    spec.check(name, array.shape)
    return tf.constant(array, tf.string if is_string else None)


@tf.function(input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
def _pixels(files: tf.Tensor) -> tf.Tensor:
    return measure_pictures(files)[0]


def _check_sizes(files: tf.Tensor, max_pixels: int, check: Callable[[], object]) -> None:
    """Raises INVALID_ARGUMENT if the pictures are too large together, by their headers."""
    total = 0
    for start in range(0, len(files), MEASURED):
        check()
        with _errors_of_tensorflow():
            total += int(tf.reduce_sum(_pixels(files[start : start + MEASURED])))
        if total > max_pixels:
            raise invalid(too_large(max_pixels))


@contextmanager
def _errors_of_tensorflow() -> Iterator[None]:
    """Raises what TensorFlow says as a `ServingError`, without names of nodes."""
    try:
        yield
    except tf.errors.OpError as error:
        raise ServingError(_code_name(error), plain_message(error.message)) from error


def plain_message(message: str) -> str:
    """What went wrong in an operation, without where in the graph that was."""
    said = re.search(r"assertion failed: \[([^\]]*)\]", message)
    if said:
        return said[1].replace('\\"', '"')  # TensorFlow shows a text as C would write it
    text = re.sub(r"\{\{\w+ [^}]*\}\}\s*|\[Op:\w*\]", "", message)
    lines = [line for line in text.splitlines() if line.strip(" \t[]")]
    # With where the graph was made, the message comes last.
    told = lines[-1:] if text.startswith("Graph execution error") else lines[:1]
    return told[0].strip() if told else message


def _code_name(error: tf.errors.OpError) -> str:
    """Name of the status code, such as `INVALID_ARGUMENT`."""
    codes = {getattr(tf.errors, name): name for name in HTTP_STATUS}
    return codes.get(error.error_code, "UNKNOWN")
