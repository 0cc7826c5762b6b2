"""The embedded platform in a test: stub functions, a server on a free port, and CVAT's calls."""

from __future__ import annotations

import http.client
import json
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import analytic

from pcb_aoi.platform.access import LOOPBACK, Network
from pcb_aoi.platform.dashboard import create_app
from pcb_aoi.platform.function import ServedFunction
from pcb_aoi.platform.functions import Functions
from pcb_aoi.platform.listen import listen
from pcb_aoi.platform.server import Server
from pcb_aoi.platform.status import Started
from pcb_aoi.platform.worker import Worker

T = TypeVar("T")

INVOKE = "/api/function_invocations"
TO_A = {"x-nuclio-function-name": "pcb-a"}
SPEC = '[{"name": "开路", "type": "rectangle", "attributes": []}]'

# A function that says what it was given. `gates` lets a test hold a handler, without sleeping.
ECHO = """
import os, threading
gates = {"entered": threading.Semaphore(0), "go": threading.Semaphore(0), "calls": []}

def init_context(context):
    context.user_data.env = os.environ.get("STUB_ENV")
    context.user_data.gates = gates
    context.platform.set_termination_callback(lambda: print("terminated", flush=True))

def handler(context, event):
    if event.method != "GET":
        gates["calls"].append(event.path)
    body = event.body
    if isinstance(body, dict) and body.get("wait"):
        gates["entered"].release()
        assert gates["go"].acquire(timeout=60)
    if isinstance(body, dict) and "raise" in body:
        raise {"exit": SystemExit, "error": ValueError}[body["raise"]]("secret /path")
    kind = type(body).__name__
    reply = {"kind": kind, "size": event.size, "method": event.method, "path": event.path,
             "header": event.get_header("X-Extra"), "env": context.user_data.env, "type": event.content_type}
    return context.Response(body=reply, headers={"Server-Timing": "infer;dur=1"}, status_code=201)
"""


def write_function(functions: Path, name: str, code: str = ECHO, **change: object) -> Path:
    """Write a function folder; `change` replaces keys of spec, or `labels` and `annotations` of metadata."""
    folder = functions / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "main.py").write_text(code)
    annotations = {"name": name, "type": "detector", "spec": SPEC}
    annotations.update(change.pop("annotations", {}))  # type: ignore[call-overload]
    metadata: dict[str, object] = {"name": f"pcb-{name}", "namespace": "nuclio", "annotations": annotations}
    if "labels" in change:
        metadata["labels"] = change.pop("labels")
    trigger = {
        "kind": "http",
        "workerAvailabilityTimeoutMilliseconds": 10_000,
        "attributes": {"maxRequestBodySize": 1000},
    }
    spec = {
        "description": "测试",
        "handler": "main:handler",
        "eventTimeout": "30s",
        "triggers": {"http": trigger},
    }
    document = {"metadata": metadata, "spec": {**spec, **change}}
    # JSON is YAML.
    (folder / "function.yaml").write_text(json.dumps(document, ensure_ascii=False), "utf-8")
    return folder


def write_detector(functions: Path, name: str, version: str = "1.2.3") -> Path:
    """Write a function folder with a model of its own: the analytic one, which finds bright rectangles."""
    folder = analytic.write_function(write_function(functions, name, triggers={"http": {"kind": "http"}}))
    model = folder / "model.yaml"
    model.write_text(model.read_text("utf-8").replace("version: 1.2.3", f"version: {version}"), "utf-8")
    return folder


def idle_worker(function: ServedFunction) -> Worker:
    """The worker that waits for the next call."""
    (worker,) = function._free._queue  # type: ignore[attr-defined]
    return worker  # type: ignore[no-any-return]


def gates_of(worker: Worker) -> dict[str, Any]:
    """The stub's semaphores and list of calls."""
    gates: dict[str, Any] = getattr(worker.context.user_data, "gates", {"go": threading.Semaphore(0)})
    return gates


class Client:
    """The platform on a free loopback port, in a thread of the test."""

    def __init__(self, functions: Functions, allow: tuple[Network, ...] = LOOPBACK) -> None:
        self.functions = functions
        self.gates = {name: gates_of(idle_worker(function)) for name, function in functions.by_id.items()}
        self._socket = listen("127.0.0.1", 0)
        self.port: int = self._socket.getsockname()[1]
        self.server = Server(create_app(functions, Started(port=self.port)), allow=allow)
        self._thread = threading.Thread(target=self.server.run, args=([self._socket],))
        self._thread.start()

    def __call__(
        self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any, dict[str, str]]:
        """Send one request, return status, JSON body and headers."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            connection.request(method, path, body, headers or {})  # type: ignore[arg-type]
            response = connection.getresponse()
            return (
                response.status,
                json.loads(response.read()),
                {k.lower(): v for k, v in response.getheaders()},
            )

    def invoke(self, name: str, payload: object, **headers: str) -> tuple[int, Any, dict[str, str]]:
        """Call a function as CVAT does."""
        cvat = {
            "x-nuclio-project-name": "cvat",
            "x-nuclio-function-namespace": "nuclio",
            "x-nuclio-invoke-via": "domain-name",
            "X-Nuclio-Invoke-Timeout": "120s",
            "x-nuclio-function-name": name,
            "x-nuclio-path": "/",
            "Content-Type": "application/json",
        }
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        return self("POST", INVOKE, data, cvat | headers)

    def stop(self) -> None:
        """Let every held handler go, stop the server, and wait for it."""
        for gates in self.gates.values():
            gates["go"].release(100)
        self.server.should_exit = True
        self._thread.join(60)
        self._socket.close()


Serve = Callable[..., Client]


def in_thread(call: Callable[[], T]) -> Callable[[], T]:
    """Start a call in a thread; the function returned waits for its result."""
    result: list[T] = []
    thread = threading.Thread(target=lambda: result.append(call()))
    thread.start()

    def wait() -> T:
        thread.join(60)
        assert result, "the call did not come back"
        return result[0]

    return wait


def command(functions: Path, *options: str) -> list[str]:
    """The command line of `pcb-aoi serve`, in this interpreter."""
    return [sys.executable, "-m", "pcb_aoi.cli", "serve", "--functions", str(functions), *options]
