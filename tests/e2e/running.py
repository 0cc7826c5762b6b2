"""A processor started without Docker: nuclio's process model and nothing else."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import yaml

from tests.e2e import images
from tests.e2e.programs import Programs
from tests.e2e.site import ROOT


@dataclass
class Answer:
    """One HTTP answer. `seconds` is how long it took."""

    status: int
    body: bytes
    headers: dict[str, str]
    seconds: float

    @property
    def json(self) -> Any:  # noqa: ANN401 - whatever the function answers
        return json.loads(self.body)


@dataclass
class Running:
    """One running processor: its HTTP port, its health port and its log."""

    process: subprocess.Popen[bytes]
    port: int
    health: int
    log: Path

    def call(self, body: bytes | None = None, method: str | None = None, path: str = "/", **headers: str) -> Answer:
        """Send one request; POST with a body, GET without. In header names `_` stands for `-`."""
        wanted = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            wanted.setdefault("Content-Type", "application/json")
        started = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=150)
        try:
            connection.request(method or ("GET" if body is None else "POST"), path, body, wanted)
            response = connection.getresponse()
            answer = Answer(response.status, response.read(), dict(response.headers), 0)
        finally:
            connection.close()
        answer.seconds = time.monotonic() - started
        return answer

    def raw(self, request: bytes) -> bytes:
        """Send bytes as they are, and return all that comes back until the other side closes or falls silent."""
        answer = b""
        with socket.create_connection(("127.0.0.1", self.port), timeout=3) as sock:
            try:
                sock.sendall(request)
                while part := sock.recv(65536):
                    answer += part
            except (TimeoutError, ConnectionResetError):
                pass
        return answer

    def ready(self) -> bool:
        """Whether `/ready` of the health port says 200."""
        return self.health_status("/ready") == 200

    def health_status(self, path: str) -> int | None:
        """The status that the health port answers with; None when it does not answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.health, timeout=2)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except OSError:
            return None
        finally:
            connection.close()

    def wrappers(self) -> list[psutil.Process]:
        """The Python process of each worker."""
        return psutil.Process(self.process.pid).children()

    def text(self) -> str:
        """What it has logged so far."""
        return self.log.read_text("utf-8")

    def kill(self) -> None:
        """End it and its workers at once."""
        for child in self.wrappers() if self.process.poll() is None else []:
            child.kill()
        self.process.kill()
        self.process.wait()


@dataclass
class Start:
    """Starts processors of one version of nuclio."""

    programs: Programs
    cache: Path
    folder: Path
    running: list[Running]

    def __call__(self, function: Path, *, wait: bool = True, env: dict[str, str] | None = None,
                 platform: dict[str, Any] | None = None, **spec: object) -> Running:  # fmt: skip
        """Start the function of a folder, and wait until it is ready.

        `spec` is laid over that of function.yaml; `numWorkers` and the like over its trigger, `maxRequestBodySize`
        over the trigger's attributes. `platform` is laid over the platform configuration.
        """
        config = yaml.safe_load((function / "function.yaml").read_text("utf-8"))
        port, health = free_port(), free_port()
        (trigger,) = config["spec"]["triggers"].values()
        trigger["url"] = f":{port}"
        for key in ("numWorkers", "workerAvailabilityTimeoutMilliseconds"):
            if key in spec:
                trigger[key] = spec.pop(key)
        if "maxRequestBodySize" in spec:
            trigger["attributes"]["maxRequestBodySize"] = spec.pop("maxRequestBodySize")
        config["spec"] |= spec
        home = self.folder / f"processor-{port}"
        home.mkdir()
        (home / "processor.yaml").write_text(yaml.safe_dump(config, allow_unicode=True), "utf-8")
        settings = {"webAdmin": {"enabled": False}, "healthCheck": {"enabled": True, "listenAddress": f":{health}"}}
        (home / "platform.yaml").write_text(yaml.safe_dump(settings | (platform or {})), "utf-8")
        environment = dict(os.environ) | {item["name"]: item["value"] for item in config["spec"].get("env", [])}
        environment |= {
            "NUCLIO_STANDIN_VERSION": self.programs.version,
            "NUCLIO_PYTHON_WRAPPER_PATH": str(self.programs.wrapper),
            "NUCLIO_PYTHON_PATH": str(function),
            "NUCLIO_PYTHON_EXE_PATH": sys.executable,
            "PYTHONPATH": f"{images.python_side(self.programs.version, self.cache)}:{ROOT}",
            "PYTHONDONTWRITEBYTECODE": "1",
        } | (env or {})
        command = [*self.programs.processor, "--config", str(home / "processor.yaml")]
        command += ["--platform-config", str(home / "platform.yaml")]
        log = home / "log"
        with log.open("wb") as stream:
            process = subprocess.Popen(command, env=environment, stdout=stream, stderr=stream, start_new_session=True)
        running = Running(process, port, health, log)
        self.running.append(running)
        if wait:
            eventually(lambda: running.ready() or process.poll() is not None)
            assert process.poll() is None, running.text()
        return running


def eventually(condition: Callable[[], object], seconds: float = 60) -> None:
    """Poll until the condition holds.

    Raises:
        AssertionError: it did not within the time.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
