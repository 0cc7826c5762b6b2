"""How time and memory grow with the picture, and how many crops a day's work takes: `python -m tests.speed --scale`.

Crops go through the embedded platform as CVAT sends them: one after the other, each on a connection of its own.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import child
import cvat
import numpy as np
from files import encode
from PIL import Image

SIDES = (208, 640, 2048, 8192, 16384)
CROPS, CROP_PX = 1000, 208


@dataclass(frozen=True)
class Size:
    """One picture in a process of its own; bytes a pixel are what it costs beyond the smallest picture."""

    colour: str
    side: int
    megapixels: float
    seconds: float
    peak_mib: float
    bytes_per_pixel: float


def sizes(folder: Path, board: Image.Image, sides: tuple[int, ...] = SIDES) -> Iterator[Size]:
    """Yield the costs of square pictures laid of one board, in grey and in colour, as PNG."""
    for colour in ("grey", "colour"):
        smallest = 0.0
        for side in sides:
            tile = np.asarray(board.convert("L" if colour == "grey" else "RGB"))
            across = -(-side // tile.shape[0])
            image = np.tile(tile, (across, across, *(1,) * (tile.ndim - 2)))[:side, :side]
            (cost,) = child.post(folder, [encode(image, "PNG", compress_level=1)], {"PCB_AOI_DEADLINE_S": "3000"})
            assert cost.status == 200
            smallest = smallest or cost.peak_mib
            extra = (cost.peak_mib - smallest) * 2**20 / side**2
            yield Size(
                colour,
                side,
                round(side**2 / 1e6, 2),
                round(cost.seconds, 2),
                round(cost.peak_mib),
                round(max(0.0, extra), 1),
            )


@contextlib.contextmanager
def served(folder: Path) -> Iterator[int]:
    """The embedded platform with this function alone, on a free port."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    command = [sys.executable, "-m", "pcb_aoi.cli", "serve", "--port", str(port), "--function", folder.name]
    command += ["--functions", str(folder.parent)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.2)
        yield port
    finally:
        process.terminate()
        process.wait(60)


def crops_a_second(folder: Path, board: Image.Image, count: int = CROPS) -> float:
    """Crops of CROP_PX a second, one after the other."""
    rng = np.random.default_rng(0)
    pixels = np.asarray(board.convert("RGB"))
    bodies = []
    for _ in range(50):
        y, x = rng.integers(0, np.array(pixels.shape[:2]) - CROP_PX)
        crop = np.ascontiguousarray(pixels[y : y + CROP_PX, x : x + CROP_PX])
        bodies.append(json.dumps(cvat.payload(encode(crop, "JPEG", quality=95))).encode())
    headers = {"Content-Type": "application/json", "x-nuclio-function-name": f"pcb-{folder.name}"}
    with served(folder) as port:

        def call(body: bytes) -> None:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            connection.request("POST", "/api/function_invocations", body, headers)
            answer = connection.getresponse()
            assert answer.status == 200, answer.read()
            answer.read()
            connection.close()

        for body in bodies:  # warm
            call(body)
        started = time.perf_counter()
        for number in range(count):
            call(bodies[number % len(bodies)])
        return count / (time.perf_counter() - started)


def figures(folder: Path, board: Image.Image) -> dict[str, object]:
    """What results/scale.json holds."""
    measured = list(sizes(folder, board))
    heads = {
        "en": ["picture", "side, px", "megapixels", "seconds", "peak memory, MiB", "bytes a pixel beyond the smallest"],
        "zh": ["图像", "边长，px", "百万像素", "秒", "内存峰值，MiB", "比最小图每像素多用的字节"],
    }
    rows = [[str(value) for value in asdict(size).values()] for size in measured]
    return {
        "sizes_table": {"head": heads, "rows": rows},
        "crop_px": CROP_PX,
        "crops": CROPS,
        "crops_per_s": round(crops_a_second(folder, board), 1),
    }
