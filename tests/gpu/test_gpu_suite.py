"""The measurements for a card, run in their CPU form: they work, and they see what they are there to see."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import gpu.__main__ as suite
import pytest
from gpu import agreement, functions, machine, memory, process, provider, report

THRESHOLD = 0.5
NO_CARD = {"code": "model_error", "message": "CUDAExecutionProvider was asked for, but the session runs on ..."}


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One run of the one command on the CPU, as it was written down."""
    out = tmp_path_factory.mktemp("gpu") / "new folder" / "gpu.json"
    assert suite.main(["--device", "cpu", "--out", str(out)]) == 0
    read: dict[str, Any] = json.loads(out.read_text("utf-8"))
    return read


def test_the_run_says_what_it_ran_on(result: dict[str, Any]) -> None:
    ran_on = result["machine"]
    assert datetime.fromisoformat(ran_on["date"]).tzinfo is not None
    assert {"card", "cpu", "cores", "python", "onnxruntime", "onnxruntime_cuda", "pcb_aoi"} <= ran_on.keys()
    assert any(name.startswith("onnxruntime") for name in ran_on["packages"])


def test_the_provider_is_verified_and_cuda_without_its_libraries_refused(result: dict[str, Any]) -> None:
    assert result["provider"]["active"] == {"provider": "CPUExecutionProvider"}
    assert result["provider"]["without_libraries"]["code"] == "model_error"
    assert "CUDAExecutionProvider was asked for" in result["provider"]["without_libraries"]["message"]


def test_all_functions_answer_all_samples_as_the_reference_does(result: dict[str, Any]) -> None:
    rows = result["agreement"]
    assert sorted(row["function"] for row in rows) == sorted(functions.NAMES)
    assert len(functions.NAMES) == 5
    for row in rows:
        assert row["images"] == len(functions.samples(row["function"]))
        assert row["boxes"] > 0
        assert row["ok"]


def test_times_have_shares_that_add_up(result: dict[str, Any]) -> None:
    rows = result["times"]
    assert [(row["side"], row["batch"]) for row in rows] == [(640, 1), (800, 1), (640, 2), (800, 2)]
    for row in rows:
        assert row["tiles"] == {640: 1, 800: 4}[row["side"]]
        assert row["boxes"] > 0  # else there is nothing to merge
        assert row["ms"] > 0
        assert {"decode", "tile", "upload", "network", "download", "merge"} <= row["shares"].keys()
        assert math.isclose(sum(row["shares"].values()), 1, abs_tol=0.002)
        assert max(row["shares"], key=row["shares"].__getitem__) == "network"


def test_memory_is_of_one_function_and_of_five(result: dict[str, Any]) -> None:
    one, five = result["memory"]
    assert (one["functions"], five["functions"]) == (1, 5)
    assert 0 < one["host_mib"] < five["host_mib"]


def test_a_summary_names_every_part_and_every_failure(result: dict[str, Any]) -> None:
    text = report.text(result)
    assert "all checks hold" in text
    assert all(f"\n{part}:" in text for part in report.PARTS)
    broken = {**result, "memory": {"error": "memory.load ended with -9", "ok": False}}
    assert report.ok(result)
    assert not report.ok(broken)
    assert "FAILED: memory.load ended with -9" in report.text({**broken, "ok": False})
    assert not report.ok({name: part for name, part in result.items() if name != "times"})
    assert not report.ok({**result, "agreement": []})


def shape(x: float = 10, score: float = 0.9, label: str = "开路") -> dict[str, Any]:
    return {"label": label, "points": [x, 10, x + 30, 40], "confidence": score}


def shifted(found: list[dict[str, Any]], by: float) -> list[dict[str, Any]]:
    return [{**one, "points": [one["points"][0], one["points"][1], one["points"][2] + by, 40]} for one in found]


BOTH = [shape(), shape(200, 0.7)]


@pytest.mark.parametrize(
    ("found", "ok"),
    [
        (BOTH, True),
        (BOTH[::-1], True),
        (shifted(BOTH, 0.9), True),
        (shifted(BOTH, 1.1), False),
        ([shape(score=0.892), shape(200, 0.7)], True),
        ([shape(score=0.888), shape(200, 0.7)], False),
        ([shape()], False),
        ([*BOTH, shape(400)], False),
        ([*BOTH, shape(400, 0.505)], True),  # the reference may have it just below the threshold
        ([*BOTH, shape(400, 0.515)], False),
        ([*BOTH, shape(12)], False),  # twice the same defect
        ([shape(label="短路"), shape(200, 0.7)], False),
        ([], False),
    ],
)
def test_an_answer_that_differs_is_seen(found: list[dict[str, Any]], ok: bool) -> None:
    assert agreement.compare({"a.png": BOTH}, {"a.png": found}, THRESHOLD).ok is ok


