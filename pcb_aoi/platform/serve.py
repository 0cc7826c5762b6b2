"""The embedded platform: all functions in one process, for a workstation, a demo, a test.

It imitates nuclio only as far as CVAT can see, and has no authentication, as CVAT sends no token: it listens
on loopback, and elsewhere answers only the client networks it was told of.
"""

from __future__ import annotations

import argparse
import ipaddress
import logging
import os
import socket
import sys
from contextlib import ExitStack, suppress
from pathlib import Path

import nuclio_sdk

from pcb_aoi.platform import handover, logs, state
from pcb_aoi.platform.access import LOOPBACK
from pcb_aoi.platform.dashboard import create_app
from pcb_aoi.platform.functions import Functions
from pcb_aoi.platform.listen import CannotListen, listen, url_host
from pcb_aoi.platform.server import Server
from pcb_aoi.platform.status import Started

log = nuclio_sdk.Logger(logging.INFO, "pcb_aoi.platform.serve")


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
    parser.add_argument(
        "--state",
        type=Path,
        metavar="FOLDER",
        help="for deploy.sh: keep the log and the process record there, and take over from the server that runs there",
    )


def run(args: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT: the address to stdout once it listens, the log to stderr or into --state."""
    args.host = args.host.strip("[]")
    try:
        logs.configure(state.log_path(args.state) if args.state else None)
        predecessor = handover.take(state.control_path(args.state)) if args.state else None
    except OSError as error:
        return _fail(f"{args.state}: {error}", 1)
    if problem := _check(args):
        return _fail(problem, 2)
    try:
        # Before the models are loaded, so that a port in use is known at once.
        listener = predecessor.listener if predecessor else listen(args.host, args.port)
    except CannotListen as error:
        return _fail(str(error), 1)
    functions = Functions(args.functions, args.function, "function-gpu.yaml" if args.gpu else "function.yaml")
    for left in functions.left_out if args.state else ():
        sys.stderr.write(f"  {left.folder}: {left.cause}\n")
    lost = sorted(set(predecessor.folders) - set(functions.folders)) if predecessor else []
    if lost:
        names = ", ".join(lost)
        return _fail(f"这些函数加载不了，旧进程继续运行 / cannot be loaded, the old server goes on: {names}", 1)
    if not functions.by_id:
        return _fail("没有可用的函数，原因见上 / no function can be served; the lines above say why", 1)
    return _serve(args, listener, functions, predecessor)


def _serve(
    args: argparse.Namespace, listener: socket.socket, functions: Functions, predecessor: handover.Predecessor | None
) -> int:
    address, port = listener.getsockname()[:2]
    started = Started(
        args.host, port, tuple(map(str, args.allow)), state.log_path(args.state).resolve() if args.state else None
    )
    # A call from this machine to its own address comes from that address.
    allow = (*LOOPBACK, *args.allow, ipaddress.ip_network(address.partition("%")[0]))
    url = f"http://{url_host(args.host)}:{port}"

    with ExitStack() as stack:

        def ready() -> None:
            if record and offer:
                record.commit()
                offer.commit()
            if predecessor:
                predecessor.release()
                log.info_with("took over", predecessor=predecessor.pid)
            log.info_with("listening", url=url, functions=list(functions.by_id), pid=os.getpid())
            sys.stdout.write(f"{url}\n")
            sys.stdout.flush()
            if args.state:
                _redirect(args.state)

        server = Server(create_app(functions, started), ready, allow)
        record = offer = None
        if args.state:
            try:
                record = state.ServerRecord(args.state, args.host, port)
                path = state.control_path(args.state)
                offer = stack.enter_context(handover.Offer(path, listener, functions.folders, server.release))
            except OSError as error:
                # Nobody could find and stop a server that is not recorded: it does not start.
                log.error_with("not recorded", cause=str(error))
                return _fail(f"无法写入 / cannot write into {args.state}: {error.strerror or error}", 1)
        with suppress(KeyboardInterrupt):  # Ctrl-C is how it is stopped by hand
            server.run(sockets=[listener])
    return 0


def _redirect(folder: Path) -> None:
    """Send what is not logged, such as a crash of native code, to a file: nobody listens to this process any more."""
    try:
        file = os.open(state.output_path(folder), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o644)
    except OSError:
        file = os.open(os.devnull, os.O_WRONLY)
    for standard in (1, 2):
        os.dup2(file, standard)
    os.close(file)


def _check(args: argparse.Namespace) -> str:
    """Return what is wrong with the options, or nothing."""
    missing = [name for name in args.function if not (args.functions / name).is_dir()]
    if not args.functions.is_dir():
        return f"找不到 / no such folder: {args.functions}; 请用 --functions 指定 / pass --functions"
    if missing:
        return f"没有这个函数 / no such function: {', '.join(missing)}"
    try:
        open_host = not ipaddress.ip_address(args.host.partition("%")[0]).is_loopback
    except ValueError:
        open_host = args.host != "localhost"
    if open_host and not args.allow:
        return "--host 不是本机，须有 --allow CIDR / --host is not loopback and needs --allow CIDR"
    return ""


def _fail(text: str, status: int) -> int:
    sys.stderr.write(f"{text}\n")
    return status
