"""A local server of TensorFlow Serving's contracts; in production tensorflow/serving is it."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from keras_unet._extras import import_extra
from keras_unet.serving.config_files import find_models
from keras_unet.serving.monitoring import JsonFormatter
from keras_unet.serving.options import ServerOptions

log = logging.getLogger("keras_unet.serving")


def require_extra() -> None:
    """Raises an ImportError that names the extra, if a library of the server is missing."""
    for module in ("aiohttp", "prometheus_client", "tensorflow_serving.apis"):
        import_extra(module, "serving", "'keras-unet-bio[serving]'")


class Server:
    """Loads models and answers until it is stopped; also a context manager.

    Args:
        options: What is served and where, and the limits of a request.

    Raises:
        ImportError: If the extra `serving` is not installed.
        ValueError: If there is nothing to serve.

    Example:
        >>> model = keras_unet.export.saved_model(segmenter, "served/cells")
        >>> options = ServerOptions(Path("served/cells"), rest_port=0, grpc_port=0)  # free ports
        >>> with keras_unet.serving.Server(options) as server:
        ...     print(server.rest_url)
        http://127.0.0.1:...
    """

    def __init__(self, options: ServerOptions) -> None:
        require_extra()
        from keras_unet.serving.models import ModelStore
        from keras_unet.serving.monitoring import Metrics

        self.options = options
        self.store = ModelStore(find_models(options.path, options.name), options.poll_seconds)
        self.metrics = Metrics(self.store)
        self._executor = ThreadPoolExecutor(options.workers or os.cpu_count() or 1, "predict")
        self._grpc: Any = None
        self._rest = _RestThread(self)
        self._started = False

    @property
    def rest_url(self) -> str:
        """Address of the REST interface and of the page."""
        return f"http://{_in_url(self.options.host)}:{self._rest.port}"

    @property
    def grpc_target(self) -> str:
        """Address of the gRPC interface."""
        return f"{_in_url(self.options.host)}:{self.grpc_port}"

    def start(self) -> Server:
        """Loads the models, then opens the ports.

        Raises:
            OSError: If a port is in use.
        """
        self.store.start()
        self._started = True
        try:
            self._start_grpc()
            self._rest.start()
        except BaseException:
            self.stop()
            raise
        log.info("serving", extra={"rest": self.rest_url, "grpc": self.grpc_target})
        return self

    def _start_grpc(self) -> None:
        import grpc
        from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

        from keras_unet.serving.grpc_service import ModelService, PredictionService

        options = self.options
        self._grpc = grpc.server(
            self._executor,
            options=[
                ("grpc.max_receive_message_length", options.max_request_bytes),
                ("grpc.max_send_message_length", -1),
                ("grpc.so_reuseport", 0),  # a second server on the port is an error
            ],
            maximum_concurrent_rpcs=options.max_pending,
        )
        prediction = PredictionService(
            self.store, self.metrics, options.max_request_bytes, options.tensor_content
        )
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(prediction, self._grpc)
        model = ModelService(self.store, self.metrics)
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(model, self._grpc)
        address = f"{_in_url(options.host)}:{options.grpc_port}"
        try:
            self.grpc_port = self._grpc.add_insecure_port(address)
        except RuntimeError:
            self.grpc_port = 0
        if not self.grpc_port:
            raise OSError(f"cannot listen on {address}; choose another with --grpc-port")
        self._grpc.start()

    def stop(self) -> None:
        """Refuses new requests, lets those that run end, and closes."""
        if not self._started:
            return
        self._started = False
        log.info("stopping")
        ended = self._grpc.stop(self.options.grace_seconds) if self._grpc else None
        self._rest.stop()
        if ended:
            ended.wait()
        self.store.close()
        self._executor.shutdown()
        log.info("stopped")

    def __enter__(self) -> Server:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def run(self) -> None:
        """Serves until SIGTERM or SIGINT arrives; call it in the main thread."""
        asked = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: asked.set())
        with self:
            while not asked.wait(1.0):  # Python handles a signal between two waits
                pass


class _RestThread:
    """The REST interface with an event loop in a thread of its own."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self.port = 0

    def start(self) -> None:
        from aiohttp import web

        from keras_unet.serving.rest import RestInterface

        server, options = self._server, self._server.options
        self._interface = RestInterface(server.store, server.metrics, server._executor, options)
        self._runner = web.AppRunner(
            self._interface.application,
            access_log=None,
            auto_decompress=False,  # done by the interface, so that a broken body is answered
            shutdown_timeout=options.grace_seconds,
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="rest", daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(options), self._loop).result()

    async def _listen(self, options: ServerOptions) -> None:
        from aiohttp import web

        await self._runner.setup()
        site = web.TCPSite(self._runner, options.host, options.rest_port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    def stop(self) -> None:
        if self._loop is None or self._thread is None:
            return
        self._interface.stopping = True
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._loop = None


def log_to_stderr(level: str = "INFO") -> None:
    """One line of JSON for each event."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    log.handlers = [handler]
    log.setLevel(level.upper())
    log.propagate = False


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