def test_no_boxes_at_all_are_no_agreement() -> None:
    assert not agreement.compare({"a.png": []}, {"a.png": []}, THRESHOLD).ok


@pytest.mark.parametrize(
    ("active", "hidden", "ok"),
    [
        ({"provider": "CUDAExecutionProvider"}, NO_CARD, True),
        ({"provider": "CPUExecutionProvider"}, NO_CARD, False),  # fell back in silence
        (NO_CARD, NO_CARD, False),
        ({"provider": "CUDAExecutionProvider"}, {"provider": "CPUExecutionProvider"}, False),
        ({"provider": "CUDAExecutionProvider"}, {"provider": "CUDAExecutionProvider"}, False),  # nothing was hidden
        ({"provider": "CUDAExecutionProvider"}, {"code": "missing_weights", "message": "no weights"}, False),
    ],
)
def test_a_fall_back_is_no_refusal(active: dict[str, Any], hidden: dict[str, Any], ok: bool) -> None:
    assert provider.ok(active, hidden, "cuda") is ok


def frame(status: int = 200, code: str | None = None, shapes: list[dict[str, Any]] = BOTH) -> dict[str, Any]:
    return {"status": status, "code": code, "shapes": shapes if status == 200 else []}


REFUSED = frame(503, "out_of_memory")


@pytest.mark.parametrize(
    ("row", "ok"),
    [
        ({"code": "out_of_memory", "message": "not even one tile"}, True),
        ({"code": "model_error", "message": "inference failed"}, False),
        ({"frames": [frame(), frame()]}, True),
        ({"frames": [REFUSED, REFUSED, frame()]}, True),
        ({"frames": [frame(), REFUSED]}, False),  # the next frame does not work
        ({"frames": [frame(500, "model_error"), frame()]}, False),
        ({"frames": [frame(shapes=[]), frame()]}, False),  # an empty answer that looks right
    ],
)
def test_too_little_memory_may_refuse_but_not_answer_wrongly(row: dict[str, Any], ok: bool) -> None:
    reference = {"threshold": THRESHOLD, "images": {"a.png": BOTH}}
    assert memory.ok({"image": "a.png", **row}, reference) is ok


SmiAnswers = Callable[..., None]


@pytest.fixture
def smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SmiAnswers:
    """Put an `nvidia-smi` in front that answers as the driver does."""

    def answers(card: str = "", used: str = "", processes: str = "", status: int = 0) -> None:
        program = tmp_path / "nvidia-smi"
        program.write_text(
            f"#!/bin/sh\ncase \"$1\" in\n--query-gpu=memory.used) echo '{used}' ;;\n--query-gpu=*) echo '{card}' ;;\n"
            f"--query-compute-apps=*) echo '{processes}' ;;\n*) echo '| Driver 580.65  CUDA Version: 13.0 |' ;;\nesac\n"
            f"exit {status}\n"
        )
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    return answers


def test_the_driver_is_read(smi: SmiAnswers) -> None:
    smi("NVIDIA L4, 580.65.06, 23034, 8.9", "1234", "77, 300\n78, 512\n78, 40\n79, [N/A]")
    assert machine.card() == {
        "name": "NVIDIA L4",
        "driver": "580.65.06",
        "memory_mib": "23034",
        "compute": "8.9",
        "driver_cuda": "13.0",
    }
    assert machine.card_used_mib() == 1234
    assert [machine.process_mib(pid) for pid in (77, 78, 79, 80)] == [300, 552, None, None]


def test_a_driver_that_fails_is_no_card(smi: SmiAnswers) -> None:
    smi(status=9)
    assert (machine.card(), machine.card_used_mib(), machine.process_mib(1)) == (None, None, None)


def test_without_a_card_the_command_says_so(smi: SmiAnswers, capsys: pytest.CaptureFixture[str]) -> None:
    smi(status=9)
    assert suite.main([]) == 1
    assert "--device cpu" in capsys.readouterr().out


def test_a_part_that_dies_is_an_error_with_its_last_words() -> None:
    with pytest.raises(process.Failed, match=r"functions\.load ended with 1: (?s:.*)No such file"):
        process.call("functions.load", name="no-such-function", device="cpu")


def test_settings_of_the_shell_stay_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PCB_AOI_THRESHOLD", "0.99")
    answer = process.call("functions.ask", names=["resin-plug"], device="cpu")["resin-plug"]
    assert answer["threshold"] == 0.5
