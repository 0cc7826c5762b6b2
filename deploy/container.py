"""A function's container: what Docker says of it, whether it restarts, and the Python error that ended it."""

from __future__ import annotations

import json
import re
import subprocess
import time
from dataclasses import dataclass

from deploy import say, shell


@dataclass(frozen=True)
class State:
    """Docker's word on a container."""

    identity: str
    status: str
    """created, running, restarting, exited, dead, ...; missing where there is none."""
    health: str
    """starting, healthy, unhealthy; empty without a health check, and while it does not run."""
    restarts: int
    out_of_memory: bool
    image: str = ""
    """Identity of the image that it runs, whatever has been given that image's name since."""

    @property
    def word(self) -> str:
        """The health of one that runs, else its status."""
        return self.health or self.status

    @property
    def fell(self) -> bool:
        """It has ended, at least once, since it was made."""
        return self.restarts > 0 or self.status in ("exited", "dead")


MISSING = State("", "missing", "", 0, False)


def name(namespace: str, function: str) -> str:
    """Return the name that nuclio gives a function's container."""
    return f"nuclio-{namespace}-{function}"


def inspect(container: str) -> State:
    """Ask Docker for the state of a container."""
    said = shell.output(["docker", "container", "inspect", "--format", "{{json .}}", container])
    if not said:
        return MISSING
    found = json.loads(said)
    state = found["State"]
    return State(
        identity=found["Id"],
        status=state["Status"],
        health=(state.get("Health") or {}).get("Status", "") if state["Status"] == "running" else "",
        restarts=found.get("RestartCount", 0),
        out_of_memory=bool(state.get("OOMKilled")),
        image=found.get("Image", ""),
    )


def settled(container: str, seconds: float) -> State:
    """Ask until it is a verdict: after a reboot a container is on trial for a while, and no reason to deploy again."""
    deadline = time.monotonic() + seconds
    while (state := inspect(container)).word == "starting" and time.monotonic() < deadline:
        time.sleep(1)
    return state


def stop_restarts(container: str) -> None:
    """End a container that would restart for ever; its log stays."""
    # nuctl, which waits for its health, then sees that it has ended, says so in nuclio's store, and ends as well.
    shell.output(["docker", "update", "--restart=no", container])
    shell.output(["docker", "kill", container])


def why_it_fell(container: str) -> str:
    """Return, in one line, why the container ended: the last Python error in its log, or the best there is."""
    log = _log(container)
    if error := python_error(log):
        return error
    if inspect(container).out_of_memory:
        return say.both("内存超过上限：resources.limits.memory", "over its memory limit: resources.limits.memory")
    panic = [line for line in log.splitlines() if line.startswith("panic:")]
    return panic[-1] if panic else "-"


def python_error(log: str) -> str:
    """Return the last exception with its message, as `ValueError: ...`; empty where no traceback is in the log.

    What the interpreter prints on standard error is there line by line; nuclio's wrapper logs what it catches as one
    line, in which line ends are `\\n` and quotes are `\\"`.
    """
    text = log.replace("\\n", "\n").replace('\\"', '"')
    _, found, last = text.rpartition("Traceback (most recent call last):\n")
    if not found:
        return ""
    # Frames are indented; the first line that is not has the exception.
    error = re.search(r"^[A-Za-z_][\w.]*(?:: .*)?$", last, re.MULTILINE)
    return error[0].strip().removesuffix("}").removesuffix('"')[:300] if error else ""


def _log(container: str) -> str:
    # Both streams, in their order: Python writes its tracebacks on standard error.
    done = subprocess.run(
        ["docker", "logs", "--tail", "500", container], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, check=False,
    )  # fmt: skip
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else ""
