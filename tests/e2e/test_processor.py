"""Each function inside nuclio's process model: a processor, its workers, their timeouts; no Docker."""

from __future__ import annotations

import base64
import concurrent.futures
import io
import json
import shutil
import signal
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image

from tests.e2e.running import Running, Start, eventually
from tests.e2e.site import FUNCTIONS

MIB = 1024 * 1024

SLOW = """
import time
from pathlib import Path

from pcb_aoi import nuclio


def init_context(context):
    nuclio.load_model(context, Path(__file__).resolve().parent)


def handler(context, event):
    time.sleep(float(event.get_header("X-Test-Sleep") or 0))
    return nuclio.handle(context, event)
"""
"""A handler that takes as long as the request says."""

BOUND = """
from pathlib import Path

from pcb_aoi import nuclio


def init_context(context):
    nuclio.load_model(context, Path(__file__).resolve().parent)


handler = nuclio.handle
"""
"""A main.py that binds a handler of another module: nuclio looks for init_context there, and finds none."""


Run = Callable[..., Running]
Sample = Callable[..., tuple[bytes, list[dict[str, Any]]]]


@pytest.fixture
def run(start: Start, site: Path, tmp_path: Path) -> Run:
    """Start one of the five functions, perhaps with another main.py."""

    def launch(function: str = "inner-layer", *, main: str | None = None, **more: Any) -> Running:  # noqa: ANN401
        folder = site / "functions" / function
        if main is not None:
            folder = Path(shutil.copytree(folder, tmp_path / f"{function}-{len(start.running)}"))
            (folder / "main.py").write_text(main, "utf-8")
        return start(folder, **more)

    return launch


@pytest.fixture
def sample(site: Path) -> Sample:
    """Return CVAT's payload of a function's sample, and what is planted in it."""

    def read(function: str = "inner-layer") -> tuple[bytes, list[dict[str, Any]]]:
        folder = site / "samples" / function
        image = json.loads((folder / "truth.json").read_text("utf-8"))["images"][0]
        return payload((folder / image["file"]).read_bytes()), image["defects"]

    return read


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


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_function_answers_what_was_planted(run: Run, sample: Sample, function: str) -> None:
    processor = run(function)
    body, planted = sample(function)
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
}


def test_a_bad_request_is_a_short_json_error(run: Run) -> None:
    processor = run()
    for body, status in BAD_REQUESTS.items():
        answer = processor.call(body)
        assert (body, answer.status) == (body, status)
        assert set(answer.json) == {"code", "message"}
        assert b"Traceback" not in answer.body
    assert processor.call(payload(png(64, 64))).status == 200


def test_a_frame_of_which_nothing_decodes_is_answered_empty_with_a_warning(run: Run) -> None:
    answer = run().call(payload(b"not an image"))
    assert (answer.status, answer.json) == (200, [])
    assert answer.headers["X-Pcb-Aoi-Warning"].startswith("frame skipped: ")


def test_a_body_that_is_not_marked_as_json_is_read_all_the_same(run: Run, sample: Sample) -> None:
    processor = run()
    body, _ = sample()
    answer = processor.call(body, Content_Type="application/json; charset=utf-8")
    assert answer.status == 200
    assert answer.json == processor.call(body).json


def test_its_own_deadline_comes_before_event_timeout(run: Run) -> None:
    processor = run(env={"PCB_AOI_DEADLINE_S": "1"}, eventTimeout="20s")
    answer = processor.call(payload(png(14_000, 14_000)))
    assert answer.status in (408, 503, 504)
    assert set(answer.json) == {"code", "message"}
    assert processor.call(payload(png(64, 64))).status == 200
    assert "restarting worker" not in processor.text()


def test_a_hung_handler_is_reaped_and_the_worker_comes_back(run: Run) -> None:
    processor = run(main=SLOW, eventTimeout="2s")
    (before,) = processor.wrappers()
    answer = processor.call(payload(png(64, 64)), X_Test_Sleep="60")
    assert answer.status == 408
    assert answer.seconds < 6
    eventually(processor.ready)
    (after,) = processor.wrappers()
    assert after.pid != before.pid
    assert processor.call(payload(png(64, 64))).status == 200


def test_without_a_free_worker_the_answer_is_503(run: Run) -> None:
    processor = run(main=SLOW, workerAvailabilityTimeoutMilliseconds=300)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        busy = pool.submit(processor.call, payload(png(64, 64)), X_Test_Sleep="3")
        eventually(lambda: processor.call(payload(png(64, 64))).status == 503, 3)
        assert busy.result().status == 200
    assert processor.call(payload(png(64, 64))).status == 200


def test_waiting_clients_are_served_one_after_the_other(run: Run, sample: Sample) -> None:
    processor = run()
    body, _ = sample()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(processor.call, [body] * 24))
    assert {answer.status for answer in answers} == {200}
    assert len({answer.body for answer in answers}) == 1


def test_a_body_over_the_limit_is_400_and_does_no_harm(run: Run) -> None:
    processor = run()
    head = f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {257 * MIB}\r\n\r\n"
    assert b" 400 Bad Request" in processor.raw(head.encode())
    assert processor.call(payload(png(64, 64))).status == 200


def test_a_body_of_150_megabytes_is_answered(run: Run) -> None:
    processor = run()
    body = payload(heavy_png(113))
    assert len(body) > 150 * MIB
    answer = processor.call(body)
    assert answer.status == 200, answer.body
    assert answer.json == []


def test_a_killed_worker_ends_the_processor_so_that_docker_restarts_it(run: Run) -> None:
    processor = run()
    processor.wrappers()[0].kill()
    assert processor.process.wait(20) != 0
    assert "exited unexpectedly" in processor.text()


def test_a_stop_lets_the_frame_in_work_finish(run: Run) -> None:
    processor = run(main=SLOW)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        running = pool.submit(processor.call, payload(png(64, 64)), X_Test_Sleep="2")
        (wrapper,) = processor.wrappers()
        eventually(lambda: not processor.ready() or wrapper.status() == psutil.STATUS_SLEEPING)
        time_to_arrive = time.monotonic() + 0.5
        eventually(lambda: time.monotonic() > time_to_arrive)
        processor.process.send_signal(signal.SIGTERM)
        assert running.result().status == 200
    assert processor.process.wait(20) == 0


def test_a_function_that_cannot_load_its_model_never_becomes_ready(run: Run) -> None:
    processor = run(env={"PCB_AOI_DEVICE": "cuda"}, wait=False)
    assert processor.process.wait(60) != 0
    log = processor.text()
    assert "init_context" in log
    assert "CUDA" in log


def test_a_handler_of_another_module_leaves_the_function_without_a_model(run: Run) -> None:
    """The fault that `pcb-aoi check` looks for: nuclio is ready, and no call is answered."""
    processor = run(main=BOUND)
    answer = processor.call(payload(png(64, 64)))
    assert (answer.status, answer.json["code"]) == (500, "no_model")
    assert "define both in main.py" in processor.text()
