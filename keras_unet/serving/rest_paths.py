"""The paths of TensorFlow Serving's REST interface, and its answers about models."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from keras_unet.serving.contract import invalid

if TYPE_CHECKING:
    from keras_unet.serving.loading import LoadedModel
    from keras_unet.serving.models import Version

_VERSION = r"(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
_PREDICTION = re.compile(
    rf"/v1/models/(?P<name>[^/:]+){_VERSION}:(?P<method>classify|regress|predict)", re.IGNORECASE
)
_STATUS = re.compile(
    rf"/v1/models(?:/(?P<name>[^/:]+))?{_VERSION}(?P<metadata>/metadata)?", re.IGNORECASE
)
_INT64 = 2**63 - 1


class BadVersion(Exception):
    """A version that is no 64-bit number; answered without a body, as TensorFlow Serving does."""


@dataclass(frozen=True)
class Target:
    """What a path names.

    Attributes:
        method: `predict`, `classify`, `regress`, `status` or `metadata`.
        name: The model's name.
        version: Its version, if given.
        label: Its version's label, if given.
    """

    method: str
    name: str
    version: int | None = None
    label: str | None = None


def parse_path(http_method: str, path: str) -> Target:
    """What a request asks for.

    Args:
        http_method: `GET` or `POST`.
        path: The path as it was sent, percent signs included.

    Raises:
        ServingError: INVALID_ARGUMENT, if the interface has no such path.
        BadVersion: If the version does not fit into 64 bits.
    """
    match = (_PREDICTION if http_method == "POST" else _STATUS).fullmatch(path)
    if match is None or http_method not in ("GET", "POST"):
        raise invalid(f"Malformed request: {http_method} {path[:200]}")
    found = match.groupdict()
    if not found["name"]:
        raise invalid("Missing model name in request.")
    version = found["version"]
    if version is not None and int(version[:30]) > _INT64:
        raise BadVersion
    method = found["method"].lower() if "method" in found else "status"
    return Target(
        "metadata" if found.get("metadata") else method,
        unquote(found["name"]),
        None if version is None else int(version),
        None if found["label"] is None else unquote(found["label"]),
    )


def status_document(versions: Sequence[Version]) -> str:
    """The answer to a status request."""
    rows = [
        {
            "version": str(version.number),
            "state": version.state,
            "status": {
                "error_code": version.error_code,
                "error_message": version.error_message[:1024],
            },
        }
        for version in versions
    ]
    return json.dumps({"model_version_status": rows}, indent=1)


def metadata_document(name: str, version: int, model: LoadedModel) -> str:
    """The answer to a metadata request."""
    from tensorflow.core.framework import types_pb2

    def tensors(infos: Any) -> dict[str, Any]:
        return {
            key: {
                "dtype": types_pb2.DataType.Name(info.dtype),
                "tensor_shape": {
                    "dim": [{"size": str(d.size), "name": d.name} for d in info.tensor_shape.dim],
                    "unknown_rank": info.tensor_shape.unknown_rank,
                },
                "name": info.name,
            }
            for key, info in sorted(infos.items())
        }

    signatures = {
        key: {
            "inputs": tensors(one.inputs),
            "outputs": tensors(one.outputs),
            "method_name": one.method_name,
            "defaults": {},
        }
        for key, one in sorted(model.signature_defs.items())
    }
    document = {
        "model_spec": {"name": name, "signature_name": "", "version": str(version)},
        "metadata": {"signature_def": {"signature_def": signatures}},
    }
    return json.dumps(document, indent=1)
