"""Figures: a find counts once, needs the right label, and COCO agrees on easy cases."""

import numpy as np
import pytest

pytest.importorskip("pycocotools", reason="needs the extra `train` (pycocotools)")
pytest.importorskip("onnxruntime", reason="needs onnxruntime")

from pcb_aoi.engine.detections import Detections
from pcb_aoi.exports.scene import Scene
from training.measure import metrics, operating_point

BOX = [10, 10, 50, 50]


def scene(*labels: int) -> Scene:
    boxes = np.array([[10 + 100 * i, 10, 50 + 100 * i, 50] for i in range(len(labels))], np.float32).reshape(-1, 4)
    return Scene(np.zeros((640, 640), np.uint8), boxes, np.array(labels, np.int64))


def calls(*rows: tuple[list[int], float, int]) -> Detections:
    boxes, scores, labels = zip(*rows, strict=True) if rows else ([], [], [])
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4), np.array(scores, np.float32), np.array(labels, np.int64)
    )


def test_a_defect_is_found_once() -> None:
    curve = metrics.curve([scene(0)], [calls((BOX, 0.9, 0), (BOX, 0.8, 0))], 0)
    assert curve.right.tolist() == [True, False]
    assert np.allclose(curve.at(0.5), (0.5, 1.0, 2 / 3))
    assert curve.at(0.85) == (1.0, 1.0, 1.0)


def test_the_wrong_label_is_a_false_call_and_an_escape() -> None:
    scenes, results = [scene(0)], [calls((BOX, 0.9, 1))]
    assert metrics.curve(scenes, results, 0).at(0.5)[1] == 0.0
    assert metrics.curve(scenes, results, 1).at(0.5)[0] == 0.0
    assert metrics.curve(scenes, results, -1).at(0.5) == (0.0, 0.0, 0.0)


def test_average_precision_of_perfect_and_of_no_calls() -> None:
    perfect = [calls((BOX, 0.9, 0), ([110, 10, 150, 50], 0.8, 1))]
    table = metrics.average_precision([scene(0, 1)], perfect, 3)
    assert table[:2].min() == pytest.approx(1.0)
    assert np.isnan(table[2]).all()
    assert metrics.average_precision([scene(0)], [calls()], 1).max() == 0.0


def test_average_precision_falls_with_the_fit_of_the_box() -> None:
    loose = [10, 10, 50, 64]  # IoU 0.74
    row = metrics.average_precision([scene(0)], [calls((loose, 0.9, 0))], 1)[0]
    assert row[:5].min() == pytest.approx(1.0)
    assert row[5:].max() == 0.0


def curve_of(scores: list[float], right: list[bool], defects: int) -> metrics.Curve:
    return metrics.Curve(np.array(scores, np.float32), np.array(right), defects)


def test_the_best_point_separates_right_from_wrong() -> None:
    scores = np.concatenate((np.linspace(0.99, 0.6, 69), np.linspace(0.2, 0.01, 30)))
    curve = curve_of(scores.tolist(), (scores > 0.3).tolist(), 69)
    assert 0.2 < operating_point.best_point(curve) < 0.6


def test_a_target_recall_moves_the_point_down() -> None:
    curve = curve_of([0.9, 0.8, 0.7, 0.2, 0.1], [True, True, False, True, False], 3)
    assert operating_point.best_point(curve, 0.66) == pytest.approx(0.8)
    assert operating_point.best_point(curve, 0.98) == pytest.approx(0.2)


def test_the_slope_is_steep_for_sure_scores_and_flat_for_random_ones() -> None:
    rng = np.random.default_rng(0)
    scores = np.sort(rng.uniform(0.01, 0.99, 400))[::-1]
    sure = curve_of(scores.tolist(), (scores > 0.5).tolist(), 200)
    random = curve_of(scores.tolist(), (rng.random(400) < 0.5).tolist(), 200)
    assert operating_point.fit_slope(sure, 0.5) == pytest.approx(operating_point.SLOPES[1])
    assert operating_point.fit_slope(random, 0.5) == pytest.approx(operating_point.SLOPES[0])


def test_a_label_that_is_mostly_wrong_is_called_where_it_is_right() -> None:
    right = [True] * 12 + [False] * 88 + [True] * 60
    curve = curve_of(np.linspace(0.9, 0.1, 160).tolist(), right, 100)
    assert curve.f1().argmax() > 100  # the best F1 is at the very end, with more false calls than true ones
    assert curve.at(operating_point.best_point(curve))[0] >= 0.5
