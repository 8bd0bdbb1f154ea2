"""What the local server serves, where, and how much a request may cost."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from keras_unet.errors import UsageError
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
        max_body_bytes: Bodies of all requests that are in memory, together; REST only.
        timeout_seconds: A REST request that takes longer, once its body is there, is answered 504.
        header_seconds: A new connection that has sent no whole header by then is closed.
        body_seconds: Time that a client may be silent while it sends or reads a body; 15 times
            that for the whole body.
        idle_seconds: Time that a connection may be open between two requests.
        allow_hosts: Names under which this server may be asked on a loopback address, besides
            `localhost`, `127.0.0.1`, `[::1]` and `host`.
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
    max_body_bytes: int = 256 * 2**20
    timeout_seconds: float = 30.0
    header_seconds: float = 20.0
    body_seconds: float = 20.0
    idle_seconds: float = 60.0
    allow_hosts: tuple[str, ...] = ()
    poll_seconds: float = 1.0
    grace_seconds: float = 10.0
    tensor_content: bool = False
    page: bool = True

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            limit = name.startswith("max_") or name.endswith("_seconds")
            # Positive, and no NaN; the grace may be none.
            if limit and not (value > 0 or (name == "grace_seconds" and value == 0)):
                raise _refused(name, value, "a larger")
        for name in ("rest_port", "grpc_port"):
            if not 0 <= getattr(self, name) <= 65535:
                raise _refused(name, getattr(self, name), "a number of 0..65535 for")
        if self.workers is not None and self.workers < 1:
            raise _refused("workers", self.workers, "a larger")


def _refused(name: str, value: object, wanted: str) -> UsageError:
    option = name.removesuffix("_seconds").replace("request_bytes", "request_mib").replace("_", "-")
    return UsageError(
        f"the server cannot do with {value} for {name.replace('_', ' ')}",
        f"give {wanted} {name}",
        f"give {wanted} --{option}",
    )
