"""The smoke call: all of the planted defects for weights that we know, a valid answer for others."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from deploy_world import Port

from deploy import smoke


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    """Three boards: the smallest is not known to be found by the weights `c0ffee`, and one has no defects."""
    defect = {"label": "open", "box": [10, 10, 30, 30]}
    images = [
        {"file": "clean", "um_per_px": 10, "defects": [], "found_by": ["c0ffee"]},
        {"file": "large", "um_per_px": 10, "defects": [defect], "found_by": ["c0ffee"]},
        {"file": "middle", "um_per_px": 10, "defects": [defect], "found_by": ["c0ffee", "other"]},
        {"file": "small", "um_per_px": 10, "defects": [defect, defect], "found_by": ["other"]},
    ]
    for size, image in enumerate(("clean", "small", "middle", "large"), start=1):
        (tmp_path / image).write_bytes(image.encode() * size)
    (tmp_path / "truth.json").write_text(json.dumps({"images": images}), "utf-8")
    return tmp_path


def posted(port: Port) -> bytes:
    return base64.b64decode(port.asked[-1]["image"])


def test_shipped_weights_must_find_what_is_planted(port: Port, samples: Path) -> None:
    verdict = smoke.call(port.url, samples)
    assert verdict.ok, verdict
    assert posted(port) == b"middle" * 3  # the smallest on which they find everything
    assert port.asked[-1]["threshold"] == 0.5
    assert (verdict.provider, verdict.version, verdict.sha256) == ("CPU", "1.0.0", "c0ffee")
    assert "planted defects 1/1" in verdict.remark


@pytest.mark.parametrize(
    ("shape", "why"),
    [
        ({"label": "短路", "points": [10, 10, 30, 30]}, "another label"),
        ({"label": "开路", "points": [10, 10, 30, 19]}, "IoU of .45"),
        (None, "nothing"),
    ],
)
def test_a_missing_defect_is_named(port: Port, samples: Path, shape: dict[str, Any] | None, why: str) -> None:
    port.about["labels"], port.about["slugs"] = ["开路", "短路"], ["open", "short"]
    port.shapes = [shape] if shape else []
    verdict = smoke.call(port.url, samples)
    assert not verdict.ok, why
    assert "planted defects 0/1, missing: open [10, 10, 30, 30]" in verdict.remark


def test_all_is_asked_and_not_the_half(samples: Path) -> None:
    facts = {"labels": ["开路"], "slugs": ["open"]}
    planted = [{"label": "open", "box": [0, 0, 10, 10]}, {"label": "open", "box": [20, 0, 30, 10]}]
    shapes = [{"label": "开路", "points": [0, 0, 10, 10]}]
    assert smoke.judge(shapes, planted, facts)[0] is False
    assert smoke.judge([*shapes, {"label": "开路", "points": [20, 0, 30, 0, 30, 10, 20, 10]}], planted, facts)[0]


@pytest.mark.parametrize("facts", [{"sha256": "own"}, {"um_per_px": 25.0}, {"labels": ["缺口"], "slugs": ["nick"]}])
def test_own_weights_own_pitch_own_labels(port: Port, samples: Path, facts: dict[str, Any]) -> None:
    """Only what we know can be judged by our samples."""
    port.about |= facts
    port.shapes = []
    verdict = smoke.call(port.url, samples)
    assert verdict.ok, verdict
    assert "a valid answer" in verdict.remark


def test_the_samples_pitch_is_no_other_pitch(port: Port, samples: Path) -> None:
    port.about["um_per_px"] = 10.0
    port.shapes = []
    assert not smoke.call(port.url, samples).ok


@pytest.mark.parametrize(
    "shapes",
    [
        {"code": "x"},
        [{"label": "断线", "points": [1, 1, 2, 2]}],
        [{"label": "开路", "points": [1, 1, 2]}],
        [{"label": "开路", "points": [1, 1]}],
        [{"label": "开路", "points": [1, 1, 2, float("inf")]}],
        [{"label": "开路", "points": ["1", "1", "2", "2"]}],
        [{"points": [1, 1, 2, 2]}],
        [7],
    ],
    ids=repr,
)
def test_an_answer_that_cvat_could_not_read_fails_own_weights_too(port: Port, samples: Path, shapes: object) -> None:
    port.about["sha256"] = "own"
    port.shapes = shapes
    verdict = smoke.call(port.url, samples)
    assert not verdict.ok
    assert verdict.version == "1.0.0"
    assert verdict.remark


def test_without_samples_a_white_pixel_is_asked(port: Port, tmp_path: Path) -> None:
    port.shapes = []
    assert smoke.call(port.url, tmp_path).ok
    assert posted(port).startswith(b"\x89PNG")


def test_an_error_is_quoted(port: Port, samples: Path) -> None:
    port.status = 500
    verdict = smoke.call(port.url, samples)
    assert not verdict.ok
    assert "model_error" in verdict.remark
    assert verdict.version == "-"


def test_another_program_on_the_port(port: Port, samples: Path) -> None:
    port.about = {"hello": "world"}
    assert "not answered by one of these functions" in smoke.call(port.url, samples).remark


def test_nobody_on_the_port(port: Port, samples: Path) -> None:
    port.close()
    verdict = smoke.call(port.url, samples)
    assert not verdict.ok
    assert "refused" in verdict.remark
    assert not smoke.answers(port.url)


def test_it_answers_once_it_is_loaded_or_says_why_it_is_not(port: Port) -> None:
    assert smoke.answers(port.url)
    port.status, port.error = 500, "Processor not ready (current status: stopped)"
    assert not smoke.answers(port.url)
    port.error = {"code": "no_model", "message": "x"}
    assert smoke.answers(port.url)


def test_proxies_are_for_the_world_outside(port: Port, samples: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert smoke.call(port.url, samples).ok
