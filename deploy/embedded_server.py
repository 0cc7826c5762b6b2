"""The embedded platform's process: found by its record, asked, started and stopped. Only ours is ever signalled."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from deploy import lock, say

# Models load, and on a GPU warm up, before the first answer.
START_SECONDS = 300
# serve itself lets calls under way finish for 30 seconds, and for 600 after another took its place.
STOP_SECONDS = 35
DRAIN_SECONDS = 605
# The server reads its weights to compare them with the disk.
ASK_SECONDS = 60


@dataclass(frozen=True)
class RunningServer:
    """A process that wrote its record into this checkout's state folder."""

    root: Path
    pid: int
    start: str
    """When it started, in clock ticks since the boot, as /proc/PID/stat has it."""
    executable: str
    folder: str
    """The checkout that it was started in."""
    host: str
    port: int

    @property
    def url(self) -> str:
        """Where this machine reaches it."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        return f"http://{url_host(host)}:{self.port}"

    def alive(self) -> bool:
        """Say whether the process is still the one that wrote the record, and serves this checkout.

        A pid is used again by other processes, and a copied checkout has a copy of the record.
        """
        process = Path(f"/proc/{self.pid}")
        try:
            fields = (process / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
            if fields[0] == "Z" or fields[19] != self.start:
                return False
            with suppress(FileNotFoundError):  # a checkout that was moved: the process went along
                if not Path(self.folder).samefile(self.root):
                    return False
            executable = str((process / "exe").readlink()).removesuffix(" (deleted)")
            return executable == self.executable and (process / "cwd").samefile(self.root)
        except PermissionError:  # another user's: it can be asked, and not be signalled
            return True
        except (OSError, IndexError):
            return False

    def report(self) -> dict[str, Any] | None:
        """Ask it for its status, as pcb_aoi/platform/status.py makes it; None when it does not answer."""
        # Proxies of the environment are for the world outside.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"{self.url}/api/status", timeout=ASK_SECONDS) as response:
                answer = json.load(response)
        except (OSError, ValueError, http.client.HTTPException):
            return None
        return answer if isinstance(answer, dict) and "functions" in answer else None

    def stop(self) -> None:
        """Let calls under way finish; kill what does not end.

        Raises:
            Fatal: it is another user's.
        """
        self._signal(signal.SIGTERM)
        if not self.wait(STOP_SECONDS):
            say.warn(f"{STOP_SECONDS} 秒后仍在运行，强制结束", f"still running after {STOP_SECONDS} s, killing it")
            self._signal(signal.SIGKILL)
            self.wait(STOP_SECONDS)

    def wait(self, seconds: float) -> bool:
        """Wait for its end; False when it has not come by then."""
        deadline = time.monotonic() + seconds
        while self.alive():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        return True

    def _signal(self, number: signal.Signals) -> None:
        if not self.alive():
            return
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            pass
        except PermissionError:
            whose = f"/proc/{self.pid}"
            zh, en = lock.foreign(Path(whose))
            say.fatal(f"不能停止进程 {self.pid}：{zh}", f"process {self.pid} cannot be stopped: {en}")


def record_path(root: Path) -> Path:
    """The file in which the server says which process it is."""
    return root / ".run" / "embedded.json"


def find(root: Path) -> RunningServer | None:
    """Return this checkout's server; None when it does not run."""
    try:
        record = json.loads(record_path(root).read_text("utf-8"))
        server = RunningServer(
            root=root,
            pid=int(record["pid"]),
            start=str(record["start"]),
            executable=str(record["executable"]),
            folder=str(record["folder"]),
            host=str(record["host"]),
            port=int(record["port"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return server if server.alive() else None


def launch(root: Path, command: list[str | Path], port: int, previous: RunningServer | None) -> RunningServer:
    """Start a server in the background and wait until it serves; then until `previous` has finished its calls.

    Raises:
        Fatal: it did not become ready. It has ended, and `previous` goes on.
    """
    # In memory: on a full disk the reason would be lost.
    said = os.memfd_create("serve")
    try:
        child = subprocess.Popen(
            command, cwd=root, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True
        )
    except OSError as error:
        say.fatal(f"无法启动 {command[0]}：{error.strerror}", f"cannot start {command[0]}: {error.strerror}")
    say.info(f"正在加载模型（进程 {child.pid}）", f"loading the models (process {child.pid})")
    if previous:
        say.info(
            f"旧进程 {previous.pid} 继续应答；两个进程会同时占用内存和显存",
            f"the old process {previous.pid} answers meanwhile; for a while both hold the models, on the GPU too",
        )
    server = None
    try:
        server = _ready(root, child)
    finally:
        if server is None:  # ended, not ready in time, or the user gave up: nobody waits for it any more
            late = child.poll() is None
            child.kill()
            child.wait()
            words = os.pread(said, 1 << 20, 0).decode("utf-8", "replace")
            print(words, end="", file=sys.stderr, flush=True)
        os.close(said)
    if server is None:
        if "in use" in words and (other := holder(port)):
            say.warn(f"端口 {port} 由进程 {other} 占用", f"port {port} is held by process {other}")
        _not_ready(late, previous)
    if previous and not previous.wait(3):
        say.info(
            f"等旧进程 {previous.pid} 完成未完的调用", f"waiting for the old process {previous.pid} to finish its calls"
        )
        if not previous.wait(DRAIN_SECONDS):
            previous.stop()
    return server


def _ready(root: Path, child: subprocess.Popen[bytes]) -> RunningServer | None:
    deadline = time.monotonic() + START_SECONDS
    while child.poll() is None:
        server = find(root)
        if server and server.pid == child.pid:
            return server
        if time.monotonic() > deadline:
            break
        time.sleep(0.1)
    return None


def _not_ready(late: bool, previous: RunningServer | None) -> NoReturn:
    why = (
        (f"{START_SECONDS} 秒内没有就绪", f"not ready within {START_SECONDS} s")
        if late
        else ("没有启动，原因见上", "it did not start, see above")
    )
    cure = ("./deploy.sh check 检查函数目录", "./deploy.sh check looks at the function folders")
    if previous:
        cure = (
            f"{cure[0]}；旧进程 {previous.pid} 继续运行。放不下两份模型时：./deploy.sh down，再 ./deploy.sh up",
            f"{cure[1]}. The old process {previous.pid} goes on. Where memory does not hold the models twice: "
            "./deploy.sh down, then ./deploy.sh up",
        )
    say.fatal(f"{why[0]}。{cure[0]}", f"{why[1]}. {cure[1]}")


def url_host(host: str) -> str:
    """Return the address as it stands in a URL and in CVAT_NUCLIO_HOST: IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host


def holder(port: int) -> str:
    """Name the process that listens on a port, as far as this user may see; empty when it is not known."""
    inodes = set()
    for table in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:  # 0A: listens
                    inodes.add(f"socket:[{fields[9]}]")
    for link in Path("/proc").glob("[0-9]*/fd/*") if inodes else ():
        with suppress(OSError):
            if str(link.readlink()) in inodes:
                words = (link.parents[1] / "cmdline").read_bytes().decode("utf-8", "replace").split("\0")
                return f"{link.parents[1].name} ({' '.join(words).strip()})"
    return ""
