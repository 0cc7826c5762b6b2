"""The demo end to end: real subprocess, real HTTP, a stub function that sees; and what makes it fail."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from argparse import ArgumentParser, Namespace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pcb_aoi.config.labelmap import Labelmap
from pcb_aoi.demo import command as demo
from pcb_aoi.demo.page import render
from pcb_aoi.demo.sample_board import Board, Detection, Planted, match
from pcb_aoi.errors import ConfigError, PcbAoiError

REPOSITORY = Path(__file__).parents[2]

# Answers the box around the white pixels. It cannot know the truth: it sees only what was posted.
SEES = """
import base64, io, json
import numpy as np
from PIL import Image

def handler(context, event):
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(event.body["image"]))).convert("L"))
    y, x = np.nonzero(pixels > 128)
    points = [int(x.min()), int(y.min()), int(x.max()) + 1, int(y.max()) + 1]
    shape = {"label": "开路", "type": "rectangle", "points": points, "confidence": 0.9}
    return context.Response(body=json.dumps([shape]), content_type="application/json")
"""
BOX = [40, 30, 60, 50]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout in small: one function with a stub for a handler, its labelmap, one sample image."""
    root = tmp_path / "a check out"
    function = root / "functions" / "inner-layer"
    shutil.copytree(REPOSITORY / "functions" / "inner-layer", function, ignore=shutil.ignore_patterns("*.onnx"))
    (function / "main.py").write_text(SEES, "utf-8")
    set_sha256(function, "0" * 64)
    (root / "labelmaps").mkdir()
    shutil.copy(REPOSITORY / "labelmaps" / "inner-layer.yaml", root / "labelmaps")
    samples = root / "samples" / "inner-layer"
    samples.mkdir(parents=True)
    pixels = np.zeros((100, 160), np.uint8)
    pixels[BOX[1] : BOX[3], BOX[0] : BOX[2]] = 255
    Image.fromarray(pixels).save(samples / "board.png")
    write_truth(root, [{"label": "open", "box": BOX}])
    return root


def set_sha256(function: Path, value: str) -> None:
    """Say in model.yaml which weights there should be."""
    text = (function / "model.yaml").read_text("utf-8")
    (function / "model.yaml").write_text(re.sub(r"(?m)^sha256: .*$", f'sha256: "{value}"', text), "utf-8")


def write_truth(root: Path, defects: list[dict[str, object]], file: str = "board.png") -> None:
    """Write the sample's truth.json."""
    truth = {"images": [{"file": file, "um_per_px": 20.8, "defects": defects}]}
    (root / "samples" / "inner-layer" / "truth.json").write_text(json.dumps(truth))


def options(root: Path, *words: str) -> Namespace:
    """The options of `pcb-aoi demo`."""
    parser = ArgumentParser()
    demo.add_arguments(parser)
    return parser.parse_args(["--root", str(root), "--out", str(root / "out"), *words])


