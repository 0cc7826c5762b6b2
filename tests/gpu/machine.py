"""What the measurements ran on: card, driver, CUDA, ONNX Runtime, versions, date."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

_FACTS = {"name": "name", "driver": "driver_version", "memory_mib": "memory.total", "compute": "compute_cap"}


def facts() -> dict[str, Any]:
    """Everything that another machine's figures could differ by; `card` is None where there is none."""
    import onnxruntime

    import pcb_aoi
    from pcb_aoi.engine.cores import usable_cores

    names = {distribution.name for distribution in metadata.distributions()}
    kept = sorted(name for name in names if name.startswith(("nvidia-", "onnxruntime")) or name in ("numpy", "pillow"))
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "card": card(),
        "cpu": _cpu(),
        "cores": usable_cores(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "pcb_aoi": pcb_aoi.__version__,
        "onnxruntime": onnxruntime.__version__,
        "onnxruntime_cuda": getattr(onnxruntime, "cuda_version", "") or None,
        "providers": onnxruntime.get_available_providers(),
        "packages": {name: metadata.version(name) for name in kept},
    }


def card() -> dict[str, str] | None:
    """The first card as the driver describes it, and the newest CUDA that the driver can run."""
    rows = _query("--query-gpu=" + ",".join(_FACTS.values()))
    if not rows:
        return None
    header = re.search(r"CUDA Version:\s*([\d.]+)", _smi() or "")
    return {**dict(zip(_FACTS, rows[0], strict=True)), "driver_cuda": header[1] if header else ""}


def card_used_mib() -> int | None:
    """What all programs together use of the first card."""
    rows = _query("--query-gpu=memory.used")
    return _number(rows[0][0]) if rows else None


def process_mib(pid: int) -> int | None:
    """What one process uses of all cards; None where the driver does not say: a container has its own numbers."""
    used = [_number(mib) for number, mib in _query("--query-compute-apps=pid,used_memory") if number == str(pid)]
    known = [mib for mib in used if mib is not None]
    return sum(known) if known else None


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() else None  # "[N/A]" under some drivers


def _query(question: str) -> list[list[str]]:
    answer = _smi(question, "--format=csv,noheader,nounits") or ""
    return [[field.strip() for field in line.split(",")] for line in answer.splitlines() if line.strip()]


def _smi(*arguments: str) -> str | None:
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    run = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60)
    return run.stdout if run.returncode == 0 else None


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
