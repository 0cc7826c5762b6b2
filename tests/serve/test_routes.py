"""The embedded platform over real sockets: CVAT's routes, and every way to say no."""

from __future__ import annotations

import base64
import json
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from serving import INVOKE, TO_A, Client, Serve, write_function


def test_list_is_what_cvat_reads(functions: Path, serve: Serve) -> None:
    write_function(functions, "b", annotations={"version": "1"})
    write_function(functions, "a")
    client = serve()
    status, listed, _ = client("GET", "/api/functions", headers={"x-nuclio-project-name": "cvat"})
    assert status == 200
    assert list(listed) == ["pcb-a", "pcb-b"]
    function = listed["pcb-b"]
    assert function["metadata"]["name"] == "pcb-b"
    assert json.loads(function["metadata"]["annotations"]["spec"])[0]["name"] == "开路"
    assert function["metadata"]["labels"]["nuclio.io/project-name"] == "cvat"
    assert function["spec"]["description"] == "测试"
    assert function["status"] == {"state": "ready", "httpPort": client.port}
    assert client("GET", "/api/functions/pcb-b")[:2] == (200, function)


def test_other_projects_see_nothing(functions: Path, serve: Serve) -> None:
    write_function(functions, "a")
    write_function(functions, "b", labels={"nuclio.io/project-name": "other"})
    client = serve()
    for project, names in (("cvat", ["pcb-a"]), ("other", ["pcb-b"]), ("none", [])):
        assert list(client("GET", "/api/functions", headers={"x-nuclio-project-name": project})[1]) == names
    assert list(client("GET", "/api/functions")[1]) == ["pcb-a", "pcb-b"]


def test_unknown_names_and_routes_are_404(functions: Path, serve: Serve) -> None:
    write_function(functions, "a")
    client = serve()
    status, reply, _ = client.invoke("pcb-z", {})
    assert status == 404
    assert "pcb-a" in reply["error"]
    assert client("GET", "/api/functions/pcb-z")[0] == 404
    assert client("GET", "/nothing")[0] == 404
    assert client("POST", INVOKE, b"{}")[0] == 400
    assert client("DELETE", "/api/functions/pcb-a")[0] == 405


def test_direct_invocation_is_told_the_setting(functions: Path, serve: Serve) -> None:
    write_function(functions, "a")
    status, reply, _ = serve()("POST", "/", b"{}")
    assert status == 404
    assert "CVAT_NUCLIO_INVOKE_METHOD=dashboard" in reply["error"]


@pytest.mark.parametrize("chunked", [False, True])
def test_body_limit(functions: Path, serve: Serve, chunked: bool) -> None:
    write_function(functions, "a")
    client = serve()

    def send(size: int) -> int:
        body = (b"x" * 100 for _ in range(size // 100)) if chunked else b"x" * size
        return client("POST", INVOKE, body, TO_A)[0]

    assert send(1000) == 201
    assert send(1100) == 413
    assert send(2_000_000) == 413
    assert len(client.gates["pcb-a"]["calls"]) == 1


@pytest.mark.parametrize(
    "head", ["Content-Length: 1001\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n3e9\r\n" + "x" * 1001]
)
def test_too_large_is_said_before_the_body_ends(functions: Path, serve: Serve, head: str) -> None:
    write_function(functions, "a")
    with socket.create_connection(("127.0.0.1", serve().port), timeout=60) as connection:
        connection.sendall(f"POST {INVOKE} HTTP/1.1\r\nHost: x\r\nx-nuclio-function-name: pcb-a\r\n{head}".encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


def test_unfinished_body_is_no_call(functions: Path, serve: Serve) -> None:
    write_function(functions, "a")
    client = serve()
    with socket.create_connection(("127.0.0.1", client.port)) as connection:
        head = "POST /api/function_invocations HTTP/1.1\r\nHost: x\r\nx-nuclio-function-name: pcb-a\r\n"
        connection.sendall(f"{head}Content-Length: 900\r\n\r\nhalf".encode())
    assert client.invoke("pcb-a", {})[0] == 201
    assert len(client.gates["pcb-a"]["calls"]) == 1


def test_megabytes_come_through(functions: Path, serve: Serve) -> None:
    trigger = {"kind": "http", "attributes": {"maxRequestBodySize": 50_000_000}}
    write_function(functions, "a", triggers={"http": trigger})
    image = base64.b64encode(os.urandom(20_000_000)).decode()
    status, reply, _ = serve().invoke("pcb-a", {"image": image})
    assert (status, reply["kind"]) == (201, "dict")
    assert reply["size"] > 26_000_000


def test_the_real_inner_layer_answers_a_sample(serve_folder: Callable[[Path, list[str]], Client]) -> None:
    repository = Path(__file__).parents[2]
    client = serve_folder(repository / "functions", ["inner-layer"])
    listed = client("GET", "/api/functions")[1]["pcb-inner-layer"]
    labels = {label["name"] for label in json.loads(listed["metadata"]["annotations"]["spec"])}
    image = (repository / "samples" / "inner-layer" / "bus.png").read_bytes()
    status, shapes, headers = client.invoke("pcb-inner-layer", {"image": base64.b64encode(image).decode()})
    assert status == 200
    assert shapes
    assert {shape["label"] for shape in shapes} <= labels
    assert "infer;dur=" in headers["server-timing"]
    assert client.invoke("pcb-inner-layer", {"image": "?"})[0] == 400
    assert client("GET", INVOKE, headers={"x-nuclio-function-name": "pcb-inner-layer"})[1]["model"] == "inner-layer"
