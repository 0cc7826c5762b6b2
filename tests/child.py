"""Post image files to a function in a fresh process, and measure what that costs: `child.post(folder, files)`.

Run as a script it is that process: function folder and image files as arguments, one JSON line per file out.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Cost:
    """One answer. `seconds` are those in the handler, `cpu_seconds` those of all its threads together, and `peak_mib`
    is the highest memory of the process so far."""

    status: int
    body: Any
    seconds: float
    cpu_seconds: float
    peak_mib: float
    log: list[dict[str, Any]]


def post(folder: Path, files: Sequence[bytes], env: Mapping[str, str] | None = None) -> list[Cost]:
    """Post the files in order, each read from disk just before, in a process of its own."""
    with tempfile.TemporaryDirectory() as name:
        paths = [Path(name) / str(i) for i in range(len(files))]
        for path, data in zip(paths, files, strict=True):
            path.write_bytes(data)
        command = [sys.executable, __file__, str(folder), *map(str, paths)]
        run = subprocess.run(command, env={**os.environ, **(env or {})}, stdout=subprocess.PIPE, text=True, check=True)
    return [Cost(**json.loads(line)) for line in run.stdout.splitlines()]


def _peak_mib() -> float:
    # Not getrusage: its maximum starts at the size that the parent had when it forked.
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def main() -> None:
    from calling import Function, cvat_body

    folder, *paths = map(Path, sys.argv[1:])
    function = Function(folder)
    for path in paths:
        body = cvat_body(path.read_bytes())
        started, cpu_started = time.perf_counter(), time.process_time()
        answer = function.post(body)
        seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
        cost = Cost(answer.status, answer.body, seconds, cpu_seconds, _peak_mib(), answer.log)
        print(json.dumps(vars(cost)), flush=True)


if __name__ == "__main__":
    main()
