"""The state folder of a server in the background: its process, its control socket, its log."""

from __future__ import annotations

import json
import os
from pathlib import Path


def log_path(state: Path) -> Path:
    """The log, rotated by size."""
    return state / "embedded.log"


def output_path(state: Path) -> Path:
    """What the process of the last start wrote past the log."""
    return state / "embedded.out"


def control_path(state: Path) -> Path:
    """The Unix socket of `handover`."""
    return state / "embedded.sock"


class ServerRecord:
    """Says which process serves here: `deploy.sh` signals a process only if all of this fits it."""

    def __init__(self, state: Path, host: str, port: int) -> None:
        """Write it beside its place, so that a full disk is found out before the server is needed.

        Raises:
            OSError: it cannot be written.
        """
        self._path = state / "embedded.json"
        self._part = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        record = {
            "pid": os.getpid(),
            "start": start_time(os.getpid()),
            "executable": str(Path("/proc/self/exe").readlink()),
            "folder": str(Path.cwd()),
            "host": host,
            "port": port,
        }
        try:
            with self._part.open("w", encoding="utf-8") as file:
                json.dump(record, file)
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            self._part.unlink(missing_ok=True)
            raise

    def commit(self) -> None:
        """Put it in its place; whoever reads sees the old one or this one, whole."""
        self._part.replace(self._path)


def start_time(pid: int) -> str:
    """When a process started, in clock ticks since the boot: with the pid, the name of one process until then."""
    # The name in brackets may hold blanks and brackets itself.
    return Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[19]
