"""One loaded function folder of the embedded platform: imported, started and called as nuclio's Python wrapper does."""

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
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import uuid4

import nuclio_sdk
import nuclio_sdk.json_encoder

from pcb_aoi import nuclio
from pcb_aoi.config.function_file import FunctionFile, Record
from pcb_aoi.errors import ConfigError, NoModel


@dataclass(frozen=True)
class Answer:
    """What goes back to the client. `code` names an error that the platform found, for the list of failures."""

    status: int
    body: bytes
    content_type: str
    headers: dict[str, str] = field(default_factory=dict)
    code: str = ""

    @classmethod
    def error(cls, status: int, code: str, text: str) -> Answer:
        """An error in the dashboard's own format."""
        return cls(status, json.dumps({"error": text}).encode(), "application/json", code=code)


@dataclass(frozen=True)
class Call:
    """What a client asks of a function."""

    method: str = "GET"
    path: str = "/"
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    granted_s: float | None = None
    """Seconds that the client waits, as its call says."""
    arrived: float = field(default_factory=time.monotonic)


class Worker:
    """A folder's module with its context. Calls must come one at a time; `ServedFunction` sees to that."""

    def __init__(self, folder: Path, file: str = "function.yaml") -> None:
        """Import the folder's handler, run its `init_context`, and ask it what it is.

        Raises:
            ConfigError: function.yaml is not what nuclio and CVAT need; names the key.
            NoModel: the function is one of ours and has loaded no model.
            Exception: whatever the function's module or its `init_context` raises.
        """
        self.file = FunctionFile.load(folder / file)
        self.record: Record = self.file.record()
        self.name: str = self.record["metadata"]["name"]
        self.logger = nuclio_sdk.Logger(logging.INFO, f"pcb_aoi.function.{self.name}")
        self.logger.bind(function=self.name)
        self.context = nuclio_sdk.Context(
            self.logger,
            nuclio_sdk.Platform("embedded", self.record["metadata"].get("namespace", "nuclio")),
            worker_id=0,
            trigger=nuclio_sdk.TriggerInfo("http", "embedded"),
        )
        module_name, _, function = str(self.record["spec"].get("handler", "main:handler")).partition(":")
        with self.file.environment():
            module = self._import(folder / f"{module_name}.py")
            self._handler: Callable[..., object] = getattr(module, function or "handler")
            # As nuclio: where the handler was defined, and silently nowhere.
            if init_context := nuclio.init_context_of(self._handler):
                init_context(self.context)
        self.about = self._ask()
        """What the function answers to a GET: model, version, sha256, ...; empty for one that says nothing."""

    def _import(self, path: Path) -> ModuleType:
        """Import under a name of its own: all five functions call theirs `main`."""
        name = f"pcb_aoi_function_{re.sub(r'[^0-9a-zA-Z]', '_', self.name)}_{uuid4().hex}"
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            raise ConfigError(f"{path.parent}: spec.handler names no Python file: {path.name}")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        return module

    def _ask(self) -> dict[str, Any]:
        answer = self.call(Call())
        try:
            about = json.loads(answer.body)
        except (ValueError, RecursionError):
            return {}
        if not isinstance(about, dict):
            return {}
        if about.get("code") == NoModel.code:
            raise NoModel(str(about.get("message", "")))
        return about if answer.status == 200 else {}

    def start(self, call: Call) -> asyncio.Future[Answer]:
        """Call the handler in a thread of its own; the future is done when it returns, whatever it does."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()

        def finish(answer: Answer) -> None:
            if not future.done():
                future.set_result(answer)

        def work() -> None:
            answer = self._failed()
            try:
                answer = self.call(call)
            finally:
                if not loop.is_closed():
                    loop.call_soon_threadsafe(finish, answer)

        try:
            # A daemon: a handler that never returns must not keep the process from stopping.
            threading.Thread(target=work, name=self.name, daemon=True).start()
        except RuntimeError as error:  # the system has no thread left
            self.logger.error_with("no thread", error=str(error))
            finish(self._failed())
        return future

    def call(self, call: Call) -> Answer:
        """Call the handler in this thread. What it raises becomes a 500; SystemExit too, as nuclio lives on."""
        try:
            output = self._handler(self.context, self._event(call))
            reply = nuclio_sdk.Response.from_entrypoint_output(nuclio_sdk.json_encoder.Encoder().encode, output)
            encoded = reply["body_encoding"] == "base64"
            return Answer(
                status=int(reply["status_code"]),
                body=base64.b64decode(reply["body"]) if encoded else reply["body"].encode(),
                content_type=reply["content_type"],
                headers={key: str(value) for key, value in reply["headers"].items() if isinstance(value, str | int)},
            )
        except BaseException as error:
            self.logger.error_with("handler raised", error=repr(error), traceback=traceback.format_exc())
            return self._failed()

    def _event(self, call: Call) -> nuclio_sdk.Event:
        content_type = call.headers.get("content-type", "")
        content: object = call.body
        if content_type == "application/json":  # exactly this text, as in nuclio
            try:
                content = json.loads(call.body)
            except (ValueError, RecursionError):  # RecursionError: ten thousand nested lists
                self.logger.warn("body is declared as JSON but is not; passed on as bytes")
        # As nuclio: in UTC, without saying so, and of the arrival, whatever the call has waited for.
        arrived = time.time() - (time.monotonic() - call.arrived)
        return nuclio_sdk.Event(
            body=content,
            content_type=content_type,
            trigger=self.context.trigger,
            headers=call.headers,
            _id=str(uuid4()),
            method=call.method,
            path=call.path,
            size=len(call.body),
            timestamp=datetime.fromtimestamp(arrived, UTC).replace(tzinfo=None),
            url=call.path,
        )

    def _failed(self) -> Answer:
        return Answer.error(500, "raised", f"{self.name}: the handler failed; its log has the cause")

    def terminate(self) -> None:
        """Run the callback that the function registered for its end."""
        self.context.platform._on_signal("termination")
