"""The demo's page, opened in a real browser: what a person sees, not what the file says. Run by `run.sh --all`."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pcb_aoi.config.labelmap import Labelmap
from pcb_aoi.demo.page import render
from pcb_aoi.demo.sample_board import Board, Detection, Planted

REPOSITORY = Path(__file__).parent.parent.parent
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --hide-scrollbars"
    " --disable-background-networking --disable-component-update --disable-sync"
)


def screenshot(page: str, folder: Path) -> np.ndarray:
    """Open the page in Chromium; returns its pixels, uint8 (H, W, 3)."""
    assert CHROMIUM, "chromium is not installed; .ci/run installs it"
    (folder / "page.html").write_text(page, "utf-8")
    picture = folder / "page.png"
    command = [CHROMIUM, *FLAGS.split(), f"--user-data-dir={folder / 'profile'}", "--window-size=1280,1600"]
    command += [f"--screenshot={picture}", (folder / "page.html").as_uri()]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    with Image.open(picture) as image:
        return np.asarray(image.convert("RGB"))


def count(pixels: np.ndarray, color: str) -> int:
    """How many pixels have exactly this colour."""
    return int((pixels == [int(color[i : i + 2], 16) for i in (1, 3, 5)]).all(axis=-1).sum())


@pytest.fixture
def page(tmp_path: Path) -> str:
    """A blue board with one defect found, as a page; the chips of the legend are cleared of their colours."""
    labelmap = Labelmap.load(REPOSITORY / "labelmaps" / "inner-layer.yaml")
    Image.new("RGB", (400, 300), "#0000cc").save(tmp_path / "board.png")
    planted = [Planted("open", [100, 100, 200, 160], True, 0.9)]
    board = Board(labelmap, tmp_path / "board.png", planted, [Detection("open", [100, 100, 200, 160], 0.8, 0)])
    color = next(label.color for label in labelmap.labels if label.slug == "open")
    return render([board]).replace(f"background:{color}", "background:#000000").replace(color, "#00ff7f")


def test_board_and_boxes_are_drawn(page: str, tmp_path: Path) -> None:
    pixels = screenshot(page, tmp_path)
    assert count(pixels, "#0000cc") > 200_000
    ys, xs = np.nonzero((pixels == (0, 255, 127)).all(axis=-1))
    # The uppermost box is that of the whole board: 100 x 60 of its 400 x 300 pixels, a line 2 px wide around it.
    board_width = int((pixels == (0, 0, 204)).all(axis=-1).sum(axis=1).max())
    first = ys < ys.min() + board_width * 70 / 400
    assert np.ptp(xs[first]) == pytest.approx(board_width * 100 / 400, rel=0.05)
    assert np.ptp(ys[first]) == pytest.approx(board_width * 60 / 400, rel=0.05)


def test_boxes_can_be_hidden(page: str, tmp_path: Path) -> None:
    assert page.count(" checked") == 1
    pixels = screenshot(page.replace(" checked", ""), tmp_path)
    assert count(pixels, "#0000cc") > 200_000
    assert count(pixels, "#00ff7f") == 0


def test_page_of_the_demo_shows_its_boards(tmp_path: Path) -> None:
    """The page that `deploy.sh demo` has just written."""
    page = REPOSITORY / "out" / "index.html"
    assert page.is_file(), "run ./deploy.sh demo first; run.sh --all does"
    text = page.read_text("utf-8")
    shown = screenshot(text, tmp_path)
    hidden = screenshot(text.replace(" checked", "", 1), tmp_path)
    assert (shown != hidden).any(axis=-1).sum() > 500
    assert shown.std() > 20
