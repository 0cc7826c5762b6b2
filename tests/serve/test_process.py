"""`pcb-aoi serve` as a process: how it starts, refuses and stops."""

from __future__ import annotations

import http.client
import json
import logging
import os
import signal
import socket
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from serving import INVOKE, TO_A, command, in_thread, write_function

from pcb_aoi.platform.logs import JsonLines


def test_process_serves_and_stops_on_sigterm_after_its_call(functions: Path, tmp_path: Path) -> None:
    # The handler is held by a named pipe: it returns when the test opens the other end.
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    code = f"""
def init_context(context):
    context.platform.set_termination_callback(lambda: context.logger.info("terminated"))
def handler(context, event):
    if event.method == "GET":
        return "{{}}"
    context.logger.info("entered")
    return open({str(fifo)!r}).read()
"""
    write_function(functions, "a", code)
    with subprocess.Popen(
        command(functions, "--port", "0"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        url = process.stdout.readline().strip()
        port = int(url.rpartition(":")[2])

        def call() -> bytes:
            with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
                connection.request("POST", "/api/function_invocations", b"", {"x-nuclio-function-name": "pcb-a"})
                return connection.getresponse().read()

        answer = in_thread(call)
        lines = []
        for line in process.stderr:
            lines.append(json.loads(line)["message"])
            if lines[-1] == "entered":
                process.send_signal(signal.SIGTERM)
            if lines[-1] == "Shutting down":
                fifo.write_text("finished")
        assert answer() == b"finished"
        assert process.wait(60) in (0, -signal.SIGTERM)
    assert "terminated" in lines


def test_process_with_a_hung_handler_stops(functions: Path, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    code = f"""
def handler(context, event):
    return open({str(fifo)!r}).read() if event.method == "POST" else "{{}}"
"""
    write_function(functions, "a", code, eventTimeout="50ms")
    with subprocess.Popen(command(functions, "--port", "0"), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline().strip().rpartition(b":")[2])
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
            connection.request("POST", INVOKE, b"", TO_A)
            assert connection.getresponse().status == 408
        process.send_signal(signal.SIGINT)
        try:
            errors = process.communicate(timeout=60)[1]
        except subprocess.TimeoutExpired:
            process.kill()
            pytest.fail("a handler that never returns kept the process alive")
        assert b"Traceback" not in errors
        assert process.returncode == 0


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        (["--host", "0.0.0.0"], 2, "--allow CIDR"),
        (["--function", "none"], 2, "no such function: none"),
        (["--allow", "10.0.0.1/8"], 2, "--allow"),
        (["--port", "{busy}"], 1, "try another --port"),
    ],
)
def test_process_refuses_with_the_cure(functions: Path, options: list[str], status: int, said: str) -> None:
    write_function(functions, "a")
    with closing(socket.create_server(("127.0.0.1", 0))) as busy:
        options = [option.format(busy=busy.getsockname()[1]) for option in options]
        done = subprocess.run(command(functions, *options), capture_output=True, text=True, timeout=60)
    assert done.returncode == status
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_process_without_functions_fails(functions: Path) -> None:
    functions.mkdir()
    done = subprocess.run(command(functions, "--port", "0"), capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    assert "no function can be served" in done.stderr


def test_log_lines_are_json() -> None:
    record = logging.LogRecord("x", logging.INFO, "f", 1, "内层 %s", ("ok",), None)
    record.__dict__["with"] = {"ms": 5}
    line = JsonLines().format(record)
    assert "\n" not in line
    assert json.loads(line).items() >= {"level": "info", "message": "内层 ok", "ms": 5}.items()
