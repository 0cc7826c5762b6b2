"""What to put into CVAT's environment so that it calls the embedded platform."""

from __future__ import annotations

import ipaddress
import shutil
import socket
from collections.abc import Sequence

from deploy import say, shell
from deploy.embedded_server import url_host

PORT = 8070
"""Where the embedded platform listens unless told otherwise: nuclio's dashboard does, too."""
_ANY = ("0.0.0.0", "::")


def show(host: str, port: int, served: Sequence[str]) -> None:
    """Print the settings; for a CVAT inside Docker, which cannot reach loopback, the command that helps.

    `served`: the options of `up` that say what is served.
    """
    docker = shutil.which("docker") is not None
    gateway = docker_gateway() if docker else ""
    seen = "host.docker.internal" if docker and host in (*_ANY, gateway) else url_host(host)
    say.info(
        "把下面几行放进 CVAT 的 cvat_server 和 cvat_worker_annotation 的环境变量",
        "put these lines into the environment of CVAT's cvat_server and cvat_worker_annotation",
    )
    print("CVAT_SERVERLESS=1", f"CVAT_NUCLIO_HOST={seen}", f"CVAT_NUCLIO_PORT={port}", sep="\n")
    print("CVAT_NUCLIO_INVOKE_METHOD=dashboard", flush=True)
    if seen in (*_ANY, "[::]"):
        say.info(
            "CVAT_NUCLIO_HOST 要换成 CVAT 能访问到的本机地址",
            "in place of CVAT_NUCLIO_HOST's value put the address by which CVAT reaches this machine",
        )
    if not docker or not is_loopback(host):
        return
    if not gateway:
        say.info(
            f"CVAT 在 Docker 里时够不到 {host}；启动 Docker 后再运行 ./deploy.sh up，会给出命令",
            f"a CVAT inside Docker cannot reach {host}; start Docker and run ./deploy.sh up again for the command",
        )
        return
    say.info(
        f"CVAT 在 Docker 里时够不到 {host}；请改用下面的命令，并设 CVAT_NUCLIO_HOST=host.docker.internal",
        f"a CVAT inside Docker cannot reach {host}; use this command, and set CVAT_NUCLIO_HOST=host.docker.internal",
    )
    words = [word for network in docker_networks() for word in ("--allow", network)]
    port_words = [] if port == PORT else ["--port", str(port)]
    command = ["./deploy.sh", "up", "--platform", "embedded", *served, "--host", gateway, *port_words, *words]
    print(f"./deploy.sh down; {shell.quoted(command)}", flush=True)


def docker_gateway() -> str:
    """Return this machine's address as containers see it; empty unless Docker answers and the address is there."""
    form = "{{(index .IPAM.Config 0).Gateway}}"
    address = shell.output(["docker", "network", "inspect", "bridge", "--format", form]) or ""
    return address if is_local(address) else ""


def docker_networks() -> list[str]:
    """Return the networks that containers call from."""
    networks = (shell.output(["docker", "network", "ls", "--quiet", "--filter", "driver=bridge"]) or "").split()
    form = "{{range .IPAM.Config}}{{.Subnet}} {{end}}"
    subnets = shell.output(["docker", "network", "inspect", *networks, "--format", form]) if networks else ""
    return (subnets or "172.16.0.0/12").split()


def is_local(address: str) -> bool:
    """Say whether a server of this machine can listen on the address."""
    try:
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
            probe.bind((address, 0))
    except (OSError, UnicodeError):
        return False
    return address != ""


def is_loopback(host: str) -> bool:
    """Say whether only this machine reaches the address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
