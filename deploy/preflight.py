"""Before anything is changed: Docker and nuctl are there and fit each other, the disk, the ports.

With --dry-run what is wrong is named and the plan goes on: it can be read on any machine. The GPU is looked at in
cuda.py: which CUDA to build for is part of the plan, and CUDA_STACK says it where there is no card.
"""

from __future__ import annotations

import platform
import re
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path

from deploy import nuctl, say, shell
from deploy.options import Options
from deploy.plan import Function

OLDEST = "1.13.0"
"""The oldest nuclio that this release was made for."""
_DISK_GB = {False: 4, True: 16}
"""What images need while they are built, for the CPU and for the GPU."""
_ARCHS = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True)
class Tools:
    """Versions, as "1.14.1"; of a missing program the version is "VERSION"."""

    docker: str
    nuctl: str
    arch: str
    """amd64 or arm64, as nuclio names its images for this machine."""


def tools(options: Options) -> Tools:
    """Look at Docker, nuctl and the dashboard.

    Raises:
        Fatal: one is missing, too old, or does not fit the others; the message names the cure.
    """
    docker = shell.output(["docker", "version", "--format", "{{.Server.Version}}"]) or ""
    if shutil.which("docker") is None:
        fault(
            options,
            "找不到 docker：sudo apt-get install docker.io",
            "docker is missing: sudo apt-get install docker.io",
        )
    elif not docker:
        fault(
            options,
            "连不上 Docker：sudo systemctl start docker；当前用户需在 docker 组里：sudo usermod -aG docker $USER，"
            "然后重新登录",
            "no answer from Docker: sudo systemctl start docker; your user must be in its group: "
            "sudo usermod -aG docker $USER, then log in again",
        )
    version, arch = nuctl.version()
    if shutil.which("nuctl") is None:
        fault(
            options,
            f"找不到 nuctl：从 {nuctl.RELEASES} 下载与 CVAT 的 nuclio dashboard 相同的版本，放进 PATH",
            f"nuctl is missing: take the version of CVAT's nuclio dashboard from {nuctl.RELEASES} and put it on PATH",
        )
    elif not version:
        fault(options, "nuctl version 没有给出版本号", "nuctl version does not say which version it is")
    elif older(version, OLDEST):
        fault(
            options,
            f"nuctl {version} 太旧，需要 {OLDEST} 以上",
            f"nuctl {version} is too old, {OLDEST} is the oldest that works",
        )
    if docker and version:
        _dashboard(options, docker, version)
    machine = platform.machine()
    return Tools(docker or "VERSION", version or "VERSION", arch or _ARCHS.get(machine, machine))


def fault(options: Options, zh: str, en: str) -> None:
    """Say what is wrong, and end; in a dry run go on.

    Raises:
        Fatal: unless it is a dry run.
    """
    (say.warn if options.dry_run else say.fatal)(zh, en)


def _dashboard(options: Options, docker: str, version: str) -> None:
    # nuctl and the dashboard write one store: they must be of one version. One elsewhere cannot be seen from here.
    images = shell.output(["docker", "ps", "--format", "{{.Image}}"]) or ""
    found = re.search(r"^(?:\S*/)?nuclio/dashboard:\S*?(\d+\.\d+\.\d+)\S*$", images, re.MULTILINE)
    if not found:
        return
    image, dashboard = found[0], found[1]
    if dashboard != version:
        url = f"{nuctl.RELEASES}/tag/{dashboard}"
        fault(
            options,
            f"nuctl 是 {version}，而 dashboard 是 {dashboard}（{image}）。请换成 nuctl {dashboard}：{url}",
            f"nuctl is {version} but the dashboard is {dashboard} ({image}). Use nuctl {dashboard}: {url}",
        )
    if not older(docker, "29") and older(dashboard, "1.15.0"):
        fault(
            options,
            f"Docker {docker} 拒绝 dashboard {dashboard} 里的旧客户端。请把 nuclio（dashboard 和 nuctl）升级到 1.15.9 "
            "或更新，或使用 Docker 28",
            f"Docker {docker} refuses the old client inside dashboard {dashboard}. "
            "Upgrade nuclio (dashboard and nuctl) to 1.15.9 or newer, or use Docker 28",
        )


def older(one: str, other: str) -> bool:
    """Say whether a version, such as "1.13.16", is lower than another."""
    first, second = ([int(part) for part in re.findall(r"\d+", version)] for version in (one, other))
    return first < second


def helper_images(version: str, arch: str) -> list[str]:
    """Name the helper images that nuctl of this version asks for: its store's, the builder's, uhttpc's."""
    # "VERSION" of a missing nuctl: the newest's.
    known = version != "VERSION"
    alpine = "gcr.io/iguazio/alpine:3.17" if known and older(version, "1.13.16") else "gcr.io/iguazio/alpine:3.20"
    uhttpc = "quay.io/nuclio/uhttpc:0.0.1" if known and older(version, "1.15.0") else "gcr.io/iguazio/uhttpc:0.0.3"
    onbuild = f"quay.io/nuclio/handler-builder-python-onbuild:{version}-{arch}"
    return [alpine, onbuild, f"{uhttpc}-{arch}"]


def disk(options: Options) -> None:
    """Look for room where Docker keeps its images.

    Raises:
        Fatal: there is too little.
    """
    folder = shell.output(["docker", "info", "--format", "{{.DockerRootDir}}"])
    if not folder or not Path(folder).exists():  # an engine elsewhere
        return
    free, need = shutil.disk_usage(folder).free // 2**30, _DISK_GB[options.gpu]
    if free < need:
        fault(
            options,
            f"磁盘只剩 {free} GB（{folder}），需要 {need} GB：docker system prune 可清理",
            f"only {free} GB of disk left ({folder}), {need} GB needed: docker system prune frees some",
        )


def port_free(options: Options, function: Function, container: str) -> None:
    """Look whether the function's port is free, or already its container's own.

    Raises:
        Fatal: another program has it.
    """
    ours = shell.output(["docker", "port", container, "8080/tcp"]) or ""
    if any(line.endswith(f":{function.port}") for line in ours.splitlines()):
        return
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("0.0.0.0", function.port))
        except OSError:
            _port_taken(options, function)


def _port_taken(options: Options, function: Function) -> None:
    port, name, see = function.port, function.name, f"sudo ss -ltnp 'sport = :{function.port}'"
    file = Path(function.file).name
    fault(
        options,
        f"端口 {port} 被其他程序占用（{name}）：{see} 查看，停掉它，或改 {file} 里的 port",
        f"port {port} is taken by another program ({name}): see {see}, stop it, or change port in {file}",
    )
