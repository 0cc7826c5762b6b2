"""One call at a time, and what becomes of handlers that do not return."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from serving import Serve, idle_worker, in_thread, write_detector, write_function

from pcb_aoi.platform import function


def test_one_call_at_a_time_and_the_list_answers_meanwhile(functions: Path, serve: Serve) -> None:
    write_function(functions, "a")
    write_function(functions, "b")
    client = serve()
    gates = client.gates["pcb-a"]
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
    gates = client.gates["pcb-a"]
    first = in_thread(lambda: client.invoke("pcb-a", {"wait": True})[0])
    assert gates["entered"].acquire(timeout=60)
    status, reply, _ = client.invoke("pcb-a", {})
    assert (status, "busy" in reply["error"]) == (503, True)
    gates["go"].release()
    assert first() == 201
    assert client.invoke("pcb-a", {})[0] == 201


def test_a_handler_that_comes_back_late_keeps_its_worker(
    functions: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(function, "GRACE_S", 60)
    write_function(functions, "a", eventTimeout="50ms")
    client = serve()
    worker = idle_worker(client.functions.by_id["pcb-a"])
    assert client.invoke("pcb-a", {"wait": True})[:2] == (408, {"error": "handler timed out"})
    assert client("GET", "/api/functions/pcb-a")[1]["status"]["state"] == "unhealthy"
    waiting = in_thread(lambda: client.invoke("pcb-a", {})[0])
    client.gates["pcb-a"]["go"].release()
    assert waiting() == 201
    assert client("GET", "/api/functions/pcb-a")[1]["status"]["state"] == "ready"
    assert idle_worker(client.functions.by_id["pcb-a"]) is worker


def test_a_hung_handler_is_replaced_by_what_is_on_disk(
    functions: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(function, "GRACE_S", 0)
    write_function(functions, "a", eventTimeout="50ms")
    client = serve()
    hung = idle_worker(client.functions.by_id["pcb-a"])
    assert client.invoke("pcb-a", {"wait": True})[0] == 408
    # Waits for the fresh worker, and is answered by it while the first one still hangs.
    assert client.invoke("pcb-a", {})[0] == 201
    assert client("GET", "/api/functions/pcb-a")[1]["status"]["state"] == "ready"
    fresh = idle_worker(client.functions.by_id["pcb-a"])
    assert fresh is not hung
    # The one that was given up comes back in the end; it must not become a second worker.
    back = threading.Event()
    monkeypatch.setattr(client.functions.by_id["pcb-a"]._logger, "warn_with", lambda *args, **fields: back.set())
    client.gates["pcb-a"]["go"].release()
    assert back.wait(60)
    assert client.invoke("pcb-a", {})[0] == 201
    assert idle_worker(client.functions.by_id["pcb-a"]) is fresh


@pytest.mark.parametrize("broken", [False, True])
def test_a_function_that_cannot_be_replaced_says_so_at_once_until_it_is_back(
    functions: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch, broken: bool
) -> None:
    monkeypatch.setattr(function, "GRACE_S", 0)
    if not broken:
        monkeypatch.setattr(function, "MAX_GIVEN_UP", 0)
    folder = write_function(functions, "a", eventTimeout="50ms")
    client = serve()
    served = client.functions.by_id["pcb-a"]
    said = threading.Event()

    def error_with(text: str, **fields: object) -> None:
        if "cure" in fields:
            said.set()

    monkeypatch.setattr(served._logger, "error_with", error_with)
    (folder / "main.py").write_text("raise RuntimeError('no weights')" if broken else "")
    assert client.invoke("pcb-a", {"wait": True})[0] == 408
    assert said.wait(60)
    status, reply, _ = client.invoke("pcb-a", {})
    assert (status, "./deploy.sh up" in reply["error"]) == (503, True)
    causes = [failure.cause for failure in served.failures]
    assert any("no weights" in cause for cause in causes) == broken
    back = threading.Event()
    monkeypatch.setattr(served._logger, "warn_with", lambda *args, **fields: back.set())
    client.gates["pcb-a"]["go"].release()
    assert back.wait(60)
    assert client.invoke("pcb-a", {})[0] == 201
    assert served.state == "ready"


def test_ten_thousand_nested_lists_are_400_and_the_function_lives_on(functions: Path, serve: Serve) -> None:
    write_detector(functions, "a")
    client = serve()
    body = b'{"image":' + b"[" * 10_000 + b"]" * 10_000 + b"}"
    status, reply, _ = client.invoke("pcb-a", body)
    assert (status, reply["code"]) == (400, "bad_request")
    assert client.invoke("pcb-a", {"image": "?"})[0] == 400


def test_without_a_thread_the_call_fails_and_the_function_lives_on(
    functions: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_function(functions, "a")
    client = serve()
    start = threading.Thread.start

    def no_thread(thread: threading.Thread) -> None:
        if thread.name == "pcb-a":
            raise RuntimeError("can't start new thread")
        start(thread)

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_thread)
        assert client.invoke("pcb-a", {})[0] == 500
    assert client.invoke("pcb-a", {})[0] == 201
