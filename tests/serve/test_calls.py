"""One call at a time, and what becomes of handlers that do not return."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest
from serving import INVOKE, TO_A, Serve, idle_worker, in_thread, write_detector, write_function

from pcb_aoi.platform import function
from pcb_aoi.platform.worker import Call

# A client that waits this long and no longer: CVAT's own are 120 s.
SOON = {"X-Nuclio-Invoke-Timeout": "50ms"}


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


@pytest.mark.parametrize("says", [True, False])
def test_a_call_waits_as_long_as_its_client_or_as_function_yaml_says(functions: Path, serve: Serve, says: bool) -> None:
    trigger = {"kind": "http", "workerAvailabilityTimeoutMilliseconds": 3_600_000 if says else 50}
    write_function(functions, "a", triggers={"http": trigger})
    client = serve()
    gates = client.gates["pcb-a"]
    first = in_thread(lambda: client.invoke("pcb-a", {"wait": True})[0])
    assert gates["entered"].acquire(timeout=60)
    status, reply, _ = client("POST", INVOKE, b"{}", TO_A | SOON) if says else client("POST", INVOKE, b"{}", TO_A)
    assert (status, "busy" in reply["error"]) == (503, True)
    gates["go"].release()
    assert first() == 201
    assert client.invoke("pcb-a", {})[0] == 201


def test_a_long_frame_ends_neither_itself_nor_the_call_that_waits(functions: Path, serve: Serve) -> None:
    """What function.yaml grants is long over; CVAT still waits."""
    trigger = {"kind": "http", "workerAvailabilityTimeoutMilliseconds": 1}
    write_function(functions, "a", triggers={"http": trigger}, eventTimeout="1ms")
    client = serve()
    gates = client.gates["pcb-a"]
    first = in_thread(lambda: client.invoke("pcb-a", {"wait": True})[0])
    assert gates["entered"].acquire(timeout=60)
    second = in_thread(lambda: client.invoke("pcb-a", {})[0])
    assert client.invoke("pcb-a", {}, **SOON)[0] == 503  # takes its time: by now the second one waits
    gates["go"].release()
    assert (first(), second()) == (201, 201)


@pytest.mark.parametrize("text", ["soon", "120", "-1s"])
def test_a_time_that_cannot_be_read_is_refused_as_by_the_dashboard(functions: Path, serve: Serve, text: str) -> None:
    write_function(functions, "a")
    client = serve()
    status, reply, _ = client.invoke("pcb-a", {}, **{"X-Nuclio-Invoke-Timeout": text})
    assert (status, text in reply["error"]) == (400, True)
    assert client.gates["pcb-a"]["calls"] == []


def test_the_event_is_as_old_as_its_call(functions: Path, serve: Serve) -> None:
    code = """
import datetime
def handler(context, event):
    now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
    return {"age": (now - event.timestamp).total_seconds()}
"""
    write_function(functions, "a", code)
    worker = idle_worker(serve().functions.by_id["pcb-a"])
    age = json.loads(worker.call(Call(arrived=time.monotonic() - 70)).body)["age"]
    assert 69.9 < age < 75


def test_a_handler_that_comes_back_late_keeps_its_worker(
    functions: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(function, "GRACE_S", 60)
    write_function(functions, "a", eventTimeout="50ms")
    client = serve()
    worker = idle_worker(client.functions.by_id["pcb-a"])
    assert client.invoke("pcb-a", {"wait": True}, **SOON)[:2] == (408, {"error": "handler timed out"})
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
    assert client.invoke("pcb-a", {"wait": True}, **SOON)[0] == 408
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
    assert client.invoke("pcb-a", {"wait": True}, **SOON)[0] == 408
    assert said.wait(60)
    status, reply, _ = client.invoke("pcb-a", {})
    assert (status, "./deploy.sh up" in reply["error"]) == (503, True)
    causes = [failure.cause for failure in served.tally.failures]
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
