"""Run nuctl's deployment and see the model loaded: nuctl is a child, the container is watched beside it.

nuctl alone waits out its whole readiness timeout while a container restarts for ever, and calls one ready whose load
fails later.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from deploy import container, nuctl, plan, say, smoke
from deploy.nuctl import Nuctl
from deploy.plan import Function

_LOOK_S = 0.5
# How long nuctl takes to note that its container has ended, and to end.
_NUCTL_S = 20
_LAST_LINES = 15

# What nuctl says -> what helps, in Chinese and English.
_CURES = (
    (("address already in use", "port is already allocated"), "端口被占用", "the port is taken: sudo ss -ltnp"),
    (
        ("handler-builder-python-onbuild", "uhttpc", "iguazio/alpine"),
        "取不到 nuclio 的辅助镜像：联网机器上 ./deploy.sh bundle，现场 ./deploy.sh up --bundle；"
        "镜像已在本机时用 --no-pull",
        "nuclio's helper images cannot be pulled: make a bundle where there is a network (./deploy.sh bundle) and "
        "install it here (up --bundle); with the images present use --no-pull",
    ),
    (
        ("No matching distribution found for", "from versions: none"),
        "spec.runtime 的 Python 与基础镜像不同",
        "spec.runtime is not the Python of the base image",
    ),
)  # fmt: skip


def load(client: Nuctl, function: Function, command: Sequence[str], log: Path) -> str:
    """Deploy, and wait until the function answers on its port; returns why it does not, or nothing.

    Ends as soon as the container has fallen once: a load that fails once fails again.
    """
    name = container.name(client.namespace, function.name)
    before = container.inspect(name).identity
    with client.started(command, log) as process:
        while process.poll() is None:
            state = container.inspect(name)
            if state.identity not in ("", before) and state.fell:
                return _fallen(name, process)
            with suppress(subprocess.TimeoutExpired):
                process.wait(_LOOK_S)
    state = container.inspect(name)
    if state.identity not in ("", before) and state.fell:
        return _fallen(name)
    if process.returncode:
        return _refused(log)
    return _answers(function, name)


def _answers(function: Function, name: str) -> str:
    # Where the image has no health check of ours, nuctl is done while the model still loads.
    seconds = plan.patience(function)
    deadline = time.monotonic() + seconds
    while not smoke.answers(f"http://127.0.0.1:{function.port}/"):
        if container.inspect(name).fell:
            return _fallen(name)
        if time.monotonic() > deadline:
            see = f"docker logs {name}"
            return say.both(f"{seconds} 秒内没有应答：{see}", f"no answer in {seconds} s (READINESS_TIMEOUT): {see}")
        time.sleep(_LOOK_S)
    return ""


def _fallen(name: str, process: subprocess.Popen[bytes] | None = None) -> str:
    why = container.why_it_fell(name)
    container.stop_restarts(name)
    if process is not None:
        # It notes the failure in nuclio's store, where the dashboard reads it.
        with suppress(subprocess.TimeoutExpired):
            process.wait(_NUCTL_S)
        nuctl.stop(process)
    say.warn(
        f"模型没有加载，完整日志：docker logs {name}", f"the model was not loaded; the whole log: docker logs {name}"
    )
    return why


def _refused(log: Path) -> str:
    said = log.read_text("utf-8", "replace")
    print("\n".join(said.splitlines()[-_LAST_LINES:]), file=sys.stderr, flush=True)
    pulled = any(word in said for word in ("pull", "not found", "manifest"))
    for words, zh, en in _CURES:
        if any(word in said for word in words) and ("uhttpc" not in words or pulled):
            say.warn(zh, en)
            break
    return f"nuctl: {log}"
