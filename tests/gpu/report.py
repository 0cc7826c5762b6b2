"""The result of all parts: does every check hold, and a summary to read."""

from __future__ import annotations

from typing import Any

PARTS = ("provider", "agreement", "memory", "out_of_memory", "times")


def ok(result: dict[str, Any]) -> bool:
    """Whether all parts ran, and every check in them holds. Times and memory are figures, not checks."""
    parts = [result[name] for name in PARTS if name in result]
    rows = [row for part in parts for row in (part if isinstance(part, list) else [part])]
    return len(parts) == len(PARTS) and all(part for part in parts) and all(row.get("ok", True) for row in rows)


def text(result: dict[str, Any]) -> str:
    """A page of plain text."""
    machine = result["machine"]
    card = machine["card"] or {"name": machine["cpu"], "driver": "-", "driver_cuda": "-"}
    lines = [
        "",
        f"{card['name']}, driver {card['driver']} (CUDA {card['driver_cuda']}), onnxruntime {machine['onnxruntime']} "
        f"(CUDA {machine['onnxruntime_cuda'] or '-'}), Python {machine['python']}, {machine['date']}",
    ]
    for name, part in ((name, result[name]) for name in PARTS):
        lines += ["", f"{name}:"]
        if isinstance(part, dict) and "error" in part:
            lines.append(f"  FAILED: {part['error']}")
        else:
            lines += [f"  {line}" for line in _WRITERS[name](part)]
    return "\n".join([*lines, "", "all checks hold" if result["ok"] else "A CHECK FAILED"])


def _provider(part: dict[str, Any]) -> list[str]:
    hidden = part["without_libraries"]
    return [
        f"active: {part['active'].get('provider') or part['active']['message']}",
        f"without CUDA's libraries: {hidden.get('message') or 'NOT REFUSED, runs on ' + hidden['provider']}",
    ]


def _agreement(rows: list[dict[str, Any]]) -> list[str]:
    return [
        f"{row['function']:22} TF32 {row['tf32']:3}  {row['boxes']:4} boxes  worst {row['worst_px']:.2f} px, "
        f"{row['worst_score']:.4f}  missing {row['missing']}, extra {row['extra']}, at the threshold "
        f"{row['at_threshold']}  {'ok' if row['ok'] else 'DIFFERS'}"
        for row in rows
    ]


def _memory(rows: list[dict[str, Any]]) -> list[str]:
    return [
        f"{row['functions']} in one process: device {row['device_mib'] if row['device_mib'] is not None else '-'} MiB "
        f"(counted: {row['counted']}), host {row['host_mib']} MiB"
        for row in rows
    ]


def _out_of_memory(rows: list[dict[str, Any]]) -> list[str]:
    lines = []
    for row in rows:
        if "frames" in row:
            statuses = " ".join(str(frame["status"]) for frame in row["frames"])
            said = f"answers {statuses}, batch {row['batch']} at the end"
        else:
            said = f"refused to start: {row['code']}: {row['message']}"
        lines.append(f"{row['limit_mib']:5} MiB: {said}  {'ok' if row['ok'] else 'WRONG'}")
    return lines


def _times(rows: list[dict[str, Any]]) -> list[str]:
    steps = ("decode", "tile", "upload", "network", "download", "merge")
    lines = [f"{'px':>6} {'batch':>5} {'tiles':>5} {'ms':>9} {'tiles/s':>8}  " + " ".join(f"{s:>8}" for s in steps)]
    for row in rows:
        shares = " ".join(f"{row['shares'][step]:8.1%}" for step in steps)
        batch = f"{row['batch_used']}!" if row["batch_used"] != row["batch"] else str(row["batch"])
        lines.append(
            f"{row['side']:6} {batch:>5} {row['tiles']:5} {row['ms']:9.1f} {row['tiles_per_s']:8.1f}  {shares}"
        )
    return lines


_WRITERS: dict[str, Any] = {
    "provider": _provider,
    "agreement": _agreement,
    "memory": _memory,
    "out_of_memory": _out_of_memory,
    "times": _times,
}
