"""Thresholds are moved on rendered boards alone where there are no real ones, and more recall says what it costs."""

# ruff: noqa: E402  (what may be absent is asked for before it is imported)
# mypy: disallow-untyped-calls=False

import argparse
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="needs onnx")
pytest.importorskip("onnxruntime", reason="needs onnxruntime")

from pcb_aoi.engine import chains
from training import calibrate, metrics, model_file, operating_point, pool, predict
from training.scene import Image, Scene

SLUGS = '["open", "short"]'
DEFECTS = 20


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The least that calibration reads and writes: slope, offset, slugs and version."""
    helper = onnx.helper
    neutral = [onnx.numpy_helper.from_array(np.full(2, value, np.float32), name) for name, value in _NEUTRAL.items()]
    scores = helper.make_tensor_value_info("scores", onnx.TensorProto.FLOAT, [2])
    graph = helper.make_graph([helper.make_node("Add", list(_NEUTRAL), ["scores"])], "g", [], [scores], neutral)
    content = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(content, {"slugs": SLUGS, "version": "1"})
    model_file.save(content, tmp_path / "model.onnx")
    return tmp_path / "model.onnx"


_NEUTRAL = {model_file.SLOPE: 1.0, model_file.OFFSET: 0.0}


def truth() -> np.ndarray:
    return np.array([[30 * i, 0, 30 * i + 20, 20] for i in range(DEFECTS)], np.float32)


def detect(_: object, image: Image) -> predict.Detections:
    """Opens: half at 0.9 down to 0.81, half at 0.3 down; and five false calls at 0.35."""
    false = truth()[:5] + np.array([0, 200, 0, 200], np.float32)
    scores = np.concatenate((0.9 - 0.01 * np.arange(10), np.full(5, 0.35), 0.3 - 0.01 * np.arange(10)))
    boxes = np.concatenate((truth()[:10], false, truth()[10:]))
    return predict.Detections(boxes, scores.astype(np.float32), np.zeros(len(boxes), np.int64))


@pytest.fixture
def rendered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "pool"
    folder.mkdir()
    pool.write(folder / "0.npz", Scene(np.zeros((500, 1000), np.uint8), truth(), np.zeros(DEFECTS, np.int64), "0"))
    monkeypatch.setattr(predict, "pieces", detect)
    monkeypatch.setattr(predict, "joined", lambda session: np.full(2, -1, np.float32))
    monkeypatch.setattr(predict, "open_session", lambda path: None)
    return folder


def run(function: str, *options: str) -> int:
    parser = argparse.ArgumentParser()
    calibrate.add_arguments(parser)
    return calibrate.run(parser.parse_args([function, *options]))


@pytest.mark.parametrize("function", ["resin-plug", "inner-layer"])
def test_a_pool_is_enough(
    model: Path, rendered: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], function: str
) -> None:
    assert run(function, "--model", str(model), "--pool", str(rendered), "--data", str(tmp_path / "none")) == 0
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

    def surely(session: object, image: Image) -> predict.Detections:
        if not image.any():
            return detect(session, image)
        return predict.Detections(truth(), np.full(DEFECTS, 0.95, np.float32), np.zeros(DEFECTS, np.int64))

    monkeypatch.setattr(predict, "pieces", surely)
    monkeypatch.setattr("training.evaluate.load_set", lambda *_: [real])
    (tmp_path / "deeppcb").mkdir()
    options = ("--model", str(model), "--pool", str(rendered), "--data", str(tmp_path), "--target-recall", "0.75")
    assert run("inner-layer", *options) == 0
    slope, offset = model_file.read_calibration(onnx.load(model))
    assert operating_point.sigmoid(-offset[0] / slope[0]) == pytest.approx(0.81, abs=0.005)


def test_the_command_moves_labels_that_call_on_good_boards(
    model: Path, rendered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Good boards are looked at for the best F1, and not where nobody asks what they are called."""
    asked = []

    def on_clean(*_: object) -> tuple[list[predict.Detections], float]:
        asked.append(True)
        return [detect(None, np.zeros((500, 1000), np.uint8))], clean

    monkeypatch.setattr(calibrate, "calls_on_clean", on_clean)
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
    assert not asked


