"""`./deploy.sh doctor`: look over the machine and the checkout, change nothing, and name a cure for each fault."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
import tempfile
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from deploy import cvat_settings, embedded_server, environment, lock, packages, say, shell
from deploy.options import Options

_MARKS = {"ok": ("正常", "ok"), "note": ("注意", "note"), "fault": ("故障", "fault")}
_DISK_GB = 3  # what the environment and its packages take, with room to unpack them


class Symptom(NamedTuple):
    """One line of the answer; `level` is ok, note (it works, but know this) or fault."""

    level: str
    zh: str
    en: str


def doctor(options: Options) -> int:
    """Print every finding; returns 1 when one of them is a fault, else 0."""
    worst = 0
    for look in (
        checkout,
        served,
        addresses,
        line_endings,
        terminal,
        pythons,
        environments,
        pip,
        machine,
        disks,
        docker,
        gpu,
    ):
        for finding in look(options):
            mark = say.both(*_MARKS[finding.level])
            wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in mark)
            print(f"{mark:{14 - wide}}{say.both(finding.zh, finding.en)}")
            worst = max(worst, finding.level == "fault")
    return int(worst)


def checkout(options: Options) -> Iterator[Symptom]:
    """Whose the checkout is, whether it can be written, and who is at work in it."""
    for path in (options.root, options.state):
        if path.exists() and not os.access(path, os.W_OK | os.X_OK):
            zh, en = lock.foreign(path)
            yield Symptom("fault", f"{path} 不可写：{zh}", f"{path} cannot be written: {en}")
            break
    else:
        yield Symptom("ok", f"目录 {options.root}", f"checkout {options.root}")
    if other := lock.owner(options.state):
        yield Symptom(
            "note", f"另一个 deploy.sh（进程 {other}）正在工作", f"another deploy.sh is at work: process {other}"
        )


def served(options: Options) -> Iterator[Symptom]:
    """The embedded platform's process: running, or its record left over."""
    if running := embedded_server.find(options.root):
        text = f"{running.pid}, {running.url}"
        yield Symptom("ok", f"内置平台在运行：进程 {text}", f"the embedded platform runs: process {text}")
    elif (path := embedded_server.record_path(options.root)).exists():
        cure = "./deploy.sh up"
        yield Symptom(
            "note",
            f"{path} 记录的进程已不在（重启过，或被结束）。需要时：{cure}",
            f"the process that {path} names is gone (a reboot, or it was ended); where it is wanted: {cure}",
        )


def addresses(options: Options) -> Iterator[Symptom]:
    """Where CVAT may reach this machine, and whether an address that was asked for is one of its own."""
    own = [word for word in (shell.output(["hostname", "-I"]) or "").split() if cvat_settings.is_local(word)]
    gateway = cvat_settings.docker_gateway()
    seen = f" (Docker: {gateway})" if gateway else ""
    text = " ".join(["127.0.0.1", *own]) + seen
    yield Symptom("ok", f"本机地址：{text}", f"addresses of this machine: {text}")
    if options.host and not cvat_settings.is_local(options.host):
        yield Symptom(
            "fault",
            f"--host {options.host} 不是本机地址：用上一行中的一个，或 0.0.0.0（全部）",
            f"--host {options.host} is no address of this machine: use one of the line above, or 0.0.0.0 for all",
        )


def line_endings(options: Options) -> Iterator[Symptom]:
    """Scripts that Windows or core.autocrlf gave CR at their lines' ends: their first line names no program."""
    scripts = [*options.root.glob("*.sh"), *options.root.glob("tests/**/*.sh"), options.root / ".ci" / "run"]
    broken = [script for script in scripts if script.is_file() and b"\r\n" in script.read_bytes()]
    if broken:
        names = shell.quoted([script.relative_to(options.root) for script in broken])
        cure = f"cd {shell.quoted([options.root])} && sed -i 's/\\r$//' {names}"
        yield Symptom("fault", f"脚本的换行是 CRLF：{cure}", f"scripts have CRLF line ends: {cure}")


def terminal(options: Options) -> Iterator[Symptom]:
    """What the locale's charset can show."""
    charset = say.charset()
    if say.chinese(sys.stdout):
        yield Symptom("ok", f"终端字符集 {charset}", f"charset {charset}")
    else:
        cure = "export LC_ALL=C.UTF-8"
        yield Symptom("note", "", f"charset {charset} has no Chinese: English alone is printed. For both: {cure}")


def pythons(options: Options) -> Iterator[Symptom]:
    """The Python that runs this, the one that environments are made with, and variables that are not read."""
    running = f"Python {platform.python_version()} {sys.executable}"
    found = environment.search()
    if isinstance(found, Path):
        yield Symptom("ok", f"{running}；建环境用 {found}", f"{running}; environments are made with {found}")
    else:
        level = "note" if options.platform != "embedded" else "fault"
        yield Symptom(level, *found)
    started_with = Path("/proc/self/environ").read_bytes().decode("utf-8", "replace").split("\0")
    names = [entry.partition("=")[0] for entry in started_with]
    if unread := sorted(name for name in names if re.fullmatch(r"PYTHON[A-Z0-9]+", name)):
        words = " ".join(unread)
        yield Symptom("note", f"这些环境变量不会被读取：{words}", f"these variables are not read: {words}")


