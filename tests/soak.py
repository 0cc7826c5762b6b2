"""Thousands of mixed requests to the embedded platform: whether it grows, leaks files, and how long answers take.

    python -m tests.soak --count 3000 --json results/soak.json

A process serves the inner layer's own weights. Four clients send sound frames of several formats and sizes, truncated
and damaged ones, files that are no images, a bomb, and calls that are none of CVAT's. Memory is that of the process and
its decoder; its slope is fitted to the last two thirds.
"""

from __future__ import annotations

import argparse
import base64
import http.client
import json
import queue
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent))

from files import bomb_png, encode, png
from serving import INVOKE, command

from pcb_aoi.config import granted
from pcb_aoi.engine import image

ROOT = Path(__file__).resolve().parents[1]
CLIENTS = 4
FUNCTION = "pcb-inner-layer"
EVERY = 20
"""Requests between two looks at the memory."""


def main() -> int:
    """Run; returns 1 when a call was answered otherwise than it should be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=3000)
    parser.add_argument("--json", type=Path, help="write the figures here")
    args = parser.parse_args()
    figures, wrong = soak(args.count)
    print(json.dumps(figures, indent=1))
    print(*wrong[:20], sep="\n", file=sys.stderr)
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1) + "\n")
    return int(bool(wrong))


def requests() -> list[tuple[str, bytes, int]]:
    """What is sent in turn: kind, body, and the status that must come back."""
    board = image.decode((ROOT / "samples" / "inner-layer" / "bus.png").read_bytes(), 300).pixels
    noise = np.random.default_rng(0).integers(0, 256, (700, 500), dtype=np.uint8)
    large = np.tile(board, (2, 2))
    jpeg = encode(board, "JPEG")
    frames = {
        "png": encode(board),
        "jpeg": jpeg,
        "large jpeg": encode(large, "JPEG"),
        "tiff": encode(np.repeat(board[..., None], 3, 2), "TIFF", compression="tiff_lzw"),
        "png of 16 bits": png(board.astype(np.uint16) << 4),
        "noise": encode(noise, "JPEG"),
        "progressive": encode(board, "JPEG", progressive=True),
        "truncated": jpeg[: len(jpeg) * 2 // 3],
        "no pixel decodes": encode(board)[:300],
        "no image": b"no image" * 100,
    }
    sent = [(kind, _body(data), 200) for kind, data in frames.items()]
    bomb = _body(bomb_png(20_000, 20_000))
    return [*sent, ("bomb", bomb, 413), ("no field", b"{}", 400), ("no JSON", b"\xff" * 5000, 400)]


def _body(data: bytes) -> bytes:
    return json.dumps({"image": base64.b64encode(data).decode()}).encode()


def soak(count: int) -> tuple[dict[str, Any], list[str]]:
    """Send `count` requests; returns (figures, answers that are wrong)."""
    kinds, statuses, wrong = requests(), Counter[int](), list[str]()
    seconds: list[float] = []
    memory: list[float] = []
    descriptors: list[int] = []
    numbers: queue.SimpleQueue[int] = queue.SimpleQueue()
    for number in range(count):
        numbers.put(number)
    lock = threading.Lock()
    with _served() as (process, port):

        def client() -> None:
            while not numbers.empty():
                try:
                    number = numbers.get_nowait()
                except queue.Empty:
                    return
                kind, body, expected = kinds[number % len(kinds)]
                started = time.perf_counter()
                status, text = _post(port, body)
                taken = time.perf_counter() - started
                with lock:
                    statuses[status] += 1
                    seconds.append(taken)
                    if status != expected:
                        wrong.append(f"{kind}: {status} {text[:200]!r}")
                    if len(seconds) % EVERY == 0:
                        memory.append(_memory(process))
                        descriptors.append(process.num_fds())

        began = time.perf_counter()
        threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        whole = time.perf_counter() - began
    steady = np.array(memory[len(memory) // 3 :])
    slope = np.polyfit(np.arange(len(steady)) * EVERY / 1000, steady, 1)[0] if len(steady) > 1 else 0.0
    low, middle, high = np.percentile(seconds, (50, 95, 99))
    return {
        "command": f"python -m tests.soak --count {count}",
        "date": time.strftime("%Y-%m-%d"),
        "requests": count,
        "clients": CLIENTS,
        "seconds": round(whole),
        "statuses": {str(status): number for status, number in sorted(statuses.items())},
        "wrong": len(wrong),
        "memory_mib": {"lowest": round(steady.min()), "highest": round(steady.max())},
        "slope_mib_per_1000": round(float(slope), 2),
        "descriptors": {"fewest": min(descriptors), "most": max(descriptors), "last": descriptors[-1]},
        "p50_ms": round(low * 1000),
        "p95_ms": round(middle * 1000),
        "p99_ms": round(high * 1000),
    }, wrong


@contextmanager
def _served() -> Iterator[tuple[psutil.Process, int]]:
    words = command(ROOT / "functions", "--port", "0", "--function", "inner-layer")
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline().strip().rpartition(b":")[2])
        try:
            yield psutil.Process(process.pid), port
        finally:
            process.terminate()


def _post(port: int, body: bytes) -> tuple[int, bytes]:
    headers = {
        "x-nuclio-function-name": FUNCTION,
        "Content-Type": "application/json",
        granted.HEADER: "120s",
    }
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=150)) as connection:
        connection.request("POST", INVOKE, body, headers)
        response = connection.getresponse()
        return response.status, response.read()


def _memory(process: psutil.Process) -> float:
    """MiB of the process and its decoder, each page once."""
    found = 0.0
    for one in (process, *process.children()):
        try:
            found += one.memory_info().rss / 2**20
        except psutil.NoSuchProcess:  # a decoder that has ended itself
            continue
    return found


if __name__ == "__main__":
    sys.exit(main())
