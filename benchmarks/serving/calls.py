"""Requests of every kind for the load test: JSON, picture files, gRPC; each prepared once."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from urllib.parse import urlsplit

import grpc
import numpy as np
import requests
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from keras_unet.data.synthetic import synthetic_cells
from keras_unet.serving.pictures import encoded

Call = Callable[[], tuple[int, int]]
"""Sends one request; returns the bytes that went out and came back. Raises if it fails."""
KINDS = tuple(
    (protocol, signature)
    for protocol in ("rest", "grpc")
    for signature in ("segment_bytes", "classes", "serving_default")
)


def check_loopback(address: str) -> None:
    """Raises ValueError for any address but this computer's."""
    host = urlsplit(address if "//" in address else f"//{address}").hostname
    if host not in ("127.0.0.1", "localhost", "::1"):
        raise ValueError(f"a load test is for this computer only. Received: {address}")


def image_of(size: int, channels: int) -> np.ndarray:
    """Synthetic cells, uint8 `(size, size, channels)`."""
    image = synthetic_cells(1, shape=(size, size), seed=0)[0].image
    return np.repeat(image, channels, axis=-1)


def rest_call(url: str, model: str, signature: str, image: np.ndarray, timeout: float) -> Call:
    """A request of the row format."""
    if signature == "segment_bytes":
        value: object = {"b64": base64.b64encode(encoded(image)).decode("ascii")}
    else:
        value = image.tolist()
    body = json.dumps({"signature_name": signature, "instances": [value]}).encode()
    session = requests.Session()
    session.trust_env = False

    def call() -> tuple[int, int]:
        answer = session.post(f"{url}/v1/models/{model}:predict", data=body, timeout=timeout)
        answer.raise_for_status()
        return len(body), len(answer.content)

    return call


def grpc_call(target: str, model: str, signature: str, image: np.ndarray, timeout: float) -> Call:
    """The same over gRPC."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    if signature == "segment_bytes":
        request.inputs["image_bytes"].CopyFrom(tf.make_tensor_proto([encoded(image)]))
    else:
        kind = np.uint8 if signature == "classes" else np.float32
        request.inputs["images"].CopyFrom(tf.make_tensor_proto(image[None].astype(kind)))
    channel = grpc.insecure_channel(
        target,
        options=[
            ("grpc.max_receive_message_length", -1),
            ("grpc.use_local_subchannel_pool", 1),  # a connection for every user
            ("grpc.max_reconnect_backoff_ms", 500),
        ],
    )
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)

    def call() -> tuple[int, int]:
        return request.ByteSize(), stub.Predict(request, timeout=timeout).ByteSize()

    return call


def make_call(
    kind: tuple[str, str], addresses: tuple[str, str], model: str, image: np.ndarray, timeout: float
) -> Call:
    """The call of a kind to a server at `(REST address, gRPC address)`."""
    protocol, signature = kind
    make = rest_call if protocol == "rest" else grpc_call
    return make(addresses[protocol == "grpc"], model, signature, image, timeout)
