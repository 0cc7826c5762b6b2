"""How long a tile and a board take at each batch size, and the shares of decoding, upload, network and merging."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import onnxruntime as ort
from calling import Function, cvat_body
from gpu import functions, process
from PIL import Image

from pcb_aoi.engine import image as images
from pcb_aoi.engine import tiles

_PROBES = 7


def measure(name: str, device: str, sides: Sequence[tuple[int, int]], batches: Sequence[int]) -> list[dict[str, Any]]:
    """Time `name` on boards of (side px, rounds) at each batch size, one process a batch size."""
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        boards = []
        for side, rounds in sides:
            path = Path(folder) / f"{side}.jpg"
            board(name, side).save(path, quality=95)
            boards.append((str(path), rounds))
        for batch in batches:
            rows += process.call("times.run", name=name, device=device, boards=boards, batch=batch)
    return rows


def board(name: str, side: int) -> Image.Image:
    """A board of side x side pixels: the function's first sample, repeated, so that there is something to merge."""
    sample = np.asarray(Image.open(functions.samples(name)[0]).convert("RGB"))
    times = (-(-side // sample.shape[0]), -(-side // sample.shape[1]), 1)
    return Image.fromarray(np.tile(sample, times)[:side, :side])


def run(name: str, device: str, boards: Sequence[tuple[str, int]], batch: int) -> list[dict[str, Any]]:
    """Time every board (file, rounds) at one batch size; milliseconds are medians."""
    function = functions.load(name, device, batch)
    rows = []
    for path, rounds in boards:
        file = Path(path).read_bytes()
        totals: list[float] = []
        stages: list[dict[str, float]] = []
        for turn in range(rounds + 1):
            body = cvat_body(file)
            started = time.perf_counter()
            answer = function.post(body)
            taken = (time.perf_counter() - started) * 1e3
            assert answer.status == 200, answer.text
            if turn:  # the first one warms up
                totals.append(taken)
                stages.append(server_timing(answer.headers["Server-Timing"]))
        ms = {stage: median(row[stage] for row in stages) for stage in stages[0]}
        side, total, count = int(Path(path).stem), median(totals), answer.log[-1]["with"]["tiles"]
        probe = split(function, file)
        row: dict[str, Any] = {"side": side, "batch": batch, "tiles": count, "boxes": len(answer.body)}
        row |= {"ms": round(total, 2), "tiles_per_s": round(count / total * 1e3, 1)}
        row |= {"batch_used": function.get().body["batch"], "stages_ms": ms, "batch_ms": probe}
        rows.append({**row, "shares": shares(total, ms, probe)})
    return rows


def server_timing(header: str) -> dict[str, float]:
    """Read "decode;dur=1.5, tile;dur=0.2" into milliseconds by stage."""
    return {stage: float(value) for stage, value in re.findall(r"(\w+);dur=([\d.]+)", header)}


def split(function: Function, file: bytes) -> dict[str, float]:
    """Milliseconds of one full batch of the board's tiles: upload, network, download, each alone."""
    detector = function.context.user_data.detector
    runtime, head, config = detector.model.runtime, detector.model._head, detector.config
    session = runtime._session
    pixels = images.decode(file, 1e6).pixels
    height, width = pixels.shape[:2]
    grid = tiles.plan(height, width, config.tile, config.overlap)
    _, first = next(tiles.batches(pixels, grid, runtime.batch))
    feed = head.prepare(np.resize(first, (runtime.batch, *first.shape[1:])))
    device = "cpu" if runtime.provider == functions.PROVIDERS["cpu"] else "cuda"
    value = ort.OrtValue.ortvalue_from_numpy(feed, device, 0)
    binding = session.io_binding()
    binding.bind_ortvalue_input(session.get_inputs()[0].name, value)
    for output in session.get_outputs():
        binding.bind_output(output.name, device)

    def network() -> None:
        session.run_with_iobinding(binding)
        binding.synchronize_outputs()

    return {
        "upload": _median_ms(lambda: value.update_inplace(feed)),
        "network": _median_ms(network),
        "download": _median_ms(binding.copy_outputs_to_cpu),
    }


def _median_ms(step: Callable[[], object]) -> float:
    taken = []
    for _ in range(_PROBES):
        started = time.perf_counter()
        step()
        taken.append((time.perf_counter() - started) * 1e3)
    return round(median(taken[1:]), 3)


def shares(total: float, stages: dict[str, float], probe: dict[str, float]) -> dict[str, float]:
    """Shares of the whole time, which add up to 1. The stage `infer` is divided as one batch's probe is."""
    infer, whole = stages["infer"], sum(probe.values())
    parts = {stage: ms for stage, ms in stages.items() if stage != "infer"}
    parts |= {step: infer * ms / whole for step, ms in probe.items()}
    parts["other"] = max(0.0, total - sum(stages.values()))
    everything = sum(parts.values())
    return {part: round(ms / everything, 4) for part, ms in parts.items()}
