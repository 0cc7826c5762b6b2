"""How many cores this process may use: its affinity, cut by the quotas of its container.

ONNX Runtime would take all cores of the host, and the container's quota would then stop all its threads at once.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath


def usable_cores(root: Path = Path("/")) -> int:
    """Return how many cores this process may use, at least 1; `root` is the folder that holds proc and sys.

    Reads the quotas of cgroup v2 (`cpu.max`) and v1 (`cpu.cfs_quota_us`). A group has at most what each group above
    it has, so the smallest quota counts.
    """
    cores = [len(os.sched_getaffinity(0))]
    for folder in _groups(root):
        cores += [math.ceil(quota) for quota in (_quota_v2(folder), _quota_v1(folder)) if quota]
    return max(1, min(cores))


def _groups(root: Path) -> Iterator[Path]:
    """The folders of this process's groups that may hold a quota for cores, and of all groups above them.

    A host may mount both versions of cgroups. The version that does not hold the cpu controller has no quota files.
    """
    proc = root / "proc/self"
    try:
        memberships = [line.split(":", 2) for line in (proc / "cgroup").read_text().splitlines()]
        mounts = [line.partition(" - ") for line in (proc / "mountinfo").read_text().splitlines()]
    except OSError:
        return
    for _, controllers, group in (fields for fields in memberships if len(fields) == 3):
        if controllers and "cpu" not in controllers.split(","):
            continue
        for place, _, kind in mounts:
            _, _, _, mounted, point, *_ = place.split()
            filesystem, _, options = kind.split()[:3]
            if filesystem != ("cgroup" if controllers else "cgroup2"):
                continue
            if not controllers or "cpu" in options.split(","):
                yield from _upwards(root / _plain(point).lstrip("/"), _plain(mounted), group)


def _upwards(point: Path, mounted: str, group: str) -> Iterator[Path]:
    """The folder of `group` and all above it up to the mount point, which shows the tree from group `mounted` down."""
    try:
        below = PurePosixPath(group).relative_to(mounted)
    except ValueError:  # Docker without cgroup namespaces, seen from a nested group: only the mount point is sure
        below = PurePosixPath()
    yield point
    for depth in range(len(below.parts)):
        yield point.joinpath(*below.parts[: depth + 1])


def _plain(path: str) -> str:
    """mountinfo writes a space as \\040."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), path)


def _quota_v2(folder: Path) -> float | None:
    try:
        quota, period = (folder / "cpu.max").read_text().split()
        return int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):  # not there, or "max": no quota
        return None


def _quota_v1(folder: Path) -> float | None:
    try:
        quota = int((folder / "cpu.cfs_quota_us").read_text())
        return quota / int((folder / "cpu.cfs_period_us").read_text()) if quota > 0 else None  # -1: no quota
    except (OSError, ValueError, ZeroDivisionError):
        return None
