"""The report: rates by their right names, false calls on clean twins in colour and in grey, gaps flagged, plots."""

import argparse
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="needs onnxruntime")
pytest.importorskip("onnx", reason="needs onnx")

from training import evaluate, predict
from training.scene import Image, Scene

SLUGS = ["open", "short", "nick"]
BOX = (10, 10, 50, 50)


def found(*rows: tuple[tuple[int, int, int, int], float, int]) -> predict.Detections:
    boxes = np.array([row[0] for row in rows], np.float32).reshape(-1, 4)
    scores = np.array([row[1] for row in rows], np.float32)
    return predict.Detections(boxes, scores, np.array([row[2] for row in rows], np.int64))


def scene(labels: list[int], shape: tuple[int, ...] = (500, 1000), clean: int | None = None) -> Scene:
    """Brightness tells the stub below which picture it looks at; `clean` is that of the twin."""
    boxes = np.array([BOX] * len(labels), np.float32).reshape(-1, 4)
    twin = None if clean is None else np.full(shape, clean, np.uint8)
    return Scene(np.zeros(shape, np.uint8), boxes, np.array(labels, np.int64), clean=twin)


def by_brightness(answers: dict[int, predict.Detections]) -> evaluate.Detect:
    def detect(image: Image) -> predict.Detections:
        return answers[int(image.flat[0])]

    return detect


def test_false_calls_are_counted_on_twins_in_colour_and_in_grey() -> None:
    scenes = [scene([0], clean=7), scene([1], (500, 1000, 3), clean=8), scene([2])]
    on_twins = {7: found((BOX, 0.9, 2), (BOX, 0.5, 0), (BOX, 0.4, 0)), 8: found()}
    clean = evaluate.clean_calls(scenes, [found((BOX, 0.9, 0))] * 3, by_brightness(on_twins), 3, 0.5)
    assert clean is not None
    assert clean.counts.tolist() == [1, 0, 1]
    assert clean.megapixels == pytest.approx(1.0)  # channels are no pixels; the third has no twin
    assert (clean.images, clean.flagged) == (2, 1)
    assert clean.per_megapixel(-1) == pytest.approx(2.0)
    assert clean.per_megapixel(2) == pytest.approx(1.0)


def test_a_board_without_defects_is_its_own_twin_and_not_run_twice() -> None:
    clean = evaluate.clean_calls([scene([])], [found((BOX, 0.9, 1))], by_brightness({}), 3, 0.5)
    assert clean is not None
    assert clean.counts.tolist() == [0, 1, 0]
    assert evaluate.clean_calls([scene([0])], [found()], by_brightness({}), 3, 0.5) is None


def test_the_table_names_escapes_overkill_and_labels_far_from_their_best() -> None:
    pytest.importorskip("pycocotools", reason="needs the extra `train` (pycocotools)")
    far = (100, 100, 140, 140)
    # nick: found at 0.4 only, so F1 at 0.5 is 0 and the best is 1. open: one find, one false call.
    results = [found((far, 0.95, 0), (BOX, 0.9, 0)), found((BOX, 0.4, 2))]
    clean = evaluate.CleanCalls(np.array([1, 0, 0]), 2.0, 2, 1)
    text = evaluate.table([scene([0]), scene([2])], results, SLUGS, 0.5, clean)
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    rows = {row[0]: row[1:] for row in cells}
    head = text.split("\n| label |")[1]
    assert "escapes 漏检率 | overkill 过杀率" in head
    assert rows["open"][-3:] == ["0.0%", "50.0%", "0.50"]
    assert rows["open"][-4] == "0.000"
    assert rows["nick"][-3:-1] == ["100.0%", "0.0%"]
    assert rows["nick"][-4] == "1.000 !"
    assert rows["short"][0] == "0"
    assert "below the best: nick" in text
    assert "per clean megapixel (误报) 0.50" in text
    assert "1 of 2" in text


def test_functions_without_real_images_ask_for_a_pool(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="--pool"):
        evaluate.load_set("test", "resin-plug", tmp_path, SLUGS)


def test_plots_are_written_and_not_empty(tmp_path: Path) -> None:
    pytest.importorskip("pycocotools", reason="needs the extra `train` (pycocotools)")
    pytest.importorskip("matplotlib", reason="needs the extra `train` (matplotlib)")
    from PIL import Image as Pillow

    results = [found((BOX, 0.9, 0)), found()]
    evaluate.plot([scene([0]), scene([1])], results, SLUGS, 0.5, "test", tmp_path / "plots")
    names = {path.name for path in (tmp_path / "plots").iterdir()}
    assert names == {"precision-recall.png", "f1.png", "confusion.png"}
    for name in names:
        with Pillow.open(tmp_path / "plots" / name) as picture:
            assert min(picture.size) > 400
            assert len(picture.convert("RGB").getcolors(1 << 20) or []) > 20


def test_the_report_prints_what_it_measured(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pycocotools", reason="needs the extra `train` (pycocotools)")
    parser = argparse.ArgumentParser()
    evaluate.add_data_arguments(parser)
    args = parser.parse_args(["inner-layer", "--threshold", "0.3"])
    detect = by_brightness({0: found((BOX, 0.4, 0)), 9: found()})
    evaluate.report(args, [scene([0], clean=9)], detect, SLUGS, "a stub")
    text = capsys.readouterr().out
    assert text.startswith("a stub on test of inner-layer")
    assert "mAP@0.5 1.000" in text
    assert "per clean megapixel (误报) 0.00" in text
