"""A machine in small for deploy/: fakes of docker and nuctl that keep their state in files, and a function's port."""

from __future__ import annotations

import json
import stat
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from deploy.nuctl import CONTENT, PROJECT
from deploy.options import Options
from deploy.plan import Function
from pcb_aoi import __version__

# What the log of a container holds whose init_context raised.
RAISED = """\
26.11.28 05:38:30.929 \x1b[31m(E)\x1b[0m manager.event connection Exception raised while running init_context {"worker_id": "0"}
Traceback (most recent call last):
  File "/opt/nuclio/_nuclio_wrapper.py", line 580, in <module>
    run_wrapper()
           ^^^^^^^^^^^^^^^
  File "/opt/nuclio/main.py", line 4, in init_context
    raise ModelError("模型文件不符。 weights do not fit")
pcb_aoi.errors.ModelError: 模型文件不符。 weights do not fit
26.11.28 05:38:30.942 \x1b[33m(W)\x1b[0m manager.event-connection Failed to read control message {"errRootCause": "EOF"}
panic: Wrapper process for worker 0 exited unexpectedly with: exit status 1

goroutine 28 [running]:
github.com/nuclio/nuclio/pkg/processor/runtime/rpc.(*AbstractRuntime).watchWrapperProcess(0x53e657aa360)
\t/nuclio/pkg/processor/runtime/rpc/abstract.go:330 +0x4e6
"""  # noqa: E501

# `container`: what `docker inspect` prints; `record`: nuctl's; `images`: one name a line; `log`: the container's.
DOCKER = """
case "$*" in
version*) echo 28.2.2 ;;
ps*) ;;
"info"*) echo / ;;
"container inspect"*) [[ -e container ]] && cat container ;;
"image inspect"*) grep -qxF -- "${@: -1}" images ;;
"image ls"*) grep -F -- "${@: -1}:" images || true ;;
"image rm"*) grep -vxF -- "$3" images >images.part; mv images.part images ;;
"tag"*) grep -qxF -- "$2" images && { grep -qxF -- "$3" images || echo "$3" >>images; } ;;
"kill"*) sed -i 's/"Status": "[a-z]*"/"Status": "exited"/' container ;;
"update"*) ;;
"rm"*) rm -f container ;;
"logs"*) cat log ;;
"load"*) cat >loaded ;;
*) exit 1 ;;
esac
"""
NUCTL = """
case "$*" in
version) printf 'Client version:\\n"Label: 1.14.1, Git commit: x, OS: linux, Arch: amd64, Go version: x"\\n' ;;
"get function"*) if [[ -s record ]]; then cat record; else echo "Error - No functions found" >&2; exit 1; fi ;;
"create project"*) ;;
"delete"*) [[ -e keeps ]] || rm -f record ;;
"deploy"*) source ./on_deploy ;;
*) exit 1 ;;
esac
"""


