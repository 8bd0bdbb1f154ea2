"""One version of a SavedModel in memory: its signatures, its guards, its warm-up."""

from __future__ import annotations

import contextlib
import ctypes
import gc
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

from keras_unet.serving.contract import HTTP_STATUS, ServingError, TensorSpec, invalid

TAG = "serve"
WARMUP = Path("assets.extra") / "tf_serving_warmup_requests"
MAX_WARMUP_RECORDS = 1000


class LoadedModel:
    """A version that answers requests; safe to call from several threads.

    TensorFlow's own Python loader runs the functions. Every input is compared with the signature
    first (names, type, rank and sizes), because a convolution that gets a tensor of the wrong rank
    can end the process.

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

    def predict(
        self, signature: str, inputs: Mapping[str, np.ndarray], outputs: Sequence[str] = ()
    ) -> dict[str, np.ndarray]:
        """Runs a signature.

        Args:
            signature: Its name.
            inputs: Arrays by name; strings as object arrays of bytes.
            outputs: Names of the outputs that are wanted; none means all.

        Returns:
            Arrays by name.

        Raises:
            ServingError: INVALID_ARGUMENT if the inputs do not fit, or what TensorFlow answers.
        """
        tensors = {
            name: _tensor(name, inputs[name], spec) for name, spec in self.inputs[signature].items()
        }
        try:
            found = self._functions[signature](**tensors)
        except tf.errors.OpError as error:
            raise ServingError(_code_name(error), error.message) from error
        names = outputs or sorted(found)
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


def release_memory() -> None:
    """Gives back what unloaded models held.

    They are in circles of references, which only the collector finds; and the C library keeps freed
    memory for itself, so that without this each swap of versions would leave some of it.
    """
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # there is no such function beyond glibc
        ctypes.CDLL(None).malloc_trim(0)


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
    sizes = "any shape" if spec.shape is None else [s if s is not None else "?" for s in spec.shape]
    is_string = array.dtype.kind in "OSU"
    if is_string != spec.is_string or not (is_string or array.dtype == spec.dtype):
        received = "string" if is_string else array.dtype.name
        raise invalid(
            f"Input {name!r}: Expects arg to be {spec.type_name} {sizes} but {received} is provided"
        )
    if not spec.accepts(array.shape):
        raise invalid(f"Input {name!r}: expected shape {sizes}. Received: {list(array.shape)}")
    return tf.constant(array, tf.string if is_string else None)


def _code_name(error: tf.errors.OpError) -> str:
    """Name of the status code, such as `INVALID_ARGUMENT`."""
    codes = {getattr(tf.errors, name): name for name in HTTP_STATUS}
    return codes.get(error.error_code, "UNKNOWN")
