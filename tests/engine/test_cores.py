"""cores: the container's quota decides how many threads there are, under cgroup v1 and v2, however deep it lies."""

from __future__ import annotations

import os
from pathlib import Path

import analytic
import onnxruntime as ort
import pytest

from pcb_aoi.config.settings import Settings
from pcb_aoi.engine.cores import usable_cores
from pcb_aoi.engine.detector import Detector

V1 = "31 23 0:29 {root} {point} rw,nosuid shared:9 - cgroup cgroup rw,{controllers}"
V2 = "41 31 0:38 {root} {point} rw,relatime - cgroup2 cgroup2 rw,nsdelegate"
CPU = "/sys/fs/cgroup/cpu,cpuacct"
OTHERS = "22 27 0:21 / /proc rw,relatime - proc proc rw"


@pytest.fixture(autouse=True)
def _eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))


class Machine:
    """A root folder with proc/self and cgroup folders."""

    def __init__(self, root: Path, groups: str, *mounts: str) -> None:
        self.root = root
        (root / "proc/self").mkdir(parents=True)
        (root / "proc/self/cgroup").write_text(groups)
        (root / "proc/self/mountinfo").write_text("\n".join((OTHERS, *mounts)) + "\n")

    def put(self, folder: str, **files: str) -> None:
        path = self.root / folder.lstrip("/")
        path.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (path / name.replace("cpu_", "cpu.", 1)).write_text(text + "\n")

    def v1(self, folder: str, quota: int, period: int = 100_000) -> None:
        self.put(folder, cpu_cfs_quota_us=str(quota), cpu_cfs_period_us=str(period))

    def v2(self, folder: str, text: str) -> None:
        self.put(folder, cpu_max=text)


def v1_machine(root: Path, group: str = "/", mounted: str = "/") -> Machine:
    mount = V1.format(root=mounted, point=CPU, controllers="cpu,cpuacct")
    memory = V1.format(root="/", point="/sys/fs/cgroup/memory", controllers="memory")
    return Machine(root, f"5:memory:/\n4:cpu,cpuacct:{group}\n1:name=systemd:/\n", memory, mount)


def v2_machine(root: Path, group: str = "/", mounted: str = "/") -> Machine:
    return Machine(root, f"0::{group}\n", V2.format(root=mounted, point="/sys/fs/cgroup"))


@pytest.mark.parametrize(("quota", "cores"), [(100_000, 1), (150_000, 2), (20_000, 1), (3_200_000, 8), (-1, 8), (0, 8)])
def test_a_quota_of_cgroup_v1_counts(tmp_path: Path, quota: int, cores: int) -> None:
    machine = v1_machine(tmp_path)
    machine.v1(CPU, quota)
    assert usable_cores(machine.root) == cores


@pytest.mark.parametrize(
    ("text", "cores"),
    [("max 100000", 8), ("150000 100000", 2), ("50000 100000", 1), ("10000 5000", 2), ("nonsense", 8), ("1 0", 8)],
)
def test_a_quota_of_cgroup_v2_counts(tmp_path: Path, text: str, cores: int) -> None:
    machine = v2_machine(tmp_path)
    machine.v2("/sys/fs/cgroup", text)
    assert usable_cores(machine.root) == cores


def test_the_smallest_quota_of_nested_groups_counts(tmp_path: Path) -> None:
    """A limit may stand at any level: on the pod, on the container, or on the service that started it."""
    first, second = v1_machine(tmp_path / "1", "/kubepods/pod7/c1"), v2_machine(tmp_path / "2", "/a.slice/b.scope")
    first.v1(CPU, -1)
    first.v1(f"{CPU}/kubepods", 600_000)
    first.v1(f"{CPU}/kubepods/pod7", 200_000)
    first.v1(f"{CPU}/kubepods/pod7/c1", 300_000)
    first.v1(f"{CPU}/kubepods/pod8", 100_000)  # somebody else's
    second.v2("/sys/fs/cgroup/a.slice", "300000 100000")
    second.v2("/sys/fs/cgroup/a.slice/b.scope", "max 100000")
    assert (usable_cores(first.root), usable_cores(second.root)) == (2, 3)


@pytest.mark.parametrize("mounted", ["/docker/1f", "/somewhere/else"])
def test_a_container_without_a_cgroup_namespace_sees_its_group_at_the_mount_point(tmp_path: Path, mounted: str) -> None:
    machine = v1_machine(tmp_path, "/docker/1f", mounted)
    machine.v1(CPU, 100_000)
    assert usable_cores(machine.root) == 1


def test_a_hybrid_host_has_its_quota_in_v1(tmp_path: Path) -> None:
    mounts = (
        V1.format(root="/", point="/sys/fs/cgroup/with\\040space", controllers="cpu"),
        V2.format(root="/", point="/sys/fs/cgroup/unified"),
    )
    machine = Machine(tmp_path, "3:cpuset:/\n1:cpu:/box\n0::/box\n", *mounts)
    machine.put("/sys/fs/cgroup/unified/box")
    machine.v1("/sys/fs/cgroup/with space/box", 200_000)
    assert usable_cores(machine.root) == 2


def test_without_cgroups_the_affinity_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert usable_cores(tmp_path) == 8
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3})
    assert usable_cores(tmp_path) == 1


@pytest.mark.parametrize(("threads", "taken"), [(None, 8), (3, 3)])
def test_onnx_runtime_gets_the_threads_that_were_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: int | None, taken: int
) -> None:
    """PCB_AOI_THREADS, and without it the usable cores."""
    seen: list[int] = []
    real = ort.InferenceSession

    def spy(model: bytes, options: ort.SessionOptions, providers: list[str]) -> ort.InferenceSession:
        seen.append(options.intra_op_num_threads)
        return real(model, options, providers)

    monkeypatch.setattr(ort, "InferenceSession", spy)
    monkeypatch.setattr("pcb_aoi.engine.runtime.usable_cores", lambda: 8)
    env = {} if threads is None else {"PCB_AOI_THREADS": str(threads)}
    Detector.load(analytic.write_function(tmp_path / "f"), Settings.from_env(env))
    assert seen == [taken]
