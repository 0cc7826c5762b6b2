"""How a new server takes the place of the one that runs, without a call being lost.

Both have the same listening socket for a while: the running server hands it over a Unix socket in the state folder,
and goes on. The new one loads its models, starts to accept, and says `ready`; then the old one accepts no more,
finishes its calls and ends. Connections that wait to be accepted belong to the listening socket, so they survive. A
new server that fails before `ready` has changed nothing.

For that while there are two processes with all models, on the GPU too.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import nuclio_sdk

_READY = b"ready"
_LARGEST = 65536
# A running server answers at once, unless it is stopped or swapped out.
_TIMEOUT_S = 30

log = nuclio_sdk.Logger(logging.INFO, "pcb_aoi.platform.handover")


@dataclass(frozen=True)
class Predecessor:
    """The server that runs, seen by the one that will take its place."""

    listener: socket.socket
    pid: int
    folders: list[str]
    """The function folders that it serves: whoever takes over must serve them too."""
    _connection: socket.socket

    def release(self) -> None:
        """Tell it to accept no more, finish its calls and end. One that ended by itself needs no telling."""
        with self._connection, suppress(OSError):
            self._connection.send(_READY)


def take(path: Path) -> Predecessor | None:
    """Ask the server behind `path` for its listening socket; None when there is none.

    Raises:
        OSError: it does not answer.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection.settimeout(_TIMEOUT_S)
    try:
        with _short(path) as name:
            connection.connect(name)
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        return None
    data, descriptors, _, _ = socket.recv_fds(connection, _LARGEST, 1)
    if not data or not descriptors:
        raise ConnectionError("the running server ended")
    facts = json.loads(data)
    return Predecessor(socket.socket(fileno=descriptors[0]), facts["pid"], facts["folders"], connection)


class Offer:
    """The running server's side: hands its listening socket to a successor, and learns when it is no longer needed."""

    def __init__(self, path: Path, listener: socket.socket, folders: list[str], on_release: Callable[[], None]) -> None:
        """Make the socket beside `path`; `commit` puts it there. `on_release` is called in a thread.

        Raises:
            OSError: the socket cannot be made there.
        """
        self._path, self._listener, self._folders, self._on_release = path, listener, folders, on_release
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._part = path.with_name(f"{path.name}.{os.getpid()}")
        self._part.unlink(missing_ok=True)
        with _short(self._part) as name:
            self._socket.bind(name)
        self._part.chmod(0o600)
        self._socket.listen()
        threading.Thread(target=self._run, name="handover", daemon=True).start()

    def commit(self) -> None:
        """From here on successors find this server, in the place of its predecessor."""
        self._part.replace(self._path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        # The file at `path` stays: it may be a successor's. Nobody listens behind one that is left over.
        self._part.unlink(missing_ok=True)
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes the thread
        self._socket.close()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:  # closed
                return
            with connection:
                try:
                    released = _may(connection) and self._serve(connection)
                except (OSError, ValueError) as error:
                    log.warn_with("handover failed", cause=str(error))
                    continue
            if released:
                self._on_release()
                return

    def _serve(self, connection: socket.socket) -> bool:
        facts: dict[str, Any] = {"pid": os.getpid(), "folders": self._folders}
        socket.send_fds(connection, [json.dumps(facts).encode()], [self._listener.fileno()])
        # Until it has loaded its models, or has ended without.
        return connection.recv(len(_READY)) == _READY


def _may(connection: socket.socket) -> bool:
    """Say whether the other side is this user, or root."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    uid: int = struct.unpack("3i", credentials)[1]
    return uid in (0, os.getuid())


@contextmanager
def _short(path: Path) -> Iterator[str]:
    """Name a path in at most 107 bytes, the limit for Unix sockets, however deep its folder lies."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
