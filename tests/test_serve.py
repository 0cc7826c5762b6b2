"""The embedded platform over real sockets: CVAT's routes, one call at a time, and every way to say no."""

from __future__ import annotations

import base64
import http.client
import ipaddress
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import pytest
import uvicorn

from pcb_aoi.config.function_record import seconds
from pcb_aoi.errors import ConfigError
from pcb_aoi.platform.dashboard import LOOPBACK, Network, create_app
from pcb_aoi.platform.serve import JsonLines, load_workers, server_config
from pcb_aoi.platform.worker import Worker

INVOKE = "/api/function_invocations"
TO_A = {"x-nuclio-function-name": "pcb-a"}
SPEC = '[{"name": "开路", "type": "rectangle", "attributes": []}]'

# A function that says what it was given. `gates` lets a test hold a handler, without sleeping.
ECHO = """
import os, threading
gates = {"entered": threading.Semaphore(0), "go": threading.Semaphore(0), "calls": []}

def init_context(context):
    context.user_data.env = os.environ.get("STUB_ENV")
    context.user_data.gates = gates
    context.platform.set_termination_callback(lambda: print("terminated", flush=True))

def handler(context, event):
    gates["calls"].append(event.path)
    body = event.body
    if isinstance(body, dict) and body.get("wait"):
        gates["entered"].release()
        assert gates["go"].acquire(timeout=60)
    if isinstance(body, dict) and "raise" in body:
        raise {"exit": SystemExit, "error": ValueError}[body["raise"]]("secret /path")
    kind = type(body).__name__
    reply = {"kind": kind, "size": event.size, "method": event.method, "path": event.path,
             "header": event.get_header("X-Extra"), "env": context.user_data.env, "type": event.content_type}
    return context.Response(body=reply, headers={"Server-Timing": "infer;dur=1"}, status_code=201)
"""


def write_function(functions: Path, name: str, code: str = ECHO, **change: object) -> Path:
    """Write a function folder; `change` replaces keys of spec, or `labels` and `annotations` of metadata."""
    folder = functions / name
    folder.mkdir(parents=True)
    (folder / "main.py").write_text(code)
    annotations = {"name": name, "type": "detector", "spec": SPEC}
    annotations.update(change.pop("annotations", {}))  # type: ignore[call-overload]
    metadata: dict[str, object] = {"name": f"pcb-{name}", "namespace": "nuclio", "annotations": annotations}
    if "labels" in change:
        metadata["labels"] = change.pop("labels")
    trigger = {
        "kind": "http",
        "workerAvailabilityTimeoutMilliseconds": 10_000,
        "attributes": {"maxRequestBodySize": 1000},
    }
    spec = {
        "description": "测试",
        "handler": "main:handler",
        "eventTimeout": "30s",
        "triggers": {"http": trigger},
    }
    document = {"metadata": metadata, "spec": {**spec, **change}}
    # JSON is YAML.
    (folder / "function.yaml").write_text(json.dumps(document, ensure_ascii=False), "utf-8")
    return folder


class Client:
    """The platform on a free loopback port, in a thread of the test."""

    def __init__(self, workers: dict[str, Worker], allow: tuple[Network, ...] = LOOPBACK) -> None:
        self.workers = workers
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._server = uvicorn.Server(server_config(create_app(workers, allow, self.port)))
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],))
        self._thread.start()

    def __call__(
        self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any, dict[str, str]]:
        """Send one request, return status, JSON body and headers."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            connection.request(method, path, body, headers or {})  # type: ignore[arg-type]
            response = connection.getresponse()
            return (
                response.status,
                json.loads(response.read()),
                {k.lower(): v for k, v in response.getheaders()},
            )

    def invoke(self, name: str, payload: object, **headers: str) -> tuple[int, Any, dict[str, str]]:
        """Call a function as CVAT does."""
        cvat = {
            "x-nuclio-project-name": "cvat",
            "x-nuclio-function-namespace": "nuclio",
            "x-nuclio-invoke-via": "domain-name",
            "X-Nuclio-Invoke-Timeout": "120s",
            "x-nuclio-function-name": name,
            "x-nuclio-path": "/",
            "Content-Type": "application/json",
        }
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        return self("POST", INVOKE, data, cvat | headers)

    def gates(self, name: str) -> dict[str, Any]:
        """The stub's semaphores and list of calls."""
        gates: dict[str, Any] = self.workers[name]._context.user_data.gates
        return gates

    def stop(self) -> None:
        """Stop the server and wait for it."""
        self._server.should_exit = True
        self._thread.join(60)
        self._socket.close()


