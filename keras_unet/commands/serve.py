"""The command `keras-unet serve`: a local server over exported models."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from keras_unet.commands.documented import documented

NOTE = (
    "This is the embedded server, for one computer and for tests. In production run tensorflow/"
    "serving over the same folder, behind a proxy: see serving/README.md."
)


@documented
def serve(
    source: Annotated[Path | None, typer.Argument(metavar="MODELS|RUN")] = None,
    preset: str | None = None,
    name: str | None = None,
    host: str = "127.0.0.1",
    rest_port: int = 8501,
    grpc_port: int = 8500,
    workers: int | None = None,
    max_request_mib: int = 64,
    max_pending: int = 64,
    timeout: float = 30.0,
    poll: float = 1.0,
    tensor_content: Annotated[bool, typer.Option("--tensor-content")] = False,
    page: bool = True,
    log_level: str = "info",
) -> None:
    """Serve exported models: REST and gRPC of TensorFlow Serving, and a page at /.

    Args:
        source: Folder of versions, folder of models, model.config, or a run folder (not with
            --preset).
        preset: A trained model of the package in place of RUN: nuclei.
        name: Name of the model; else that of the folder or preset.
        host: Address to listen on.
        rest_port: REST and page; 0 is a free one.
        grpc_port: gRPC; 0 is a free one.
        workers: Threads that predict; else the number of cores.
        max_request_mib: Largest request in MiB.
        max_pending: Requests that run or wait at the same time.
        timeout: Seconds for a REST request.
        poll: Seconds between looks for versions.
        tensor_content: gRPC answers pack tensors as bytes.
        page: Show the page at /.
        log_level: debug, info, warning or error.
    """
    from keras_unet.serving.options import ServerOptions
    from keras_unet.serving.server import Server, log_to_stderr, require_extra

    try:
        require_extra()
    except ImportError as error:
        raise ValueError(str(error)) from None
    if (source is None) is (preset is None):
        raise ValueError("serve needs a folder of models, a run folder, or --preset")
    if log_level.lower() not in ("debug", "info", "warning", "error"):
        raise ValueError(f"--log-level is debug, info, warning or error. Received: {log_level}")
    log_to_stderr(log_level)
    with tempfile.TemporaryDirectory(prefix="keras_unet_serve_") as folder:
        path = _models(source, preset, name, Path(folder))
        options = ServerOptions(
            path,
            name=name,
            host=host,
            rest_port=rest_port,
            grpc_port=grpc_port,
            workers=workers,
            max_request_bytes=max_request_mib * 2**20,
            max_pending=max_pending,
            timeout_seconds=timeout,
            poll_seconds=poll,
            tensor_content=tensor_content,
            page=page,
        )
        server = Server(options)
        typer.echo(NOTE)
        typer.echo(f"Page and REST: http://{host}:{rest_port}   gRPC: {host}:{grpc_port}")
        sys.stdout.flush()  # also where it is a file, before the server runs for days
        server.run()


def _models(source: Path | None, preset: str | None, name: str | None, folder: Path) -> Path:
    """The folder of models; a run or a preset is exported into `folder` first."""
    if source is not None and not (source / "segmenter.json").is_file():
        return source
    from keras_unet.export.to_saved_model import saved_model
    from keras_unet.inference.segmenter import Segmenter

    segmenter = Segmenter.from_preset(preset) if preset else Segmenter.load(source)  # type: ignore[arg-type]
    base = folder / (name or preset or source.resolve().name)  # type: ignore[union-attr]
    typer.echo(f"Exporting {preset or source} ...")
    saved_model(segmenter, base)
    return base
