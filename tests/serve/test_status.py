"""GET /api/status: what answers, what was left out, what changed on disk, and the last failures with their cure."""

from __future__ import annotations

import base64
import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import analytic
import pytest
from files import encode
from serving import Client, Serve, write_detector, write_function

from pcb_aoi import errors
from pcb_aoi.errors import PcbAoiError
from pcb_aoi.platform import fingerprint
from pcb_aoi.platform.functions import Functions
from pcb_aoi.platform.status import CURES, Started, report


def status(client: Client) -> dict[str, Any]:
    code, body, _ = client("GET", "/api/status")
    assert code == 200
    return dict(body)


def test_version_and_hash_are_those_that_answer_not_those_on_disk(functions: Path, serve: Serve) -> None:
    folder = write_detector(functions, "a", "1.2.3")
    sha256 = hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest()
    client = serve()
    served = status(client)["functions"]["pcb-a"]
    assert (served["version"], served["sha256"], served["provider"]) == ("1.2.3", sha256, "CPUExecutionProvider")
    assert (served["state"], served["folder"], served["changed"]) == ("ready", "a", False)
    write_detector(functions, "a", "2.0.0")
    (folder / "model.onnx").write_bytes(b"other")
    served = status(client)["functions"]["pcb-a"]
    assert (served["version"], served["sha256"], served["changed"]) == ("1.2.3", sha256, True)


def test_labels_without_weights_are_told(functions: Path, serve: Serve) -> None:
    write_detector(functions, "a")
    labelmap = functions.parent / "labelmaps" / "a.yaml"
    labelmap.parent.mkdir()
    labels = "".join(
        f'  - {{slug: {slug}, zh: {zh}, en: {slug}, color: "#12345{i}", aliases: [], definition: {{zh: x, en: x}}}}\n'
        for i, (slug, zh) in enumerate((("bright", "亮"), ("blue", "蓝"), ("film", "胶膜")))
    )
    labelmap.write_text(
        "function: a\nid: pcb-a\nname: {zh: a, en: a}\ndescription: {zh: a, en: a}\nport: 32199\nlabels:\n" + labels
    )
    client = serve()
    served = status(client)["functions"]["pcb-a"]
    assert (served["labels"], served["without_weights"]) == (["亮", "蓝"], ["胶膜"])
    labelmap.write_text("labels: []")  # being edited: no reason not to answer
    assert status(client)["functions"]["pcb-a"]["without_weights"] == []


def test_calls_and_the_last_failures_are_counted_with_code_cause_and_cure(functions: Path, serve: Serve) -> None:
    write_detector(functions, "a")
    client = serve()
    for image in ("?", base64.b64encode(b"no image").decode()):
        client.invoke("pcb-a", {"image": image})
    board = analytic.board(100, 100, [(10, 10, 40, 40)])
    client.invoke("pcb-a", {"image": base64.b64encode(encode(board)).decode()})
    served = status(client)["functions"]["pcb-a"]
    assert (served["calls"], served["failed"]) == (3, 1)
    first, second = served["failures"]
    assert (first["status"], first["code"]) == (400, "bad_request")
    assert "base64" in first["cause"]
    assert first["cure"] == list(CURES["bad_request"])
    # A frame of which nothing decodes is answered empty, and named all the same.
    assert (second["status"], second["code"]) == (200, "warning")
    assert second["cause"].startswith("frame skipped: ")
    assert first["time"][:2] == "20"


def test_an_answer_with_a_warning_is_named(functions: Path, serve: Serve) -> None:
    code = """
def handler(context, event):
    return context.Response(body="[]", headers={"X-Pcb-Aoi-Warning": "the image file is truncated"})
"""
    write_function(functions, "a", code)
    client = serve()
    client.invoke("pcb-a", {})
    served = status(client)["functions"]["pcb-a"]
    assert (served["calls"], served["failed"]) == (1, 0)
    assert [(f["code"], f["cause"]) for f in served["failures"]] == [("warning", "the image file is truncated")]


@pytest.mark.parametrize(
    ("answer", "code", "cause"),
    [
        ("(500, '\"text\"')", "unknown", "text"),
        ("context.Response(body='[]', status_code=500)", "unknown", "[]"),
        ("1 / 0", "raised", "the handler failed"),
    ],
)
def test_failures_of_any_form_are_read(functions: Path, serve: Serve, answer: str, code: str, cause: str) -> None:
    write_function(functions, "a", f"def handler(context, event):\n    return {answer}\n")
    client = serve()
    client.invoke("pcb-a", {})
    (failure,) = status(client)["functions"]["pcb-a"]["failures"]
    assert failure["code"] == code
    assert cause in failure["cause"]


