"""What clients may hold: connections, time, memory. And the status line, the only part of an answer that CVAT shows."""

from __future__ import annotations

import http.client
import ipaddress
import json
import resource
import socket
import subprocess
import sys
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from serving import INVOKE, TO_A, Client, Serve, in_thread, write_detector, write_function

from pcb_aoi.platform import bodies, dashboard, protocol
from pcb_aoi.platform.protocol import reason

ONE = (ipaddress.ip_network("127.0.0.1/32"),)
HEAD = f"POST {INVOKE} HTTP/1.1\r\nHost: x\r\nx-nuclio-function-name: pcb-a\r\n"


def connect(client: Client, source: str = "127.0.0.1") -> socket.socket:
    return socket.create_connection(("127.0.0.1", client.port), timeout=60, source_address=(source, 0))


def read_all(connection: socket.socket) -> bytes:
    """Until the server ends the connection."""
    return b"".join(iter(lambda: connection.recv(4096), b""))


def ended(connection: socket.socket) -> bytes:
    """As read_all, of a connection that may have been cut off."""
    try:
        return read_all(connection)
    except ConnectionResetError:
        return b""


def test_a_client_off_the_list_is_told_as_it_connects(functions: Path, serve: Serve) -> None:
    write_function(functions, "a")
    with connect(serve(ONE), "127.0.0.2") as connection:
        answer = read_all(connection)
    assert answer.startswith(b"HTTP/1.1 403 client 127.0.0.2 is not allowed\r\n")
    assert json.loads(answer.rpartition(b"\r\n\r\n")[2]) == {"error": "client 127.0.0.2 is not allowed"}


def test_a_body_of_a_client_off_the_list_is_thrown_away(functions: Path, serve: Serve) -> None:
    write_function(functions, "a")
    client = serve(ONE)
    with connect(client, "127.0.0.2") as connection:
        connection.sendall(f"{HEAD}Content-Length: 500000\r\n\r\n".encode() + b"x" * 500_000)
        assert read_all(connection).startswith(b"HTTP/1.1 403 ")
    assert client.gates["pcb-a"]["calls"] == []


def test_hundreds_of_silent_clients_off_the_list_are_in_nobodys_way(functions: Path, serve: Serve) -> None:
    write_function(functions, "a")
    client = serve(ONE)
    with ExitStack() as stack:
        silent = [stack.enter_context(connect(client, "127.0.0.2")) for _ in range(300)]
        assert client.invoke("pcb-a", {})[0] == 201
        assert len(client.server.server_state.connections) <= 1
        # Those over the number that is told why are cut off without.
        assert {ended(connection)[:13] for connection in silent} <= {b"HTTP/1.1 403 ", b""}
    assert client.invoke("pcb-a", {})[0] == 201  # by now it has seen them go
    assert client.server.door.refused == 0


@pytest.mark.parametrize("sent", ["", "POST /api/function_inv", HEAD])
def test_a_client_that_does_not_say_what_it_wants_is_cut_off(
    functions: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch, sent: str
) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.05)
    write_function(functions, "a")
    with connect(serve()) as connection:
        connection.sendall(sent.encode())
        assert read_all(connection).startswith(b"HTTP/1.1 408 no request within 0.05 s\r\n")


def test_a_long_call_is_not_cut_off(functions: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.05)
    write_function(functions, "a")
    client = serve()
    first = in_thread(lambda: client.invoke("pcb-a", {"wait": True})[0])
    assert client.gates["pcb-a"]["entered"].acquire(timeout=60)
    with connect(client) as silent:
        assert read_all(silent).startswith(b"HTTP/1.1 408 ")  # so long it has taken
    client.gates["pcb-a"]["go"].release()
    assert first() == 201


@pytest.mark.parametrize("says", ["", "X-Nuclio-Invoke-Timeout: 50ms\r\n"])
def test_half_a_body_is_given_up(functions: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch, says: str) -> None:
    if not says:
        monkeypatch.setattr(bodies, "PAUSE_SECONDS", 0.05)
    write_function(functions, "a")
    client = serve()
    with connect(client) as connection:
        connection.sendall(f"{HEAD}{says}Content-Length: 900\r\n\r\nhalf".encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 408 slow_body: the body did not come in time\r\n")
    (failure,) = client("GET", "/api/status")[1]["functions"]["pcb-a"]["failures"]
    assert failure["code"] == "slow_body"
    assert client.gates["pcb-a"]["calls"] == []


def test_bodies_wait_for_room(functions: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dashboard, "MOST_BYTES", 1000)
    write_function(functions, "a")
    write_function(functions, "b")
    client = serve()
    large = {"wait": True, "x": "x" * 600}
    first = in_thread(lambda: client.invoke("pcb-a", large)[0])
    gates = client.gates["pcb-a"]
    assert gates["entered"].acquire(timeout=60)
    second = in_thread(lambda: client.invoke("pcb-b", {"x": "x" * 600})[0])
    status, reply, _ = client.invoke("pcb-b", large, **{"X-Nuclio-Invoke-Timeout": "50ms"})
    assert (status, "other calls" in reply["error"]) == (503, True)
    assert client.invoke("pcb-b", {})[0] == 201  # there is room for a small one
    assert client.gates["pcb-b"]["calls"] == ["/"]
    gates["go"].release()
    assert (first(), second()) == (201, 201)


def test_one_body_is_read_however_large_it_is(functions: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dashboard, "MOST_BYTES", 10)
    write_function(functions, "a")
    assert serve().invoke("pcb-a", {"x": "x" * 600})[0] == 201


def test_over_the_number_of_connections_clients_are_told(functions: Path, serve: Serve) -> None:
    write_function(functions, "a")
    client = serve()
    client.server.door.most = 2
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(connect(client))
        with connect(client) as over:
            assert read_all(over).startswith(b"HTTP/1.1 503 more than 2 connections\r\n")
    assert client.invoke("pcb-a", {})[0] == 201


def test_the_file_limit_is_raised_at_start() -> None:
    code = """
import resource
from pcb_aoi.platform.protocol import Door
resource.setrlimit(resource.RLIMIT_NOFILE, (300, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
print(Door(()).most, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    most, soft = map(int, done.stdout.split())
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    assert soft == min(protocol.MOST_CONNECTIONS + 256, hard)
    assert most < soft


def test_the_cause_of_a_failure_is_in_the_status_line(functions: Path, serve: Serve) -> None:
    write_detector(functions, "a")
    client = serve()

    def reason_of(path: str, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
        with closing(http.client.HTTPConnection("127.0.0.1", client.port, timeout=60)) as connection:
            connection.request("POST", path, body, headers)
            response = connection.getresponse()
            assert response.getheader(protocol.REASON_HEADER) is None
            return response.status, response.reason

    assert reason_of(INVOKE, b"{}", TO_A) == (400, "bad_request: missing field 'image'")
    status, text = reason_of(INVOKE, b"{}", {"x-nuclio-function-name": "pcb-z"})
    assert (status, text.startswith("no function 'pcb-z'; there are: pcb-a")) == (404, True)
    assert reason_of("/", b"{}", {})[1].startswith("functions have no port of their own here")


def test_a_reason_is_one_line_of_ascii() -> None:
    assert reason("模型没有加载，原因见函数的日志。 no model is loaded\r\nX-Evil: 1") == "no model is loaded X-Evil: 1"
    assert len(reason("x" * 1000)) == 200