T = TypeVar("T")
Serve = Callable[..., Client]


@pytest.fixture
def serve(tmp_path: Path, serve_folder: Callable[..., Client]) -> Serve:
    """Start the platform over tmp_path/functions."""
    return lambda allow=LOOPBACK: serve_folder(tmp_path / "functions", [], allow)


@pytest.fixture
def serve_folder() -> Iterator[Callable[..., Client]]:
    """Start the platform over a folder; all are stopped at the end."""
    clients: list[Client] = []

    def start(functions: Path, names: list[str], allow: tuple[Network, ...] = LOOPBACK) -> Client:
        client = Client(load_workers(functions, names), allow)
        clients.append(client)
        return client

    yield start
    for client in clients:
        for name in client.workers:
            if gates := getattr(client.workers[name]._context.user_data, "gates", None):
                gates["go"].release(100)
        client.stop()


@pytest.fixture
def functions(tmp_path: Path) -> Path:
    """A folder for function folders."""
    return tmp_path / "functions"


def left_out(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """What the log says about functions that are not served."""
    records = [record for record in caplog.records if record.message == "function left out"]
    return [getattr(record, "with", {}) for record in records]


def in_thread(call: Callable[[], T]) -> Callable[[], T]:
    """Start a call in a thread; the function returned waits for its result."""
    result: list[T] = []
    thread = threading.Thread(target=lambda: result.append(call()))
    thread.start()

    def wait() -> T:
        thread.join(60)
        assert result, "the call did not come back"
        return result[0]

    return wait


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


@pytest.mark.parametrize(
    ("content_type", "kind"),
    [
        ("application/json", "dict"),
        ("application/json; charset=utf-8", "bytes"),
        ("Application/JSON", "bytes"),
        ("text/plain", "bytes"),
    ],
)
def test_only_exact_json_is_decoded(functions: Path, serve: Serve, content_type: str, kind: str) -> None:
    write_function(functions, "a")
    status, reply, headers = serve().invoke("pcb-a", {"x": 1}, **{"Content-Type": content_type, "X-Extra": "7"})
    assert status == 201
    assert reply["kind"] == kind
    assert (reply["header"], reply["size"], reply["type"]) == ("7", 8, content_type)
    assert (reply["method"], reply["path"]) == ("POST", "/")
    assert headers["server-timing"] == "infer;dur=1"
    assert headers["content-type"] == "application/json"


def test_broken_json_reaches_the_handler_as_bytes(functions: Path, serve: Serve) -> None:
    write_function(functions, "a")
    assert serve().invoke("pcb-a", b'{"image": ')[1]["kind"] == "bytes"


def test_get_reaches_the_handler(functions: Path, serve: Serve) -> None:
    write_function(functions, "a")
    status, reply, _ = serve()("GET", "/api/function_invocations", headers={"x-nuclio-function-name": "pcb-a"})
    assert (status, reply["method"], reply["kind"], reply["size"]) == (201, "GET", "bytes", 0)


@pytest.mark.parametrize(
    ("returned", "status", "content_type", "body"),
    [
        ("'text'", 200, "text/plain; charset=utf-8", b"text"),
        ("b'\\x00\\xff'", 200, "text/plain; charset=utf-8", b"\x00\xff"),
        ("{'a': 1}", 200, "application/json", b'{"a": 1}'),
        ("(418, 'teapot')", 418, "text/plain; charset=utf-8", b"teapot"),
        ("context.Response(body='[]', content_type='application/json')", 200, "application/json", b"[]"),
    ],
)
def test_answers_are_encoded_as_nuclio_does(
    functions: Path, serve: Serve, returned: str, status: int, content_type: str, body: bytes
) -> None:
    write_function(functions, "a", f"def handler(context, event):\n    return {returned}\n")
    client = serve()
    with closing(http.client.HTTPConnection("127.0.0.1", client.port, timeout=60)) as connection:
        connection.request("POST", "/api/function_invocations", b"", {"x-nuclio-function-name": "pcb-a"})
        response = connection.getresponse()
        assert (response.status, response.getheader("content-type"), response.read()) == (
            status,
            content_type,
            body,
        )


@pytest.mark.parametrize("kind", ["error", "exit"])
def test_exception_is_500_without_traceback_and_the_function_lives_on(
    functions: Path, serve: Serve, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    write_function(functions, "a")
    client = serve()
    status, reply, _ = client.invoke("pcb-a", {"raise": kind})
    assert status == 500
    assert "secret" not in json.dumps(reply)
    assert "Traceback" not in json.dumps(reply)
    assert any("secret /path" in str(getattr(record, "with", "")) for record in caplog.records)
    assert client.invoke("pcb-a", {})[0] == 201


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
    assert len(client.gates("pcb-a")["calls"]) == 1


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
    assert len(client.gates("pcb-a")["calls"]) == 1


def test_one_call_at_a_time_and_the_list_answers_meanwhile(functions: Path, serve: Serve) -> None:
    write_function(functions, "a")
    write_function(functions, "b")
    client = serve()
    gates = client.gates("pcb-a")
    first = in_thread(lambda: client.invoke("pcb-a", {"wait": True})[0])
    assert gates["entered"].acquire(timeout=60)
    second = in_thread(lambda: client.invoke("pcb-a", {"wait": True})[0])
    assert list(client("GET", "/api/functions")[1]) == ["pcb-a", "pcb-b"]
    assert client.invoke("pcb-b", {})[0] == 201
    assert not gates["entered"].acquire(blocking=False)
    gates["go"].release()
    assert first() == 201
    assert gates["entered"].acquire(timeout=60)
    gates["go"].release()
    assert second() == 201


def test_busy_function_is_503(functions: Path, serve: Serve) -> None:
    trigger = {"kind": "http", "workerAvailabilityTimeoutMilliseconds": 50}
    write_function(functions, "a", triggers={"http": trigger})
    client = serve()
    gates = client.gates("pcb-a")
    first = in_thread(lambda: client.invoke("pcb-a", {"wait": True})[0])
    assert gates["entered"].acquire(timeout=60)
    status, reply, _ = client.invoke("pcb-a", {})
    assert (status, "busy" in reply["error"]) == (503, True)
    gates["go"].release()
    assert first() == 201
    assert client.invoke("pcb-a", {})[0] == 201


def test_hung_handler_is_408_then_503_until_it_returns(
    functions: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_function(functions, "a", eventTimeout="50ms")
    client = serve()
    gates = client.gates("pcb-a")
    assert client.invoke("pcb-a", {"wait": True})[:2] == (408, {"error": "handler timed out"})
    assert client("GET", "/api/functions/pcb-a")[1]["status"]["state"] == "unhealthy"
    status, reply, _ = client.invoke("pcb-a", {})
    assert (status, "never returned" in reply["error"]) == (503, True)
    logger = client.workers["pcb-a"].logger
    back = threading.Event()
    monkeypatch.setattr(logger, "warn_with", lambda *args, **fields: back.set())
    gates["go"].release()
    assert back.wait(60)
    assert client.invoke("pcb-a", {})[0] == 201
    assert client("GET", "/api/functions/pcb-a")[1]["status"]["state"] == "ready"


def test_clients_outside_the_allow_list_are_403(functions: Path, serve: Serve) -> None:
    write_function(functions, "a")
    client = serve((ipaddress.ip_network("10.0.0.0/8"),))
    for spoof in ({}, {"X-Forwarded-For": "10.0.0.1"}):
        status, reply, _ = client("GET", "/api/functions", headers=spoof)
        assert (status, reply) == (403, {"error": "client 127.0.0.1 is not allowed"})
    assert client.invoke("pcb-a", {})[0] == 403
    assert client.gates("pcb-a")["calls"] == []


@pytest.mark.parametrize(
    ("name", "code", "change", "cause"),
    [
        ("no-weights", "def init_context(c):\n    raise RuntimeError('no weights')\n", {}, "no weights"),
        ("exits", "raise SystemExit('bye')\n", {}, "bye"),
        ("syntax", "def\n", {}, "SyntaxError"),
        ("no-handler", "x = 1\n", {}, "handler"),
        ("no-json", ECHO, {"annotations": {"spec": '[{"name": "a"},]'}}, "annotations: CVAT cannot read"),
        ("no-list", ECHO, {"annotations": {"spec": '{"name": "a"}'}}, "annotations: CVAT cannot read"),
        ("no-values", ECHO, {"annotations": {"spec": '[{"name": "a", "attributes": [{"name": "b"}]}]'}}, "input_type"),
        ("twice", ECHO, {"annotations": {"spec": '[{"name": "a"}, {"name": "a"}]'}}, "unique"),
        ("version", ECHO, {"annotations": {"version": "1.2"}}, "1.2"),
        ("no-text", ECHO, {"description": None}, "spec.description"),
        ("timeout", ECHO, {"eventTimeout": "soon"}, "eventTimeout"),
        ("other-file", ECHO, {"handler": "gone:handler"}, "gone"),
    ],
)
def test_a_bad_function_is_left_out_and_said(
    functions: Path,
    serve: Serve,
    caplog: pytest.LogCaptureFixture,
    name: str,
    code: str,
    change: dict[str, Any],
    cause: str,
) -> None:
    write_function(functions, "good")
    write_function(functions, name, code, **change)
    client = serve()
    assert list(client("GET", "/api/functions")[1]) == ["pcb-good"]
    lines = [getattr(record, "with", {}) for record in caplog.records if record.message == "function left out"]
    assert [line["folder"] for line in lines] == [name]
    assert cause in lines[0]["cause"]


def test_second_folder_with_the_same_id_is_left_out(functions: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_function(functions, "a")
    folder = write_function(functions, "b")
    (folder / "function.yaml").write_text((functions / "a" / "function.yaml").read_text())
    assert list(load_workers(functions, [])) == ["pcb-a"]
    assert "pcb-a already" in caplog.text or any("already" in str(getattr(r, "with", "")) for r in caplog.records)


def test_functions_of_the_same_module_name_do_not_meet(functions: Path, serve: Serve) -> None:
    for name in ("a", "b"):
        write_function(functions, name, f"def handler(context, event):\n    return '\"{name}\"'\n")
    client = serve()
    assert [client.invoke(f"pcb-{name}", {})[1] for name in ("a", "b")] == ["a", "b"]
    assert "main" not in sys.modules or "functions" not in str(getattr(sys.modules["main"], "__file__", ""))


def test_environment_of_a_function_is_its_own(functions: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STUB_ENV", raising=False)
    write_function(functions, "a", env=[{"name": "STUB_ENV", "value": "from yaml"}])
    write_function(functions, "b")
    client = serve()
    assert [client.invoke(f"pcb-{name}", {})[1]["env"] for name in ("a", "b")] == ["from yaml", None]
    assert "STUB_ENV" not in os.environ
    monkeypatch.setenv("STUB_ENV", "from the user")
    assert serve().invoke("pcb-a", {})[1]["env"] == "from the user"


def test_named_folders_only(functions: Path) -> None:
    for name in ("a", "b", "c"):
        write_function(functions, name)
    assert list(load_workers(functions, ["c", "a"])) == ["pcb-a", "pcb-c"]


@pytest.mark.parametrize(
    ("text", "value"), [("110s", 110), ("1m30s", 90), ("1.5h", 5400), ("250ms", 0.25), (None, None)]
)
def test_durations(text: str | None, value: float | None) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["", "110", "s", "1d", "10s x"])
def test_wrong_durations(text: str) -> None:
    with pytest.raises(ConfigError):
        seconds(text)


def test_the_real_inner_layer_answers_a_sample(serve_folder: Callable[[Path, list[str]], Client]) -> None:
    repository = Path(__file__).parent.parent
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


def test_log_lines_are_json() -> None:
    record = logging.LogRecord("x", logging.INFO, "f", 1, "内层 %s", ("ok",), None)
    record.__dict__["with"] = {"ms": 5}
    line = JsonLines().format(record)
    assert "\n" not in line
    assert json.loads(line).items() >= {"level": "info", "message": "内层 ok", "ms": 5}.items()


def command(functions: Path, *options: str) -> list[str]:
    """The command line of `pcb-aoi serve`, in this interpreter."""
    return [sys.executable, "-m", "pcb_aoi.cli", "serve", "--functions", str(functions), *options]


def test_process_serves_and_stops_on_sigterm_after_its_call(functions: Path, tmp_path: Path) -> None:
    # The handler is held by a named pipe: it returns when the test opens the other end.
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    code = f"""
def init_context(context):
    context.platform.set_termination_callback(lambda: context.logger.info("terminated"))
def handler(context, event):
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
    code = f"def handler(context, event):\n    return open({str(fifo)!r}).read()\n"
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


def test_megabytes_come_through(functions: Path, serve: Serve) -> None:
    trigger = {"kind": "http", "attributes": {"maxRequestBodySize": 50_000_000}}
    write_function(functions, "a", triggers={"http": trigger})
    image = base64.b64encode(os.urandom(20_000_000)).decode()
    status, reply, _ = serve().invoke("pcb-a", {"image": image})
    assert (status, reply["kind"]) == (201, "dict")
    assert reply["size"] > 26_000_000
