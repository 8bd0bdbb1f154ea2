"""A local server of TensorFlow Serving's contracts; in production tensorflow/serving is it."""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time
from collections.abc import Callable

from keras_unet._extras import import_extra
from keras_unet.serving.config_files import find_models
from keras_unet.serving.executor import DaemonExecutor
from keras_unet.serving.memory import Trimmer
from keras_unet.serving.monitoring import JsonFormatter
from keras_unet.serving.options import ServerOptions
from keras_unet.serving.ports import Ports, in_url
from keras_unet.serving.rest_thread import RestThread

log = logging.getLogger("keras_unet.serving")


def require_extra() -> None:
    """Raises an ImportError that names the extra, if a library of the server is missing."""
    for module in ("aiohttp", "prometheus_client", "tensorflow_serving.apis"):
        import_extra(module, "serving", "'keras-unet-bio[serving]'")


class Server:
    """Loads models and answers until it is stopped; also a context manager.

    Args:
        options: What is served and where, and the limits of a request.
        ports: Ports that were taken before. Defaults to None: they are taken when it starts.

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

    def __init__(self, options: ServerOptions, ports: Ports | None = None) -> None:
        require_extra()
        from keras_unet.serving.models import ModelStore
        from keras_unet.serving.monitoring import Metrics

        self.options = options
        self.store = ModelStore(find_models(options.path, options.name), options.poll_seconds)
        self.metrics = Metrics(self.store)
        self._memory = Trimmer()
        self._ports = ports
        self._rest = RestThread(self.store, self.metrics, options, self._memory.after_request)
        self._started = False

    @property
    def rest_url(self) -> str:
        """Address of the REST interface and of the page."""
        return f"http://{in_url(self.options.host)}:{self._opened.rest_port}"

    @property
    def grpc_target(self) -> str:
        """Address of the gRPC interface."""
        return f"{in_url(self.options.host)}:{self._opened.grpc_port}"

    @property
    def busy(self) -> bool:
        """Whether work goes on that nobody waits for."""
        return self._ports is not None and self._executor.busy

    @property
    def _opened(self) -> Ports:
        if self._ports is None:
            raise RuntimeError("the server has no ports before start()")
        return self._ports

    @property
    def _executor(self) -> DaemonExecutor:
        return self._opened.executor

    def start(self) -> Server:
        """Takes the ports if they are not taken yet, loads the models and answers.

        Raises:
            UsageError: If a port is in use.
        """
        self._ports = self._ports or Ports(self.options)
        self._started = True
        try:
            self.store.start()
            self._memory.start()
            self._start_grpc()
            self._rest.start(self._opened)
        except BaseException:
            self.stop()
            raise
        log.info("serving", extra={"rest": self.rest_url, "grpc": self.grpc_target})
        return self

    def _start_grpc(self) -> None:
        from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

        from keras_unet.serving.grpc_service import ModelService, PredictionService

        options = self.options
        prediction = PredictionService(
            self.store,
            self.metrics,
            options.max_request_bytes,
            options.tensor_content,
            self._memory.after_request,
        )
        server = self._opened.grpc
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(prediction, server)
        model = ModelService(self.store, self.metrics)
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(model, server)
        server.start()

    def stop(self) -> None:
        """Refuses new requests, lets those that run end for `grace_seconds`, and closes.

        Work that goes on after that is left alone; it does not hold the process.
        """
        if not self._started:
            return
        self._started = False
        log.info("stopping")
        grace = self.options.grace_seconds
        end = time.monotonic() + grace + 0.5
        ended = self._opened.grpc.stop(grace)
        self._rest.stop(grace)
        ended.wait(max(0.0, end - time.monotonic()))
        self.store.close(max(0.1, end - time.monotonic()))
        self._opened.close()
        log.info("stopped")

    def __enter__(self) -> Server:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def run(self, ready: Callable[[], object] = lambda: None) -> None:
        """Serves until SIGTERM or SIGINT arrives; call it in the main thread.

        Args:
            ready: Called when the ports answer and the signals are minded.
        """
        asked = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: asked.set())
        with self:
            ready()
            while not asked.wait(1.0):  # Python handles a signal between two waits
                pass


def log_to_stderr(level: str = "INFO") -> None:
    """One line of JSON for each event."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    log.handlers = [handler]
    log.setLevel(level.upper())
    log.propagate = False
