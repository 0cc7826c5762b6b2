"""What became of a function's calls, as it says itself: skipped frames, boxes of each label, the last failures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deploy import say


def show(functions: Mapping[str, Mapping[str, Any]]) -> None:
    """Print it, by function; functions of other makers, or of an older version, say nothing of it."""
    for name, own in functions.items():
        boxes = "  ".join(f"{label} {count}" for label, count in sorted(own.get("boxes", {}).items()))
        if boxes or own.get("skipped"):
            skipped, calls = own.get("skipped", 0), own.get("calls", 0)
            say.info(
                f"{name}：调用 {calls} 次，跳过 {skipped} 帧，框：{boxes or '无'}",
                f"{name}: {calls} calls, {skipped} frames skipped, boxes: {boxes or 'none'}",
            )
    lines = [(failure["time"], name, failure) for name, own in functions.items() for failure in own.get("failures", ())]
    if lines:
        say.info("最近的失败和警告", "last failures and warnings")
    for time, name, failure in sorted(lines, key=lambda line: line[0]):
        print(f"  {time}  {name}  {failure['status']} {failure['code']}: {failure['cause']}")
        before, cure = failure.get("answered", 0), failure["cure"]
        print("    " + say.both(f"此前已回答 {before} 帧。{cure[0]}", f"{before} frames answered before. {cure[1]}"))
