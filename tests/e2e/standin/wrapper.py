"""Stand-in for nuclio's Python wrapper: the process in which a function runs, one for each worker.

Written from the facts about `_nuclio_wrapper.py`, around nuclio's real SDK: it speaks the same wire protocol (a
4-byte big-endian length and one msgpack map in; lines that begin with `s`, `l`, `m` or `r` out), takes the same
flags and no others, decodes and encodes with the SDK's own code, and has the same traps.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import re
import signal
import socket
import struct
import sys
import time
import traceback
from typing import Any

import msgpack
import nuclio_sdk
import nuclio_sdk.json_encoder
import nuclio_sdk.logger

BATCHING = tuple(int(part) for part in os.environ["NUCLIO_STANDIN_VERSION"].split(".")) >= (1, 13, 1)
"""Whether a bare list that a handler returns is taken for a batch of responses; 1.13.0 made it JSON."""


def main() -> None:
    args = parse_args()
    logger = nuclio_sdk.Logger("DEBUG")
    logger.set_handler("default", sys.stdout, nuclio_sdk.logger.JSONFormatter())
    logger.bind(worker_id=args.worker_id)
    try:
        # In nuclio's order: import the handler, connect, init_context, and only then say "started".
        entrypoint = load_handler(args.handler)
        events, control = connect(args.event_socket_path), connect(args.control_socket_path)
        out = events.makefile("w", encoding="utf-8")
        # Not the module that --handler names: the one that the handler says it is from.
        module = sys.modules[entrypoint.__module__]
    except BaseException as error:
        logger.error_with(
            "Caught unhandled exception while initializing", err=str(error), traceback=traceback.format_exc()
        )
        raise SystemExit(1) from None
    logger.set_handler("default", LinePrefix(out, "l"), nuclio_sdk.logger.JSONFormatter())
    context = nuclio_sdk.Context(
        logger,
        nuclio_sdk.Platform(args.platform_kind, namespace=args.namespace),
        args.worker_id,
        nuclio_sdk.TriggerInfo(args.trigger_kind, args.trigger_name),
    )
    if hasattr(module, "init_context"):
        try:
            module.init_context(context)
        except BaseException:
            logger.error("Exception raised while running init_context")
            raise  # the traceback goes to stderr, and the processor's own lines come after it
    # SIGUSR1 says "terminate": in nuclio the function's own callback runs between two events.
    signal.signal(signal.SIGUSR1, lambda *_: None)
    signal.signal(signal.SIGUSR2, lambda *_: None)
    out.write("s\n")
    out.flush()
    serve(events, out, entrypoint, context, logger)
    control.close()


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    for name in ("handler", "event-socket-path", "control-socket-path", "worker-id", "trigger-kind", "trigger-name"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--platform-kind", choices=["local", "kube"], default="local")
    parser.add_argument("--namespace")
    parser.add_argument("--decode-event-strings", action="store_true")
    return parser.parse_args()


def load_handler(handler: str) -> Any:  # noqa: ANN401
    match = re.fullmatch(r"([\w\-]+(?:\.[\w\-]+)*):(\w+)", handler)
    if not match:
        raise ValueError(f"Malformed handler - {handler!r}")
    return getattr(importlib.import_module(match[1]), match[2])


def connect(path: str) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.connect(path)
    return sock


class LinePrefix:
    """A text stream that marks each record for the processor."""

    def __init__(self, stream: Any, prefix: str) -> None:  # noqa: ANN401 - a text stream of the standard library
        self._stream, self._prefix = stream, prefix

    def write(self, text: str) -> None:
        if text.strip():
            self._stream.write(self._prefix + text.strip() + "\n")

    def flush(self) -> None:
        self._stream.flush()


def serve(events: socket.socket, out: Any, entrypoint: Any, context: Any, logger: Any) -> None:  # noqa: ANN401
    encode = nuclio_sdk.json_encoder.Encoder().encode
    while (head := receive(events, 4)) is not None:
        (length,) = struct.unpack(">I", head)
        packet = receive(events, length)
        if packet is None:
            return
        try:
            event = nuclio_sdk.Event.deserialize(
                msgpack.unpackb(packet, raw=False), kind=nuclio_sdk.event.EventDeserializerKinds.msgpack
            )
            started = time.perf_counter()
            output = entrypoint(context, event)
            out.write("m" + json.dumps({"duration": time.perf_counter() - started}) + "\n")
            make = nuclio_sdk.Response.from_entrypoint_output
            batch = BATCHING and isinstance(output, list)
            reply = encode([make(encode, item) for item in output] if batch else make(encode, output))
        except BaseException as error:  # even SystemExit: the worker lives on, and the traceback leaks to the caller
            text = f'Exception caught in handler - "{error}": {traceback.format_exc()}'
            logger.error_with("Exception caught in handler", exc=str(error), traceback=traceback.format_exc())
            reply = encode(
                {"body": text, "body_encoding": "text", "content_type": "text/plain", "status_code": 500, "headers": {}}
            )
        out.write("r" + reply + "\n")
        out.flush()


def receive(sock: socket.socket, length: int) -> bytes | None:
    buffer = bytearray(length)
    view = memoryview(buffer)
    while view:
        count = sock.recv_into(view)
        if count == 0:
            return None
        view = view[count:]
    return bytes(buffer)


if __name__ == "__main__":
    main()