def test_planted_defect_is_found_through_http(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert demo.run(options(root)) == 0
    out = capsys.readouterr().out
    assert "[1/1] 内层 board.png ... 1/1" in out
    assert "1 of 1 planted defects found, 0 missed, 0 calls failed" in out
    page = (root / "out" / "index.html").read_text("utf-8")
    assert "IoU 1.00 · 0.90" in page


@pytest.mark.parametrize(
    ("defects", "code"),
    [
        ([{"label": "open", "box": [45, 35, 65, 55]}], SEES),  # IoU 0.39
        ([{"label": "short", "box": BOX}], SEES),
        ([{"label": "open", "box": BOX}, {"label": "open", "box": [100, 60, 110, 70]}], SEES),
        ([{"label": "open", "box": BOX}], "def handler(context, event):\n    return []\n"),
        ([{"label": "open", "box": BOX}], "def handler(context, event):\n    raise ValueError\n"),
        ([{"label": "open", "box": BOX}], "def handler(context, event):\n    return {'error': 'x'}\n"),
        ([{"label": "open", "box": BOX}], "def handler(context, event):\n    return 'no JSON'\n"),
        ([], "def handler(context, event):\n    return (500, 'out of order')\n"),
    ],
)
def test_missed_defect_or_failed_call_fails(root: Path, defects: list[dict[str, object]], code: str) -> None:
    write_truth(root, defects)
    (root / "functions" / "inner-layer" / "main.py").write_text(code, "utf-8")
    assert demo.run(options(root)) == 1
    assert 'class="bad"' in (root / "out" / "index.html").read_text("utf-8")


def test_board_that_nobody_chose_is_counted_apart(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_truth(root, [{"label": "short", "box": BOX}])
    truth = root / "samples" / "inner-layer" / "truth.json"
    truth.rename(truth.with_name("not-chosen.json"))
    write_truth(root, [{"label": "open", "box": BOX}])
    assert demo.run(options(root)) == 0
    out = capsys.readouterr().out
    assert "1 of 1 planted defects found, 0 missed, 0 calls failed" in out
    assert "on boards that nobody chose 0 of 1 are found" in out
    page = (root / "out" / "index.html").read_text("utf-8")
    assert page.count("未经挑选 <small>") == 0
    assert page.count("未经挑选 not chosen") == 1
    assert "<b>0/1</b>未经挑选的板图上找到" in page
    assert '<b class="ok">1/1</b>植入缺陷已找到' in page
    assert '<b class="ok">0</b>漏检' in page
    assert "<b>0</b>多报" in page


def test_without_such_a_board_nothing_is_said_of_it(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert demo.run(options(root)) == 0
    assert "nobody chose" not in capsys.readouterr().out


def test_every_function_has_a_board_that_nobody_chose() -> None:
    boards = [board for board in demo.read_samples(REPOSITORY, []) if not board.chosen]
    assert len(boards) == len(list((REPOSITORY / "functions").glob("*/function.yaml")))
    assert all(board.planted for board in boards)


@pytest.mark.parametrize("matching", [True, False])
def test_corrupted_weights_fail(root: Path, matching: bool) -> None:
    """The real engine: neither an unknown file nor a known one that is no model is ever run."""
    function = root / "functions" / "inner-layer"
    shutil.copy(REPOSITORY / "functions" / "inner-layer" / "main.py", function)
    (function / "model.onnx").write_bytes(b"corrupted")
    if matching:
        set_sha256(function, hashlib.sha256(b"corrupted").hexdigest())
    with pytest.raises(PcbAoiError, match="did not start") as error:
        demo.run(options(root))
    assert "function left out" in error.value.detail


def test_function_left_out_among_others_fails(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder in ("functions", "samples"):
        shutil.copytree(root / folder / "inner-layer", root / folder / "gold-osp")
    text = (REPOSITORY / "labelmaps" / "inner-layer.yaml").read_text("utf-8")
    (root / "labelmaps" / "gold-osp.yaml").write_text(text.replace("inner-layer", "gold-osp"), "utf-8")
    (root / "functions" / "gold-osp" / "main.py").write_text("raise RuntimeError('broken')\n")
    assert demo.run(options(root)) == 1
    out = capsys.readouterr().out
    assert "pcb-gold-osp is not in CVAT's model list" in out
    assert "1 calls failed" in out


def test_function_without_weights_is_skipped_and_said(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    function = root / "functions" / "inner-layer"
    text = (function / "model.yaml").read_text("utf-8")
    (function / "model.yaml").write_text(re.sub(r"(?m)^sha256: .*$", "sha256: null", text), "utf-8")
    with pytest.raises(ConfigError, match="no sample images"):
        demo.run(options(root))
    assert "no weights yet: inner-layer" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["{", "[]", '{"images": [{}]}', '{"images": [{"file": "a", "defects": [1]}]}'])
def test_broken_truth_is_named(root: Path, text: str) -> None:
    truth = root / "samples" / "inner-layer" / "truth.json"
    truth.write_text(text)
    with pytest.raises(ConfigError, match=r"truth\.json"):
        demo.run(options(root))


def test_match_takes_the_best_first_and_each_once() -> None:
    planted = [Planted("open", [0, 0, 10, 10]), Planted("open", [5, 0, 15, 10]), Planted("nick", [0, 0, 10, 10])]
    detections = [
        Detection("open", [0, 0, 10, 10], 0.6),
        Detection("open", [1, 0, 11, 10], 0.9),
        Detection("open", [0, 0, 10, 9], 0.5),
        Detection("foreign", [0, 0, 10, 10], 0.99),
    ]
    match(planted, detections)
    assert [detection.planted for detection in detections] == [None, 0, None, None]
    assert [defect.found for defect in planted] == [True, False, False]
    assert planted[0].iou == pytest.approx(9 / 11)
    assert planted[1].iou == pytest.approx(6 / 14)
    assert planted[2].iou == 0


class Tags(HTMLParser):
    """Collects what a page refers to, and whether its elements are closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.references: list[str] = []
        self.counts: dict[str, int] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open an element."""
        if tag not in ("meta", "br", "input"):
            self.open.append(tag)
        self.handle_startendtag(tag, attrs)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take an element's references."""
        self.counts[tag] = self.counts.get(tag, 0) + 1
        self.references += [value or "" for name, value in attrs if name in ("href", "src")]

    def handle_endtag(self, tag: str) -> None:
        """Close an element."""
        assert self.open.pop() == tag


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp"])
def test_page_is_self_contained_and_well_formed(tmp_path: Path, suffix: str) -> None:
    labelmap = Labelmap.load(REPOSITORY / "labelmaps" / "inner-layer.yaml")
    path = tmp_path / f"<b>&.{suffix}"
    Image.new("L", (64, 48)).save(path)
    planted = [Planted("open", [1, 1, 9, 9], True, 0.8), Planted("nick", [20, 20, 30, 30])]
    detections = [Detection("open", [1, 1, 9, 8], 0.75, 0), Detection("spur", [40, 40, 44, 44], 0.5)]
    tags = Tags(
        text := render([Board(labelmap, path, planted, detections), Board(labelmap, path, [], [], error="<x>")])
    )
    assert tags.open == []
    assert {reference.partition(",")[0].partition("/")[0] for reference in tags.references} <= {"#b0", "data:image"}
    assert "<b>&" not in text
    assert "<x>" not in text
    # The whole board and one close-up for each planted defect and each box too many; two boxes and two planted in each.
    assert tags.counts["svg"] == 4
    assert tags.counts["rect"] == 4 * 4
    assert text.count('class="planted missed"') == 4
    color = next(label.color for label in labelmap.labels if label.slug == "open")
    assert f'stroke="{color}"' in text
    assert "IoU 0.80 · 0.75" in text
