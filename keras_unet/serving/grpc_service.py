"""TensorFlow Serving's gRPC interface: PredictionService and ModelService."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from keras_unet.serving.contract import ServingError, braced, invalid

if TYPE_CHECKING:
    from keras_unet.serving.loading import LoadedModel
    from keras_unet.serving.models import ModelStore
    from keras_unet.serving.monitoring import Metrics, Request

log = logging.getLogger("keras_unet.serving")
MAX_MESSAGE = 1024
TRUNCATED = "...TRUNCATED"


def shorten(message: str) -> str:
    """Error messages have at most 1024 characters, as those of TensorFlow Serving."""
    if len(message) <= MAX_MESSAGE:
        return message
    return message[: MAX_MESSAGE - len(TRUNCATED)] + TRUNCATED


class _Answering:
    """Counts a call and turns errors into statuses."""

    def __init__(
        self, store: ModelStore, metrics: Metrics, on_end: Callable[[], object] = lambda: None
    ) -> None:
        self._store = store
        self._metrics = metrics
        self._on_end = on_end

    def _answer(
        self, context: grpc.ServicerContext, method: str, work: Callable[[Request], Any]
    ) -> Any:
        try:
            with self._metrics.observe("grpc", method) as seen:
                return work(seen)
        except ServingError as error:
            context.abort(grpc.StatusCode[error.code], shorten(error.message))
        except Exception:
            log.exception("internal error")
            context.abort(grpc.StatusCode.INTERNAL, "internal error; the server's log tells more")
        finally:
            self._on_end()

    def _resolve(self, spec: Any, seen: Request) -> tuple[int, LoadedModel]:
        if not spec.name:
            raise invalid("ModelSpec has no name specified.")
        number, model = self._store.resolve(spec.name, *_choice(spec))
        seen.model, seen.version = spec.name, number
        return number, model


def _choice(spec: Any) -> tuple[int | None, str | None]:
    kind = spec.WhichOneof("version_choice")
    return (
        spec.version.value if kind == "version" else None,
        spec.version_label if kind == "version_label" else None,
    )


class PredictionService(_Answering, prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predict and GetModelMetadata; the other calls are for classifiers and UNIMPLEMENTED.

    Args:
        store: The models.
        metrics: Where calls are counted.
        max_bytes: Largest input tensor.
        tensor_content: Whether outputs are packed as bytes, in place of typed fields.
        on_end: Called when a call has ended.
    """

    def __init__(
        self,
        store: ModelStore,
        metrics: Metrics,
        max_bytes: int,
        tensor_content: bool = False,
        on_end: Callable[[], object] = lambda: None,
    ) -> None:
        super().__init__(store, metrics, on_end)
        self._max_bytes = max_bytes
        self._tensor_content = tensor_content

    def Predict(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Runs a signature."""
        return self._answer(context, "predict", lambda seen: self._predict(request, seen, context))

    def _predict(self, request: Any, seen: Request, context: grpc.ServicerContext) -> Any:
        _check_wanted(context)
        number, model = self._resolve(request.model_spec, seen)
        signature = request.model_spec.signature_name or "serving_default"
        if signature not in model.inputs:
            message = f'Serving signature key "{signature}" not found.'
            raise ServingError("FAILED_PRECONDITION", message)
        seen.signature = signature
        _check_inputs(set(request.inputs), set(model.inputs[signature]))
        wanted = list(request.output_filter)
        _check_outputs(wanted, set(model.outputs[signature]))
        inputs = {n: read_tensor(n, p, self._max_bytes) for n, p in request.inputs.items()}
        response = predict_pb2.PredictResponse()
        response.model_spec.name = request.model_spec.name
        response.model_spec.version.value = number
        response.model_spec.signature_name = signature
        found = model.predict(signature, inputs, wanted, lambda: _check_wanted(context))
        _check_wanted(context)
        for name, array in found.items():
            write_tensor(array, response.outputs[name], self._tensor_content)
        return response

    def GetModelMetadata(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Tells the signatures."""
        return self._answer(context, "metadata", lambda seen: self._metadata(request, seen))

    def _metadata(self, request: Any, seen: Request) -> Any:
        if not request.metadata_field:
            raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
        for name in request.metadata_field:
            if name != "signature_def":
                raise invalid(f"Metadata field {name} is not supported")
        number, model = self._resolve(request.model_spec, seen)
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        response.model_spec.name = request.model_spec.name
        response.model_spec.version.value = number
        found = get_model_metadata_pb2.SignatureDefMap()
        for name, signature in model.signature_defs.items():
            found.signature_def[name].CopyFrom(signature)
        response.metadata["signature_def"].Pack(found)
        return response


class ModelService(_Answering, model_service_pb2_grpc.ModelServiceServicer):
    """GetModelStatus. What is served is changed by files, not by calls of a client."""

    def GetModelStatus(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Tells the states of a model's versions."""
        return self._answer(context, "status", lambda seen: self._status(request, seen))

    def _status(self, request: Any, seen: Request) -> Any:
        spec = request.model_spec
        if not spec.name:
            raise invalid("ModelSpec has no name specified.")
        versions = self._store.status(spec.name, *_choice(spec))
        seen.model = spec.name
        response = get_model_status_pb2.GetModelStatusResponse()
        for version in versions:
            row = response.model_version_status.add()
            row.version = version.number
            row.state = get_model_status_pb2.ModelVersionStatus.State.Value(version.state)
            row.status.error_code = grpc.StatusCode[version.error_code].value[0]
            row.status.error_message = shorten(version.error_message)
        return response

    def HandleReloadConfigRequest(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Is refused: a client could make the server read any folder."""

        def refuse(_: Request) -> Any:
            raise ServingError("UNIMPLEMENTED", "edit the model.config file; it is watched")

        return self._answer(context, "reload", refuse)


def _check_wanted(context: grpc.ServicerContext) -> None:
    """Raises if nobody waits for the answer any more; called before every picture."""
    left = context.time_remaining()
    if left is not None and left <= 0:
        raise ServingError("DEADLINE_EXCEEDED", "the deadline of the call is over")
    if not context.is_active():
        raise ServingError("CANCELLED", "the client has gone")


def _check_inputs(sent: set[str], wanted: set[str]) -> None:
    if sent != wanted:
        raise invalid(
            f"input size does not match signature: {len(sent)}!={len(wanted)} len({braced(sent)}) "
            f"!= len({braced(wanted)}). Sent extra: {braced(sent - wanted)}. Missing but required: "
            f"{braced(wanted - sent)}."
        )


def _check_outputs(wanted: list[str], known: set[str]) -> None:
    for name in wanted:
        if name not in known:
            raise invalid(
                f"output tensor alias not found in signature: {name} Outputs expected to be in the "
                f"set {braced(known)}."
            )
        if wanted.count(name) > 1:
            raise invalid(f"duplicate output tensor alias: {name}")


def read_tensor(name: str, proto: Any, max_bytes: int) -> np.ndarray:
    """The array of a TensorProto, typed fields or `tensor_content`.

    Raises:
        ServingError: INVALID_ARGUMENT, if shape, type and values do not belong together, or the
            shape is larger than `max_bytes` (one value stands for all of a shape).
    """
    shape = tuple(dim.size for dim in proto.tensor_shape.dim)
    if proto.tensor_shape.unknown_rank or any(size < 0 for size in shape):
        raise invalid(f"Input {name!r}: the tensor's shape must be known")
    try:
        kind = tf.dtypes.as_dtype(proto.dtype)
        size = math.prod(shape)
        if size * max(kind.size or 1, 1) > max_bytes:
            raise invalid(f"Input {name!r}: {list(shape)} is larger than {max_bytes} bytes")
        array = tf.make_ndarray(proto)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise invalid(f"Input {name!r}: not a valid TensorProto: {error}") from None
    if array.shape != shape or (kind == tf.string and len(proto.string_val) not in (1, size)):
        raise invalid(f"Input {name!r}: the values do not fill the shape {list(shape)}")
    return array


_FIELDS = dict.fromkeys(("uint8", "int8", "uint16", "int16", "int32"), "int_val")
_FIELDS |= {"int64": "int64_val", "float32": "float_val", "float64": "double_val"}
_FIELDS |= {"bool": "bool_val"}


def write_tensor(array: np.ndarray, proto: Any, tensor_content: bool = False) -> None:
    """Fills a TensorProto, by default with one typed value a field as TensorFlow Serving does."""
    is_string = array.dtype.kind in "OS"
    proto.dtype = (
        tf.string.as_datatype_enum if is_string else tf.as_dtype(array.dtype).as_datatype_enum
    )
    for size in array.shape:
        proto.tensor_shape.dim.add().size = size
    field = "string_val" if is_string else _FIELDS.get(array.dtype.name)
    if not is_string and (tensor_content or field is None):
        proto.tensor_content = array.tobytes()
        return
    getattr(proto, str(field)).extend(array.ravel().tolist())
