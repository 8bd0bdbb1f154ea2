"""The REST interface with an event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Executor, TimeoutError as NotInTime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_unet.serving.models import ModelStore
    from keras_unet.serving.monitoring import Metrics
    from keras_unet.serving.options import ServerOptions
    from keras_unet.serving.ports import Ports

log = logging.getLogger("keras_unet.serving")
CANCELLING = 0.5
"""Seconds that cancelled requests get to end."""


class _HttpLog(logging.LoggerAdapter):
    """What aiohttp logs: bytes that are no HTTP are no event here, they are answered 400."""

    def exception(self, msg: object, *args: Any, exc_info: Any = True, **options: Any) -> None:
        """A traceback, but for what a client has sent."""
        from aiohttp.http_exceptions import HttpProcessingError

        if isinstance(exc_info, HttpProcessingError):
            self.debug(msg, *args, **options)
        else:
            self.error(msg, *args, exc_info=exc_info, **options)


class RestThread:
    """Starts and stops it.

    Args:
        store: The models.
        metrics: Where requests are counted.
        options: Limits.
        on_free: Called, in one of the executor's threads, when a request has ended.
    """

    def __init__(
        self,
        store: ModelStore,
        metrics: Metrics,
        options: ServerOptions,
        on_free: Callable[[], object],
    ) -> None:
        self._store, self._metrics, self._options = store, metrics, options
        self._on_free = on_free
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listeners: list[asyncio.AbstractServer] = []

    def start(self, ports: Ports) -> None:
        """Answers the connections of these ports."""
        from aiohttp import web

        from keras_unet.serving.rest import RestInterface

        options, executor = self._options, ports.executor
        self.interface = RestInterface(
            *(self._store, self._metrics, executor, options),
            on_free=lambda: self._free(executor),
        )
        self._runner = web.AppRunner(
            self.interface.application,
            access_log=None,
            logger=_HttpLog(log, {}),
            auto_decompress=False,  # done by the interface, so that a broken body is answered
            handler_cancellation=True,  # a client that has gone waits for nothing
            keepalive_timeout=options.idle_seconds,
            shutdown_timeout=options.grace_seconds,
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="rest", daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(ports), self._loop).result()

    def _free(self, executor: Executor) -> None:
        with contextlib.suppress(RuntimeError):  # the server has stopped
            executor.submit(self._on_free)

    async def _listen(self, ports: Ports) -> None:
        await self._runner.setup()
        server: Any = self._runner.server
        loop = asyncio.get_running_loop()
        for one in ports.rest:
            listener = await loop.create_server(
                lambda: self.interface.connection(server()), sock=one, backlog=256
            )
            self._listeners.append(listener)

    def stop(self, seconds: float) -> None:
        """Closes the ports; requests that run may end for so long."""
        if self._loop is None:
            return
        self.interface.stopping = True
        closing = asyncio.run_coroutine_threadsafe(self._close(seconds), self._loop)
        try:
            closing.result(seconds + 2 * CANCELLING)
        except NotInTime:
            log.warning("requests did not end")
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CANCELLING)
        if not self._thread.is_alive():
            self._loop.close()
        self._loop = None

    async def _close(self, seconds: float) -> None:
        for listener in self._listeners:
            listener.close()
        await asyncio.wait([asyncio.ensure_future(self._runner.cleanup())], timeout=seconds)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        if others:
            await asyncio.wait(others, timeout=CANCELLING)
