"""A new server takes the place of the one that runs: no call is lost, and one that cannot serve changes nothing."""

from __future__ import annotations

import base64
import http.client
import json
import os
import signal
import socket
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import analytic
import psutil
import pytest
from files import encode
from serving import INVOKE, command, write_detector, write_function

from pcb_aoi.platform import handover

Start = Callable[..., "Process"]


class Process:
    """`pcb-aoi serve --state`, as deploy.sh starts it."""

    def __init__(self, functions: Path, state: Path, *options: str) -> None:
        self.popen = subprocess.Popen(
            command(functions, "--state", str(state), *options),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def url(self) -> str:
        """Wait until it listens; the address."""
        assert self.popen.stdout
        line = self.popen.stdout.readline().strip()
        assert line, self.end()
        return line

    def port(self) -> int:
        return int(self.url().rpartition(":")[2])

    def end(self) -> tuple[int, str]:
        """Wait for its end; status and stderr."""
        _, errors = self.popen.communicate(timeout=60)
        return self.popen.returncode, errors


@pytest.fixture
def state(tmp_path: Path) -> Path:
    # Deeper than the 107 bytes that the path of a Unix socket may have.
    folder = tmp_path / ("deep" * 30) / ".run"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def start(functions: Path, state: Path) -> Iterator[Start]:
    processes: list[Process] = []

    def run(*options: str) -> Process:
        processes.append(Process(functions, state, *options))
        return processes[-1]

    yield run
    for process in processes:
        process.popen.kill()
        process.popen.communicate()


def call(port: int, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, Any]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())


def annotate(port: int, name: str, image: bytes) -> tuple[int, Any]:
    body = json.dumps({"image": base64.b64encode(image).decode()}).encode()
    headers = {"x-nuclio-function-name": name, "Content-Type": "application/json"}
    return call(port, "POST", INVOKE, body, **headers)


def version(port: int, name: str = "pcb-a") -> str:
    return str(call(port, "GET", "/api/status")[1]["functions"][name]["version"])


def test_weights_are_swapped_under_load_and_no_call_fails(functions: Path, start: Start) -> None:
    write_detector(functions, "a", "1.0.0")
    server = start("--port", "0")
    port = server.port()
    image = encode(analytic.board(200, 150, [(10, 10, 40, 30)]))
    answers: Counter[object] = Counter()
    stop = threading.Event()
    after = threading.Semaphore(0)

    def load() -> None:
        while not stop.is_set():
            try:
                status, shapes = annotate(port, "pcb-a", image)
                answers[(status, len(shapes))] += 1
            except (OSError, http.client.HTTPException) as error:
                answers[repr(error)] += 1
            after.release()

    threads = [threading.Thread(target=load) for _ in range(6)]
    for thread in threads:
        thread.start()
    try:
        for number in (2, 3, 4):
            write_detector(functions, "a", f"{number}.0.0")
            old, server = server, start("--port", str(port))
            assert server.port() == port
            assert old.end() == (0, "")
            for _ in range(20):
                assert after.acquire(timeout=60)
            assert version(port) == f"{number}.0.0"
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
    assert set(answers) == {(200, 1)}, answers
    assert answers[(200, 1)] > 60


def test_calls_that_have_begun_are_finished_by_the_old_server(functions: Path, start: Start) -> None:
    write_detector(functions, "a")
    old = start("--port", "0")
    port = old.port()
    head = f"POST {INVOKE} HTTP/1.1\r\nHost: x\r\nx-nuclio-function-name: pcb-a\r\nContent-Length: 2\r\n\r\n"
    with ExitStack() as stack:
        silent, half, partly = (
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=60)) for _ in range(3)
        )
        half.sendall(f"{head}{{".encode())
        partly.sendall(head[:20].encode())
        # The connections are in the hands of the old server: it answered one that came after them.
        assert version(port) == "1.2.3"
        write_detector(functions, "a", "2.0.0")
        new = start("--port", str(port))
        assert new.port() == port
        silent.sendall(f"{head}{{}}".encode())
        partly.sendall(f"{head[20:]}{{}}".encode())
        half.sendall(b"}")
        for connection in (silent, half, partly):
            with connection.makefile("rb") as file:
                answer = file.read()
            assert answer.startswith(b"HTTP/1.1 400 "), answer
            assert b"bad_request" in answer
    assert old.end() == (0, "")
    assert version(port) == "2.0.0"


