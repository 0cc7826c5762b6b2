"""The embedded platform: all functions in one process, for a workstation, a demo, a test.

It imitates nuclio only as far as CVAT can see, and has no authentication, as CVAT sends no token: it listens
on loopback, and elsewhere answers only the client networks it was told of.
"""

from __future__ import annotations

import argparse
import ipaddress
import json
import logging
import os
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import nuclio_sdk
import uvicorn
from starlette.applications import Starlette

from pcb_aoi.platform.dashboard import LOOPBACK, create_app
from pcb_aoi.platform.worker import Worker, describe

# How long a stop waits for calls under way. `deploy.sh down` waits a little longer before it kills.
STOP_SECONDS = 30

log = nuclio_sdk.Logger(logging.INFO, "pcb_aoi.platform.serve")


def load_workers(functions: Path, names: list[str], file: str = "function.yaml") -> dict[str, Worker]:
    """Load the folders under `functions`, by function id; one that fails is logged and left out."""
    workers: dict[str, Worker] = {}
    for folder in sorted(path.parent for path in functions.glob(f"*/{file}")):
        if names and folder.name not in names:
            continue
        started = time.monotonic()
        try:
            worker = Worker(folder, file)
            if worker.name in workers:
                raise ValueError(f"another folder has the id {worker.name} already")
        except (Exception, SystemExit) as error:
            log.error_with("function left out", folder=folder.name, cause=describe(error))
            continue
        workers[worker.name] = worker
        ms = round((time.monotonic() - started) * 1000)
        log.info_with("function ready", function=worker.name, folder=folder.name, ms=ms)
    return workers


class JsonLines(logging.Formatter):
    """One JSON object a line, for nuclio loggers and uvicorn's alike."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        fields = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **getattr(record, "with", {}),
        }
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return json.dumps(fields, ensure_ascii=False, default=str)


def server_config(app: Starlette) -> uvicorn.Config:
    """Return how uvicorn runs the application."""
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        proxy_headers=False,  # or a header could name another client than the one that is connected
        timeout_graceful_shutdown=STOP_SECONDS,
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `pcb-aoi serve`."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=8070, help="0 takes a free one (default: 8070)")
    parser.add_argument("--functions", type=Path, default=Path("functions"), help="folder of the function folders")
    parser.add_argument("--function", action="append", default=[], metavar="NAME", help="serve only this folder")
    parser.add_argument("--gpu", action="store_true", help="start the functions as function-gpu.yaml says")
    parser.add_argument(
        "--allow",
        action="append",
        default=[],
        type=ipaddress.ip_network,
        metavar="CIDR",
        help="clients that may call, besides this machine; needed when --host is not loopback",
    )


def run(args: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT: the address to stdout once it listens, the log to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    problem = _check(args)
    if problem:
        return _fail(problem, 2)
    try:
        # Bound before the models are loaded, so that a port in use is known at once.
        listener = socket.socket(socket.AF_INET6 if ":" in args.host else socket.AF_INET)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((args.host, args.port))
    except OSError as error:
        where = f"{args.host}:{args.port}: {error.strerror}"
        return _fail(f"无法监听，请换 --port / cannot listen, try another --port: {where}", 1)
    port = listener.getsockname()[1]
    workers = load_workers(args.functions, args.function, "function-gpu.yaml" if args.gpu else "function.yaml")
    if not workers:
        return _fail("没有可用的函数，原因见上 / no function can be served; the lines above say why", 1)
    # A call from this machine to its own address comes from that address.
    allow = (*LOOPBACK, *args.allow, ipaddress.ip_network(listener.getsockname()[0].partition("%")[0]))
    config = server_config(create_app(workers, allow, port))
    url = f"http://{f'[{args.host}]' if ':' in args.host else args.host}:{port}"
    with suppress(KeyboardInterrupt):  # Ctrl-C is how it is stopped by hand
        _Server(config, lambda: _announce(url, list(workers))).run(sockets=[listener])
    return 0


class _Server(uvicorn.Server):
    """uvicorn's server that says when it listens."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_ready()


def _announce(url: str, functions: list[str]) -> None:
    log.info_with("listening", url=url, functions=functions, pid=os.getpid())
    sys.stdout.write(f"{url}\n")
    sys.stdout.flush()


def _check(args: argparse.Namespace) -> str:
    """Return what is wrong with the options, or nothing."""
    missing = [name for name in args.function if not (args.functions / name).is_dir()]
    if not args.functions.is_dir():
        return f"找不到 / no such folder: {args.functions}; 请用 --functions 指定 / pass --functions"
    if missing:
        return f"没有这个函数 / no such function: {', '.join(missing)}"
    try:
        open_host = not ipaddress.ip_address(args.host).is_loopback
    except ValueError:
        open_host = args.host != "localhost"
    if open_host and not args.allow:
        return "--host 不是本机，须有 --allow CIDR / --host is not loopback and needs --allow CIDR"
    return ""


def _fail(text: str, status: int) -> int:
    sys.stderr.write(f"{text}\n")
    return status
