"""Pictures without truth: drawn with boxes, one sheet of them all, and the function runs as in production."""

import argparse
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("onnxruntime", reason="needs onnxruntime")
pytest.importorskip("onnx", reason="needs onnx")

import analytic

from boards import pictures as look
from pcb_aoi.engine.detections import Detections


def one(box: tuple[float, float, float, float]) -> Detections:
    return Detections(np.array([box], np.float32), np.array([0.87], np.float32), np.array([0], np.int32))


def test_a_box_is_drawn_where_it_lies_in_grey_and_colour() -> None:
    for shape in ((800, 900), (800, 900, 3)):
        view = np.asarray(look.draw(np.zeros(shape, np.uint8), one((300, 400, 360, 440)), ("open",)))
        assert view.shape == (800, 900, 3)
        assert view[400, 300:360].any(axis=1).all()
        assert not view[410:430, 310:350].any()  # only its outline: the defect stays visible
        assert view[380:399, 300:380].any()  # and its name over it


def test_small_pictures_are_enlarged_with_their_boxes() -> None:
    view = np.asarray(look.draw(np.zeros((100, 200), np.uint8), one((20, 40, 60, 80)), ("open",)))
    assert view.shape == (300, 600, 3)
    assert view[120, 60:180].any(axis=1).all()


def test_names_stay_inside_the_picture() -> None:
    for box in ((0, 0, 20, 8), (880, 2, 900, 10), (880, 790, 900, 800)):
        empty = np.zeros((800, 900), np.uint8)
        bare = np.asarray(look.draw(empty, one(box), ("",)))
        named = np.asarray(look.draw(empty, one(box), ("residual_copper",)))
        assert (named != bare).any()


def test_the_sheet_holds_every_picture() -> None:
    views = [(f"{n}", Image.new("RGB", (640, 480), "#ffffff")) for n in range(5)]
    page = np.asarray(look.sheet(views))
    assert page.shape[0] >= 2 * 270
    cells = [(n % 3, n // 3) for n in range(6)]
    high, wide = page.shape[0] // 2, page.shape[1] // 3
    lit = [(page[y * high : (y + 1) * high, x * wide : (x + 1) * wide] == 255).all(axis=2).mean() for x, y in cells]
    assert min(lit[:5]) > 0.4
    assert lit[5] < 0.01


def test_the_command_runs_a_function_over_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    analytic.write_function(tmp_path / "functions" / "analytic")
    (tmp_path / "pictures").mkdir()
    pixels = np.zeros((150, 200, 3), np.uint8)
    pixels[40:60, 100:130] = 255
    Image.fromarray(pixels).save(tmp_path / "pictures" / "a.png")
    Image.fromarray(pixels[:, :, 0]).save(tmp_path / "pictures" / "b.png")
    (tmp_path / "pictures" / "notes.txt").write_text("no picture")
    monkeypatch.chdir(tmp_path)
    parser = argparse.ArgumentParser()
    look.add_arguments(parser)
    assert look.run(parser.parse_args(["analytic", "--images", "pictures", "--out", "seen"])) == 0
    assert sorted(path.name for path in (tmp_path / "seen").iterdir()) == ["a.png", "b.png", "contact.png"]
    assert "2 pictures, 2 detections" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="no pictures"):
        look.run(parser.parse_args(["analytic", "--images", "functions", "--out", "seen"]))
    with pytest.raises(SystemExit, match="overwritten"):
        look.run(parser.parse_args(["analytic", "--images", "pictures", "--out", "pictures"]))
