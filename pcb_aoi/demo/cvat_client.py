"""The two calls CVAT makes to a nuclio dashboard, made as CVAT makes them, for the demo."""

from __future__ import annotations

import base64
import json
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

from pcb_aoi.errors import PcbAoiError

# What CVAT sends on dashboard calls; its timeout is CVAT_NUCLIO_DEFAULT_TIMEOUT.
TIMEOUT_S = 120
_HEADERS = {
    "x-nuclio-project-name": "cvat",
    "x-nuclio-function-namespace": "nuclio",
    "x-nuclio-invoke-via": "domain-name",
    "X-Nuclio-Invoke-Timeout": f"{TIMEOUT_S}s",
}


class CallFailed(PcbAoiError):
    """A call did not come back with 200; the text has status and body, which CVAT would not show."""

    code = "call_failed"


@dataclass(frozen=True)
class Reply:
    """The answer to one image."""

    shapes: list[dict[str, Any]]
    seconds: float
    """From the first byte sent to the last received."""


class Dashboard:
    """A nuclio dashboard, or the embedded platform, seen from CVAT."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        # Proxies of the environment are for the world outside; the platform is this machine or the next.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def functions(self) -> dict[str, dict[str, Any]]:
        """Return CVAT's model list: nuclio's record of each function, by id."""
        functions: dict[str, dict[str, Any]] = self._call("/api/functions", _HEADERS)
        return functions

    def annotate(self, function: str, image: bytes) -> Reply:
        """Post one image file to a function, without a threshold, as CVAT's dialog does by default."""
        headers = {"x-nuclio-function-name": function, "x-nuclio-path": "/", "Content-Type": "application/json"}
        body = json.dumps({"image": base64.b64encode(image).decode()}).encode()
        started = time.perf_counter()
        shapes = self._call("/api/function_invocations", _HEADERS | headers, body)
        if not isinstance(shapes, list):
            raise CallFailed(f"{function} answered {type(shapes).__name__} where CVAT needs a list")
        return Reply(shapes, time.perf_counter() - started)

    def _call(self, path: str, headers: dict[str, str], body: bytes | None = None) -> Any:  # noqa: ANN401 - JSON
        request = urllib.request.Request(self._url + path, body, headers)
        try:
            with self._opener.open(request, timeout=TIMEOUT_S) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                text = error.read(2000).decode(errors="replace")
            raise CallFailed(f"{path}: HTTP {error.code} {text}") from error
        except (OSError, ValueError) as error:
            raise CallFailed(f"{self._url}{path}: {error}") from error
