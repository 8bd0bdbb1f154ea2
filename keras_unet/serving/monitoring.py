"""What a server tells of itself: Prometheus metrics and one line of JSON for each event."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from keras_unet.serving.contract import ServingError

if TYPE_CHECKING:
    from keras_unet.serving.models import ModelStore

log = logging.getLogger("keras_unet.serving")
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_PLAIN_RECORD = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """A log record as one line of JSON: time (UTC), level, message and the `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        entry = {
            "time": f"{seconds}.{int(record.msecs):03d}Z",
            "level": record.levelname,
            "message": record.getMessage(),
        }
        entry |= {key: value for key, value in vars(record).items() if key not in _PLAIN_RECORD}
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str)


@dataclass
class Request:
    """What is known of a request when it ends."""

    protocol: str
    method: str
    model: str = ""
    signature: str = ""
    version: int | None = None
    code: str = "OK"
    extra: dict = field(default_factory=dict)


class Metrics:
    """Prometheus metrics of one server, in a registry of its own.

    Names of models and signatures become labels only after they were found, so that requests for
    invented names cannot fill the memory.
    """

    def __init__(self, store: ModelStore) -> None:
        import prometheus_client as prometheus

        self._store = store
        self._prometheus = prometheus
        self.registry = prometheus.CollectorRegistry()
        names = ("protocol", "method", "model", "signature")
        self._requests = prometheus.Counter(
            "keras_unet_serving_requests",
            "Requests by what was asked and the status code.",
            (*names, "code"),
            registry=self.registry,
        )
        self._seconds = prometheus.Histogram(
            "keras_unet_serving_seconds",
            "Seconds that a request took.",
            names,
            buckets=BUCKETS,
            registry=self.registry,
        )
        self._version = prometheus.Gauge(
            "keras_unet_serving_version",
            "Newest version that answers; 0 for none.",
            ("model",),
            registry=self.registry,
        )

    @contextmanager
    def observe(self, protocol: str, method: str) -> Iterator[Request]:
        """Counts, times and logs what is inside."""
        request = Request(protocol, method)
        begun = time.perf_counter()
        try:
            yield request
        except ServingError as error:
            request.code = error.code
            request.extra["error"] = error.message[:300]
            raise
        except asyncio.CancelledError:
            request.code = "CANCELLED"
            raise
        except BaseException as error:
            request.code = "INTERNAL"
            request.extra["error"] = repr(error)[:300]
            raise
        finally:
            seconds = time.perf_counter() - begun
            labels = (protocol, request.method, request.model, request.signature)
            self._requests.labels(*labels, request.code).inc()
            self._seconds.labels(*labels).observe(seconds)
            about = {key: value for key, value in vars(request).items() if key != "extra"}
            # That a client has gone is no event: a client can do it as often as it likes.
            level = logging.DEBUG if request.code == "CANCELLED" else logging.INFO
            log.log(
                level, "request", extra={**about, **request.extra, "seconds": round(seconds, 6)}
            )

    def text(self) -> bytes:
        """The metrics in Prometheus's text format."""
        for name in self._store.names:
            try:
                number = self._store.resolve(name)[0]
            except ServingError:
                number = 0
            self._version.labels(name).set(number)
        return self._prometheus.generate_latest(self.registry)