def test_only_the_last_failures_are_kept(functions: Path, serve: Serve) -> None:
    write_function(functions, "a")
    client = serve()
    for _ in range(7):
        client.invoke("pcb-a", {"raise": "error"})
    served = status(client)["functions"]["pcb-a"]
    assert (served["failed"], len(served["failures"])) == (7, 5)


def test_what_was_left_out_is_named_with_its_cure(functions: Path, serve: Serve) -> None:
    write_function(functions, "a")
    folder = write_detector(functions, "b")
    (folder / "model.onnx").unlink()
    (left,) = status(serve())["left_out"]
    assert (left["folder"], left["code"], left["cure"]) == ("b", "missing_weights", list(CURES["missing_weights"]))
    assert "model.onnx" in left["cause"]


def edit(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text((folder / name).read_text("utf-8") + "\n", "utf-8")


@pytest.mark.parametrize(
    ("change", "changed"),
    [
        (edit("main.py"), ["a"]),
        (edit("model.yaml"), ["a"]),
        (edit("function.yaml"), ["a"]),
        (lambda folder: (folder / "model.onnx").write_bytes(b"new"), ["a"]),
        (lambda folder: (folder / "extra.txt").touch(), ["a"]),
        (lambda folder: (folder / "main.py").rename(folder / "moved.py"), ["a"]),
        (shutil.rmtree, ["a"]),
        (lambda folder: write_function(folder.parent, "c"), ["c"]),
        (
            lambda folder: (folder / "__pycache__").mkdir(exist_ok=True) or (folder / "__pycache__" / "x.pyc").touch(),
            [],
        ),
        (lambda folder: (folder / ".main.py.swp").touch(), []),
        (lambda folder: (folder / "main.py").touch(), []),
    ],
)
def test_every_change_on_disk_is_seen(functions: Path, change: Callable[[Path], object], changed: list[str]) -> None:
    folder = write_detector(functions, "a")
    write_function(functions, "b")
    served = Functions(functions, [])
    assert served.changes() == []
    change(folder)
    assert served.changes() == changed


def test_new_folders_are_no_change_where_folders_were_named(functions: Path) -> None:
    write_function(functions, "a")
    served = Functions(functions, ["a"])
    write_function(functions, "b")
    assert served.changes() == []


@pytest.mark.parametrize(("what", "name"), [("of_code", "code"), ("of_packages", "packages")])
def test_changed_code_and_packages_are_seen(
    functions: Path, monkeypatch: pytest.MonkeyPatch, what: str, name: str
) -> None:
    write_function(functions, "a")
    served = Functions(functions, [])
    monkeypatch.setattr(fingerprint, what, lambda: "other")
    assert served.changes() == [name]


def test_the_code_is_this_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = Path(errors.__file__).parent
    assert fingerprint.of_code() == fingerprint.of_folder(package)
    copy = shutil.copytree(package, tmp_path / "copy")
    assert fingerprint.of_folder(copy) == fingerprint.of_code()
    edit("engine/merge.py")(copy)
    assert fingerprint.of_folder(copy) != fingerprint.of_code()


def test_settings_are_those_of_the_start(functions: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_function(functions, "a")
    monkeypatch.setenv("PCB_AOI_THRESHOLD", "0.4")
    started = Started(host="::1", allow=("10.0.0.0/8",), log=Path("/x/log"))
    monkeypatch.delenv("PCB_AOI_THRESHOLD")
    answer = report(Functions(functions, ["a"]), started)
    assert answer["settings"] == {"PCB_AOI_THRESHOLD": "0.4"}
    assert (answer["host"], answer["allow"], answer["log"], answer["gpu"]) == ("::1", ["10.0.0.0/8"], "/x/log", False)
    assert answer["names"] == ["a"]


def test_every_error_of_the_product_has_a_cure() -> None:
    def codes(kind: type[PcbAoiError]) -> set[str]:
        return {kind.code}.union(*(codes(sub) for sub in kind.__subclasses__() if sub.__module__ == errors.__name__))

    assert codes(PcbAoiError) - set(CURES) == {"internal"}
