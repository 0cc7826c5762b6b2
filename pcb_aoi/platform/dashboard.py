"""The three routes of nuclio's dashboard that CVAT calls, and those of operations, as an ASGI application."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import nuclio_sdk
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from pcb_aoi.config import granted
from pcb_aoi.config.function_file import PROJECT_LABEL, Record
from pcb_aoi.errors import ConfigError
from pcb_aoi.platform import status
from pcb_aoi.platform.access import OwnNames
from pcb_aoi.platform.bodies import MOST_BYTES, Bodies
from pcb_aoi.platform.function import ServedFunction, read_error
from pcb_aoi.platform.functions import Functions
from pcb_aoi.platform.protocol import REASON_HEADER, reason
from pcb_aoi.platform.worker import Answer, Call

if TYPE_CHECKING:
    from pcb_aoi.platform.prometheus import Metrics

# One call a connection: a kept connection that a server closes at its end is a call lost when the client sends at that
# moment. Connecting costs nothing beside a frame. An answer given before the whole body was read keeps the connection:
# closed under a client that still sends, the answer would not arrive.
LAST = {"Connection": "close"}

# What the failures of reading a body are called in `status`.
_BODY_CODES = {408: "slow_body", 413: "too_large", 503: "busy"}

log = nuclio_sdk.Logger(logging.INFO, "pcb_aoi.platform.dashboard")


def create_app(functions: Functions, started: status.Started | None = None) -> Starlette:
    """Return the ASGI application for these functions."""
    started, bodies, metrics = started or status.Started(), Bodies(MOST_BYTES), _metrics(functions)

    def record(function: ServedFunction) -> Record:
        return {**function.record, "status": {"state": function.state, "httpPort": started.port}}

    async def list_functions(request: Request) -> Response:
        project = request.headers.get("x-nuclio-project-name")
        found = {
            name: record(function)
            for name, function in functions.by_id.items()
            if not project or function.record["metadata"]["labels"][PROJECT_LABEL] == project
        }
        return JSONResponse(found, headers=LAST)

    async def get_function(request: Request) -> Response:
        return JSONResponse(record(find(request.path_params["name"])), headers=LAST)

    async def get_status(request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(status.report, functions, started), headers=LAST)

    async def invoke(request: Request) -> Response:
        began = time.monotonic()
        name = request.headers.get("x-nuclio-function-name", "")
        if not name:
            raise HTTPException(400, "header x-nuclio-function-name is missing")
        function = find(name)
        try:
            granted_s = granted.read(request.headers.get(granted.HEADER))
        except ConfigError as error:
            raise HTTPException(400, str(error)) from error
        size, headers = 0, {}
        try:
            seconds = granted.usable(granted_s or granted.CVAT_S)
            async with bodies.read(request, function.max_body, seconds) as body:
                size, headers = len(body), LAST
                path = request.headers.get("x-nuclio-path", "/")
                call = Call(request.method, path, dict(request.headers), body, granted_s, began)
                answer = await function.invoke(call)
        except HTTPException as error:
            answer = Answer.error(error.status_code, _BODY_CODES[error.status_code], error.detail)
        except ClientDisconnect:
            text = "the client closed the connection before the body was complete"
            answer = Answer.error(400, "disconnected", text)
        function.note(answer)
        client = request.client.host if request.client else ""
        took = time.monotonic() - began
        if metrics:
            metrics.observe(name, took)
        say = log.info_with if answer.status < 400 else log.warn_with
        say("call", function=name, status=answer.status, bytes=size, ms=round(took * 1000), client=client)
        if answer.status >= 400:
            headers = headers | {REASON_HEADER: reason("{}: {}".format(*read_error(answer)))}
        return Response(answer.body, answer.status, answer.headers | headers, answer.content_type)

    async def health(_: Request) -> Response:
        ill = [name for name, function in functions.by_id.items() if function.state != "ready"]
        text = f"unhealthy: {', '.join(ill)}\n" if ill else "ok\n"
        return PlainTextResponse(text, 503 if ill else 200, LAST)

    async def get_metrics(_: Request) -> Response:
        if metrics is None:
            raise HTTPException(404, "prometheus-client is not installed: ./deploy.sh install --extra metrics, then up")
        return Response(metrics.page(), headers=LAST, media_type=metrics.content_type)

    async def not_found(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        text = error.detail
        if request.url.path == "/" and request.method == "POST":
            text = "functions have no port of their own here: set CVAT_NUCLIO_INVOKE_METHOD=dashboard in CVAT"
        headers = {**(error.headers or {}), REASON_HEADER: reason(text)}
        return JSONResponse({"error": text}, error.status_code, headers)

    def find(name: str) -> ServedFunction:
        if name not in functions.by_id:
            log.warn_with("no such function", function=name)
            raise HTTPException(404, f"no function {name!r}; there are: {', '.join(functions.by_id)}")
        return functions.by_id[name]

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        functions.terminate()

    return Starlette(
        routes=[
            Route("/api/functions", list_functions),
            Route("/api/functions/{name}", get_function),
            Route("/api/function_invocations", invoke, methods=["GET", "POST"]),
            Route("/api/status", get_status),
            Route("/healthz", health),
            Route("/metrics", get_metrics),
        ],
        middleware=[Middleware(OwnNames, names=(started.host,))],
        exception_handlers={HTTPException: not_found},
        lifespan=lifespan,
    )


def _metrics(functions: Functions) -> Metrics | None:
    """Return the page for Prometheus; None where its client is not installed."""
    try:
        from pcb_aoi.platform.prometheus import Metrics
    except ModuleNotFoundError:
        return None
    return Metrics(functions)
