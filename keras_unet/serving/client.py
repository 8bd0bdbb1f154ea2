"""Clients of TensorFlow Serving, and of `keras-unet serve`: REST and gRPC with one interface."""

from __future__ import annotations

import base64
import json
import os
import random
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import quote

import numpy as np

from keras_unet.serving.contract import HTTP_STATUS, ServingError
from keras_unet.serving.pictures import decode_mask, encoded

T = TypeVar("T")
C = TypeVar("C", bound="Client")
RETRIED = ("UNAVAILABLE", "RESOURCE_EXHAUSTED")
"""Codes after which the same request may succeed; HTTP 503 and 429."""
_CODES = {status: code for code, status in reversed(HTTP_STATUS.items())} | {
    413: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
}


class Client(ABC):
    """What both clients can do.

    Args:
        model: Name of the model.
        version: Its version. Defaults to None, the newest.
        label: Label of the version, such as `"stable"`, instead. Defaults to None.
        timeout: Seconds that a call may take, retries included. Defaults to 30.
        retries: How often a call is tried again when the server is busy or absent (UNAVAILABLE and
            RESOURCE_EXHAUSTED, HTTP 503 and 429), after about 0.1, 0.2, 0.4 ... seconds. Other
            errors are not retried. Defaults to 3.

    Raises:
        ValueError: If an argument is out of its range.
    """

    def __init__(
        self,
        model: str,
        *,
        version: int | None = None,
        label: str | None = None,
        timeout: float = 30.0,
        retries: int = 3,
    ) -> None:
        if not model:
            raise ValueError("model must be the name of a model. Received: model=''")
        if version is not None and label is not None:
            raise ValueError(f"give version or label. Received: version={version}, label={label!r}")
        if timeout <= 0 or retries < 0:
            raise ValueError(
                "timeout must be positive and retries at least 0. Received: "
                f"timeout={timeout}, retries={retries}"
            )
        self.model, self.version, self.label = model, version, label
        self.timeout, self.retries = timeout, retries
        self._sleep = time.sleep

    def segment(self, image: bytes | str | os.PathLike | np.ndarray) -> np.ndarray:
        """Segments one image by the signature `segment_bytes`: a small file each way.

        Args:
            image: An encoded picture, the path of an image file, or a uint8 array `(H, W)` or
                `(H, W, C)` with one or three channels (RGB).

        Returns:
            Class map, uint8 `(H, W)`.

        Raises:
            ServingError: What the server answers; DEADLINE_EXCEEDED after `timeout`.
            ValueError: If an array is of another type.
        """
        found = self.predict("segment_bytes", {"image_bytes": _objects([encoded(image)])})
        return decode_mask(found["mask_png_bytes"].ravel()[0])

    def probabilities(self, image: np.ndarray) -> np.ndarray:
        """Probabilities by the signature `serving_default`.

        Args:
            image: Raw values `(H, W, C)`, or one image more axis for a batch; sent as float32.

        Returns:
            float32 `(H, W, K)`, with the batch axis if there was one. An array of two axes is an
            image of one channel.

        Raises:
            ServingError: What the server answers.
        """
        return self._on_images("serving_default", "probabilities", image, np.dtype(np.float32))

    def classes(self, image: np.ndarray) -> np.ndarray:
        """Class map by the signature `classes`.

        Args:
            image: uint8 `(H, W, C)`, `(H, W)`, or a batch `(N, H, W, C)`.

        Returns:
            uint8 `(H, W)` or `(N, H, W)`.

        Raises:
            ServingError: What the server answers.
            ValueError: If the image is not uint8.
        """
        if np.asarray(image).dtype != np.uint8:
            raise ValueError(
                "classes takes uint8 images; send others to probabilities. Received: "
                f"dtype={np.asarray(image).dtype}"
            )
        return self._on_images("classes", "classes", image, np.dtype(np.uint8))

    def _on_images(
        self, signature: str, output: str, image: np.ndarray, kind: np.dtype
    ) -> np.ndarray:
        values = np.asarray(image)
        if values.ndim not in (2, 3, 4):
            raise ValueError(
                f"image must be (H, W), (H, W, C) or a batch. Received: {values.shape}"
            )
        batched = values.ndim == 4
        if values.ndim == 2:
            values = values[..., None]
        values = values.astype(kind) if batched else values.astype(kind)[None]
        found = self.predict(signature, {"images": values})[output].astype(kind)
        return found if batched else found[0]

    def metadata(self) -> dict[str, Any]:
        """What the model tells of itself: class names, geometry, normalization, versions."""
        found = self.predict("metadata", {"query": _objects([b"client"])})
        return json.loads(found["metadata_json"].ravel()[0])

    @abstractmethod
    def close(self) -> None:
        """Closes the connections."""

    def __enter__(self: C) -> C:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @abstractmethod
    def predict(self, signature: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Runs a signature.

        Args:
            signature: Its name.
            inputs: Arrays by name; strings as object arrays of bytes.

        Returns:
            Arrays by name.

        Raises:
            ServingError: What the server answers.
        """

    @abstractmethod
    def status(self) -> dict[int, str]:
        """State (`AVAILABLE`, `LOADING`, ...) by version."""

    def _retrying(self, call: Callable[[float], T]) -> T:
        """Calls with the seconds that are left; again if the server is busy or absent."""
        end = time.monotonic() + self.timeout
        for attempt in range(self.retries + 1):
            left = end - time.monotonic()
            try:
                return call(max(left, 0.001))
            except ServingError as error:
                pause = 0.1 * 2**attempt * random.uniform(0.5, 1.5)
                again = error.code in RETRIED and attempt < self.retries
                if not again or time.monotonic() + pause >= end:
                    raise
            self._sleep(pause)
        raise ServingError("INTERNAL", "no attempt was made")


class RestClient(Client):
    """Over HTTP and JSON.

    Args:
        model: Name of the model.
        url: Address of the server. Defaults to `"http://127.0.0.1:8501"`.
        **options: As for `Client`.

    Example:
        >>> mask = keras_unet.serving.RestClient("nuclei").segment("cells.png")
    """

    def __init__(self, model: str, url: str = "http://127.0.0.1:8501", **options: Any) -> None:
        super().__init__(model, **options)
        import requests

        self._requests = requests
        self._session = requests.Session()
        self._session.trust_env = False  # a proxy of the environment is not for this server
        self._base = f"{url.rstrip('/')}/v1/models/{quote(model, safe='')}"

    def close(self) -> None:
        """Closes the connections."""
        self._session.close()

    def predict(self, signature: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Runs a signature; see `Client.predict`."""
        rows = [
            dict(zip(inputs, one, strict=True))
            for one in zip(*[_jsonable(value) for value in inputs.values()], strict=True)
        ]
        body = json.dumps({"signature_name": signature, "instances": rows})
        answer = self._call("POST", f"{self._chosen}:predict", body)
        return self._columns(answer["predictions"], signature)

    def _columns(self, rows: list[Any], signature: str) -> dict[str, np.ndarray]:
        if not rows or not isinstance(rows[0], dict) or set(rows[0]) == {"b64"}:
            # A signature with one output is answered without its name.
            name = {"serving_default": "probabilities", "metadata": "metadata_json"}
            return {name.get(signature, signature): _from_json(rows)}
        return {name: _from_json([row[name] for row in rows]) for name in rows[0]}

    @property
    def _chosen(self) -> str:
        if self.version is not None:
            return f"{self._base}/versions/{self.version}"
        return self._base if self.label is None else f"{self._base}/labels/{quote(self.label, '')}"

    def status(self) -> dict[int, str]:
        """The state of every version of the model: version -> state."""
        rows = self._call("GET", self._base)["model_version_status"]
        return {int(row["version"]): row["state"] for row in rows}

    def _call(self, method: str, url: str, body: str | None = None) -> dict[str, Any]:
        def attempt(left: float) -> dict[str, Any]:
            errors = self._requests.exceptions
            try:
                answer = self._session.request(method, url, data=body, timeout=left)
            except errors.Timeout as error:
                raise ServingError("DEADLINE_EXCEEDED", f"no answer in {self.timeout} s") from error
            except errors.ConnectionError as error:
                raise ServingError("UNAVAILABLE", f"{url}: {error}") from error
            try:
                document = answer.json()
            except ValueError:
                document = {}
            if answer.status_code != 200:
                code = _CODES.get(answer.status_code, "UNKNOWN")
                message = document.get("error") if isinstance(document, dict) else None
                message = message or f"HTTP {answer.status_code} {answer.reason}"
                if answer.status_code == 413:  # the same request stays too large
                    code = "INVALID_ARGUMENT"
                raise ServingError(code, str(message))
            return document

        return self._retrying(attempt)


class GrpcClient(Client):
    """Over gRPC; needs the extra `serving`.

    The limit of 4 MiB that gRPC clients have for answers is lifted, and tensors are read from typed
    fields as well as from `tensor_content`.

    Args:
        model: Name of the model.
        target: Address of the server. Defaults to `"127.0.0.1:8500"`.
        **options: As for `Client`.

    Raises:
        ImportError: If the extra is not installed.

    Example:
        >>> mask = keras_unet.serving.GrpcClient("nuclei").segment("cells.png")
    """

    def __init__(self, model: str, target: str = "127.0.0.1:8500", **options: Any) -> None:
        super().__init__(model, **options)
        try:
            import grpc
            import tensorflow as tf
            from tensorflow_serving.apis import (
                get_model_status_pb2,
                model_service_pb2_grpc,
                predict_pb2,
                prediction_service_pb2_grpc,
            )
        except ImportError as error:
            raise ImportError(
                f"GrpcClient needs {error.name}: pip install 'keras-unet-bio[serving]'"
            ) from error
        self._grpc, self._tf = grpc, tf
        self._predict_request = predict_pb2.PredictRequest
        self._status_request = get_model_status_pb2.GetModelStatusRequest
        self._state = get_model_status_pb2.ModelVersionStatus.State
        self._channel = grpc.insecure_channel(
            target,
            options=[
                ("grpc.max_receive_message_length", -1),
                ("grpc.max_send_message_length", -1),
                ("grpc.enable_http_proxy", 0),
                ("grpc.max_reconnect_backoff_ms", 1000),
            ],
        )
        self._prediction = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self._models = model_service_pb2_grpc.ModelServiceStub(self._channel)

    def close(self) -> None:
        """Closes the connection."""
        self._channel.close()

    def predict(self, signature: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Runs a signature; see `Client.predict`."""
        request = self._predict_request()
        self._name(request.model_spec)
        request.model_spec.signature_name = signature
        for name, value in inputs.items():
            kind = self._tf.string if value.dtype == object else None
            request.inputs[name].CopyFrom(self._tf.make_tensor_proto(value, dtype=kind))
        response = self._call(self._prediction.Predict, request)
        return {name: self._tf.make_ndarray(value) for name, value in response.outputs.items()}

    def status(self) -> dict[int, str]:
        """The state of every version of the model: version -> state."""
        request = self._status_request()
        request.model_spec.name = self.model
        response = self._call(self._models.GetModelStatus, request)
        return {one.version: self._state.Name(one.state) for one in response.model_version_status}

    def _name(self, spec: Any) -> None:
        spec.name = self.model
        if self.version is not None:
            spec.version.value = self.version
        elif self.label is not None:
            spec.version_label = self.label

    def _call(self, method: Callable[..., Any], request: Any) -> Any:
        def attempt(left: float) -> Any:
            try:
                return method(request, timeout=left)
            except self._grpc.RpcError as error:
                raise ServingError(error.code().name, error.details() or "") from error

        return self._retrying(attempt)


def _objects(values: list[bytes]) -> np.ndarray:
    return np.array([*values, None], object)[:-1]


def _jsonable(array: np.ndarray) -> list[Any]:
    if array.dtype == object:
        return [{"b64": base64.b64encode(value).decode("ascii")} for value in array]
    if array.dtype == np.float32:
        return array.astype("S32").astype(np.float64).tolist()
    return array.tolist()


def _from_json(rows: list[Any]) -> np.ndarray:
    if rows and isinstance(rows[0], dict):
        return _objects([base64.b64decode(row["b64"]) for row in rows])
    if rows and isinstance(rows[0], str):
        return _objects([row.encode() for row in rows])
    found = np.array(rows)
    return found.astype(np.float32) if found.dtype == np.float64 else found