def test_a_server_that_cannot_load_what_is_served_changes_nothing(functions: Path, state: Path, start: Start) -> None:
    folder = write_detector(functions, "a")
    write_function(functions, "b")
    old = start("--port", "0")
    port = old.port()
    record = (state / "embedded.json").read_text()
    weights = (folder / "model.onnx").read_bytes()
    (folder / "model.onnx").write_bytes(weights[:-1])
    status, errors = start("--port", str(port)).end()
    assert status == 1
    assert "the old server goes on: a" in errors
    assert "a: analytic: model.onnx is not the file that model.yaml names" in errors
    assert version(port) == "1.2.3"
    assert (state / "embedded.json").read_text() == record
    # And it is still there for the next one.
    (folder / "model.onnx").write_bytes(weights)
    write_detector(functions, "a", "2.0.0")
    assert start("--port", str(port)).port() == port
    assert old.end() == (0, "")
    assert version(port) == "2.0.0"


def test_a_server_that_dies_while_it_loads_changes_nothing(functions: Path, tmp_path: Path, start: Start) -> None:
    folder = write_function(functions, "a")
    old = start("--port", "0")
    port = old.port()
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    (folder / "main.py").write_text(f"open({str(fifo)!r}, 'w').close()\nimport signal\nsignal.pause()\n")
    new = start("--port", str(port))
    fifo.read_bytes()  # it is loading
    new.popen.send_signal(signal.SIGKILL)
    assert new.end()[0] == -signal.SIGKILL
    assert call(port, "GET", "/api/status")[1]["pid"] == old.popen.pid


def test_a_server_that_cannot_be_recorded_does_not_start(functions: Path, state: Path, start: Start) -> None:
    write_function(functions, "a")
    old = start("--port", "0")
    port = old.port()
    record = (state / "embedded.json").read_text()
    # No file may grow: what a full disk does, for this process alone.
    limited = subprocess.run(
        ["prlimit", "--fsize=0", *command(functions, "--state", str(state), "--port", str(port))],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert limited.returncode == 1
    assert "cannot write into" in limited.stderr
    assert "Traceback" not in limited.stderr
    assert (state / "embedded.json").read_text() == record
    names = {path.name for path in state.iterdir()}
    assert names == {"embedded.json", "embedded.log", "embedded.out", "embedded.sock"}
    assert call(port, "GET", "/api/status")[1]["pid"] == old.popen.pid


def test_the_record_names_the_process(functions: Path, state: Path, start: Start) -> None:
    write_function(functions, "a")
    server = start("--port", "0")
    port = server.port()
    record = json.loads((state / "embedded.json").read_text())
    process = psutil.Process(server.popen.pid)
    assert record["pid"] == process.pid
    assert Path(record["executable"]) == Path(process.exe())
    assert Path(record["folder"]) == Path.cwd()
    assert (record["host"], record["port"]) == ("127.0.0.1", port)
    assert abs(int(record["start"]) / os.sysconf("SC_CLK_TCK") + psutil.boot_time() - process.create_time()) < 2


def test_who_leaves_without_a_word_is_no_successor(tmp_path: Path) -> None:
    released = threading.Event()
    path = tmp_path / "control"
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        handover.Offer(path, listener, ["a"], released.set) as offer,
    ):
        assert handover.take(path) is None
        offer.commit()
        first = handover.take(path)
        assert first
        assert (first.folders, first.pid) == (["a"], os.getpid())
        assert first.listener.getsockname() == listener.getsockname()
        first.listener.close()
        first._connection.close()
        second = handover.take(path)
        assert second
        assert not released.is_set()
        second.release()
        assert released.wait(60)
        second.listener.close()
    assert handover.take(path) is None
