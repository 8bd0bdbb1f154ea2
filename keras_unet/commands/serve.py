"""The command `keras-unet serve`: a local server over exported models."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

NOTE = (
    "This is the embedded server, for one computer and for tests. In production run tensorflow/"
    "serving over the same folder, behind a proxy: see serving/README.md."
)


def serve(
    source: Annotated[
        Path | None,
        typer.Argument(
            help="Folder of versions, folder of models, model.config, or a run folder "
            "(not with --preset).",
            metavar="MODELS|RUN",
        ),
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="A trained model of the package in place of RUN: nuclei.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the model; else that of the folder or preset.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    rest_port: Annotated[int, typer.Option(help="REST and page; 0 is a free one.")] = 8501,
    grpc_port: Annotated[int, typer.Option(help="gRPC; 0 is a free one.")] = 8500,
    workers: Annotated[
        int | None, typer.Option(help="Threads that predict; else the number of cores.")
    ] = None,
    max_request_mib: Annotated[int, typer.Option(help="Largest request in MiB.")] = 64,
    max_pending: Annotated[
        int, typer.Option(help="Requests that run or wait at the same time.")
    ] = 64,
    timeout: Annotated[float, typer.Option(help="Seconds for a REST request.")] = 30.0,
    poll: Annotated[float, typer.Option(help="Seconds between looks for versions.")] = 1.0,
    tensor_content: Annotated[
        bool, typer.Option("--tensor-content", help="gRPC answers pack tensors as bytes.")
    ] = False,
    page: Annotated[bool, typer.Option(help="Show the page at /.")] = True,
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "info",
) -> None:
    """Serve exported models: REST and gRPC of TensorFlow Serving, and a page at /."""
    from keras_unet.serving.server import Server, ServerOptions, log_to_stderr, require_extra

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
