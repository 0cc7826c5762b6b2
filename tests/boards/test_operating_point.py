"""Which score becomes 0.5: F1 at its flat top, false calls on clean boards, and pieces joined as they will be."""

# ruff: noqa: E402  (what may be absent is asked for before it is imported)
# mypy: disallow-untyped-calls=False

from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="needs onnx")

from boards import joining
from pcb_aoi.engine import chains
from pcb_aoi.engine.detections import Detections
from pcb_aoi.exports.scene import Scene
from training.measure import metrics, operating_point
from training.weights import model_file

DEFECTS = 20


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


def scratches(bridge: float) -> tuple[list[Scene], list[Detections]]:
    """Scratches found as two strong ends and a bridge between them, and a false call of 0.55 beside each."""
    truth = np.array([[0, 0, 100, 10]], np.float32)
    boxes = np.array([[0, 0, 25, 10], [75, 0, 100, 10], [300, 0, 400, 10], [23, 0, 77, 10]], np.float32)
    scores = np.array([0.9, 0.9, 0.55, bridge], np.float32)
    found = Detections(boxes, scores, np.zeros(4, np.int32))
    return [Scene(np.zeros((20, 500), np.uint8), truth, np.zeros(1, np.int64))] * DEFECTS, [found] * DEFECTS


def test_pieces_are_joined_as_they_will_be_once_the_point_is_half() -> None:
    curve, point, slope, gap = joining.settle(*scratches(bridge=0.4), label=0, in_pieces=True)
    assert gap == 40  # of equals the one that every engine knows
    # The bridge must stay over the weak score, a quarter where the point is half: an odds ratio of three.
    assert point == pytest.approx(0.65)
    assert slope == 1
    assert curve.at(point) == (1, 1, 1)
    assert joining.settle(*scratches(bridge=0.4), label=0, in_pieces=False)[0].at(0.5)[1] == 0


def test_a_weak_bridge_asks_for_a_flat_slope() -> None:
    curve, point, slope, _ = joining.settle(*scratches(bridge=0.3), label=0, in_pieces=True)
    # An odds ratio of three to the power of 1 / slope: nearly five, and the false call stays below the point.
    assert point == pytest.approx(0.65)
    assert slope == 0.7
    assert curve.at(point) == (1, 1, 1)


def test_a_bridge_too_weak_for_any_slope_asks_for_a_lower_point() -> None:
    curve, point, _, _ = joining.settle(*scratches(bridge=0.1), label=0, in_pieces=True)
    assert point <= 0.5
    assert curve.at(point)[:2] == (0.5, 1)


def test_scratches_side_by_side_ask_for_a_small_gap(model: Path) -> None:
    boxes = np.array([[0, 0, 25, 100], [50, 0, 75, 100]], np.float32)
    scenes = [Scene(np.zeros((120, 120), np.uint8), boxes, np.zeros(2, np.int64))] * DEFECTS
    found = Detections(boxes, np.array([0.9, 0.8], np.float32), np.zeros(2, np.int64))
    settled = joining.settle(scenes, [found] * DEFECTS, 0, in_pieces=True)
    assert settled.gap == 20
    assert settled.curve.at(settled.point) == (1, 1, 1)
    content = onnx.load(model)
    joining.write_gaps(content, np.array([settled.gap, -1], np.float32))
    assert chains.gaps(model_file.metadata(content), ["open", "short"]).tolist() == [20, -1]


@pytest.mark.parametrize("now", [0.7, 1.0, 2.0])
def test_calibrating_again_keeps_the_slope_in_its_bounds(now: float) -> None:
    """What is bounded is the file's slope, not each step: pieces at a slope of .49 are more than a handler can join."""
    scenes, found = scratches(bridge=0.3)
    whole = joining.settle(scenes, found, 0, in_pieces=False, now=now).slope * now
    assert operating_point.SLOPES[0] <= whole * (1 + 1e-6)
    assert whole <= operating_point.SLOPES[1] * (1 + 1e-6)
    joined = joining.settle(scenes, found, 0, in_pieces=True, now=now).slope * now
    assert joined == pytest.approx(min(joining.CHAIN_SLOPES, key=lambda slope: abs(slope - joined)))
