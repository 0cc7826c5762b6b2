"""Measure the five functions on an NVIDIA card, and check that they are right there: `python -m tests.gpu`.

On any Linux machine with a card, its driver (580 or newer for CUDA 13) and Python 3.11 or newer, in this checkout:

    python3 -m venv .venv-gpu
    .venv-gpu/bin/pip install -e '.[gpu,serve]'      # ONNX Runtime with CUDA and cuDNN, about 3 GB; no system CUDA
    .venv-gpu/bin/python -m tests.gpu                # some minutes; writes out/gpu.json

For a driver from 525 on, CUDA 12: `pip install 'onnxruntime-gpu[cuda,cudnn]==1.26.0' -e '.[serve]'` in its place.
`--device cpu` runs the same code with small sizes on a machine without a card; pytest does so in every run.
Ends with 0 when all checks hold, else with 1.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # what tests share, as for pytest

from gpu import agreement, functions, machine, memory, process, provider, report, times


@dataclass(frozen=True)
class Plan:
    """What is measured, and how often."""

    sides: tuple[tuple[int, int], ...]
    """(side of the board in px, rounds)."""
    batches: tuple[int, ...]
    tf32: tuple[str, ...]
    limits_mib: tuple[int, ...]
    """Of ONNX Runtime's arena on the device: PCB_AOI_GPU_MEM_MIB."""
    batch: int | None
    """For agreement; None: what a function takes by itself."""
    starved_batch: int


CARD = Plan(
    ((640, 21), (4096, 7), (16_384, 3)), (1, 8, 16, 32), ("off", "on"), (64, 128, 256, 512, 1024, 4096), None, 16
)
SMALL = Plan(((640, 2), (800, 1)), (1, 2), ("off",), (64,), 3, 2)
FUNCTION = "inner-layer"


def measure(device: str, plan: Plan, out: Path) -> dict[str, Any]:
    """Run everything; `out` is written after each part, so that a part that fails takes nothing with it."""
    result: dict[str, Any] = {"device": device, "machine": machine.facts()}
    parts: dict[str, Callable[[], Any]] = {
        "provider": lambda: provider.measure(FUNCTION, device),
        "agreement": lambda: agreement.measure(functions.NAMES, device, plan.tf32, plan.batch),
        "memory": lambda: memory.measure(functions.NAMES, device),
        "out_of_memory": lambda: memory.starve(FUNCTION, device, plan.limits_mib, plan.starved_batch),
        "times": lambda: times.measure(FUNCTION, device, plan.sides, plan.batches),
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    for name, part in parts.items():
        started = time.perf_counter()
        print(f"{name} ... ", end="", flush=True)
        try:
            result[name] = part()
        except process.Failed as error:
            result[name] = {"error": str(error), "ok": False}
        print(f"{time.perf_counter() - started:.0f} s", flush=True)
        result["ok"] = report.ok(result)
        out.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", "utf-8")
    return result


def main(argv: list[str] | None = None) -> int:
    """Measure, print a summary; 0 when every check holds."""
    parser = argparse.ArgumentParser(prog="python -m tests.gpu", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--device", choices=tuple(functions.PROVIDERS), default="cuda")
    parser.add_argument("--out", type=Path, default=Path("out/gpu.json"), help="where the JSON goes")
    args = parser.parse_args(argv)
    if args.device == "cuda" and machine.card() is None:
        print("没有可用的NVIDIA显卡（nvidia-smi没有应答）；无显卡时请加 --device cpu")
        print("no NVIDIA card answers nvidia-smi; on a machine without one add --device cpu")
        return 1
    result = measure(args.device, CARD if args.device == "cuda" else SMALL, args.out)
    print(report.text(result))
    print(f"\n{args.out}")
    return 0 if result["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
