"""A function without a model, that does what the request's header `X-Probe` says: the tests of nuclio itself use it."""

from __future__ import annotations

from pathlib import Path

MAIN = """
import json
import os
import sys
import time


def init_context(context):
    time.sleep(float(os.environ.get("PROBE_LOAD_S", "0")))
    if os.environ.get("PROBE_FAILS"):
        raise RuntimeError("the weights are broken")
    context.logger.info_with("probe loaded", answer=42, text="中文", deep={"a": [1]})
    context.user_data.loaded = True


def handler(context, event):
    what, _, value = (event.get_header("X-Probe") or "").partition(" ")
    if what == "sleep":
        time.sleep(float(value))
    elif what == "exit":
        os._exit(int(value))
    elif what == "leave":
        sys.exit(int(value))
    elif what == "list":
        return json.loads(value)
    elif what == "raise":
        raise ValueError(value)
    elif what == "log":
        context.logger.warn_with(value, frame=7)
    elif what == "print":
        print(value)
    headers = {"X-Text": "漏塞", "X-Break": "a\\r\\nX-Evil: 1", "X-Number": 7} if what == "headers" else {}
    names = ("method", "path", "url", "headers", "fields", "content_type", "size", "shard_id", "num_shards")
    facts = {name: getattr(event, name) for name in names}
    body = event.body
    facts |= {
        "body": body.decode("latin-1") if isinstance(body, bytes) else body,
        "type": type(body).__name__,
        "microsecond": event.timestamp.microsecond,
        "age": time.time() - event.timestamp.timestamp(),
        "loaded": getattr(context.user_data, "loaded", False),
        "worker": context.worker_id,
        "trigger": [event.trigger.kind, event.trigger.name],
    }
    return context.Response(
        body=json.dumps(facts, default=str), headers=headers, content_type="application/json", status_code=200
    )
"""

FUNCTION = """
metadata:
  name: probe
  namespace: nuclio
  labels:
    nuclio.io/project-name: cvat
spec:
  description: a probe
  runtime: python:3.11
  handler: main:handler
  triggers:
    myHttpTrigger:
      kind: http
      numWorkers: 1
      maxWorkers: 1
      workerAvailabilityTimeoutMilliseconds: 20000
      attributes:
        port: 32199
        maxRequestBodySize: 8388608
"""


def write(folder: Path, main: str = MAIN) -> Path:
    """Write the probe's folder and return it."""
    folder.mkdir()
    (folder / "main.py").write_text(main, "utf-8")
    (folder / "function.yaml").write_text(FUNCTION, "utf-8")
    return folder