def test_without_a_pool_a_function_without_real_images_says_what_to_give(model: Path, rendered: Path) -> None:
    with pytest.raises(SystemExit, match="--pool"):
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
    pool.write(rendered / "1.npz", missing)
    assert run("resin-plug", "--model", str(model), "--pool", str(rendered), "--target-recall", "0.9") == 0
    assert "0.9 is out of reach" in capsys.readouterr().out


def rising(share: float, calls: int) -> metrics.Curve:
    """F1 .75 after 600 right calls of 1000 defects, at score .9; of `calls` more, down to .2, this share are right."""
    right = np.floor(np.arange(1, calls + 1) * share) > np.floor(np.arange(calls) * share)
    scores = np.concatenate((np.linspace(0.99, 0.9, 600), np.linspace(0.899, 0.2, calls)))
    return metrics.Curve(scores.astype(np.float32), np.concatenate((np.ones(600, bool), right)), 1000)


def given(curve: metrics.Curve, point: float) -> float:
    """F1, averaged as `best_point` looks at it, that a point has less than the best."""
    logits = operating_point.logit(np.array([operating_point.best_point(curve), point]))
    best, own = np.interp(logits, operating_point.GRID, operating_point.smoothed(curve))
    return float(best - own)


def test_the_best_point_keeps_clear_of_the_end_of_a_flat_top() -> None:
    flat = rising(0.375, 1200)  # as many right as keep F1 where it is, down to score 0.2
    lucky, wrong = np.ones(12, bool), np.zeros(800, bool)
    right = np.concatenate((flat.right, lucky, wrong))
    curve = metrics.Curve(np.append(flat.scores, np.linspace(0.199, 0.1, 812)).astype(np.float32), right, 1000)
    assert curve.scores[curve.f1().argmax()] < 0.2  # the very top
    point = operating_point.best_point(curve)
    assert 0.3 < point < 0.8
    assert curve.f1().max() - curve.at(point)[2] < 0.02


def test_false_calls_on_clean_boards_move_a_label_up_its_flat_top() -> None:
    curve = rising(0.38, 1000)
    best = operating_point.best_point(curve)
    assert best < 0.6
    for reached, allowed, moved in ((0.6, 3, True), (0.6, 4, False), (0.1, 0, False)):  # in a strange camera
        logit = operating_point.logit(reached) - operating_point.MARGIN
        calls = operating_point.sigmoid(np.full(4, logit)).astype(np.float32)
        point = operating_point.best_point(curve, None, calls, allowed)
        assert (point > best) == moved
        assert given(curve, point) <= operating_point.GIVE
        if moved:
            assert point > reached


def test_no_more_f1_is_given_for_fewer_false_calls_than_give() -> None:
    curve = rising(0.6, 600)
    calls = np.full(9, 0.95, np.float32)  # above all that could be given
    point = operating_point.best_point(curve, None, calls, 0)
    assert operating_point.best_point(curve) < point < 0.9
    assert given(curve, point) <= operating_point.GIVE


def test_calls_on_twins_and_on_boards_without_defects_count(monkeypatch: pytest.MonkeyPatch) -> None:
    picture, none = np.zeros((500, 1000), np.uint8), np.zeros(0, np.int64)
    twin = np.ones_like(picture)
    boxes = np.empty((0, 4), np.float32)
    scenes = [
        Scene(picture, truth(), np.zeros(DEFECTS, np.int64), clean=twin),
        Scene(picture, truth(), np.zeros(DEFECTS, np.int64)),  # its twin is not known
        Scene(picture, boxes, none),
    ]
    asked: list[Image] = []

    def pieces(session: object, image: Image) -> predict.Detections:
        asked.append(image)
        return detect(session, image)

    monkeypatch.setattr(predict, "pieces", pieces)
    found = [detect(None, scene.image) for scene in scenes]
    calls, megapixels = calibrate.calls_on_clean(None, scenes, found)
    assert len(asked) == 1
    assert asked[0] is twin
    assert calls[1] is found[2]
    assert len(calls) == 2
    assert megapixels == 1.0


