"""A Docker engine of the tests' own: private socket, data and network; nothing of it outlives the tests."""

from __future__ import annotations

import ipaddress
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path


class Engine:
    """One dockerd, on a bridge of its own. An island runs in a network namespace that leads nowhere."""

    def __init__(self, folder: Path, *, island: bool = False) -> None:
        self._folder = folder
        # Names of this run's own: an earlier one may have been killed.
        self._namespace = f"pcb-e2e-{os.getpid()}" if island else None
        self._bridge = f"pcb-{os.getpid()}"
        self._process: subprocess.Popen[bytes] | None = None
        self.socket = folder / "docker.sock"

    @property
    def environment(self) -> dict[str, str]:
        """What a command needs to talk to this engine. BuildKit's client is not part of Debian's docker.io."""
        return {"DOCKER_HOST": f"unix://{self.socket}", "DOCKER_BUILDKIT": "0", "DOCKER_CONFIG": str(self._folder)}

    @property
    def prefix(self) -> list[str]:
        """How to run a command where this engine's ports are."""
        # Not `ip netns exec`: that mounts a /sys of its own, without the control groups that dockerd needs.
        return ["nsenter", f"--net=/run/netns/{self._namespace}"] if self._namespace else []

    def start(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        if self._namespace:
            _run(["ip", "netns", "add", self._namespace])
            _run([*self.prefix, "ip", "link", "set", "lo", "up"])
        # docker0 may belong to an engine that people work with.
        _run([*self.prefix, "ip", "link", "add", self._bridge, "type", "bridge"])
        _run([*self.prefix, "ip", "address", "add", self._free_address(), "dev", self._bridge])
        _run([*self.prefix, "ip", "link", "set", self._bridge, "up"])
        self._launch()

    def _free_address(self) -> str:
        """The first address of a subnet that nothing here routes: two bridges of one subnet, one of them left behind
        by a run that was killed, and no container of the second is reached."""
        routes = json.loads(_run([*self.prefix, "ip", "-json", "-4", "route", "show"]))
        taken = [ipaddress.ip_network(route["dst"]) for route in routes if route["dst"] != "default"]
        subnets = ipaddress.ip_network("10.199.0.0/16").subnets(new_prefix=24)
        free = next(subnet for subnet in subnets if not any(subnet.overlaps(other) for other in taken))
        return f"{free[1]}/{free.prefixlen}"

    def _launch(self) -> None:
        # Should the tests be killed, the engine ends with them.
        command = ["setpriv", "--pdeathsig", "TERM", "dockerd", "--host", f"unix://{self.socket}"]
        command += ["--bridge", self._bridge]
        for name in ("data-root", "exec-root"):
            command += [f"--{name}", str(self._folder / name)]
        command += ["--pidfile", str(self._folder / "dockerd.pid")]
        with (self._folder / "dockerd.log").open("ab") as log:
            self._process = subprocess.Popen([*self.prefix, *command], stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + 60
        while subprocess.run(["docker", "version"], capture_output=True, env=self._env(), check=False).returncode:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"dockerd did not start:\n{(self._folder / 'dockerd.log').read_text()[-4000:]}")
            time.sleep(0.1)

    def restart(self) -> None:
        """Stop the engine and its containers, and start it again, as a reboot does."""
        self._terminate()
        self._launch()

    def _terminate(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(timeout=120)
            self._process = None

    def stop(self) -> None:
        """Remove every container, stop, and delete all data."""
        if self._process is not None and self._process.poll() is None:
            ids = self.docker("ps", "--all", "--quiet").split()
            if ids:
                self.docker("rm", "--force", *ids)
            self._terminate()
        _try([*self.prefix, "ip", "link", "delete", self._bridge])
        if self._namespace:
            _try(["ip", "netns", "delete", self._namespace])
        for line in Path("/proc/self/mounts").read_text("utf-8").splitlines():
            if line.split()[1].startswith(f"{self._folder}/"):
                _try(["umount", "--lazy", line.split()[1]])
        shutil.rmtree(self._folder, ignore_errors=True)

    def docker(self, *command: str, stdin: bytes | None = None) -> str:
        """Run the docker CLI against this engine and return what it printed.

        Raises:
            RuntimeError: it failed; carries its output.
        """
        return _run(["docker", *command], self._env(), stdin)

    def _env(self) -> dict[str, str]:
        return dict(os.environ) | self.environment


def _try(command: list[str]) -> None:
    subprocess.run(command, capture_output=True, check=False)


def _run(command: list[str], env: Mapping[str, str] | None = None, stdin: bytes | None = None) -> str:
    result = subprocess.run(command, capture_output=True, input=stdin, env=env, check=False)
    if result.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{result.stdout.decode()[-3000:]}{result.stderr.decode()[-3000:]}")
    return result.stdout.decode()
