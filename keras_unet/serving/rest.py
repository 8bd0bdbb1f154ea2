"""TensorFlow Serving's REST interface over aiohttp; with health, metrics and the page."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from typing import TYPE_CHECKING, TypeVar

from aiohttp import web

from keras_unet.serving import contract, page_routes as page_routes
from keras_unet.serving.contract import ServingError
from keras_unet.serving.rest_paths import (
    BadVersion,
    Target,
    metadata_document,
    parse_path,
    status_document,
)

if TYPE_CHECKING:
    from keras_unet.serving.models import ModelStore
    from keras_unet.serving.monitoring import Metrics, Request
    from keras_unet.serving.options import ServerOptions

log = logging.getLogger("keras_unet.serving")
T = TypeVar("T")


class RestInterface:
    """Answers HTTP requests; the work is done by the executor's threads.

    Args:
        store: The models.
        metrics: Where requests are counted.
        executor: Threads that read, predict and write.
        options: What a request may cost, and whether the page is shown at `/`.
    """

    def __init__(
        self, store: ModelStore, metrics: Metrics, executor: Executor, options: ServerOptions
    ) -> None:
        self._store = store
        self._metrics = metrics
        self._executor = executor
        self._options = options
        self._pending = 0
        self.stopping = False
        self.application = web.Application(client_max_size=options.max_request_bytes)
        router = self.application.router
        router.add_get("/healthz", self._health)
        router.add_get("/monitoring/prometheus/metrics", self._prometheus)
        if options.page:
            router.add_get("/config.json", self._page_config)
            router.add_post("/page/segment", self._page_segment)
            router.add_get(r"/{file:[a-z_]*(\.[a-z]+)?}", self._page_file)
        router.add_route("*", "/{path:.*}", self._interface)

    async def _health(self, _: web.Request) -> web.Response:
        ready = self._store.ready and not self.stopping
        return _json({"ready": ready}, 200 if ready else 503)

    async def _prometheus(self, _: web.Request) -> web.Response:
        return web.Response(body=self._metrics.text(), content_type="text/plain", charset="utf-8")

    async def _page_config(self, _: web.Request) -> web.Response:
        try:
            config = await self._work(lambda: page_routes.config(self._store))
        except ServingError as error:
            return _failed(error)
        return _json(config, headers=page_routes.HEADERS)

    async def _page_segment(self, request: web.Request) -> web.Response:
        async def answer(seen: Request) -> web.Response:
            body = await self._body(request)
            found = await self._work(lambda: page_routes.segment(self._store, body))
            return web.Response(body=found, content_type="image/png")

        return await self._answer("page", answer)

    async def _page_file(self, request: web.Request) -> web.StreamResponse:
        file = page_routes.find(request.match_info["file"])
        if file is None:
            return web.Response(status=404)
        return web.FileResponse(file, headers=page_routes.HEADERS)

    async def _interface(self, request: web.Request) -> web.Response:
        path = request.rel_url.raw_path
        if not path.lower().startswith("/v1/"):
            return web.Response(status=404)

        async def answer(seen: Request) -> web.Response:
            target = parse_path(request.method, path)
            seen.method = target.method
            if target.method in ("status", "metadata"):
                text = await self._work(lambda: self._describe(target, seen))
            else:
                body = await self._body(request)
                text = await self._work(lambda: self._predict(target, body, seen))
            return web.Response(text=text, content_type="application/json")

        return await self._answer("malformed", answer)

    async def _answer(
        self, method: str, work: Callable[[Request], Awaitable[web.Response]]
    ) -> web.Response:
        """Counts a request and turns errors into answers."""
        try:
            with self._metrics.observe("rest", method) as seen:
                return await work(seen)
        except BadVersion:
            return web.Response(status=400)
        except ServingError as error:
            return _failed(error)
        except web.HTTPException as error:
            return _json({"error": error.reason}, error.status)
        except Exception:
            log.exception("internal error")
            return _failed(ServingError("INTERNAL", "internal error; the server's log tells more"))

    async def _body(self, request: web.Request) -> bytes:
        limit = self._options.max_request_bytes
        too_large = web.HTTPRequestEntityTooLarge(
            limit, 0, reason=f"The request is larger than {limit} bytes"
        )
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            raise too_large from None
        if request.headers.get("Content-Encoding", "").lower() != "gzip":
            return body
        inflated = await self._work(lambda: contract.inflate(body, limit))
        if inflated is None:
            raise too_large
        return inflated

    async def _work(self, function: Callable[[], T]) -> T:
        """Runs in a thread; refuses when too many requests wait."""
        if self._pending >= self._options.max_pending:
            raise ServingError("UNAVAILABLE", f"{self._pending} requests are waiting; try again")
        self._pending += 1
        work = asyncio.get_running_loop().run_in_executor(self._executor, function)
        work.add_done_callback(self._one_less)
        try:
            return await asyncio.wait_for(asyncio.shield(work), self._options.timeout_seconds)
        except asyncio.TimeoutError:
            message = f"The request took longer than {self._options.timeout_seconds} seconds"
            raise ServingError("DEADLINE_EXCEEDED", message) from None

    def _one_less(self, work: asyncio.Future) -> None:
        self._pending -= 1
        if not work.cancelled():
            work.exception()  # it may be that nobody waits any more

    def _describe(self, target: Target, seen: Request) -> str:
        if target.method == "status":  # a label is ignored: all versions are listed
            versions = self._store.status(target.name, target.version)
            seen.model = target.name
            return status_document(versions)
        number, model = self._store.resolve(target.name, target.version, target.label)
        seen.model, seen.version = target.name, number
        return metadata_document(target.name, number, model)

    def _predict(self, target: Target, body: bytes, seen: Request) -> str:
        document = contract.parse_json(body, self._options.max_json_depth)
        signature = contract.signature_name_of(document)
        number, model = self._store.resolve(target.name, target.version, target.label)
        seen.model, seen.version = target.name, number
        if target.method != "predict":
            raise ServingError("UNIMPLEMENTED", f"{target.method}: segmentation models predict")
        if signature not in model.inputs:
            raise contract.invalid(
                f'Serving signature name: "{signature}" not found in signature def'
            )
        seen.signature = signature
        inputs, row = contract.request_arrays(document, model.inputs[signature])
        del document, body
        return contract.response_document(model.predict(signature, inputs), row)


def _json(
    document: object, status: int = 200, headers: dict[str, str] | None = None
) -> web.Response:
    text = json.dumps(document, indent=4)
    return web.Response(text=text, status=status, content_type="application/json", headers=headers)


def _failed(error: ServingError) -> web.Response:
    return _json({"error": error.message}, error.http_status)
