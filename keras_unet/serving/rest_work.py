"""One HTTP request: its body, its work in a thread, and its answer, each within a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from keras_unet.serving import contract
from keras_unet.serving.contract import ServingError
from keras_unet.serving.options import ServerOptions
from keras_unet.serving.places import Patience, Place

T = TypeVar("T")
WHOLE = 15
"""Times `body_seconds` that a whole body may take."""


class BodyError(ServingError):
    """A body that is not taken; HTTP has a status of its own for that."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(code, message)
        self._status = status

    @property
    def http_status(self) -> int:
        """Status of the HTTP answer."""
        return self._status


class HeaderTimes:
    """Closes connections that send no whole header in time.

    Args:
        seconds: From the connection's first moment on.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._timers: dict[RequestHandler, asyncio.TimerHandle] = {}

    def begin(self, handler: RequestHandler) -> None:
        """A connection has been made."""
        timer = asyncio.get_running_loop().call_later(self._seconds, self._late, handler)
        self._timers[handler] = timer

    def end(self, handler: RequestHandler) -> None:
        """A header has come."""
        timer = self._timers.pop(handler, None)
        if timer:
            timer.cancel()

    def _late(self, handler: RequestHandler) -> None:
        del self._timers[handler]
        handler.force_close()


class Work:
    """What is done for one request.

    Args:
        request: The request, whose header is there.
        place: What it holds.
        executor: Threads that work.
        options: Limits.

    Attributes:
        patience: How long the work is wanted; begins when the body is there.
    """

    def __init__(
        self, request: web.Request, place: Place, executor: Executor, options: ServerOptions
    ) -> None:
        self._request, self._place, self._executor = request, place, executor
        self._options = options
        self.patience = Patience(options.timeout_seconds)

    async def body(self) -> bytes:
        """The body, inflated.

        Raises:
            BodyError: If it is too large or too slow.
            ServingError: UNAVAILABLE, if the bodies of all requests are too large; CANCELLED, if
                the client has gone; INVALID_ARGUMENT, if it is broken.
        """
        limit = self._options.max_request_bytes
        message = f"The request is larger than {limit} bytes"
        too_large = BodyError(413, "RESOURCE_EXHAUSTED", message)
        if (self._request.content_length or 0) > limit:
            raise too_large
        found = bytearray()
        whole = Patience(WHOLE * self._options.body_seconds)
        while piece := await self._piece(whole):
            if len(found) + len(piece) > limit:
                raise too_large
            self._place.take(len(piece))
            found += piece
        self.patience = Patience(self._options.timeout_seconds)
        body = bytes(found)
        del found
        if self._request.headers.get("Content-Encoding", "").lower() != "gzip":
            return body
        inflated = await self.run(lambda: contract.inflate(body, limit, self._place.take))
        if inflated is None:
            raise too_large
        return inflated

    async def _piece(self, whole: Patience) -> bytes:
        seconds = min(self._options.body_seconds, whole.left or 0.0)
        try:
            return await asyncio.wait_for(self._request.content.readany(), seconds)
        except asyncio.TimeoutError:
            message = "The body of the request comes too slowly"
            raise BodyError(408, "DEADLINE_EXCEEDED", message) from None
        except (ConnectionError, web.RequestPayloadError) as error:
            transport = self._request.transport
            if transport is None or transport.is_closing():
                raise ServingError("CANCELLED", "the client has gone") from None
            raise contract.invalid(f"The body is broken: {contract.short(error)}") from None

    async def run(self, function: Callable[[], T]) -> T:
        """Runs in a thread, which begins nothing new when nobody waits any more."""
        patience = self.patience

        def wanted() -> T:
            patience.check()
            return function()

        work = asyncio.get_running_loop().run_in_executor(self._executor, wanted)
        self._place.hold()
        work.add_done_callback(self._done)
        try:
            return await asyncio.wait_for(asyncio.shield(work), patience.left)
        except asyncio.TimeoutError:
            raise patience.late from None
        except asyncio.CancelledError:
            patience.gone = True
            raise

    def _done(self, work: asyncio.Future) -> None:
        self._place.leave()
        if not work.cancelled():
            work.exception()  # it may be that nobody waits any more

    async def send(self, response: web.Response) -> web.Response:
        """Sends an answer; a client that does not read it in time is left."""
        try:
            await asyncio.wait_for(self._send(response), WHOLE * self._options.body_seconds)
        except asyncio.TimeoutError:
            if self._request.transport is not None:
                self._request.transport.abort()
            raise ServingError("CANCELLED", "the client does not read the answer") from None
        except ConnectionError:
            raise ServingError("CANCELLED", "the client has gone") from None
        return response

    async def _send(self, response: web.Response) -> None:
        await response.prepare(self._request)
        await response.write_eof()
