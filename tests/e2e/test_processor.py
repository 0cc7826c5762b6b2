"""Each function inside nuclio's process model: a processor, its workers, their timeouts; no Docker.

The newest nuclio and 1.13.0, each with the SDK of its own wheels.
"""

from __future__ import annotations

import base64
import concurrent.futures
import io
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import yaml
from PIL import Image

from tests.e2e import images
from tests.e2e.site import FUNCTIONS, NEWEST, OLDEST, ROOT, STANDIN

MIB = 1024 * 1024

SLOW = '''
"""A handler that does what a broken one would, when the request says so."""
import time
from pcb_aoi.nuclio import entry_points

init_context, _handler = entry_points(__file__)


def handler(context, event):
    wait = event.get_header("X-Test-Sleep")
    if wait:
        time.sleep(float(wait))
    if event.get_header("X-Test-List"):
        return [{"a": 1}, {"a": 2}]
    return _handler(context, event)
'''


@dataclass
class Answer:
    status: int
    body: bytes
    headers: dict[str, str]
    seconds: float

    @property
    def json(self) -> Any:  # noqa: ANN401 - whatever the function answers
        return json.loads(self.body)


@dataclass
class Processor:
    """One running processor."""

    process: subprocess.Popen[bytes]
    port: int
    health: int
    log: Path
    samples: Path
    _jobs: list[Any] = field(default_factory=list)

    def call(self, body: bytes | None = None, **headers: str) -> Answer:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/", data=body, method="POST" if body else "GET")
        request.add_header("Content-Type", "application/json")
        for name, value in headers.items():
            request.add_header(name.replace("_", "-"), value)
        started = time.monotonic()
        try:
            with urllib.request.urlopen(request, timeout=150) as response:
                answer = Answer(response.status, response.read(), dict(response.headers), 0)
        except urllib.error.HTTPError as error:
            with error:
                answer = Answer(error.code, error.read(), dict(error.headers), 0)
        answer.seconds = time.monotonic() - started
        return answer

    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.health}/ready", timeout=2) as response:
                return bool(response.status == 200)
        except OSError:
            return False

    def sample(self) -> tuple[bytes, list[dict[str, Any]]]:
        """Return CVAT's payload of a sample, and what is planted in it."""
        image = json.loads((self.samples / "truth.json").read_text("utf-8"))["images"][0]
        return payload((self.samples / image["file"]).read_bytes()), image["defects"]


Start = Callable[..., Processor]


def payload(image: bytes, **more: object) -> bytes:
    return json.dumps({"image": base64.b64encode(image).decode(), **more}).encode()


