"""Thresholds are moved on rendered boards alone where there are no real ones, and more recall says what it costs."""

# ruff: noqa: E402  (what may be absent is asked for before it is imported)
# mypy: disallow-untyped-calls=False

import argparse
import types
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="needs onnx")
pytest.importorskip("onnxruntime", reason="needs onnxruntime")

from boards import calibrate
from pcb_aoi.engine import chains
from pcb_aoi.engine.detections import Detections
from pcb_aoi.exports.scene import Image, Scene
from training.data.store import write_scene
from training.measure import operating_point
from training.measure.material import NoPictures
from training.measure.runs import Detect, Measured, measure_all
from training.weights import model_file

DEFECTS = 20


def truth() -> np.ndarray:
    return np.array([[30 * i, 0, 30 * i + 20, 20] for i in range(DEFECTS)], np.float32)


def detect(image: Image) -> Detections:
    """Opens: half at 0.9 down to 0.81, half at 0.3 down; and five false calls at 0.35."""
    false = truth()[:5] + np.array([0, 200, 0, 200], np.float32)
    scores = np.concatenate((0.9 - 0.01 * np.arange(10), np.full(5, 0.35), 0.3 - 0.01 * np.arange(10)))
    boxes = np.concatenate((truth()[:10], false, truth()[10:]))
    return Detections(boxes, scores.astype(np.float32), np.zeros(len(boxes), np.int32))


class Stub:
    """An Examiner that answers as `answer` does; `gaps` tell which labels come in pieces."""

    answer = staticmethod(detect)
    gaps = np.full(2, -1, np.float32)
    config = types.SimpleNamespace(weights="model.onnx")

    @classmethod
    def load(cls, *_: object) -> "Stub":
        return cls()

    def pieces(self, image: Image) -> Detections:
        return self.answer(image)


@pytest.fixture
def rendered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "pool"
    folder.mkdir()
    write_scene(folder / "0.npz", Scene(np.zeros((500, 1000), np.uint8), truth(), np.zeros(DEFECTS, np.int64), "0"))
    monkeypatch.setattr(calibrate, "Examiner", Stub)
    return folder


def run(function: str, *options: str) -> int:
    parser = argparse.ArgumentParser()
    calibrate.add_arguments(parser)
    return calibrate.run(parser.parse_args([function, *options]))


@pytest.mark.parametrize("function", ["resin-plug", "inner-layer"])
def test_a_pool_is_enough(model: Path, rendered: Path, capsys: pytest.CaptureFixture[str], function: str) -> None:
    assert run(function, "--model", str(model), "--pool", str(rendered)) == 0
    slope, offset = model_file.read_calibration(onnx.load(model))
    assert offset[0] != 0
    assert (slope[1], offset[1]) == (1, 0)  # no defect of it: left alone
    text = capsys.readouterr().out
    assert "short" in text
    assert "left as it is" in text
    assert "megapixel" not in text


