"""One measurement a process: `process.call("memory.load", device="cuda")`.

CUDA reads its environment once, an arena never gives memory back, and two sessions in one process share threads.
Run as a script this file is that process: the function's name and its arguments as JSON in, JSON on the last line out.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parents[1]
ROOT = TESTS.parent
_TIMEOUT_S = 900
_OURS = ("PCB_AOI_", "NVIDIA_TF32_OVERRIDE")


class Failed(Exception):
    """The process ended with an error, gave no result or took too long; the text has the end of what it wrote."""


def call(name: str, env: Mapping[str, str] | None = None, /, **arguments: object) -> Any:  # noqa: ANN401 - JSON
    """Run `gpu.<name>(**arguments)` in a fresh process and return its result.

    `env` adds to the environment. What the caller's shell has that would change the measurement is left out.

    Raises:
        Failed: see there.
    """
    command = [sys.executable, __file__, name, json.dumps(arguments)]
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(_OURS)}
    try:
        run = subprocess.run(
            command, env={**inherited, **(env or {})}, capture_output=True, text=True, timeout=_TIMEOUT_S, cwd=ROOT
        )
    except subprocess.TimeoutExpired:
        raise Failed(f"{name} took more than {_TIMEOUT_S} s") from None
    if run.returncode:
        raise Failed(f"{name} ended with {run.returncode}: {(run.stderr or run.stdout)[-2000:].strip()}")
    return json.loads(run.stdout.splitlines()[-1])  # ONNX Runtime may print before it


def main() -> None:
    module, _, function = sys.argv[1].rpartition(".")
    # In place of this folder: its modules are called gpu.something.
    sys.path[:1] = [str(TESTS), str(ROOT)]
    print(json.dumps(getattr(importlib.import_module(f"gpu.{module}"), function)(**json.loads(sys.argv[2]))))


if __name__ == "__main__":
    main()
