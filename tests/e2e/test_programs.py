"""What nuclio's programs do, on a function made for the purpose.

The stand-ins and nuclio's own programs pass the same tests: README.md has the table.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import re
import signal
import subprocess
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.e2e import probe
from tests.e2e.programs import VERSIONS, Programs
from tests.e2e.running import Running, Start, eventually

Run = Callable[..., Running]
Pool = concurrent.futures.ThreadPoolExecutor


@pytest.fixture
def run(start: Start, tmp_path: Path) -> Run:
    """Start the probe, perhaps with another main.py."""

    def launch(main: str = probe.MAIN, **more: Any) -> Running:  # noqa: ANN401
        return start(probe.write(tmp_path / f"probe-{len(start.running)}", main), **more)

    return launch


def raw_answer(text: bytes) -> tuple[int, dict[str, str], bytes]:
    """Split an answer as it came over the wire."""
    head, _, body = text.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    return int(first.split()[1]), dict(line.split(": ", 1) for line in lines), body


def asleep(processor: Running) -> bool:
    """Whether the worker is in the middle of a call: nobody else gets one."""
    return processor.call(X_Probe="none").status == 503


# Where init_context is looked up


def test_init_context_is_looked_up_where_the_handler_was_defined(run: Run) -> None:
    assert run().call().json["loaded"] is True
    elsewhere = run(probe.MAIN.replace("def handler(", "def original(") + "\nhandler = original\n")
    assert elsewhere.call().json["loaded"] is True


def test_a_handler_of_another_module_makes_nuclio_skip_init_context_silently(start: Start, tmp_path: Path) -> None:
    folder = probe.write(tmp_path / "bound", probe.MAIN.partition("def handler")[0] + "\nfrom other import handler\n")
    (folder / "other.py").write_text(probe.MAIN.replace("def init_context(", "def unused("), "utf-8")
    processor = start(folder)
    answer = processor.call()
    assert (answer.status, answer.json["loaded"]) == (200, False)
    assert "init_context" not in processor.text()


# Start and health


def test_the_health_server_answers_while_the_workers_load(run: Run) -> None:
    processor = run(wait=False, env={"PROBE_LOAD_S": "3"})
    eventually(lambda: processor.health_status("/live") is not None)
    assert processor.health_status("/ready") == 503
    assert processor.health_status("/live") == 200
    with pytest.raises(ConnectionRefusedError):
        processor.call()
    eventually(processor.ready)
    assert processor.health_status("/") == 404
    assert processor.call().status == 200
    assert processor.call(path="/__internal/health").body == b""


@pytest.mark.parametrize("status", [200, 404, 503])
@pytest.mark.parametrize("programs", VERSIONS, ids=str)
def test_uhttpc_is_content_with_any_answer(programs: Programs, status: int) -> None:
    class Says(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Says) as server:
        Thread(target=server.handle_request).start()
        url = f"http://127.0.0.1:{server.server_port}/ready"
        assert subprocess.run([str(programs.uhttpc), "--url", url], check=False).returncode == 0
    assert subprocess.run([str(programs.uhttpc), "--url", url], capture_output=True, check=False).returncode == 1


def test_an_init_context_that_raises_ends_the_processor_and_its_cause_is_far_up_in_the_log(run: Run) -> None:
    processor = run(wait=False, env={"PROBE_FAILS": "1"})
    assert processor.process.wait(60) == 2
    text = processor.text()
    assert "Exception raised while running init_context" in text
    assert text.index("RuntimeError: the weights are broken") < text.index("Wrapper process for worker 0 exited")
    assert text.index("exited unexpectedly") < text.index("goroutine")  # the last lines are Go's


def test_a_main_that_cannot_be_imported_ends_the_processor(run: Run) -> None:
    processor = run("import nothing_of_that_name", wait=False)
    assert processor.process.wait(60) == 2
    assert "Caught unhandled exception while initializing" in processor.text()
    assert "No module named 'nothing_of_that_name'" in processor.text()


# Requests


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "BREW"])
def test_any_verb_reaches_the_handler(run: Run, method: str) -> None:
    answer = run().call(method=method)
    assert answer.status == 200
    if method == "HEAD":
        assert answer.body == b""
        assert int(answer.headers["Content-Length"]) > 100
    else:
        assert answer.json["method"] == method


def test_event_fields(run: Run) -> None:
    processor = run()
    request = b"POST /a%20b?x=1&y=2&x=3 HTTP/1.1\r\nHost: here\r\nx-lower-CASE: 1\r\nX-Lower-Case: 2\r\n"
    _, _, body = raw_answer(processor.raw(request + b"Content-Length: 2\r\nConnection: close\r\n\r\nhi"))
    event = json.loads(body)
    assert event["headers"] == {"Host": "here", "X-Lower-Case": "2", "Content-Length": "2", "Connection": "close"}
    assert (event["path"], event["url"], event["fields"]) == ("/a b", "", {"x": "3", "y": "2"})
    assert (event["body"], event["type"], event["size"], event["content_type"]) == ("hi", "bytes", 2, "")
    assert event["microsecond"] == 0
    assert event["trigger"] == ["http", "myHttpTrigger"]
    assert (event["shard_id"], event["num_shards"]) == (-1, 0)


def test_the_body_is_parsed_when_the_type_is_exactly_json(run: Run) -> None:
    processor = run()
    kinds = {
        "application/json": {"a": 1},
        "application/json; charset=utf-8": '{"a": 1}',
        "text/plain": '{"a": 1}',
    }
    for kind, body in kinds.items():
        assert processor.call(b'{"a": 1}', Content_Type=kind).json["body"] == body
    assert processor.call(b"{").json["type"] == "bytes"
    assert "Failed deserializing json body" in processor.text()


def test_a_get_that_claims_to_be_json_works_and_leaves_a_complaint(run: Run) -> None:
    processor = run()
    assert processor.call().status == 200
    assert "Failed deserializing" not in processor.text()
    assert processor.call(Content_Type="application/json").status == 200
    eventually(lambda: "Failed deserializing json body" in processor.text() or processor.call().json["body"] is None)


def test_a_chunked_body_reaches_the_handler(run: Run) -> None:
    request = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
    answer = run().raw(request + b"Connection: close\r\n\r\n4\r\n[1,2\r\n1\r\n]\r\n0\r\n\r\n")
    status, _, body = raw_answer(answer)
    assert (status, json.loads(body)["body"]) == (200, [1, 2])


def test_a_form_that_is_none_is_400(run: Run) -> None:
    request = (
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 5\r\n\r\n"
    )
    status, headers, body = raw_answer(run().raw(request + b"hello"))
    assert (status, body, headers["Connection"]) == (400, b"Error when parsing request", "close")


def test_a_body_over_the_limit_is_400_and_the_connection_closes(run: Run) -> None:
    processor = run(maxRequestBodySize=100_000)
    length = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100001\r\n\r\n"
    chunk = b"8000\r\n" + bytes(0x8000) + b"\r\n"
    chunked = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk * 4
    for request in (length, chunked):
        status, headers, body = raw_answer(processor.raw(request))
        assert (status, body, headers["Connection"]) == (400, b"Error when parsing request", "close")
    assert processor.call(bytes(100_000), Content_Type="x").status == 200


def test_headers_over_16_kib_are_431(run: Run) -> None:
    processor = run()
    head = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Long: "
    assert raw_answer(processor.raw(head + b"a" * 15_000 + b"\r\n\r\n"))[0] == 200
    assert raw_answer(processor.raw(head + b"a" * 17_000 + b"\r\n\r\n"))[0] == 431


def test_response_headers(run: Run) -> None:
    answer = run().raw(b"GET / HTTP/1.1\r\nHost: x\r\nX-Probe: headers\r\nConnection: close\r\n\r\n")
    _, headers, _ = raw_answer(answer)
    assert headers["X-Text"].encode("latin-1").decode("utf-8") == "漏塞"
    assert headers["X-Break"] == "a  X-Evil: 1"
    assert "X-Evil" not in headers
    assert "X-Number" not in headers  # text only
    assert headers["Server"] == "nuclio"


# The handler


def test_an_exception_is_500_with_its_traceback_and_the_worker_lives_on(run: Run) -> None:
    processor = run()
    for probe_header, cause in (("raise oops", "ValueError: oops"), ("leave 3", "SystemExit: 3")):
        answer = processor.call(X_Probe=probe_header)
        assert (answer.status, answer.headers["Content-Type"]) == (500, "text/plain")
        assert cause in answer.body.decode()
        assert answer.body.startswith(b"Exception caught in handler")
    assert processor.call().status == 200


def test_a_bare_list(start: Start, run: Run) -> None:
    """1.13.0 sends all of it; later versions the first element, and an empty list loses the worker for good."""
    processor = run(workerAvailabilityTimeoutMilliseconds=300)
    answer = processor.call(X_Probe='list [{"a": 1}, {"a": 2}]')
    old = start.programs.version == "1.13.0"
    assert answer.json == ([{"a": 1}, {"a": 2}] if old else {"a": 1})
    empty = processor.call(X_Probe="list []")
    assert (empty.status, empty.body) == ((200, b"[]") if old else (500, b""))
    assert processor.call().status == (200 if old else 503)
    assert processor.ready()


def test_log_lines_are_coloured_text(run: Run) -> None:
    processor = run()
    processor.call(X_Probe="log frame-seen")
    eventually(lambda: "frame-seen" in processor.text())
    line = next(line for line in processor.text().splitlines() if "frame-seen" in line)
    pattern = (
        r"\d\d\.\d\d\.\d\d \d\d:\d\d:\d\d\.\d\d\d \x1b\[33m\(W\)\x1b\[0m \x1b\[37m.{25}\x1b\[0m frame-seen (\{.*\})"
    )
    match = re.fullmatch(pattern, line)
    assert match, line
    assert json.loads(match[1]) == {"frame": 7, "worker_id": "0"}


def test_log_lines_are_json_where_the_platform_asks_for_it(run: Run) -> None:
    sink = {"kind": "stdout", "attributes": {"encoding": "json"}}
    bindings = [{"level": "debug", "sink": "lines"}]
    processor = run(platform={"logger": {"sinks": {"lines": sink}, "system": bindings, "functions": bindings}})
    processor.call(X_Probe="log frame-seen")
    eventually(lambda: "frame-seen" in processor.text())
    line = json.loads(next(line for line in processor.text().splitlines() if "frame-seen" in line))
    assert (line["level"], line["message"], line["frame"]) == ("warn", "frame-seen", 7)


def test_a_request_can_ask_for_its_own_log(run: Run) -> None:
    answer = run().call(X_Probe="log hello", X_Nuclio_Log_Level="debug")
    (record,) = json.loads(answer.headers["X-Nuclio-Logs"])
    assert (record["level"], record["message"], record["frame"]) == ("warn", "hello", 7)


# Timeouts, deaths, signals


def test_without_a_free_worker_the_answer_is_503_and_empty(run: Run) -> None:
    processor = run(workerAvailabilityTimeoutMilliseconds=200)
    with Pool() as pool:
        busy = pool.submit(processor.call, X_Probe="sleep 3")
        eventually(lambda: asleep(processor), 3)
        answer = processor.call()
        assert (answer.status, answer.body) == (503, b"")
        assert busy.result().status == 200


def test_after_a_timeout_calls_are_500_until_the_worker_is_back(run: Run) -> None:
    processor = run(eventTimeout="2s", env={"PROBE_LOAD_S": "1.5"})
    (before,) = processor.wrappers()
    with Pool() as pool:
        hung = pool.submit(processor.call, X_Probe="sleep 60")
        started = time.monotonic()
        eventually(lambda: before.num_ctx_switches() and time.monotonic() - started > 0.3)
        queued = pool.submit(processor.call)
        answer = hung.result()
    assert answer.status == 408
    # A moment early, because nuclio's clock moves once a second, or up to twice the timeout.
    assert 0.9 <= answer.seconds < 6
    assert answer.body == b'{"error": "handler timed out"}'
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.headers["Transfer-Encoding"] == "chunked"
    for refused in (queued.result(), processor.call()):
        assert refused.status == 500
        assert refused.body == b"Processor not ready (current status: stopped)"
    assert processor.health_status("/ready") == 503
    assert processor.health_status("/live") == 200
    eventually(processor.ready)
    assert processor.call().status == 200
    (after,) = processor.wrappers()
    assert after.pid != before.pid


@pytest.mark.parametrize("code", [1, 7])
def test_a_worker_that_dies_in_a_call_is_500_eof_and_the_processor_exits_with_2(run: Run, code: int) -> None:
    processor = run()
    # Whichever is first: the answer, or the end of the processor.
    with contextlib.suppress(ConnectionError):
        answer = processor.call(X_Probe=f"exit {code}")
        assert (answer.status, answer.body) == (500, b"EOF")
    assert processor.process.wait(20) == 2
    assert f"Wrapper process for worker 0 exited unexpectedly with: exit status {code}" in processor.text()


def test_a_killed_worker_takes_the_processor_with_it(run: Run) -> None:
    processor = run()
    processor.wrappers()[0].kill()
    assert processor.process.wait(20) == 2
    assert "exited unexpectedly with: signal: killed" in processor.text()


def test_a_worker_that_leaves_with_0_leaves_a_processor_that_answers_500_only(run: Run) -> None:
    processor = run()
    assert processor.call(X_Probe="exit 0").body == b"EOF"
    for _ in range(3):
        answer = processor.call()
        assert answer.status == 500
        assert answer.body.startswith(b"Can't encode ")
    assert processor.ready()
    assert processor.process.poll() is None


def test_sigterm_takes_15_seconds_in_which_frames_finish_and_calls_are_refused(run: Run) -> None:
    processor = run()
    with Pool() as pool:
        frame = pool.submit(processor.call, X_Probe="sleep 9")
        started = time.monotonic()
        eventually(lambda: time.monotonic() - started > 0.5)
        processor.process.send_signal(signal.SIGTERM)
        stopped = time.monotonic()
        # A call that is let in before nuclio has taken note may be discarded by its worker, and never answered.
        eventually(lambda: "Got system signal" in processor.text(), 5)
        answer = processor.call()
        assert (answer.status, answer.body) == (503, b"")
        assert processor.health_status("/ready") == 200
        assert frame.result().status == 200
    assert processor.process.wait(30) == 0
    assert 14.5 < time.monotonic() - stopped < 18
