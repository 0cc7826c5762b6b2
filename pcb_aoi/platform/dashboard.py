"""The three routes of nuclio's dashboard that CVAT calls, as an ASGI application over a set of workers."""

from __future__ import annotations

import ipaddress
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import nuclio_sdk
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from pcb_aoi.config.function_record import PROJECT_LABEL, Record
from pcb_aoi.platform.worker import Answer, Worker

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
LOOPBACK: tuple[Network, ...] = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))

log = nuclio_sdk.Logger(logging.INFO, "pcb_aoi.platform.dashboard")


def create_app(workers: dict[str, Worker], allow: tuple[Network, ...] = LOOPBACK, port: int = 8070) -> Starlette:
    """Return the ASGI application for these workers, by function id."""

    def record(worker: Worker) -> Record:
        return {**worker.record, "status": {"state": worker.state, "httpPort": port}}

    async def list_functions(request: Request) -> Response:
        project = request.headers.get("x-nuclio-project-name")
        found = {
            name: record(worker)
            for name, worker in workers.items()
            if not project or worker.record["metadata"]["labels"][PROJECT_LABEL] == project
        }
        return JSONResponse(found)

    async def get_function(request: Request) -> Response:
        return JSONResponse(record(find(request.path_params["name"])))

    async def invoke(request: Request) -> Response:
        started = time.monotonic()
        size = 0
        name = request.headers.get("x-nuclio-function-name", "")
        if not name:
            raise HTTPException(400, "header x-nuclio-function-name is missing")
        try:
            worker = find(name)
            body = await read_body(request, worker.max_body)
            size = len(body)
            path = request.headers.get("x-nuclio-path", "/")
            answer = await worker.invoke(request.method, path, dict(request.headers), body)
        except HTTPException as error:
            answer = Answer.error(error.status_code, error.detail)
        except ClientDisconnect:
            answer = Answer.error(400, "the client closed the connection before the body was complete")
        client = request.client.host if request.client else ""
        milliseconds = round((time.monotonic() - started) * 1000)
        say = log.info_with if answer.status < 400 else log.warn_with
        say("call", function=name, status=answer.status, bytes=size, ms=milliseconds, client=client)
        return Response(answer.body, answer.status, answer.headers, answer.content_type)

    async def not_found(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        text = error.detail
        if request.url.path == "/" and request.method == "POST":
            text = "functions have no port of their own here: set CVAT_NUCLIO_INVOKE_METHOD=dashboard in CVAT"
        return JSONResponse({"error": text}, error.status_code, error.headers)

    def find(name: str) -> Worker:
        if name not in workers:
            raise HTTPException(404, f"no function {name!r}; there are: {', '.join(workers)}")
        return workers[name]

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        for worker in workers.values():
            worker.terminate()

    return Starlette(
        routes=[
            Route("/api/functions", list_functions),
            Route("/api/functions/{name}", get_function),
            Route("/api/function_invocations", invoke, methods=["GET", "POST"]),
        ],
        middleware=[Middleware(AllowClients, networks=allow)],
        exception_handlers={HTTPException: not_found},
        lifespan=lifespan,
    )


async def read_body(request: Request, limit: int) -> bytes:
    """Read the body, and refuse it with 413 as soon as it is known to be over `limit` bytes."""
    declared = request.headers.get("content-length", "")
    chunks: list[bytes] = []
    size = int(declared) if declared.isdigit() else 0
    if size <= limit:
        size = 0
        async for chunk in request.stream():
            size += len(chunk)
            if size > limit:
                break
            chunks.append(chunk)
    if size > limit:
        raise HTTPException(413, f"body exceeds the limit of {limit} bytes")
    return b"".join(chunks)


class AllowClients:
    """ASGI middleware: 403 for every client outside the networks, before a byte of its body is read."""

    def __init__(self, app: ASGIApp, networks: tuple[Network, ...]) -> None:
        self._app = app
        self._networks = networks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 403."""
        if scope["type"] == "lifespan" or self._allowed(scope):
            await self._app(scope, receive, send)
            return
        host = scope["client"][0] if scope.get("client") else "unknown"
        log.warn_with("client refused", client=host, cure=f"serve --allow {host}")
        await JSONResponse({"error": f"client {host} is not allowed"}, 403)(scope, receive, send)

    def _allowed(self, scope: Scope) -> bool:
        if not scope.get("client"):
            return False
        address = ipaddress.ip_address(scope["client"][0].partition("%")[0])
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        return any(address in network for network in self._networks)
