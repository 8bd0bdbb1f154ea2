"""The command `keras-unet serve`: a local server over exported models."""

from __future__ import annotations

import logging
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from keras_unet.commands.documented import documented

NOTE = (
    "This is the embedded server, for one computer and for tests. In production run tensorflow/"
    "serving over the same folder, behind a proxy: see serving/README.md."
)
MAX_PIXELS = 2**24
"""Of a request, where the server exports its model itself: 4096 x 4096."""


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
    max_pixels: int | None = None,
    timeout: float = 30.0,
    grace: float = 10.0,
    poll: float = 1.0,
    allow_host: list[str] | None = None,
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
        max_pixels: Largest number of pixels of a request, all its pictures together; for a run
            folder or --preset, whose default is 16,777,216. An exported model has its own.
        timeout: Seconds for a REST request.
        grace: Seconds that requests get to end when the server stops.
        poll: Seconds between looks for versions.
        allow_host: Further name of this computer under which the page and REST may be asked, where
            --host is a loopback address; can be given again.
        tensor_content: gRPC answers pack tensors as bytes.
        page: Show the page at /.
        log_level: debug, info, warning or error.
    """
    from keras_unet.serving.config_files import find_models
    from keras_unet.serving.options import ServerOptions
    from keras_unet.serving.ports import Ports, in_url
    from keras_unet.serving.server import Server, log_to_stderr, require_extra
    from keras_unet.serving.temporary import temporary_folder

    require_extra()
    exported = _checked(source, preset, log_level, max_pixels)
    # Without it oneDNN keeps the largest memory that a request has ever needed, for ever.
    os.environ.setdefault("TF_ONEDNN_USE_SYSTEM_ALLOCATOR", "1")
    options = ServerOptions(
        source or Path(),
        name=name,
        host=host,
        rest_port=rest_port,
        grpc_port=grpc_port,
        workers=workers,
        max_request_bytes=max_request_mib * 2**20,
        max_pending=max_pending,
        timeout_seconds=timeout,
        grace_seconds=grace,
        poll_seconds=poll,
        allow_hosts=tuple(allow_host or ()),
        tensor_content=tensor_content,
        page=page,
    )
    if source is not None and not exported:
        find_models(source, name)  # raises if there is nothing to serve
    log_to_stderr(log_level)
    with Ports(options) as ports, temporary_folder("keras_unet_serve_") as folder:
        if exported:
            path = _exported(source, preset, name, folder, max_pixels or MAX_PIXELS)
            options = replace(options, path=path)
        typer.echo(NOTE)
        address = (
            f"http://{in_url(host)}:{ports.rest_port}   gRPC: {in_url(host)}:{ports.grpc_port}"
        )
        server = Server(options, ports)
        server.run(lambda: print(f"Page and REST: {address}", flush=True))
    if server.busy:  # work that nobody waits for, which would go on for as long as it takes
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def _checked(
    source: Path | None, preset: str | None, log_level: str, max_pixels: int | None
) -> bool:
    """Whether the server exports its model itself; raises where options contradict each other."""
    if (source is None) is (preset is None):
        raise ValueError("serve needs a folder of models, a run folder, or --preset")
    if log_level.lower() not in ("debug", "info", "warning", "error"):
        raise ValueError(f"--log-level is debug, info, warning or error. Received: {log_level}")
    exported = source is None or (source / "segmenter.json").is_file()
    if max_pixels is not None and (not exported or max_pixels < 1):
        raise ValueError(
            "--max-pixels is a number from 1 on, for a run folder or --preset; an exported model "
            f"has a limit of its own. Received: --max-pixels {max_pixels}"
        )
    return exported


def _exported(
    source: Path | None, preset: str | None, name: str | None, folder: Path, max_pixels: int
) -> Path:
    """The run or the preset as a folder of versions in `folder`."""
    from keras_unet.export.to_saved_model import saved_model
    from keras_unet.inference.segmenter import Segmenter

    segmenter = Segmenter.from_preset(preset) if preset else Segmenter.load(source)  # type: ignore[arg-type]
    base = folder / (name or preset or source.resolve().name)  # type: ignore[union-attr]
    typer.echo(f"Exporting {preset or source} ...")
    saved_model(segmenter, base, max_pixels=max_pixels)
    return base
