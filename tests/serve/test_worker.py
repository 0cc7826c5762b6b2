"""A function folder is loaded and called as nuclio does, and a bad one is left out."""

from __future__ import annotations

import http.client
import json
import os
import sys
import types
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from serving import ECHO, Serve, idle_worker, write_function

from pcb_aoi.config.function_file import seconds
from pcb_aoi.errors import ConfigError
from pcb_aoi.platform.functions import Functions

NO_WEIGHTS = """
def handler(context, event): ...
def init_context(context):
    raise RuntimeError("no weights")
"""
# The handler is made in another module, where nuclio does not find this init_context.
ELSEWHERE = "from pcb_aoi.nuclio import handle as handler\ndef init_context(context): raise AssertionError\n"


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


@pytest.mark.parametrize(
    ("name", "code", "change", "cause"),
    [
        (
            "no-weights",
            "def handler(c, e): ...\ndef init_context(c):\n    raise RuntimeError('no weights')\n",
            {},
            "no weights",
        ),
        ("elsewhere", ELSEWHERE, {}, "no model is loaded"),
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
    assert list(Functions(functions, []).by_id) == ["pcb-a"]
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
    assert list(Functions(functions, ["c", "a"]).by_id) == ["pcb-a", "pcb-c"]


@pytest.mark.parametrize(
    ("text", "value"), [("110s", 110), ("1m30s", 90), ("1.5h", 5400), ("250ms", 0.25), (None, None)]
)
def test_durations(text: str | None, value: float | None) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["", "110", "s", "1d", "10s x"])
def test_wrong_durations(text: str) -> None:
    with pytest.raises(ConfigError):
        seconds(text)


def test_init_context_is_looked_up_where_the_handler_was_defined(
    functions: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = types.ModuleType("pcb_aoi_test_elsewhere")
    exec(
        "def handler(context, event): return '{}'\ndef init_context(context): context.user_data.by = 'other'",
        vars(other),
    )
    monkeypatch.setitem(sys.modules, other.__name__, other)
    code = f"from {other.__name__} import handler\ndef init_context(context): context.user_data.by = 'main'\n"
    write_function(functions, "a", code)
    served = Functions(functions, []).by_id["pcb-a"]
    assert idle_worker(served).context.user_data.by == "other"
