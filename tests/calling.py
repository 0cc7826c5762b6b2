"""Call a function as nuclio does: its own main.py, nuclio's Context, Event, Response and Logger, and nothing else.

Every answer that passes through here is checked for what must hold of any answer, so that each test does it.
"""

from __future__ import annotations

import base64
import importlib.util
import io
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any
from unittest.mock import patch

import nuclio_sdk
from nuclio_sdk.logger import JSONFormatter, Logger

STATUSES = {200: None, 400: "bad_request", 413: "too_large", 415: "unsupported_image", 422: "bad_image"}
"""The only answers to any request whatsoever, given a healthy model and enough time."""

_serial = count()


@dataclass(frozen=True)
class Answer:
    """What the client reads, and the lines that the request left in the log."""

    status: int
    body: Any
    text: str
    """The body as it goes over the wire."""
    headers: Mapping[str, str]
    log: list[dict[str, Any]]

    @property
    def code(self) -> str | None:
        """The stable error code; None for an answer that is no error."""
        return None if self.status == 200 else str(self.body["code"])

    @property
    def boxes(self) -> list[tuple[float, ...]]:
        return sorted(tuple(shape["points"]) for shape in self.body)


class Function:
    """One loaded function folder. `env` is its environment, as nuclio sets it from function.yaml."""

    def __init__(self, folder: Path, env: Mapping[str, str] | None = None) -> None:
        number = next(_serial)
        self._stream = io.StringIO()
        logger = Logger(level=10, name=f"function-{number}")
        logger._logger.propagate = False
        logger.set_handler("test", self._stream, JSONFormatter())
        self.context = nuclio_sdk.Context(logger=logger)
        self.folder = folder
        name = f"function_{number}"
        spec = importlib.util.spec_from_file_location(name, folder / "main.py")
        assert spec is not None
        assert spec.loader is not None
        self.module = importlib.util.module_from_spec(spec)
        sys.modules[name] = self.module
        spec.loader.exec_module(self.module)
        # As nuclio does: not `self.module`, but the module that the handler says it was defined in.
        beside = sys.modules[self.module.handler.__module__]
        with patch.dict(os.environ, env or {}):
            if hasattr(beside, "init_context"):
                beside.init_context(self.context)
        self.start_log = self.new_log()

    def post(self, body: object, method: str = "POST") -> Answer:
        """Invoke with a body: bytes or text as the wire has them, or the dict that nuclio makes of JSON."""
        event = nuclio_sdk.Event(body=body, content_type="application/json", method=method)
        response = self.module.handler(self.context, event)
        return self._checked(response)

    def get(self) -> Answer:
        return self.post(b"", method="GET")

    def annotate(self, image: bytes, **fields: object) -> Answer:
        """Post an image file as CVAT does."""
        return self.post(cvat_body(image, **fields))

    def _checked(self, response: Any) -> Answer:  # noqa: ANN401 - nuclio_sdk has no types
        assert type(response) is nuclio_sdk.Response
        assert response.content_type == "application/json"
        assert isinstance(response.body, str)
        for name, value in response.headers.items():
            # What an HTTP server can send: a line break in a header would end the response there.
            assert f"{name}: {value}".isascii()
            assert f"{name}{value}".isprintable()
        body = json.loads(response.body, parse_constant=_refuse)
        if response.status_code == 200:
            assert not isinstance(body, dict) or "code" not in body
        else:
            assert set(body) == {"code", "message"}
            # Nothing of the machine: no traceback, no path, no address of an object.
            for sign in ("Traceback", "/", "\\", "0x", ".py"):
                assert sign not in body["message"]
            assert len(body["message"]) < 200
            assert STATUSES.get(response.status_code, body["code"]) == body["code"]
        return Answer(response.status_code, body, response.body, response.headers, self.new_log())

    def new_log(self) -> list[dict[str, Any]]:
        """Return the lines since the last call."""
        text = self._stream.getvalue()
        self._stream.seek(0)
        self._stream.truncate()
        return [json.loads(line, parse_constant=_refuse) for line in text.splitlines()]


def cvat_body(image: bytes, **fields: object) -> dict[str, object]:
    """The body as nuclio hands it over: parsed, because CVAT's content type is exactly application/json."""
    body: dict[str, object] = json.loads(json.dumps({"image": base64.b64encode(image).decode("ascii"), **fields}))
    return body


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")
