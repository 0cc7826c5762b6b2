"""What the embedded platform's own status says, as a table for people."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from deploy import say

_HEADS = (
    ("函数", "function"),
    ("状态", "state"),
    ("版本", "version"),
    ("SHA-256", "SHA-256"),
    ("磁盘", "disk"),
    ("调用", "calls"),
    ("失败", "failed"),
    ("名称", "name"),
)


def show(pid: int, report: Mapping[str, Any]) -> int:
    """Print what answers, what was left out, what differs from the disk and the last failures.

    Args:
        pid: of the server.
        report: the answer of GET /api/status.

    Returns:
        1 when a function is unhealthy or was left out, else 0.
    """
    say.info(
        f"正在运行（进程 {pid}，自 {report['since']}，日志 {report['log']}）",
        f"running (process {pid}, since {report['since']}, log {report['log']})",
    )
    rows = [[say.both(zh, en) if zh != en else en for zh, en in _HEADS]]
    rows += [_row(name, function) for name, function in report["functions"].items()]
    print(*_columns(rows), sep="\n", flush=True)
    _labels(report["functions"])
    if report["changed"]:
        names = " ".join(report["changed"])
        say.warn(
            f"磁盘上有变化：{names}。换上：./deploy.sh up", f"changed on disk: {names}. To serve it: ./deploy.sh up"
        )
    unhealthy = [name for name, function in report["functions"].items() if function["state"] != "ready"]
    for name in unhealthy:
        say.warn(
            f"{name} 异常，会自动替换；若不恢复：./deploy.sh up", f"{name} is not ready; if it stays so: ./deploy.sh up"
        )
    for left in report["left_out"]:
        zh, en = left["cure"]
        say.warn(
            f"未提供 {left['folder']}：{left['cause']}。{zh}，再 ./deploy.sh up",
            f"not served: {left['folder']}: {left['cause']}. {en}, then ./deploy.sh up",
        )
    _failures(report["functions"])
    return int(bool(unhealthy or report["left_out"]))


def _labels(functions: Mapping[str, Any]) -> None:
    """Say what CVAT is offered, and which labels wait for weights. A server of an older version tells neither."""
    for name, function in functions.items():
        if function.get("labels"):
            offered = " ".join(function["labels"])
            say.info(f"{name} 会找：{offered}", f"{name} finds: {offered}")
        if function.get("without_weights"):
            lacking = " ".join(function["without_weights"])
            say.info(f"{name} 还没有权重：{lacking}", f"{name} has no weights yet for: {lacking}")


def _row(name: str, function: Mapping[str, Any]) -> list[str]:
    disk = ("已变", "changed") if function["changed"] else ("一致", "same")
    return [
        name,
        function["state"],
        function["version"] or "-",
        function["sha256"][:12] or "-",
        say.both(*disk),
        str(function["calls"]),
        str(function["failed"]),
        function["name"],
    ]


def _failures(functions: Mapping[str, Any]) -> None:
    lines = [(failure["time"], name, failure) for name in functions for failure in functions[name]["failures"]]
    if lines:
        say.info("最近的失败和警告", "last failures and warnings")
    for time, name, failure in sorted(lines, key=lambda line: line[0]):
        cure = say.both(*failure["cure"])
        print(f"  {time}  {name}  {failure['status']} {failure['code']}: {failure['cause']}", f"    {cure}", sep="\n")


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
    return [
        "  " + "  ".join(cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)
