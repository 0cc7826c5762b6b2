"""Log lines as nuclio writes them: coloured text, or JSON where the platform configuration asks for it."""

from __future__ import annotations

import json
import random
import sys
import threading
import time
from typing import Any

COLOURS = {"debug": 32, "info": 34, "warning": 33, "error": 31}
NAME_WIDTH = 25
_lock = threading.Lock()
_json = False


def configure(platform: dict[str, Any]) -> None:
    """Read `logger` of the platform configuration: the encoding of the one sink that functions are bound to."""
    global _json
    logger = platform.get("logger", {})
    for binding in logger.get("functions", []):
        sink = logger["sinks"][binding["sink"]]
        _json = sink.get("attributes", {}).get("encoding", "console") == "json"


def log(level: str, name: str, message: str, **more: object) -> None:
    """Write one line."""
    level = level if level in COLOURS else "debug"
    with _lock:
        sys.stdout.write((_as_json if _json else _as_text)(level, name, message, more) + "\n")
        sys.stdout.flush()


def _as_text(level: str, name: str, message: str, more: dict[str, Any]) -> str:
    now = time.time()
    clock = f"{time.strftime('%y.%m.%d %H:%M:%S', time.gmtime(now))}.{int(now * 1000) % 1000:03}"
    mark = f"\033[{COLOURS[level]}m({level[0].upper()})\033[0m"
    line = f"{clock} {mark} \033[37m{name[-NAME_WIDTH:].rjust(NAME_WIDTH)}\033[0m {message}"
    return f"{line} {json.dumps(_shuffled(more), ensure_ascii=False)}" if more else line


def record(level: str, name: str, message: str, more: dict[str, Any]) -> dict[str, Any]:
    """One line in JSON, and one entry of the header `X-Nuclio-Logs`; times are milliseconds."""
    word = "warn" if level == "warning" else level
    return {"level": word, "time": time.time() * 1000, "name": name, "message": message, **_shuffled(more)}


def _as_json(level: str, name: str, message: str, more: dict[str, Any]) -> str:
    return json.dumps(record(level, name, message, more), ensure_ascii=False, separators=(",", ":"))


def _shuffled(more: dict[str, Any]) -> dict[str, Any]:
    """nuclio's keys come out of a Go map: in another order each time."""
    items = list(more.items())
    random.shuffle(items)
    return dict(items)
