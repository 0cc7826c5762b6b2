"""One function of the embedded platform: loaded as nuclio would, its handler run one event at a time."""

from __future__ import annotations

import asyncio
import base64
import importlib.util
import json
import logging
import re
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import nuclio_sdk
import nuclio_sdk.json_encoder

from pcb_aoi.config.function_record import environment, http_trigger, read_record, seconds
from pcb_aoi.errors import ConfigError, PcbAoiError

# nuclio's own defaults, used where function.yaml is silent; the body limit is the one our functions set.
DEFAULT_WAIT_MS = 10_000
DEFAULT_MAX_BODY = 256 * 2**20


@dataclass(frozen=True)
class Answer:
    """What goes back to the client."""

    status: int
    body: bytes
    content_type: str
    headers: dict[str, str]

    @classmethod
    def error(cls, status: int, text: str) -> Answer:
        """An error in the dashboard's own format."""
        return cls(status, json.dumps({"error": text}).encode(), "application/json", {})


class Worker:
    """A loaded function. Use it from one event loop; handlers run in threads of their own."""

    def __init__(self, folder: Path, file: str = "function.yaml") -> None:
        """Import the folder's handler and run its `init_context`.

        Raises:
            ConfigError: function.yaml is not what nuclio and CVAT need; names the key.
            Exception: whatever the function's module or its `init_context` raises.
        """
        self.record = read_record(folder / file)
        self.name: str = self.record["metadata"]["name"]
        trigger = http_trigger(self.record["spec"])
        self.max_body = int(trigger.get("attributes", {}).get("maxRequestBodySize", DEFAULT_MAX_BODY))
        self._wait_s = int(trigger.get("workerAvailabilityTimeoutMilliseconds", DEFAULT_WAIT_MS)) / 1000
        self._timeout_s = seconds(self.record["spec"].get("eventTimeout"))
        self._hung = False
        self._lock = asyncio.Lock()
        self.logger = nuclio_sdk.Logger(logging.INFO, f"pcb_aoi.function.{self.name}")
        self.logger.bind(function=self.name)
        self._context = nuclio_sdk.Context(
            self.logger,
            nuclio_sdk.Platform("embedded", self.record["metadata"].get("namespace", "nuclio")),
            worker_id=0,
            trigger=nuclio_sdk.TriggerInfo("http", "embedded"),
        )
        with environment(self.record["spec"].get("env", [])):
            self._handler = self._load(folder, str(self.record["spec"].get("handler", "main:handler")))

    def _load(self, folder: Path, entry: str) -> Callable[..., object]:
        """Import the module under a name of its own: all five functions call theirs `main`."""
        module_name, _, function = entry.partition(":")
        name = f"pcb_aoi_function_{re.sub(r'[^0-9a-zA-Z]', '_', self.name)}_{uuid4().hex}"
        spec = importlib.util.spec_from_file_location(name, folder / f"{module_name}.py")
        if spec is None or spec.loader is None:
            raise ConfigError(f"{folder}: spec.handler {entry!r} names no Python file")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        if hasattr(module, "init_context"):
            module.init_context(self._context)
        handler: Callable[..., object] = getattr(module, function or "handler")
        return handler

    @property
    def state(self) -> str:
        """`ready`, or `unhealthy` while a handler that ran out of time has not come back."""
        return "unhealthy" if self._hung else "ready"

    async def invoke(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        """Run the handler once the one before it is done; 503 if that takes too long, 408 if it does itself.

        nuclio kills the process of a handler that ran out of time; a thread cannot be killed. So it keeps the
        function until it returns, and everyone else is told so at once instead of waiting for nothing.
        """
        if self._hung:
            return Answer.error(503, f"{self.name}: an earlier call never returned; restart the platform")
        try:
            async with asyncio.timeout(self._wait_s):
                await self._lock.acquire()
        except TimeoutError:
            return Answer.error(503, f"{self.name}: busy for more than {self._wait_s:g} s")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        started = time.monotonic()

        def finish(answer: Answer) -> None:
            if self._hung:
                self._hung = False
                self.logger.warn_with("hung handler returned", seconds=round(time.monotonic() - started, 1))
            self._lock.release()
            if not future.done():
                future.set_result(answer)

        def work() -> None:
            answer = self._run(method, path, headers, body)
            if not loop.is_closed():
                loop.call_soon_threadsafe(finish, answer)

        # A daemon: a handler that never returns must not keep the process from stopping.
        threading.Thread(target=work, name=self.name, daemon=True).start()
        await asyncio.wait({future}, timeout=self._timeout_s)
        if future.done():
            return future.result()
        self._hung = True
        self.logger.error_with("handler timed out", seconds=self._timeout_s, bytes=len(body))
        return Answer.error(408, "handler timed out")

    def _run(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        """Call the handler in this thread as nuclio's Python wrapper does."""
        content_type = headers.get("content-type", "")
        content: object = body
        if content_type == "application/json":  # exactly this text, as in nuclio
            try:
                content = json.loads(body)
            except ValueError:
                self.logger.warn("body is declared as JSON but is not; passed on as bytes")
        event = nuclio_sdk.Event(
            body=content,
            content_type=content_type,
            trigger=self._context.trigger,
            headers=headers,
            _id=str(uuid4()),
            method=method,
            path=path,
            size=len(body),
            timestamp=time.time(),
            url=path,
        )
        try:
            output = self._handler(self._context, event)
            reply = nuclio_sdk.Response.from_entrypoint_output(nuclio_sdk.json_encoder.Encoder().encode, output)
        except BaseException as error:  # SystemExit too: nuclio answers 500 and lives on
            self.logger.error_with("handler raised", error=repr(error), traceback=traceback.format_exc())
            return Answer.error(500, f"{self.name}: the handler failed; its log has the cause")
        encoded = reply["body_encoding"] == "base64"
        return Answer(
            status=int(reply["status_code"]),
            body=base64.b64decode(reply["body"]) if encoded else reply["body"].encode(),
            content_type=reply["content_type"],
            headers={key: str(value) for key, value in reply["headers"].items() if isinstance(value, str | int)},
        )

    def terminate(self) -> None:
        """Run the callback that the function registered for its end, unless it is in the middle of a call."""
        if not self._lock.locked():
            self._context.platform._on_signal("termination")


def describe(error: BaseException) -> str:
    """Say in one line why a function was left out."""
    if isinstance(error, PcbAoiError):
        return f"{error.code}: {error}" + (f" ({error.detail})" if error.detail else "")
    return f"{type(error).__name__}: {error}"