def environments(options: Options) -> Iterator[Symptom]:
    """The virtual environments: there, whole, of this checkout, of a Python that is still there."""
    for gpu in (False, True):
        venv = environment.folder(options.root, gpu)
        if not venv.exists():
            if gpu == options.gpu:
                yield Symptom("ok", f"还没有 {venv.name}，需要时会建", f"no {venv.name} yet; it is made when needed")
        elif problem := environment.fault(venv):
            cure = f"./deploy.sh install{' --gpu' if gpu else ''}"
            yield Symptom(
                "fault", f"{venv.name}：{problem[0]}。重建：{cure}", f"{venv.name}: {problem[1]}. Anew: {cure}"
            )
        else:
            yield Symptom("ok", f"{venv.name} 可用", f"{venv.name} is sound")


def pip(options: Options) -> Iterator[Symptom]:
    """The mirror that packages come from, and the settings of pip that are not followed."""
    python = environment.folder(options.root, options.gpu) / "bin" / "python"
    if not os.access(python, os.X_OK):
        python = Path(sys.executable)
    kept = " ".join(f"{name}={_without_password(value)}" for name, value in packages.settings(python).items())
    yield Symptom("ok", f"pip：{kept or '默认源'}", f"pip: {kept or 'its default index'}")
    if unread := " ".join(packages.ignored(python, os.environ)):
        yield Symptom(
            "note", f"pip 的这些设置不会被采用：{unread}", f"these settings of pip are not followed: {unread}"
        )


def machine(options: Options) -> Iterator[Symptom]:
    """The architecture, and what of the machine may be used here."""
    kind, libc = platform.machine(), " ".join(platform.libc_ver()).strip() or "musl"
    text = f"{kind}, {libc}"
    if kind in ("x86_64", "aarch64") and libc.startswith("glibc"):
        yield Symptom("ok", text, text)
    else:
        need = "x86_64 / aarch64 + glibc"
        yield Symptom(
            "fault", f"{text}：没有 ONNX Runtime，需要 {need}", f"{text}: no ONNX Runtime for it; {need} is needed"
        )
    yield _cores(environment.folder(options.root, options.gpu) / "bin" / "python")


def _cores(python: Path) -> Symptom:
    # The engine's own count, which knows the quotas of cgroups.
    said = shell.output([python, "-c", "from pcb_aoi.engine.cores import usable_cores; print(usable_cores())"])
    every, allowed = os.cpu_count() or 1, len(os.sched_getaffinity(0))
    if not said:
        return Symptom(
            "ok",
            f"CPU：{every} 核中可用 {allowed} 核；容器（cgroup）的限额要先 ./deploy.sh install 才能读出",
            f"CPU: {allowed} of {every} cores may be used; a container's (cgroup's) quota is read after "
            "./deploy.sh install",
        )
    if int(said) < allowed:
        return Symptom(
            "note",
            f"CPU：{every} 核中可用 {said} 核，受容器（cgroup）的 CPU 限额限制；要更快，请提高限额",
            f"CPU: {said} of {every} cores may be used: a container's (cgroup's) CPU quota says so; raise it for speed",
        )
    return Symptom(
        "ok", f"CPU：{every} 核中可用 {said} 核", f"CPU: {said} of {every} cores may be used; no quota cuts them"
    )


def disks(options: Options) -> Iterator[Symptom]:
    """Room where the environment is made, and where its packages are unpacked."""
    for place in dict.fromkeys((options.root, Path(tempfile.gettempdir()))):
        free = shutil.disk_usage(place).free / 1e9
        fault = ("fault", "note")[options.root != place] if free < _DISK_GB else "ok"
        cure = f"df -h {shell.quoted([place])}"
        yield Symptom(
            fault,
            f"{place} 剩余 {free:.1f} GB" + (f"，需要 {_DISK_GB} GB：{cure}" if fault != "ok" else ""),
            f"{place}: {free:.1f} GB free" + (f", {_DISK_GB} GB needed: {cure}" if fault != "ok" else ""),
        )


def docker(options: Options) -> Iterator[Symptom]:
    """Docker and nuctl, which the nuclio platforms need."""
    level = "note" if options.platform == "embedded" else "fault"
    server = shell.output(["docker", "version", "--format", "{{.Server.Version}} {{.Server.Arch}}"])
    if shutil.which("docker") is None:
        cure = "sudo apt-get install docker.io"
        yield Symptom(level, f"没有 Docker（local、kube 需要）：{cure}", f"no Docker (local and kube need it): {cure}")
    elif not server:
        cure = "sudo systemctl start docker; sudo usermod -aG docker $USER"
        yield Symptom(level, f"Docker 没有应答：{cure}", f"no answer from Docker: {cure}")
    else:
        yield Symptom("ok", f"Docker {server}", f"Docker {server}")
    said = shell.output(["nuctl", "version"]) or ""
    if label := re.search(r"Label: ([0-9.]+)", said):
        yield Symptom("ok", f"nuctl {label[1]}", f"nuctl {label[1]}")
    else:
        cure = "https://github.com/nuclio/nuclio/releases"
        yield Symptom(level, f"没有 nuctl（local、kube 需要）：{cure}", f"no nuctl (local and kube need it): {cure}")


def gpu(options: Options) -> Iterator[Symptom]:
    """The card and its driver, where one is asked for."""
    card = shell.output(["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"])
    if card:
        text = "; ".join(card.splitlines())
        yield Symptom("ok", f"GPU：{text}", f"GPU: {text}")
    elif options.gpu:
        yield Symptom(
            "fault",
            "nvidia-smi 找不到 GPU：安装 NVIDIA 驱动（580 或更新），或去掉 --gpu",
            "nvidia-smi finds no GPU: install NVIDIA's driver (580 or newer), or leave out --gpu",
        )


def _without_password(value: str) -> str:
    return re.sub(r"//[^/@\s]+@", "//***@", value)
