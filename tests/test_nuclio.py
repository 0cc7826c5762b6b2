"""nuclio: one structured log line a request, timings in a standard header, and what a GET says."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import analytic
import nuclio_sdk
import numpy as np
import pytest
from calling import Function
from files import encode

from pcb_aoi import __version__, nuclio
from pcb_aoi.commands import check
from pcb_aoi.config import function_yaml
from pcb_aoi.errors import ConfigError, MissingWeights, PcbAoiError

BOARD = analytic.board(112, 192, [(16, 16, 48, 32), (32, 64, 160, 80)])
PNG = encode(BOARD)
ROOT = Path(__file__).resolve().parents[1]
FUNCTIONS = sorted(path.parent for path in (ROOT / "functions").glob("*/main.py"))
STAGES = ["decode", "tile", "infer", "merge", "respond"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return analytic.write_function(tmp_path_factory.mktemp("functions") / "analytic")


@pytest.fixture(scope="module")
def function(folder: Path) -> Function:
    return Function(folder)


def test_one_line_says_everything_about_an_answered_frame(function: Function) -> None:
    (line,) = function.annotate(PNG).log
    assert (line["level"], line["message"]) == ("info", "frame answered")
    facts = line["with"]
    ms = facts.pop("ms")
    assert list(ms) == STAGES
    assert all(isinstance(value, float) and value >= 0 for value in ms.values())
    assert facts == {
        "model": "analytic",
        "version": "1.2.3",
        "bytes": len(PNG),
        "format": "PNG",
        "mode": "L",
        "width": 192,
        "height": 112,
        "tiles": 8,
        "detections": {"bright": 2},
        "warnings": [],
    }


def test_one_line_says_what_is_known_of_a_refused_frame(folder: Path) -> None:
    function = Function(folder)
    (line,) = function.post(b"{}").log
    assert line["level"] == "error"
    assert line["message"] == "frame refused"
    assert line["with"]["code"] == "bad_request"
    assert line["with"]["cause"] == "missing field 'image'"
    (line,) = function.annotate(b"no image").log
    assert (line["with"]["code"], line["with"]["bytes"]) == ("unsupported_image", 8)
    assert line["with"]["detail"] == "first bytes 6e6f20696d616765"
    # The size and the mode are known when the time runs out.
    hurried = Function(folder, {"PCB_AOI_DEADLINE_S": "1"})
    answer = hurried.annotate(encode(np.zeros((9000, 9000), np.uint8)))
    assert (answer.status, answer.code) == (503, "deadline")
    facts = answer.log[-1]["with"]
    assert (facts["width"], facts["height"], facts["mode"]) == (9000, 9000, "L")


def test_decoding_and_the_tiles_share_the_time_that_was_set(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    function = Function(folder, {"PCB_AOI_DEADLINE_S": "7"})
    decoder, detector = function.context.user_data.decoder, function.context.user_data.detector
    decode, detect = decoder.decode, detector.detect
    given: list[float] = []

    def decoding(data: bytes, most: float, seconds: float) -> Any:  # noqa: ANN401
        given.append(seconds)
        return decode(data, most, seconds)

    def detecting(pixels: np.ndarray, threshold: float | None, deadline: float) -> Any:  # noqa: ANN401
        given.append(deadline)
        return detect(pixels, threshold)

    monkeypatch.setattr(decoder, "decode", decoding)
    monkeypatch.setattr(detector, "detect", detecting)
    monkeypatch.setattr(nuclio, "time", SimpleNamespace(monotonic=lambda: 1000.0))
    assert function.annotate(PNG).status == 200
    assert given == [7, 1007]


CVATS = {"X-Nuclio-Invoke-Timeout": "300s"}


@pytest.mark.parametrize(
    ("env", "headers", "waited_s", "event_timeout", "left_s"),
    [
        ({}, {}, 0, None, 110),
        ({}, CVATS, 0, None, 290),
        ({}, {"x-nuclio-invoke-timeout": b"300s"}, 0, None, 290),
        ({}, {"X-Nuclio-Invoke-Timeout": "50s"}, 0, None, 45),
        ({}, {"X-Nuclio-Invoke-Timeout": "soon"}, 0, None, 110),
        ({}, CVATS, 60, None, 230),
        ({}, {}, 60, None, 50),
        ({}, {}, 115, None, -5),
        ({}, {}, 3600, None, 110),  # a clock that was set
        ({}, {}, -3600, None, 110),
        ({"PCB_AOI_DEADLINE_S": "30"}, CVATS, 20, None, 10),
        # nuclio kills a worker at its eventTimeout, and the calls that wait with it: a frame ends before.
        ({}, CVATS, 0, "200s", 190),
        ({}, CVATS, 200, "200s", 90),
    ],
)
def test_a_frame_may_take_what_is_left_of_the_time_that_cvat_grants(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    env: dict[str, str],
    headers: dict[str, str],
    waited_s: float,
    event_timeout: str | None,
    left_s: float,
) -> None:
    folder = analytic.write_function(tmp_path / "analytic")
    if event_timeout:
        (folder / "function.yaml").write_text(f"metadata: {{}}\nspec: {{eventTimeout: {event_timeout}}}\n")
    function = Function(folder, env)
    given: list[float] = []

    def decoding(data: bytes, most: float, seconds: float) -> None:
        given.append(seconds)
        raise ZeroDivisionError

    monkeypatch.setattr(function.context.user_data.decoder, "decode", decoding)
    arrived = datetime.now(UTC).replace(tzinfo=None) - timedelta(seconds=waited_s)
    body = {"image": base64.b64encode(PNG).decode()}
    function.module.handler(
        function.context, nuclio_sdk.Event(body=body, method="POST", headers=headers, timestamp=arrived)
    )
    assert given == [pytest.approx(left_s, abs=2)]


def test_the_header_holds_the_timings_of_the_log(function: Function) -> None:
    answer = function.annotate(PNG)
    entries = answer.headers["Server-Timing"].split(", ")
    assert all(re.fullmatch(r"[a-z]+;dur=\d+\.\d", entry) for entry in entries)
    timings = {name: float(value) for name, value in (entry.split(";dur=") for entry in entries)}
    assert timings == answer.log[-1]["with"]["ms"]


def test_a_get_tells_what_runs_here(folder: Path) -> None:
    env = {"PCB_AOI_THRESHOLD": "0.25", "PCB_AOI_THRESHOLDS": '{"蓝": 0.6}', "PCB_AOI_UM_PER_PX": "7"}
    function = Function(folder, env)
    answer = function.get()
    assert answer.status == 200
    info = dict(answer.body)
    assert [info.pop(key) for key in ("calls", "failed", "skipped", "boxes", "failures")] == [0, 0, 0, {}, []]
    assert info.pop("ms_per_tile") > 0
    assert len(info.pop("sha256")) == 64
    assert info == {
        "model": "analytic",
        "version": "1.2.3",
        "engine": __version__,
        "provider": "CPUExecutionProvider",
        "precision": "float32",
        "precision_because": "model.yaml names no int8 weights",
        "labels": ["亮", "蓝"],
        "slugs": ["bright", "blue"],
        "types": ["rectangle", "rectangle"],
        "contours": "boxes",
        "threshold": 0.25,
        "thresholds": {"blue": 0.6},
        "um_per_px": 7,
        "tile": 64,
        "batch": 1,
    }
    assert answer.log == []
    (line,) = function.start_log
    assert (line["message"], line["with"]["model"]) == ("model ready", "analytic")


def test_a_fault_of_our_own_is_500_and_its_cause_stays_in_the_log(
    function: Function, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: object) -> None:
        raise ZeroDivisionError("secret /opt/nuclio/model.onnx")

    monkeypatch.setattr("pcb_aoi.engine.image.child.Decoder.decode", breaks)
    answer = function.annotate(PNG)
    assert (answer.status, answer.code) == (500, "internal")
    assert "secret" not in answer.text
    (line,) = answer.log
    assert "secret" in line["with"]["cause"]
    assert "Traceback" in line["with"]["cause"]


@pytest.mark.parametrize(("error", "status", "code"), [(MemoryError, 503, "out_of_memory")])
def test_lack_of_memory_is_told_from_a_fault(
    function: Function, monkeypatch: pytest.MonkeyPatch, error: type[Exception], status: int, code: str
) -> None:
    def breaks(*_: object) -> None:
        raise error

    monkeypatch.setattr("pcb_aoi.engine.image.child.Decoder.decode", breaks)
    answer = function.annotate(PNG)
    assert (answer.status, answer.code) == (status, code)


@pytest.mark.parametrize(
    ("change", "env", "error"),
    [
        ("no weights", {}, MissingWeights),
        ("other weights", {}, PcbAoiError),
        ("", {"PCB_AOI_THRESHOLD": "1.5"}, ConfigError),
        ("", {"PCB_AOI_TRESHOLD": "0.5"}, ConfigError),
    ],
)
def test_a_function_that_cannot_run_never_becomes_ready(
    tmp_path: Path, change: str, env: dict[str, str], error: type[Exception]
) -> None:
    folder = analytic.write_function(tmp_path / "broken")
    if change == "no weights":
        (folder / "model.onnx").unlink()
    elif change == "other weights":
        (folder / "model.onnx").write_bytes(analytic.model() + b"\0")
    with pytest.raises(error):
        Function(folder, env)


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8", None])
def test_the_body_may_come_parsed_or_not(function: Function, content_type: str | None) -> None:
    """nuclio parses it only when the content type is exactly application/json."""
    fields: dict[str, Any] = {"image": base64.b64encode(PNG).decode()}
    body = fields if content_type == "application/json" else json.dumps(fields).encode()
    event = nuclio_sdk.Event(body=body, content_type=content_type, method="POST")
    response = function.module.handler(function.context, event)
    assert response.status_code == 200
    assert len(json.loads(response.body)) == 2


# nuclio's wrapper, as far as it finds the two functions of a main.py.
AS_NUCLIO_DOES = """
import sys
module = __import__("main")
beside = sys.modules[module.handler.__module__]
print(module.__file__, callable(getattr(beside, "init_context", None)))
"""


@pytest.mark.parametrize("folder", FUNCTIONS, ids=lambda folder: folder.name)
def test_nuclio_finds_init_context(folder: Path) -> None:
    path = os.pathsep.join([str(folder), str(ROOT)])
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", AS_NUCLIO_DOES]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert result.stdout.split() == [str(folder / "main.py"), "True"]


@pytest.mark.parametrize(("status", "expected"), [(200, 0), (503, 1), (404, 1), (None, 1)])
def test_the_health_check_reads_the_status(status: int | None, expected: int) -> None:
    """As Docker runs it, but for the port: `None` is nobody there."""
    asked: list[str] = []

    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status or 0)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Health) as server:
        command = function_yaml.READY_PROBE.removeprefix("CMD ").replace("8082", str(server.server_port))
        thread = threading.Thread(target=server.handle_request)
        if status is None:
            server.server_close()
        else:
            thread.start()
        # `-IS`: none of the environment's packages, so that five containers can afford it every five seconds.
        environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        result = subprocess.run(["sh", "-c", command], env=environment, stderr=subprocess.DEVNULL, check=False)
    assert result.returncode == expected
    assert asked == ([] if status is None else ["/ready"])


def test_where_nuclio_finds_no_init_context_there_is_none(function: Function) -> None:
    assert nuclio.init_context_of(function.module.handler) is function.module.init_context
    # Bound in a main.py, and defined elsewhere: what the module of main.py has is not looked at.
    assert nuclio.init_context_of(nuclio.handle) is None
    assert nuclio.init_context_of(json.loads) is None
    assert nuclio.init_context_of(None) is None


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_a_worker_without_a_model_says_so(function: Function, method: str) -> None:
    """What nuclio makes of a main.py whose init_context it does not find."""
    function.new_log()
    context = nuclio_sdk.Context(logger=function.context.logger)
    response = function.module.handler(context, nuclio_sdk.Event(body=b"", method=method))
    assert response.status_code == 500
    answer = json.loads(response.body)
    assert answer["code"] == "no_model"
    assert "no model is loaded" in answer["message"]
    (line,) = function.new_log()
    assert line["with"]["code"] == "no_model"
    assert "define both in main.py" in line["with"]["detail"]


def test_check_imports_each_main_alone_and_leaves_nothing_behind(tmp_path: Path) -> None:
    before, path = set(sys.modules), list(sys.path)
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "beside.py").write_text(f"NAME = {name!r}\n", "utf-8")
        main = analytic.MAIN + f"\n\nimport beside\n\nassert beside.NAME == {name!r}\n"
        (folder / "main.py").write_text(main, "utf-8")
        check._check_entry(folder / "main.py")
        assert sorted(file.name for file in folder.iterdir()) == ["beside.py", "main.py"]
    assert set(sys.modules) == before
    assert sys.path == path


def test_a_static_check_needs_no_onnxruntime() -> None:
    code = "import sys; sys.modules['onnxruntime'] = None; from pcb_aoi import cli; sys.exit(cli.main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "check", "--static", "--root", str(ROOT)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
