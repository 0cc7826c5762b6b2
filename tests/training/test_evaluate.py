"""The report: rates by their right names, false calls on clean twins in colour and in grey, gaps flagged."""

import argparse
import hashlib
import json
from pathlib import Path

import analytic
import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="needs onnxruntime")
pytest.importorskip("onnx", reason="needs onnx")

from pcb_aoi.config.model_config import ModelConfig
from pcb_aoi.engine.detections import Detections
from pcb_aoi.exports.scene import IGNORED, Image, Scene
from training.data.store import Description, write_description, write_scene
from training.measure import evaluate, report
from training.measure.material import NoPictures
from training.measure.runs import CleanCalls, Detect, Measured, measure_all

SLUGS = ["open", "short", "nick"]
BOX = (10, 10, 50, 50)


def found(*rows: tuple[tuple[int, int, int, int], float, int]) -> Detections:
    boxes = np.array([row[0] for row in rows], np.float32).reshape(-1, 4)
    scores = np.array([row[1] for row in rows], np.float32)
    return Detections(boxes, scores, np.array([row[2] for row in rows], np.int32))


def scene(labels: list[int], shape: tuple[int, ...] = (500, 1000), clean: int | None = None) -> Scene:
    """Brightness tells the stub below which picture it looks at; `clean` is that of the twin."""
    boxes = np.array([BOX] * len(labels), np.float32).reshape(-1, 4)
    twin = None if clean is None else np.full(shape, clean, np.uint8)
    return Scene(np.zeros(shape, np.uint8), boxes, np.array(labels, np.int64), clean=twin)


def by_brightness(answers: dict[int, Detections]) -> Detect:
    def detect(image: Image) -> Detections:
        return answers[int(image.flat[0])]

    return detect


def test_false_calls_are_counted_on_twins_in_colour_and_in_grey() -> None:
    scenes = [scene([0], clean=7), scene([1], (500, 1000, 3), clean=8), scene([2])]
    answers = {0: found((BOX, 0.9, 0)), 7: found((BOX, 0.9, 2), (BOX, 0.5, 0), (BOX, 0.4, 0)), 8: found()}
    clean = measure_all(by_brightness(answers), scenes, by_brightness(answers)).clean_calls(3, 0.5)
    assert clean is not None
    assert clean.counts.tolist() == [1, 0, 1]
    assert clean.megapixels == pytest.approx(1.0)  # channels are no pixels; the third has no twin
    assert (clean.images, clean.flagged) == (2, 1)
    assert clean.per_megapixel(-1) == pytest.approx(2.0)
    assert clean.per_megapixel(2) == pytest.approx(1.0)


def test_a_board_without_defects_is_its_own_twin_and_not_run_twice() -> None:
    asked = []

    def detect(image: Image) -> Detections:
        asked.append(image)
        return found((BOX, 0.9, 1))

    run = measure_all(detect, [scene([], clean=7)], detect)
    clean = run.clean_calls(3, 0.5)
    assert clean is not None
    assert clean.counts.tolist() == [0, 1, 0]
    assert run.clean[0] is run.results[0]
    assert len(asked) == 1
    assert measure_all(detect, [scene([0])], detect).clean_calls(3, 0.5) is None  # its twin is not known
    assert not measure_all(detect, [scene([])]).clean


def test_of_the_pictures_shape_and_truth_are_kept_and_ignored_areas_count_neither_way() -> None:
    ignored = scene([0, IGNORED], (500, 1000, 3))
    boxes = np.array([BOX, (100, 100, 140, 140)], np.float32)
    ignored = Scene(ignored.image, boxes, ignored.labels)
    run = measure_all(by_brightness({0: found((BOX, 0.9, 0), ((100, 100, 140, 140), 0.8, 1))}), [ignored])
    assert run.scenes[0].image.shape == (500, 1000)
    assert run.scenes[0].image.strides == (0, 0)
    assert run.scenes[0].boxes.tolist() == [list(BOX)]
    assert run.results[0].labels.tolist() == [0]
    assert run.megapixels == pytest.approx(0.5)


def test_the_table_names_escapes_overkill_and_labels_far_from_their_best() -> None:
    pytest.importorskip("pycocotools", reason="needs the extra `train` (pycocotools)")
    far = (100, 100, 140, 140)
    # nick: found at 0.4 only, so F1 at 0.5 is 0 and the best is 1. open: one find, one false call.
    results = [found((far, 0.95, 0), (BOX, 0.9, 0)), found((BOX, 0.4, 2))]
    run = Measured([scene([0]), scene([2])], results, [found((far, 0.5, 0)), found()], 2.0)
    assert run.clean_calls(3, 0.5) == CleanCalls(pytest.approx(np.array([1, 0, 0])), 2.0, 2, 1)  # type: ignore[arg-type]
    text = report.table(run, SLUGS, 0.5)
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


def test_what_was_measured_is_printed_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The analytic detector finds bright rectangles: one of two, and one where there is nothing."""
    pytest.importorskip("pycocotools", reason="needs the extra `train` (pycocotools)")
    weights = analytic.model()
    folder = analytic.write_function(tmp_path / "functions" / "known", weights)
    board = np.zeros((analytic.TILE, analytic.TILE, 3), np.uint8)
    board[8:24, 8:40, 0] = 230
    pool = tmp_path / "pool"
    pool.mkdir()
    boxes = np.array([[8, 8, 40, 24], [40, 40, 60, 60]], np.float32)
    write_scene(pool / "0.npz", Scene(board, boxes, np.zeros(2, np.int64), "0", np.zeros_like(board)))
    write_scene(pool / "1.npz", Scene(board, boxes[:0], np.zeros(0, np.int64), "1"))
    write_description(pool, Description("two boards", True))
    parser = argparse.ArgumentParser()
    evaluate.add_arguments(parser)
    out = tmp_path / "results" / "known.json"
    options = ["known", "--root", str(tmp_path), "--pool", str(pool), "--json", str(out)]
    assert evaluate.run(parser.parse_args(options)) == 0
    text = capsys.readouterr().out
    assert "on two boards of known" in text
    assert "per clean megapixel (误报) 122.07" in text  # one call on two boards of 64 px
    content = json.loads(out.read_text("utf-8"))
    megapixels = analytic.TILE**2 / 1e6
    assert content["weights_sha256"] == hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest()
    told = [content[key] for key in ("function", "version", "pool", "real", "images")]
    assert told == ["known", ModelConfig.load(folder / "model.yaml").version, "two boards", True, 2]
    assert content["megapixels"] == pytest.approx(2 * megapixels, abs=1e-3)
    assert content["false_calls_per_clean_mpx"] == pytest.approx(0.5 / megapixels, abs=1e-3)
    (label,) = content["labels"].values()
    assert label == {"ap50": pytest.approx(0.505, abs=1e-3), "recall": 0.5, "precision": 0.5, "objects": 2}
    assert content["map50"] == label["ap50"]
    keys = "command date function version weights_sha256 pool real images megapixels map50 map5095 "
    assert list(content) == [*keys.split(), "false_calls_per_clean_mpx", "labels"]


def test_without_pictures_it_says_what_to_give(tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    evaluate.add_arguments(parser)
    with pytest.raises(NoPictures, match="--pool"):
        evaluate.run(parser.parse_args(["resin-plug", "--root", str(tmp_path)]))