def scratches(bridge: float) -> tuple[list[Scene], list[predict.Detections]]:
    """Scratches found as two strong ends and a bridge between them, and a false call of 0.55 beside each."""
    truth = np.array([[0, 0, 100, 10]], np.float32)
    boxes = np.array([[0, 0, 25, 10], [75, 0, 100, 10], [300, 0, 400, 10], [23, 0, 77, 10]], np.float32)
    scores = np.array([0.9, 0.9, 0.55, bridge], np.float32)
    found = predict.Detections(boxes, scores, np.zeros(4, np.int64))
    return [Scene(np.zeros((20, 500), np.uint8), truth, np.zeros(1, np.int64))] * DEFECTS, [found] * DEFECTS


def test_pieces_are_joined_as_they_will_be_once_the_point_is_half() -> None:
    curve, point, slope, gap = operating_point.settle(*scratches(bridge=0.4), label=0, in_pieces=True)
    assert gap == 40  # of equals the one that every engine knows
    # The bridge must stay over the weak score, a quarter where the point is half: an odds ratio of three.
    assert point == pytest.approx(0.65)
    assert slope == 1
    assert curve.at(point) == (1, 1, 1)
    assert operating_point.settle(*scratches(bridge=0.4), label=0, in_pieces=False)[0].at(0.5)[1] == 0


def test_a_weak_bridge_asks_for_a_flat_slope() -> None:
    curve, point, slope, _ = operating_point.settle(*scratches(bridge=0.3), label=0, in_pieces=True)
    # An odds ratio of three to the power of 1 / slope: nearly five, and the false call stays below the point.
    assert point == pytest.approx(0.65)
    assert slope == 0.7
    assert curve.at(point) == (1, 1, 1)


def test_a_bridge_too_weak_for_any_slope_asks_for_a_lower_point() -> None:
    curve, point, _, _ = operating_point.settle(*scratches(bridge=0.1), label=0, in_pieces=True)
    assert point <= 0.5
    assert curve.at(point)[:2] == (0.5, 1)


def test_scratches_side_by_side_ask_for_a_small_gap(model: Path) -> None:
    boxes = np.array([[0, 0, 25, 100], [50, 0, 75, 100]], np.float32)
    scenes = [Scene(np.zeros((120, 120), np.uint8), boxes, np.zeros(2, np.int64))] * DEFECTS
    found = predict.Detections(boxes, np.array([0.9, 0.8], np.float32), np.zeros(2, np.int64))
    settled = operating_point.settle(scenes, [found] * DEFECTS, 0, in_pieces=True)
    assert settled.gap == 20
    assert settled.curve.at(settled.point) == (1, 1, 1)
    content = onnx.load(model)
    model_file.write_gaps(content, np.array([settled.gap, -1], np.float32))
    assert chains.gaps(model_file.metadata(content), ["open", "short"]).tolist() == [20, -1]


def test_a_label_in_pieces_can_be_set_by_hand(
    model: Path, rendered: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--model", str(model), "--pool", str(rendered), "--joined", "open=0.4,0.5,20", "--version", "1.1")
    with pytest.raises(SystemExit, match="open: these weights do not"):
        run("resin-plug", *options)
    monkeypatch.setattr(predict, "joined", lambda session: np.array([40, -1], np.float32))
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


@pytest.mark.parametrize("now", [0.7, 1.0, 2.0])
def test_calibrating_again_keeps_the_slope_in_its_bounds(now: float) -> None:
    """What is bounded is the file's slope, not each step: pieces at a slope of .49 are more than a handler can join."""
    scenes, found = scratches(bridge=0.3)
    whole = operating_point.settle(scenes, found, 0, in_pieces=False, now=now).slope * now
    assert operating_point.SLOPES[0] <= whole * (1 + 1e-6)
    assert whole <= operating_point.SLOPES[1] * (1 + 1e-6)
    joined = operating_point.settle(scenes, found, 0, in_pieces=True, now=now).slope * now
    assert joined == pytest.approx(min(operating_point.CHAIN_SLOPES, key=lambda slope: abs(slope - joined)))
