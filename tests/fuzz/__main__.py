"""Decode what chance makes of image files, and hold the decoder to its promises.

    python -m tests.fuzz --count 200000 --json results/fuzz.json

Every file gets pixels or an error of our own; none takes over 5 s of CPU time, or over 300 MiB more than its picture
needs. A file that breaks a promise is written to out/fuzz/ and named.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fuzz.mutate import mutants

from pcb_aoi.engine.image import Frame, child
from pcb_aoi.engine.image.child import Decoder
from pcb_aoi.errors import DeadlineExceeded, FrameError, PcbAoiError, TooLarge

CPU_S = 5.0
BEYOND_MIB = 300
MEGAPIXELS = 8.0
_BYTES_PER_PIXEL = 24
"""Of the picture itself: samples of 64 bits, a copy, and what is handed over."""


def main() -> int:
    """Run; returns 1 when a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the figures here")
    args = parser.parse_args()
    figures, broken = run(args.count, args.seed)
    print(json.dumps(figures, indent=1))
    for name, reason, data in broken:
        path = Path("out/fuzz") / f"{hashlib.sha256(data).hexdigest()[:12]}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        print(f"{path}: {name}: {reason}", file=sys.stderr)
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1) + "\n")
    return int(bool(broken))


def run(count: int, seed: int) -> tuple[dict[str, Any], list[tuple[str, str, bytes]]]:
    """Decode `count` mutants; returns (figures, broken promises as (file, reason, bytes))."""
    decoder, outcomes = Decoder(), Counter[str]()
    child.FAST_MP = 0.0  # every file goes to the child: its time and its memory are what is measured
    broken: list[tuple[str, str, bytes]] = []
    slowest, largest, children = 0.0, 0.0, set[int]()
    for _, (name, data) in zip(range(count), mutants(seed), strict=False):
        decoder.start()
        pid = decoder.pid
        children.add(pid)
        _forget_peak(pid)
        before, cpu = _memory(pid, "VmRSS"), _cpu(pid)
        started = time.perf_counter()
        pixels, cost_too_much = 0, False
        try:
            frame = decoder.decode(data, MEGAPIXELS, 60)
            outcomes["truncated" if frame.truncated else "whole"] += 1
            pixels = frame.pixels.shape[0] * frame.pixels.shape[1]
            if problem := _wrong(frame):
                broken.append((name, problem, data))
        except (FrameError, TooLarge, DeadlineExceeded) as error:
            outcomes[error.code] += 1
            cost_too_much = isinstance(error, TooLarge)
            pixels = int(MEGAPIXELS * 1e6) if isinstance(error, TooLarge) else pixels
        except PcbAoiError as error:
            broken.append((name, f"{type(error).__name__}: {error}", data))
        if decoder.pid != pid:
            # It ended itself, as it should when a file costs too much, and for no other reason.
            slowest = max(slowest, time.perf_counter() - started)
            if not cost_too_much:
                broken.append((name, "the decoder ended", data))
            continue
        seconds = _cpu(pid) - cpu
        beyond = _memory(pid, "VmHWM") - before - pixels * _BYTES_PER_PIXEL / 2**20
        slowest, largest = max(slowest, seconds), max(largest, beyond)
        if seconds > CPU_S:
            broken.append((name, f"{seconds:.1f} s of CPU time", data))
        if beyond > BEYOND_MIB:
            broken.append((name, f"{beyond:.0f} MiB beyond its picture", data))
    decoder.close()
    figures = {
        "command": f"python -m tests.fuzz --count {count} --seed {seed}",
        "date": time.strftime("%Y-%m-%d"),
        "inputs": count,
        "outcomes": dict(sorted(outcomes.items())),
        "slowest_s": round(slowest, 2),
        "most_beyond_the_picture_mib": round(largest),
        "decoders_started": len(children),
        "broken": len(broken),
    }
    return figures, broken


def _wrong(frame: Frame) -> str:
    pixels = frame.pixels
    if pixels.dtype != np.uint8 or not pixels.size:
        return f"{pixels.dtype} {pixels.shape}"
    return "" if pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 3) else f"shape {pixels.shape}"


def _memory(pid: int, key: str) -> float:
    """MiB of a process, from /proc/PID/status."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) / 1024
    return 0.0


def _forget_peak(pid: int) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def _cpu(pid: int) -> float:
    """Seconds of CPU time of a process, from /proc/PID/stat."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


if __name__ == "__main__":
    sys.exit(main())
