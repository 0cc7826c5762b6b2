"""Stand-in for nuclio's processor: one HTTP trigger, its workers, their timeouts, and the health port.

Written from the facts about `cmd/processor`, for machines that cannot have the real one. It takes the real one's
flags and no others, runs the same kind of wrapper process for each worker, and dies when one of them dies. What it
does is what the real one was seen to do: tests/e2e/README.md.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import queue
import re
import signal
import sys
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).parent))
import log as logs
from log import log
from server import PLAIN, Reply, Request, Server
from version import VERSION
from worker import NotServed, Timeout, Worker

TERMINATION_S, QUITTING_S = 10.0, 5.0
LOGS_LIMIT = 4096


def main() -> None:
    parser = argparse.ArgumentParser("processor", allow_abbrev=False)
    parser.add_argument("--config", "-config", default="/etc/nuclio/config/processor/processor.yaml")
    parser.add_argument("--platform-config", "-platform-config", default="/etc/nuclio/config/platform/platform.yaml")
    parser.add_argument("--version", "-version", action="store_true")
    parser.add_argument("--list-runtimes", "-list-runtimes", action="store_true")
    args = parser.parse_args()
    if args.version:
        print(f'Processor version:\n&version.Info{{Label:"{VERSION}", GitCommit:"stand-in"}}')
        return
    if args.list_runtimes:
        print("python")
        return
    platform_file = Path(args.platform_config)
    platform = yaml.safe_load(platform_file.read_text("utf-8")) if platform_file.exists() else {}
    logs.configure(platform or {})
    Processor(yaml.safe_load(Path(args.config).read_text("utf-8")), platform or {}).run()


class Processor:
    """Workers behind one HTTP server, and the health server beside it."""

    def __init__(self, config: dict[str, Any], platform: dict[str, Any]) -> None:
        self.metadata, self.spec, self.stopping = config["metadata"], config["spec"], False
        triggers = [item for item in self.spec.get("triggers", {}).items() if item[1].get("kind") == "http"]
        if len(triggers) != 1:
            raise SystemExit(f"Found {len(triggers)} http triggers; the stand-in serves functions with exactly one")
        self._trigger_name, trigger = triggers[0]
        self._body_limit = int(trigger.get("attributes", {}).get("maxRequestBodySize", 4 * 1024 * 1024))
        self._worker_timeout_s = int(trigger.get("workerAvailabilityTimeoutMilliseconds", 10_000)) / 1000
        self._event_timeout_s = duration_s(self.spec.get("eventTimeout"))
        self._address = address(trigger.get("url", ":8080"))
        self._health = address(platform.get("healthCheck", {}).get("listenAddress", ":8082"))
        self._count = int(trigger.get("numWorkers") or trigger.get("maxWorkers") or 1)
        self._started, self._seen_body = False, False
        self._workers: list[Worker] = []
        self._free: queue.Queue[Worker] = queue.Queue()

    def run(self) -> None:
        log("info", "processor", "Starting processor", version=f"Label: {VERSION}, stand-in")
        # Before the workers: whoever asks while they load is answered, with 503.
        threading.Thread(target=self._serve_health, daemon=True).start()
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGABRT, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        self._workers = [Worker(self.metadata, self.spec, self._trigger_name, n) for n in range(self._count)]
        for worker in self._workers:
            worker.ready.wait()
            self._free.put(worker)
        # The trigger starts only after every worker has said "started".
        threading.Thread(
            target=Server(self._address, self._body_limit, self._answer).serve_forever, daemon=True
        ).start()
        if self._event_timeout_s:
            threading.Thread(target=self._watch_timeouts, args=(self._event_timeout_s,), daemon=True).start()
        self._started = True
        log("debug", "processor", "Processor started")
        stop.wait()
        self._stop()

    def is_ready(self) -> bool:
        """What `/ready` says: nuclio's stays 200 while the processor stops."""
        return self._started and all(worker.ready.is_set() for worker in self._workers)

    def _answer(self, request: Request) -> Reply:
        if request.path.startswith("/__internal/health"):
            return Reply(200)
        try:
            if self.stopping:
                raise queue.Empty
            worker = self._free.get(timeout=self._worker_timeout_s)
        except queue.Empty:
            return Reply(503)
        asked = "X-Nuclio-Log-Level" in request.headers
        records: list[dict[str, Any]] | None = [] if asked else None
        try:
            reply = worker.handle(self._event(request), records)
        except Timeout:
            return Reply(408, b'{"error": "handler timed out"}', PLAIN, chunked=True)
        except NotServed as error:
            return Reply(500, str(error).encode(), PLAIN)
        except IndexError:
            log("error", "processor.http", "Panic caught during submit events")
            worker.lost = True  # nuclio never gives this worker an event again
            return Reply(500)
        finally:
            if not worker.lost:
                self._free.put(worker)
        text = reply["body"]
        body = base64.b64decode(text) if reply["body_encoding"] == "base64" else text.encode()
        headers = {name: value for name, value in (reply.get("headers") or {}).items() if isinstance(value, str)}
        found = json.dumps(records, separators=(",", ":")) if asked else ""
        if asked and len(found) < LOGS_LIMIT:
            headers["X-Nuclio-Logs"] = found
        return Reply(reply["status_code"], body, reply["content_type"], headers)

    def _event(self, request: Request) -> dict[str, Any]:
        body = request.body
        self._seen_body |= body is not None
        return {
            "body": b"" if body is None and self._seen_body else body,  # nil until the first body has come
            "content_type": request.headers.get("Content-Type", ""),
            "headers": request.headers,
            "fields": request.fields,
            "id": str(uuid.uuid4()),
            "method": request.method,
            "path": request.path,
            "url": "",
            "size": len(body or b""),
            "timestamp": int(time.time()),
            "trigger": {"kind": "http", "name": self._trigger_name},
            "shard_id": -1,
            "num_shards": 0,
            "type": "",
            "type_version": "",
            "version": "",
            "last_in_batch": False,
            "offset": 0,
        }

    def _watch_timeouts(self, timeout_s: float) -> None:
        # nuclio sleeps one whole timeout between looks: a hung event is noticed after one to two timeouts.
        while True:
            time.sleep(timeout_s)
            for worker in self._workers:
                worker.reap(timeout_s)

    def _serve_health(self) -> None:
        processor = self

        class Health(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                ready = {"/live": True, "/ready": processor.is_ready()}.get(self.path)
                self.send_response(404 if ready is None else 200 if ready else 503)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        ThreadingHTTPServer(self._health, Health).serve_forever()

    def _stop(self) -> None:
        """Take no more calls; give the running ones a fixed time, whether there are any or not."""
        log("warning", "processor", "Got system signal", signal="terminated")
        self.stopping = True
        for worker in self._workers:
            worker.stopping = True
            worker.process.send_signal(signal.SIGUSR1)
        time.sleep(TERMINATION_S)
        log("info", "processor", "Processor quitting")
        time.sleep(QUITTING_S)
        for worker in self._workers:
            worker.process.kill()
        os._exit(0)


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


if __name__ == "__main__":
    main()
