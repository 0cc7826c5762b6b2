"""Memory of one function and of five in one process, and what a function does when the device has too little."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import child
from gpu import agreement, functions, machine, process

_FRAMES = 6
"""Each frame may halve the batch once more: from 16 to 1 takes four."""


def measure(names: Sequence[str], device: str) -> list[dict[str, Any]]:
    """Memory of the first function alone and of all in one process, as the embedded platform runs them."""
    return [process.call("memory.load", names=some, device=device) for some in (names[:1], names)]


def load(names: Sequence[str], device: str) -> dict[str, Any]:
    """Load the functions in this process, ask each one frame, and say what that took, in MiB.

    The device's is that of this process as the driver counts it or, where a container hides that, what the card's use
    grew by; None where there is no card.
    """
    before = machine.card_used_mib()
    loaded = [functions.load(name, device) for name in names]
    for name, function in zip(names, loaded, strict=True):
        assert function.annotate(functions.samples(name)[0].read_bytes()).status == 200
    mine, after = machine.process_mib(os.getpid()), machine.card_used_mib()
    grown = None if before is None or after is None else after - before
    counted = "process" if mine is not None else "card" if grown is not None else "none"
    used = mine if mine is not None else grown
    return {"functions": len(names), "device_mib": used, "counted": counted, "host_mib": round(child._peak_mib())}


def starve(name: str, device: str, limits: Sequence[int], batch: int) -> list[dict[str, Any]]:
    """Run the function under each limit of the device's memory (MiB), at `batch` tiles a call, and judge it."""
    reference = process.call("functions.ask", names=[name], device="cpu", batch=1)[name]
    rows = []
    for limit in limits:
        row = process.call("memory.starved", name=name, device=device, limit=limit, batch=batch)
        rows.append({"limit_mib": limit, **row, "ok": ok(row, reference)})
        for frame in row.get("frames", ()):  # judged, and too long for a report
            frame.pop("shapes")
    return rows


def starved(name: str, device: str, limit: int, batch: int) -> dict[str, Any]:
    """Start under a limit and ask the same frame again and again: {code, message}, or {frames, batch}."""
    from pcb_aoi.errors import PcbAoiError

    try:
        function = functions.load(name, device, batch, limit)
    except PcbAoiError as error:
        return {"code": error.code, "message": str(error)}
    path = functions.samples(name)[0]
    answers = [function.annotate(path.read_bytes()) for _ in range(_FRAMES)]
    frames = [{"status": a.status, "code": a.code, "shapes": a.body if a.status == 200 else []} for a in answers]
    return {"image": path.name, "frames": frames, "batch": function.get().body["batch"]}


def ok(row: dict[str, Any], reference: dict[str, Any]) -> bool:
    """A clean refusal at the start; or frames that are each right or cleanly refused, and the last one right."""
    if "frames" not in row:
        return bool(row["code"] == "out_of_memory")

    def right(frame: dict[str, Any]) -> bool:
        name = row["image"]
        expected, found = {name: reference["images"][name]}, {name: frame["shapes"]}
        return frame["status"] == 200 and agreement.compare(expected, found, reference["threshold"]).ok

    frames = row["frames"]
    return right(frames[-1]) and all(right(f) or (f["status"], f["code"]) == (503, "out_of_memory") for f in frames)
