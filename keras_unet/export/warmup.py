"""Requests that TensorFlow Serving sends to a model while it loads it.

The file `assets.extra/tf_serving_warmup_requests` is a TFRecord of `PredictionLog` messages. They
are few and small, so they are written here byte by byte, without `tensorflow-serving-api`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

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
    """A serialised `PredictionLog` that holds one `PredictRequest`."""
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
