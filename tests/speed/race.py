"""`python -m tests.speed --peers`: this project beside its peers, on the same boards, in turns, in one run.

The machine gets slower and faster while others use it. So all run in turns, and what is told is each one's time over
the floor's of the same round: the median of the rounds, and their spread.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import numpy as np
from calling import Function
from files import encode
from PIL import Image
from speed import peers

ROOT = Path(__file__).parents[2]
SIDES = (640, 2048, 4096, 8192, 16384)
ROUNDS = {640: 15, 2048: 7, 4096: 5, 8192: 3, 16384: 1}


@dataclass(frozen=True)
class Line:
    """One contestant on one board; `ratio` is to the floor, lowest and highest of the rounds beside it."""

    board: str
    format: str
    side: int
    name: str
    boxes: int
    ms: float
    ratio: float
    low: float
    high: float


def boards(samples: Path, side: int) -> Iterator[tuple[str, Image.Image]]:
    """Yield boards laid of sample boards: `sparse` has the defects of one, `crowded` those of one on every tile."""
    with Image.open(samples / "clean.png") as first, Image.open(samples / "not-chosen.jpg") as second:
        clean, crowded = first.convert("RGB"), second.convert("RGB")
        for name, tile in (("sparse", clean), ("crowded", crowded)):
            board = Image.new("RGB", (side, side))
            for y in range(0, side, tile.height):
                for x in range(0, side, tile.width):
                    board.paste(tile, (x, y))
            if name == "sparse":
                board.paste(crowded, (0, 0))
            yield name, board


def race(folder: Path, sides: tuple[int, ...] = SIDES) -> Iterator[Line]:
    """Yield the lines of every board, format and side."""
    net = peers.Net(folder)
    exact = Function(folder, {"PCB_AOI_PRECISION": "float32"})
    fastest = Function(folder)
    for side in sides:
        for board, image in boards(ROOT / "samples" / folder.name, side):
            for kind, options in (("JPEG", {"quality": 95}), ("PNG", {"compress_level": 3})):
                file = encode(image, kind, **options)
                contestants = {"floor": peers.floor(net, file)}
                contestants |= {"ours, float32": peers.ours(exact, file), "ours": peers.ours(fastest, file)}
                contestants |= {peer.name: peer.make(net, file) for peer in peers.PEERS}
                yield from _lines(board, kind, side, contestants)


def _lines(board: str, kind: str, side: int, contestants: dict[str, Callable[[], int]]) -> Iterator[Line]:
    times: dict[str, list[float]] = {name: [] for name in contestants}
    counts = {name: run() for name, run in contestants.items()}  # and warm
    for _ in range(ROUNDS[side]):
        for name, run in contestants.items():
            started = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - started)
    for name, own in times.items():
        ratios = np.array(own) / np.array(times["floor"])
        yield Line(
            board, kind, side, name, counts[name], round(median(own) * 1e3, 1),
            *(round(float(value), 3) for value in (np.median(ratios), ratios.min(), ratios.max())),
        )  # fmt: skip


def table(lines: list[Line]) -> tuple[list[str], list[list[str]]]:
    """Return names, and a row a board: per contestant its ratio to the floor, the spread, and its count of boxes."""
    names = list(dict.fromkeys(line.name for line in lines if line.name != "floor"))
    rows = []
    for key in dict.fromkeys((line.board, line.side, line.format) for line in lines):
        own = {line.name: line for line in lines if (line.board, line.side, line.format) == key}
        cells = [f"{own[n].ratio:.2f} ({own[n].low:.2f}–{own[n].high:.2f}); {own[n].boxes}" for n in names]
        rows.append([key[0], str(key[1]), key[2], f"{own['floor'].ms:.0f}", *cells])
    return names, rows


def figures(lines: list[Line], folder: Path) -> dict[str, object]:
    """What results/peers.json holds."""
    versions = {name: importlib.metadata.version(name) for name in ("onnxruntime", "sahi", "supervision")}
    names, rows = table(lines)
    chinese = {"ours": "本项目", "ours, float32": "本项目，float32", "plain loop": "普通循环", "squashed": "整图压缩"}
    heads = {
        "en": ["board", "side", "file", "floor, ms", *names],
        "zh": ["板图", "边长", "文件", "下限，ms", *(chinese.get(name, name) for name in names)],
    }
    return {
        "command": "python -m tests.speed --peers",
        "date": f"{datetime.date.today()}",
        "function": folder.name,
        "cores": len(os.sched_getaffinity(0)),
        "versions": versions,
        "table": {"head": heads, "rows": rows},
        "lines": [asdict(line) for line in lines],
    }


def plot(lines: list[Line], path: Path) -> None:
    """Write the ratios over the side, sparse boards as JPEG, as PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    chosen = [line for line in lines if (line.board, line.format) == ("sparse", "JPEG") and line.name != "squashed"]
    for name in dict.fromkeys(line.name for line in chosen):
        own = [line for line in chosen if line.name == name]
        axes.plot([line.side for line in own], [line.ratio for line in own], marker="o", label=name)
    axes.set(xscale="log", xlabel="side of the board, px", ylabel="time over the floor's", ylim=(0, None))
    axes.set_xticks(sorted({line.side for line in chosen}), [str(s) for s in sorted({line.side for line in chosen})])
    axes.minorticks_off()
    axes.legend()
    figure.savefig(path, dpi=120)
