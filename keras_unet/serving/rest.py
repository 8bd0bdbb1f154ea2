"""TensorFlow Serving's REST interface over aiohttp; with health, metrics and the page."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from typing import TYPE_CHECKING

from aiohttp import web
from aiohttp.typedefs import Handler
from aiohttp.web_protocol import RequestHandler

from keras_unet.serving import contract, page_routes as page_routes
from keras_unet.serving.contract import ServingError
from keras_unet.serving.json_arrays import request_arrays
from keras_unet.serving.origins import Origins
from keras_unet.serving.places import Places
from keras_unet.serving.rest_paths import (
    BadVersion,
    Target,
    metadata_document,
    parse_path,
    status_document,
)
from keras_unet.serving.rest_work import HeaderTimes, Work

if TYPE_CHECKING:
    from keras_unet.serving.models import ModelStore
    from keras_unet.serving.monitoring import Metrics, Request
    from keras_unet.serving.options import ServerOptions

log = logging.getLogger("keras_unet.serving")


class RestInterface:
    """Answers HTTP requests; the work is done by the executor's threads.

    Args:
        store: The models.
        metrics: Where requests are counted.
        executor: Threads that read, predict and write.
        options: What a request may cost, and whether the page is shown at `/`.
        on_free: Called when a request has ended.
    """

    def __init__(
        self,
        store: ModelStore,
        metrics: Metrics,
        executor: Executor,
        options: ServerOptions,
        on_free: Callable[[], object] = lambda: None,
    ) -> None:
        self._store = store
        self._metrics = metrics
        self._executor = executor
        self._options = options
        self._origins = Origins(options.host, options.allow_hosts)
        self._headers = HeaderTimes(options.header_seconds)
        self.places = Places(options.max_pending, options.max_body_bytes, on_free)
        self.stopping = False
        self.application = web.Application(middlewares=[self._first])
        router = self.application.router
        router.add_get("/healthz", self._health)
        router.add_get("/monitoring/prometheus/metrics", self._prometheus)
        if options.page:
            router.add_get("/config.json", self._page_config)
            router.add_post("/page/segment", self._page_segment)
            router.add_get(r"/{file:[a-z_]*(\.[a-z]+)?}", self._page_file)
        router.add_route("*", "/{path:.*}", self._interface)

    def connection(self, handler: RequestHandler) -> RequestHandler:
        """A new connection: what handles it, which is closed if no header comes."""
        self._headers.begin(handler)
        return handler

    @web.middleware
    async def _first(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self._headers.end(request.protocol)
        refusal = self._origins.refusal(request)
        if refusal:
            log.debug("refused", extra={"error": refusal})
            return web.json_response({"error": refusal}, status=403)
        return await handler(request)

    async def _health(self, _: web.Request) -> web.Response:
        ready = self._store.ready and not self.stopping
        return _json({"ready": ready}, 200 if ready else 503)

    async def _prometheus(self, _: web.Request) -> web.Response:
        return web.Response(body=self._metrics.text(), content_type="text/plain", charset="utf-8")

    async def _page_config(self, request: web.Request) -> web.StreamResponse:
        async def answer(seen: Request, work: Work) -> web.Response:
            config = await work.run(lambda: page_routes.config(self._store))
            return _json(config, headers=page_routes.HEADERS)

        return await self._answer(request, "page", answer)

    async def _page_segment(self, request: web.Request) -> web.StreamResponse:
        async def answer(seen: Request, work: Work) -> web.Response:
            body = await work.body()
            found = await work.run(
                lambda: page_routes.segment(self._store, body, work.patience.check)
            )
            return web.Response(body=found, content_type="image/png")

        return await self._answer(request, "page", answer)

    async def _page_file(self, request: web.Request) -> web.StreamResponse:
        file = page_routes.find(request.match_info["file"])
        if file is None:
            return web.Response(status=404)
        return web.FileResponse(file, headers=page_routes.HEADERS)

    async def _interface(self, request: web.Request) -> web.StreamResponse:
        path = request.rel_url.raw_path
        if not path.lower().startswith("/v1/"):
            return web.Response(status=404)

        async def answer(seen: Request, work: Work) -> web.Response:
            target = parse_path(request.method, path)
            seen.method = target.method
            if target.method in ("status", "metadata"):
                text = await work.run(lambda: self._describe(target, seen))
            else:
                body = await work.body()
                check = work.patience.check
                text = await work.run(lambda: self._predict(target, body, seen, check))
            return web.Response(text=text, content_type="application/json")

        return await self._answer(request, "malformed", answer)

    async def _answer(
        self,
        request: web.Request,
        method: str,
        answer: Callable[[Request, Work], Awaitable[web.Response]],
    ) -> web.StreamResponse:
        """Counts a request from its header on, turns errors into answers, and sends them."""
        try:
            with self._metrics.observe("rest", method) as seen:
                place = self.places.enter()
                try:
                    work = Work(request, place, self._executor, self._options)
                    return await work.send(await answer(seen, work))
                finally:
                    place.leave()
        except BadVersion:
            return web.Response(status=400)
        except ServingError as error:
            response = _failed(error)
            if response.status == 408:  # what may still come of the body is not waited for
                response.force_close()
                await response.prepare(request)
                await response.write_eof()
                request.protocol.force_close()
            return response
        except Exception:
            log.exception("internal error")
            return _failed(ServingError("INTERNAL", "internal error; the server's log tells more"))

    def _describe(self, target: Target, seen: Request) -> str:
        if target.method == "status":  # a label is ignored: all versions are listed
            versions = self._store.status(target.name, target.version)
            seen.model = target.name
            return status_document(versions)
        number, model = self._store.resolve(target.name, target.version, target.label)
        seen.model, seen.version = target.name, number
        return metadata_document(target.name, number, model)

    def _predict(
        self, target: Target, body: bytes, seen: Request, check: Callable[[], object]
    ) -> str:
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
        inputs, row = request_arrays(document, model.inputs[signature])
        del document, body
        found = model.predict(signature, inputs, check=check)
        check()
        return contract.response_document(found, row)


def _json(
    document: object, status: int = 200, headers: dict[str, str] | None = None
) -> web.Response:
    text = json.dumps(document, indent=4)
    return web.Response(text=text, status=status, content_type="application/json", headers=headers)


def _failed(error: ServingError) -> web.Response:
    again = {"Retry-After": "1"} if error.http_status == 503 else None
    return _json({"error": error.message}, error.http_status, again)