def test_real_images_of_known_boards_and_rendered_ones_count_together(
    model: Path, rendered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All real ones are found, at 0.95; of the rendered ones half at 0.81 and over: three in four."""
    real = Scene(np.ones((500, 1000), np.uint8), truth(), np.zeros(DEFECTS, np.int64), "real")

    def surely(image: Image) -> Detections:
        if not image.any():
            return detect(image)
        return Detections(truth(), np.full(DEFECTS, 0.95, np.float32), np.zeros(DEFECTS, np.int32))

    monkeypatch.setattr(Stub, "answer", staticmethod(surely))
    other = tmp_path / "real"
    other.mkdir()
    write_scene(other / "0.npz", real)
    options = ("--model", str(model), "--pool", str(rendered), "--pool", str(other), "--target-recall", "0.75")
    assert run("inner-layer", *options) == 0
    slope, offset = model_file.read_calibration(onnx.load(model))
    assert operating_point.sigmoid(-offset[0] / slope[0]) == pytest.approx(0.81, abs=0.005)


def test_the_command_moves_labels_that_call_on_good_boards(
    model: Path, rendered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Good boards are looked at for the best F1, and not where nobody asks what they are called."""
    asked = []

    def on_clean(detect: Detect, scenes: Iterable[Scene], on_twin: Detect | None = None) -> Measured:
        asked.append(on_twin is not None)
        found = [detect(np.zeros((500, 1000), np.uint8))] if on_twin else []
        return replace(measure_all(detect, scenes), clean=found, clean_megapixels=clean)

    monkeypatch.setattr(calibrate, "measure_all", on_clean)
    monkeypatch.setattr(operating_point, "GIVE", 1.0)
    points = []
    # Megapixels so many that all calls are allowed, and so few that none is, but where any number is.
    for clean, budget in ((1e6, []), (1.0, []), (1.0, ["--false-calls", "inf"])):
        copy = tmp_path / f"{clean}{len(budget)}.onnx"
        copy.write_bytes(model.read_bytes())
        assert run("resin-plug", "--model", str(copy), "--pool", str(rendered), *budget) == 0
        slope, offset = model_file.read_calibration(onnx.load(copy))
        points.append(operating_point.sigmoid(-offset[0] / slope[0]))
    assert points[0] + 0.05 < points[1]
    assert points[2] == points[0]
    asked.clear()
    assert run("resin-plug", "--model", str(model), "--pool", str(rendered), "--target-recall", "0.75") == 0
    assert asked == [False]


def test_without_pictures_it_says_what_to_give(model: Path, rendered: Path) -> None:
    with pytest.raises(NoPictures, match="--pool"):
        run("resin-plug", "--model", str(model))


def test_more_recall_moves_the_point_there_and_says_what_it_costs(
    model: Path, rendered: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--model", str(model), "--pool", str(rendered), "--target-recall", "0.75")
    assert run("resin-plug", *options) == 0
    text = capsys.readouterr().out
    # Half a megapixel; none of the false calls reaches 0.5, all five lie over the score of the 15th find.
    assert "costs: false calls per megapixel 0.00 -> 10.00\n" in text
    assert "all labels: false calls per megapixel 0.00 -> 10.00" in text
    slope, offset = model_file.read_calibration(onnx.load(model))
    at = 0.3 - 0.04  # the 15th find
    assert 1 / (1 + np.exp(-(slope[0] * np.log(at / (1 - at)) + offset[0]))) == pytest.approx(0.5, abs=1e-3)


def test_a_recall_out_of_reach_is_said(model: Path, rendered: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = Scene(np.zeros((500, 1000), np.uint8), truth() + np.float32(300), np.zeros(DEFECTS, np.int64), "1")
    write_scene(rendered / "1.npz", missing)
    assert run("resin-plug", "--model", str(model), "--pool", str(rendered), "--target-recall", "0.9") == 0
    assert "0.9 is out of reach" in capsys.readouterr().out


def test_a_label_in_pieces_can_be_set_by_hand(
    model: Path, rendered: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--model", str(model), "--pool", str(rendered), "--joined", "open=0.4,0.5,20", "--version", "1.1")
    with pytest.raises(SystemExit, match="open: these weights do not"):
        run("resin-plug", *options)
    monkeypatch.setattr(Stub, "gaps", np.array([40, -1], np.float32))
    assert run("resin-plug", *options) == 0
    content = onnx.load(model)
    slope, offset = model_file.read_calibration(content)
    assert model_file.metadata(content)["version"] == "1.1"
    assert slope[0] == 0.5
    assert (slope[1], offset[1]) == (1, 0)
    assert offset[0] == pytest.approx(-0.5 * np.log(0.4 / 0.6), abs=1e-4)
    assert chains.gaps(model_file.metadata(content), ["open", "short"]).tolist() == [20, -1]
    assert "20 px apart" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["scratch", "scratch=0.4", "scratch=1.4,1,20", "scratch=0.4,0,20", "scratch=0.4,1,-1"])
def test_what_is_set_by_hand_must_make_sense(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  (argparse turns any into its message)
        calibrate.by_hand(text)
