"""What the local server serves, where, and how much a request may cost."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from keras_unet.serving.contract import MAX_DEPTH


@dataclass(frozen=True)
class ServerOptions:
    """What to serve, where, and how much a request may cost.

    Attributes:
        path: Folder of a model's versions, folder of models, or a `model.config` file.
        name: Name of the model for a folder of versions; None for the folder's.
        host: Address to listen on.
        rest_port: Port of the REST interface; 0 takes a free one.
        grpc_port: Port of the gRPC interface; 0 takes a free one.
        workers: Threads that predict; None for the number of cores.
        max_request_bytes: Largest request, also after it is inflated.
        max_json_depth: Deepest nesting of a JSON request.
        max_pending: Requests that run or wait at the same time.
        timeout_seconds: A REST request that takes longer is answered 504.
        poll_seconds: Time between two looks for new versions.
        grace_seconds: Time that requests get to end when the server stops.
        tensor_content: Whether gRPC answers pack tensors as bytes.
        page: Whether the page is shown at `/`.
    """

    path: Path
    name: str | None = None
    host: str = "127.0.0.1"
    rest_port: int = 8501
    grpc_port: int = 8500
    workers: int | None = None
    max_request_bytes: int = 64 * 2**20
    max_json_depth: int = MAX_DEPTH
    max_pending: int = 64
    timeout_seconds: float = 30.0
    poll_seconds: float = 1.0
    grace_seconds: float = 10.0
    tensor_content: bool = False
    page: bool = True

    def __post_init__(self) -> None:
        for name in ("max_request_bytes", "max_json_depth", "max_pending", "poll_seconds"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be positive. Received: {name}={getattr(self, name)}")
        for name in ("rest_port", "grpc_port"):
            if not 0 <= getattr(self, name) <= 65535:
                raise ValueError(f"{name} must be in 0..65535. Received: {getattr(self, name)}")
        if self.workers is not None and self.workers < 1:
            raise ValueError(f"workers must be at least 1. Received: workers={self.workers}")