class World:
    """The fakes, and what they keep."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self._bin = folder / "world", folder / "bin"
        self.folder.mkdir()
        self._bin.mkdir()
        self.options = Options(root=folder / "checkout", cwd=folder, command="up", platform="local")
        self.options.root.mkdir()
        monkeypatch.setenv("PATH", f"{self._bin}:/usr/bin:/bin")
        for name in ("NUCTL_NAMESPACE", "READINESS_TIMEOUT"):
            monkeypatch.delenv(name, raising=False)
        self.fake("docker", DOCKER)
        self.fake("nuctl", NUCTL)
        for name in ("calls", "images", "log"):
            (self.folder / name).touch()

    def fake(self, name: str, body: str) -> None:
        """Put a bash program on PATH; it notes each call, and works in the folder of the state."""
        path = self._bin / name
        note = f'printf "%s\\n" "{name} $*" >>calls\n'
        path.write_text(f"#!/bin/bash\ncd '{self.folder}' || exit 9\n{note}{body}", "utf-8")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def remove(self, name: str) -> None:
        """Take a program away."""
        (self._bin / name).unlink()

    @property
    def calls(self) -> list[str]:
        """Every call of docker and nuctl, in order."""
        return (self.folder / "calls").read_text("utf-8").splitlines()

    @property
    def images(self) -> set[str]:
        """The names of the images that there are."""
        return set((self.folder / "images").read_text("utf-8").split())

    def add_image(self, *names: str) -> None:
        with (self.folder / "images").open("a", encoding="utf-8") as file:
            file.writelines(f"{name}\n" for name in names)

    def container(
        self,
        identity: str = "1",
        status: str = "running",
        health: str = "healthy",
        restarts: int = 0,
        image: str = "",
    ) -> str:
        """Say what `docker inspect` prints; returns it."""
        state = {"Status": status, "OOMKilled": False, "Health": {"Status": health}}
        text = json.dumps({"Id": identity, "RestartCount": restarts, "State": state, "Image": image})
        (self.folder / "container").write_text(text, "utf-8")
        return text

    def record(self, function: Function, content: str, image: str, state: str = "ready") -> str:
        """Say what nuctl has; returns it."""
        metadata = {"name": function.name, "namespace": "nuclio"}
        labels, annotations = {"nuclio.io/project-name": PROJECT}, {CONTENT: content}
        config = {
            "metadata": {**metadata, "labels": labels, "annotations": annotations},
            "spec": {"image": image, "build": {"path": "/x"}},
            "status": {"state": state},
        }
        text = json.dumps(config)
        (self.folder / "record").write_text(text, "utf-8")
        return text

    def on_deploy(self, script: str) -> None:
        """Say what `nuctl deploy` does."""
        (self.folder / "on_deploy").write_text(script, "utf-8")

    def deploys(self, function: Function, content: str, image: str, identity: str, status: int = 0) -> None:
        """Let `nuctl deploy` put this version there, healthy."""
        before = [(self.folder / name).read_text("utf-8") if (self.folder / name).exists() else None
                  for name in ("record", "container")]  # fmt: skip
        record, container = self.record(function, content, image), self.container(identity)
        for name, text in zip(("record", "container"), before, strict=True):
            (self.folder / name).unlink() if text is None else (self.folder / name).write_text(text, "utf-8")
        self.on_deploy(f"cat >record <<'R'\n{record}\nR\ncat >container <<'C'\n{container}\nC\nexit {status}\n")


class Port:
    """A function's port: GET answers `about`, POST answers `shapes`; `status` other than 200 is answered as it is."""

    def __init__(self, about: Mapping[str, Any], shapes: object) -> None:
        self.about, self.shapes, self.status = dict(about), shapes, 200
        self.error: object = {"code": "model_error", "message": "no"}
        self.asked: list[Any] = []
        self._gets, self._count = 0, 0
        self._then: Callable[[], None] = lambda: None
        port = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(port.about)
                port._gets += 1
                if port._gets == port._count:
                    port._then()

            def do_POST(self) -> None:
                port.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self._answer(port.shapes)

            def _answer(self, value: object) -> None:
                body = json.dumps(value if port.status == 200 else port.error, separators=(",", ":")).encode()
                self.send_response(port.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.number = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def after(self, gets: int, then: Callable[[], None]) -> None:
        """Do something once that many GETs were answered."""
        self._count, self._then = gets, then

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.number}/"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def function(port: int = 1, content: str = "a" * 16, **more: Any) -> Function:  # noqa: ANN401 - fields of Function
    """A function of the plan."""
    fields: dict[str, Any] = {
        "folder": "inner-layer", "name": "pcb-inner-layer", "port": port,
        "image": f"pcb-aoi-inner-layer:{__version__}-cpu",
        "base": "base:1", "content": content, "file": "/x/function.yaml", "ready_s": 5, "has_weights": True,
        "config": {},
    }  # fmt: skip
    return Function(**fields | more)
