#!/usr/bin/env python3
"""Stand-in for nuclio's processor: one HTTP trigger, its workers, their timeouts, and the health port.

Written from the facts about `cmd/processor`, for machines that cannot have the real one. It takes the real one's
flags and no others, runs the same kind of wrapper process for each worker, and dies when one of them dies.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import queue
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgpack
import yaml

VERSION = os.environ.get("NUCLIO_STANDIN_VERSION", "@VERSION@")
SOCKET_DEADLINE_S = 120.0
TERMINATION_S = 10.0


def main() -> None:
    parser = argparse.ArgumentParser("processor", allow_abbrev=False)
    parser.add_argument("--config", "-config", default="/etc/nuclio/config/processor/processor.yaml")
    parser.add_argument("--platform-config", "-platform-config", default="/etc/nuclio/config/platform/platform.yaml")
    parser.add_argument("--version", "-version", action="store_true")
    parser.add_argument("--list-runtimes", "-list-runtimes", action="store_true")
    args = parser.parse_args()
    if args.version:
        print(f"Label: {VERSION}, Arch: amd64, OS: linux (stand-in)")
        return
    if args.list_runtimes:
        print("python")
        return
    platform_file = Path(args.platform_config)
    platform = yaml.safe_load(platform_file.read_text("utf-8")) if platform_file.exists() else {}
    Processor(yaml.safe_load(Path(args.config).read_text("utf-8")), platform or {}).run()


class Timeout(Exception):
    """The event ran into eventTimeout; its worker has been restarted."""


class Worker:
    """One wrapper process and its two sockets; one event at a time."""

    def __init__(self, processor: Processor, number: int) -> None:
        self._processor, self.number = processor, number
        self.ready = threading.Event()
        self._replies: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._busy_since: float | None = None
        self._generation = 0
        self.process: subprocess.Popen[bytes]
        self._start()

    def _start(self) -> None:
        folder = Path(tempfile.gettempdir())
        paths = [folder / f"nuclio-rpc-{uuid.uuid4().hex}.sock" for _ in range(2)]
        listeners = [socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) for _ in paths]
        for listener, path in zip(listeners, paths, strict=True):
            listener.bind(str(path))
            listener.listen(1)
            listener.settimeout(SOCKET_DEADLINE_S)
        self.ready.clear()
        self._generation += 1
        self.process = subprocess.Popen(self._command(paths), env=self._environment())
        threading.Thread(target=self._watch, args=(self.process, self._generation), daemon=True).start()
        threading.Thread(target=self._connect, args=(listeners, paths, self._generation), daemon=True).start()

    def _command(self, paths: list[Path]) -> list[str]:
        python = os.environ.get("NUCLIO_PYTHON_EXE_PATH") or shutil.which("python3") or shutil.which("python") or ""
        wrapper = os.environ.get("NUCLIO_PYTHON_WRAPPER_PATH", "/opt/nuclio/_nuclio_wrapper.py")
        p = self._processor
        command = [python, "-u", wrapper, "--handler", p.spec["handler"], "--event-socket-path", str(paths[0])]
        command += ["--control-socket-path", str(paths[1]), "--platform-kind", "local"]
        command += ["--namespace", p.metadata.get("namespace", "nuclio"), "--worker-id", str(self.number)]
        return [*command, "--trigger-kind", "http", "--trigger-name", p.trigger_name, "--decode-event-strings"]

    def _environment(self) -> dict[str, str]:
        first = os.environ.get("NUCLIO_PYTHON_PATH", "/opt/nuclio")
        paths = [first, os.environ.get("PYTHONPATH", "")]
        p = self._processor
        return os.environ | {
            "PYTHONPATH": ":".join(path for path in paths if path),
            "NUCLIO_FUNCTION_NAME": p.metadata["name"],
            "NUCLIO_FUNCTION_DESCRIPTION": p.spec.get("description", ""),
            "NUCLIO_FUNCTION_HANDLER": p.spec["handler"],
            "NUCLIO_STANDIN_VERSION": VERSION,
        }

    def _watch(self, process: subprocess.Popen[bytes], generation: int) -> None:
        code = process.wait()
        if generation == self._generation and not self._processor.stopping:
            log("error", "Unexpected termination of child process", worker=self.number, status=code)
            print(f"panic: Wrapper process for worker {self.number} exited unexpectedly with: {code}", file=sys.stderr)
            os._exit(2)

    def _connect(self, listeners: list[socket.socket], paths: list[Path], generation: int) -> None:
        try:
            self._events, self._control = (listener.accept()[0] for listener in listeners)
        except TimeoutError:
            print("panic: Can't get connection from wrapper", file=sys.stderr)
            os._exit(2)
        finally:
            for listener, path in zip(listeners, paths, strict=True):
                listener.close()
                path.unlink()
        for line in self._events.makefile("r", encoding="utf-8"):
            if generation != self._generation:
                return
            match line[0]:
                case "s":
                    self.ready.set()
                case "l":
                    print(line[1:].rstrip(), flush=True)
                case "r":
                    self._replies.put(json.loads(line[1:]))
                case _:
                    pass

    def handle(self, event: dict[str, Any]) -> dict[str, Any]:
        """Send one event and wait for the reply.

        Raises:
            Timeout: eventTimeout passed; the process was killed and is being started again.
        """
        packet = msgpack.packb(event)
        self._busy_since = time.monotonic()
        try:
            self._events.sendall(struct.pack(">I", len(packet)))
            self._events.sendall(packet)
            del packet
            reply = self._replies.get()
        finally:
            self._busy_since = None
        if reply is None:
            raise Timeout
        return reply

    def reap(self, timeout_s: float) -> None:
        """Restart the process when its event is older than the timeout."""
        since = self._busy_since
        if since is None or time.monotonic() - since < timeout_s:
            return
        log("error", "Timed out, restarting worker", worker=self.number)
        self._generation += 1
        self.process.kill()
        self.process.wait()
        self._start()
        self._replies.put(None)


class Processor:
    """Workers behind one HTTP server, and the health server beside it."""

    def __init__(self, config: dict[str, Any], platform: dict[str, Any]) -> None:
        self.metadata, self.spec, self.stopping = config["metadata"], config["spec"], False
        triggers = [item for item in self.spec.get("triggers", {}).items() if item[1].get("kind") == "http"]
        if len(triggers) != 1:
            raise SystemExit(f"Found {len(triggers)} http triggers; the stand-in serves functions with exactly one")
        self.trigger_name, trigger = triggers[0]
        attributes = trigger.get("attributes", {})
        self.body_limit = int(attributes.get("maxRequestBodySize", 4 * 1024 * 1024))
        self._worker_timeout_s = int(trigger.get("workerAvailabilityTimeoutMilliseconds", 10_000)) / 1000
        self._event_timeout_s = duration_s(self.spec.get("eventTimeout"))
        self._address = address(trigger.get("url", ":8080"))
        self._health = address(platform.get("healthCheck", {}).get("listenAddress", ":8082"))
        self._count = int(trigger.get("numWorkers") or trigger.get("maxWorkers") or 1)

    def run(self) -> None:
        log("info", "Starting processor", version=VERSION, name=self.metadata["name"])
        self.workers = [Worker(self, number) for number in range(self._count)]
        self.free: queue.Queue[Worker] = queue.Queue()
        for worker in self.workers:
            self.free.put(worker)
        threading.Thread(target=self._serve_health, daemon=True).start()
        if self._event_timeout_s:
            threading.Thread(target=self._watch_timeouts, args=(self._event_timeout_s,), daemon=True).start()
        # The trigger starts only after every worker has said "started", as nuclio does.
        while not all(worker.ready.wait(0.05) for worker in self.workers):
            pass
        server = Server(self._address, handler_class(self))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.started = True
        log("info", "Processor started")
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        stop.wait()
        self._stop(server)

    started = False

    def is_ready(self) -> bool:
        return self.started and all(worker.ready.is_set() for worker in self.workers)

    def invoke(self, event: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body of one event."""
        try:
            worker = self.free.get(timeout=self._worker_timeout_s)
        except queue.Empty:
            log("warning", "Failed to allocate worker", err="Worker allocation timeout")
            return 503, {}, b""
        try:
            reply = worker.handle(event)
        except Timeout:
            return 408, {"Content-Type": "application/json"}, b'{"error": "handler timed out"}'
        finally:
            threading.Thread(target=self._give_back, args=(worker,), daemon=True).start()
        text = reply["body"]
        body = base64.b64decode(text) if reply["body_encoding"] == "base64" else text.encode()
        headers = {k: str(v) for k, v in (reply.get("headers") or {}).items() if isinstance(v, (str, int))}
        return reply["status_code"], headers | {"Content-Type": reply["content_type"]}, body

    def _give_back(self, worker: Worker) -> None:
        worker.ready.wait()
        self.free.put(worker)

    def _watch_timeouts(self, timeout_s: float) -> None:
        # nuclio sleeps one whole timeout between looks: a hung event is noticed after one to two timeouts.
        while not self.stopping:
            time.sleep(timeout_s)
            for worker in self.workers:
                worker.reap(timeout_s)

    def _serve_health(self) -> None:
        processor = self

        class Health(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                ok = self.path == "/live" or (self.path == "/ready" and processor.is_ready())
                self.send_response(200 if ok else 503)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        Server(self._health, Health).serve_forever()

    def _stop(self, server: Server) -> None:
        self.stopping = True
        log("info", "Got signal, stopping")
        deadline = time.monotonic() + TERMINATION_S
        for worker in self.workers:
            worker.process.send_signal(signal.SIGUSR1)
        idle = 0
        while idle < len(self.workers) and time.monotonic() < deadline:
            try:
                self.free.get(timeout=0.1)
                idle += 1
            except queue.Empty:
                continue
        server.shutdown()
        server.join_requests(max(0.0, deadline - time.monotonic()))
        for worker in self.workers:
            worker.process.kill()
        log("info", "Processor stopped")


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def join_requests(self, timeout_s: float) -> None:
        """Wait until the answers that are being written have left."""
        deadline = time.monotonic() + timeout_s
        while BUSY and time.monotonic() < deadline:
            time.sleep(0.01)


BUSY: set[int] = set()


def handler_class(processor: Processor) -> type[BaseHTTPRequestHandler]:
    class Trigger(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            if self.path.startswith("/__internal/health"):
                return self._answer(200, {}, b"")
            length = int(self.headers.get("Content-Length") or 0)
            if length > processor.body_limit:
                self.close_connection = True
                return self._answer(413, {}, b"")
            body = self.rfile.read(length)
            BUSY.add(threading.get_ident())
            try:
                self._answer(*processor.invoke(self._event(body)))
            finally:
                BUSY.discard(threading.get_ident())
            return None

        do_GET = do_PUT = do_DELETE = do_PATCH = do_POST

        def _event(self, body: bytes) -> dict[str, Any]:
            path = self.path.partition("?")[0]
            return {
                "body": body,
                "content_type": self.headers.get("Content-Type", ""),
                "headers": dict(self.headers.items()),
                "fields": {},
                "id": uuid.uuid4().hex,
                "method": self.command,
                "path": path,
                "url": f"http://{self.headers.get('Host', '')}{self.path}",
                "size": len(body),
                "timestamp": time.time(),
                "trigger": {"kind": "http", "name": processor.trigger_name},
                "shard_id": 0,
                "num_shards": 0,
                "type": "",
                "type_version": "",
                "version": "",
                "last_in_batch": False,
                "offset": 0,
            }

        def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Server", "nuclio")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return Trigger


def address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host or "0.0.0.0", int(port)


def duration_s(text: str | None) -> float | None:
    if not text:
        return None
    if not re.fullmatch(r"(\d+(\.\d+)?(ms|s|m|h))+", text):
        raise SystemExit(f"time: invalid duration {text!r}")
    units = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
    return sum(float(number) * units[unit] for number, _, unit in re.findall(r"(\d+(\.\d+)?)(ms|s|m|h)", text))


def log(level: str, message: str, **more: object) -> None:
    print(f"{time.strftime('%y.%m.%d %H:%M:%S')} processor ({level[0].upper()}) {message} {more or ''}", flush=True)


if __name__ == "__main__":
    main()