def png(height: int, width: int, value: int = 40) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((height, width), value, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def heavy_png(megabytes: int) -> bytes:
    """Return a small picture in a large file: a PNG with one huge chunk that no reader knows."""
    picture, size = png(64, 64), megabytes * MIB
    chunk = b"prVt" + bytes(size)
    end = picture.index(b"IEND") - 4
    return picture[:end] + struct.pack(">I", size) + chunk + struct.pack(">I", zlib.crc32(chunk)) + picture[end:]


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@pytest.fixture(params=[NEWEST, OLDEST])
def start(request: pytest.FixtureRequest, cache: Path, site: Path, tmp_path: Path) -> Iterator[Start]:
    """Start processors, and stop what is left of them."""
    version, running = request.param, []

    def launch(function: str = "inner-layer", *, main: str | None = None, wait: bool = True,
               env: dict[str, str] | None = None, **spec: object) -> Processor:  # fmt: skip
        folder = site / "functions" / function
        config = yaml.safe_load((folder / "function.yaml").read_text("utf-8"))
        port, health = free_port(), free_port()
        (trigger,) = config["spec"]["triggers"].values()
        trigger["url"] = f":{port}"
        for key in ("numWorkers", "workerAvailabilityTimeoutMilliseconds"):
            if key in spec:
                trigger[key] = spec.pop(key)
        config["spec"] |= spec
        home = tmp_path / f"{function}-{port}"
        home.mkdir()
        if main is not None:
            for file in folder.iterdir():
                (home / file.name).write_bytes(file.read_bytes())
            (home / "main.py").write_text(main, "utf-8")
            folder = home
        (home / "processor.yaml").write_text(yaml.safe_dump(config, allow_unicode=True), "utf-8")
        (home / "platform.yaml").write_text(f'healthCheck: {{enabled: true, listenAddress: ":{health}"}}', "utf-8")
        log = home / "log"
        python_path = f"{images.python_side(version, cache)}:{ROOT}"
        environment = dict(os.environ) | {item["name"]: item["value"] for item in config["spec"]["env"]}
        environment |= {
            "NUCLIO_STANDIN_VERSION": version,
            "NUCLIO_PYTHON_WRAPPER_PATH": str(STANDIN / "wrapper.py"),
            "NUCLIO_PYTHON_PATH": str(folder),
            "NUCLIO_PYTHON_EXE_PATH": sys.executable,
            "PYTHONPATH": python_path,
            "PYTHONDONTWRITEBYTECODE": "1",
        } | (env or {})
        command = [sys.executable, str(STANDIN / "processor.py"), "--config", str(home / "processor.yaml")]
        command += ["--platform-config", str(home / "platform.yaml")]
        with log.open("wb") as stream:
            process = subprocess.Popen(command, env=environment, stdout=stream, stderr=stream, start_new_session=True)
        processor = Processor(process, port, health, log, site / "samples" / function)
        running.append(processor)
        if wait:
            eventually(lambda: processor.ready() or process.poll() is not None)
            assert process.poll() is None, log.read_text("utf-8")
        return processor

    yield launch
    for processor in running:
        for child in psutil.Process(processor.process.pid).children() if processor.process.poll() is None else []:
            child.kill()
        processor.process.kill()
        processor.process.wait()


def eventually(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.05)


def wrappers(processor: Processor) -> list[psutil.Process]:
    return psutil.Process(processor.process.pid).children()


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_function_answers_what_was_planted(start: Start, function: str) -> None:
    processor = start(function)
    body, planted = processor.sample()
    answer = processor.call(body)
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert "infer;dur=" in answer.headers["Server-Timing"]
    assert len(answer.json) >= 1
    assert planted
    about = processor.call()
    assert about.status == 200
    assert about.json["provider"] == "CPUExecutionProvider"
    assert {shape["label"] for shape in answer.json} <= set(about.json["labels"])


BAD_REQUESTS = {
    b"{": 400,
    b"[]": 400,
    b"{}": 400,
    b'"text"': 400,
    b'{"image": "***"}': 400,
    payload(b""): 400,
    payload(b"not an image"): 415,
}


def test_a_bad_request_is_a_short_json_error(start: Start) -> None:
    processor = start()
    for body, status in BAD_REQUESTS.items():
        answer = processor.call(body)
        assert (body, answer.status) == (body, status)
        assert set(answer.json) == {"code", "message"}
        assert b"Traceback" not in answer.body
    assert processor.call(payload(png(64, 64))).status == 200


def test_a_body_that_is_not_marked_as_json_is_read_all_the_same(start: Start) -> None:
    processor = start()
    body, _ = processor.sample()
    answer = processor.call(body, Content_Type="application/json; charset=utf-8")
    assert answer.status == 200
    assert answer.json == processor.call(body).json


def test_its_own_deadline_comes_before_event_timeout(start: Start) -> None:
    processor = start(env={"PCB_AOI_DEADLINE_S": "1"}, eventTimeout="20s")
    answer = processor.call(payload(png(14_000, 14_000)))
    assert answer.status in (408, 503, 504)
    assert set(answer.json) == {"code", "message"}
    assert processor.call(payload(png(64, 64))).status == 200
    assert "restarting worker" not in processor.log.read_text("utf-8")


def test_a_hung_handler_is_reaped_and_the_worker_comes_back(start: Start) -> None:
    processor = start(main=SLOW, eventTimeout="2s")
    (before,) = wrappers(processor)
    answer = processor.call(payload(png(64, 64)), X_Test_Sleep="60")
    assert answer.status == 408
    assert 2 <= answer.seconds < 6
    eventually(processor.ready)
    (after,) = wrappers(processor)
    assert after.pid != before.pid
    assert processor.call(payload(png(64, 64))).status == 200


def test_without_a_free_worker_the_answer_is_503(start: Start) -> None:
    processor = start(main=SLOW, workerAvailabilityTimeoutMilliseconds=300)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        busy = pool.submit(processor.call, payload(png(64, 64)), X_Test_Sleep="3")
        eventually(lambda: processor.call(payload(png(64, 64))).status == 503, 3)
        assert busy.result().status == 200
    assert processor.call(payload(png(64, 64))).status == 200


def test_waiting_clients_are_served_one_after_the_other(start: Start) -> None:
    processor = start()
    body, _ = processor.sample()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(processor.call, [body] * 24))
    assert {answer.status for answer in answers} == {200}
    assert len({answer.body for answer in answers}) == 1


def test_a_body_over_the_limit_is_413_and_does_no_harm(start: Start) -> None:
    processor = start()
    head = f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {257 * MIB}\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", processor.port), timeout=10) as sock:
        sock.sendall(head)
        assert b" 413 " in sock.recv(200)
    assert processor.call(payload(png(64, 64))).status == 200


def test_a_body_of_150_megabytes_is_answered(start: Start) -> None:
    processor = start()
    body = payload(heavy_png(113))
    assert len(body) > 150 * MIB
    answer = processor.call(body)
    assert answer.status == 200, answer.body
    assert answer.json == []


def test_a_killed_worker_ends_the_processor_so_that_docker_restarts_it(start: Start) -> None:
    processor = start()
    wrappers(processor)[0].kill()
    assert processor.process.wait(20) != 0
    assert "exited unexpectedly" in processor.log.read_text("utf-8")


def test_a_stop_lets_the_frame_in_work_finish(start: Start) -> None:
    processor = start(main=SLOW)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        running = pool.submit(processor.call, payload(png(64, 64)), X_Test_Sleep="2")
        (wrapper,) = wrappers(processor)
        eventually(lambda: not processor.ready() or wrapper.status() == psutil.STATUS_SLEEPING)
        time_to_arrive = time.monotonic() + 0.5
        eventually(lambda: time.monotonic() > time_to_arrive)
        processor.process.send_signal(signal.SIGTERM)
        assert running.result().status == 200
    assert processor.process.wait(20) == 0


def test_a_function_that_cannot_load_its_model_never_becomes_ready(start: Start) -> None:
    processor = start(env={"PCB_AOI_DEVICE": "cuda"}, wait=False)
    assert processor.process.wait(60) != 0
    log = processor.log.read_text("utf-8")
    assert "init_context" in log
    assert "CUDA" in log


def test_the_trap_of_a_bare_list_is_what_the_engine_avoids(start: Start) -> None:
    """What nuclio does with a list: 1.13.0 sends all of it, later versions only its first element."""
    processor = start(main=SLOW)
    answer = processor.call(payload(png(64, 64)), X_Test_List="1")
    expected = [{"a": 1}, {"a": 2}] if f"'{OLDEST}'" in processor.log.read_text("utf-8") else {"a": 1}
    assert answer.json == expected
