"""One worker of the stand-in: a wrapper process, its two sockets, one event at a time."""

from __future__ import annotations

import json
import os
import queue
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from pathlib import Path
from typing import Any

import msgpack
from log import log, record
from version import VERSION

SOCKET_DEADLINE_S = 120.0


class NotServed(Exception):
    """The worker cannot take or answer the event: what nuclio says about it is the text of its 500."""


class Timeout(Exception):
    """The event ran into eventTimeout; its worker is being restarted."""


class Worker:
    """Use `handle` from one thread at a time."""

    def __init__(self, metadata: dict[str, Any], spec: dict[str, Any], trigger_name: str, number: int) -> None:
        self._metadata, self._spec, self._trigger_name, self.number = metadata, spec, trigger_name, number
        self.ready, self.lost, self.stopping = threading.Event(), False, False
        self._status = "initializing"
        self._replies: queue.Queue[dict[str, Any] | list[dict[str, Any]] | Exception] = queue.Queue()
        self._busy_since: float | None = None
        self._generation = 0
        self._records: list[dict[str, Any]] | None = None
        self._gone = False
        self.process: subprocess.Popen[bytes]
        self._start()

    def _start(self) -> None:
        folder = Path(tempfile.gettempdir())
        paths = [folder / f"nuclio-rpc-{uuid.uuid4().hex}.sock" for _ in range(2)]
        listeners = [socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) for _ in paths]
        for listener, path in zip(listeners, paths, strict=True):
            listener.bind(str(path))
            listener.listen(1)
            listener.settimeout(SOCKET_DEADLINE_S)
        self._generation += 1
        self.process = subprocess.Popen(self._command(paths), env=self._environment())
        for work, more in ((self._watch, [self.process]), (self._connect, [listeners, paths])):
            threading.Thread(target=work, args=(*more, self._generation), daemon=True).start()

    def _command(self, paths: list[Path]) -> list[str]:
        python = os.environ.get("NUCLIO_PYTHON_EXE_PATH") or shutil.which("python3") or shutil.which("python") or ""
        wrapper = os.environ.get("NUCLIO_PYTHON_WRAPPER_PATH", "/opt/nuclio/_nuclio_wrapper.py")
        command = [python, "-u", wrapper, "--handler", self._spec["handler"], "--event-socket-path", str(paths[0])]
        command += ["--control-socket-path", str(paths[1]), "--platform-kind", "local"]
        command += ["--namespace", self._metadata.get("namespace", "nuclio"), "--worker-id", str(self.number)]
        return [*command, "--trigger-kind", "http", "--trigger-name", self._trigger_name, "--decode-event-strings"]

    def _environment(self) -> dict[str, str]:
        paths = [os.environ.get("NUCLIO_PYTHON_PATH", "/opt/nuclio"), os.environ.get("PYTHONPATH", "")]
        return os.environ | {
            "PYTHONPATH": ":".join(path for path in paths if path),
            "NUCLIO_FUNCTION_NAME": self._metadata["name"],
            "NUCLIO_FUNCTION_DESCRIPTION": self._spec.get("description", ""),
            "NUCLIO_FUNCTION_HANDLER": self._spec["handler"],
            "NUCLIO_STANDIN_VERSION": VERSION,
        }

    def _watch(self, process: subprocess.Popen[bytes], generation: int) -> None:
        code = process.wait()
        if generation != self._generation or self.stopping or code == 0:
            return  # with 0 it has "exited successfully": nuclio lives on, and answers every call with 500
        status = f"exit status {code}" if code > 0 else "signal: killed"
        log("error", self._logger, "Unexpected termination of child process", status=status, exitCode=code)
        # The caller reads `EOF` before the processor is gone.
        time.sleep(0.05)
        print(f"panic: Wrapper process for worker {self.number} exited unexpectedly with: {status}", file=sys.stderr)
        print("\ngoroutine 7 [running]:\nstand-in\n\t/processor/worker.py", file=sys.stderr, flush=True)
        os._exit(2)

    @property
    def _logger(self) -> str:
        return f"processor.http.w{self.number}.python.logger"

    @property
    def _function_logger(self) -> str:
        return self._logger if VERSION == "1.13.0" else f"{self._logger}.connection-manager.event connection"

    def _connect(self, listeners: list[socket.socket], paths: list[Path], generation: int) -> None:
        try:
            events, self._control = (listener.accept()[0] for listener in listeners)
        except TimeoutError:
            print("panic: Can't get connection from wrapper", file=sys.stderr)
            os._exit(2)
        finally:
            for listener, path in zip(listeners, paths, strict=True):
                listener.close()
                path.unlink()
        self._events = events
        for line in events.makefile("r", encoding="utf-8"):
            if generation != self._generation:
                return
            self._take(line[0], line[1:])
        if generation == self._generation:
            self._gone = True
            self._replies.put(NotServed("EOF"))

    def _take(self, kind: str, text: str) -> None:
        if kind == "s":
            self._status = "ready"
            self.ready.set()
        elif kind == "r":
            self._replies.put(json.loads(text))
        elif kind == "l":
            said, asked = json.loads(text), self._records
            level, message, more = said["level"], said["message"], said["with"]
            log(level, "processor.http" if asked is not None else self._function_logger, message, **more)
            if asked is not None:
                asked.append(record(level, self._trigger_name, message, more))

    def handle(self, event: dict[str, Any], records: list[dict[str, Any]] | None) -> dict[str, Any]:
        """Send one event and wait for the reply; `records` collects what the function logs meanwhile.

        Raises:
            NotServed: the process is being restarted, has left, or left during the event.
            Timeout: eventTimeout passed; the process was killed and is being started again.
            IndexError: the handler returned an empty list, of which nuclio takes the first.
        """
        if self._status != "ready":
            raise NotServed(f"Processor not ready (current status: {self._status})")
        if self._gone:
            raise NotServed(f"Can't encode item: {event['id']}")
        packet = msgpack.packb(event)
        # nuclio's clock moves once a second, so that a timeout can come early.
        self._busy_since, self._records = float(int(time.time())), records
        try:
            self._events.sendall(struct.pack(">I", len(packet)))
            self._events.sendall(packet)
            del packet
            reply = self._replies.get()
        except OSError as error:
            raise NotServed("EOF") from error
        finally:
            self._busy_since = self._records = None
        if isinstance(reply, Exception):
            raise reply
        return reply[0] if isinstance(reply, list) else reply

    def reap(self, timeout_s: float) -> None:
        """Restart the process when its event is older than the timeout; calls are refused until it is back."""
        since = self._busy_since
        if since is None or time.time() - since <= timeout_s:
            return
        log("info", "processor.timeout", "Restarting worker due to timeout", worker=self.number, trigger="http")
        self._status = "stopped"
        self.ready.clear()
        self._generation += 1
        self.process.kill()
        self.process.wait()
        self._replies.put(Timeout())
        self._start()
