"""A lower threshold may add boxes, and never takes a surer one away."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import analytic
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pcb_aoi.config.settings import Settings
from pcb_aoi.engine import merge, tiles
from pcb_aoi.engine.detections import Detections
from pcb_aoi.engine.detector import Detector
from pcb_aoi.engine.heads.base import Candidates, at_least
from pcb_aoi.errors import ConfigError

ROOT = Path(__file__).parents[2]
THRESHOLDS = (0.0, 0.02, 0.05, 0.1, 0.15, 0.25, 0.3, 0.4, 0.5, 0.6, 0.75, 0.9)


def rows(found: Detections) -> set[tuple[float, ...]]:
    return {
        (*box, score, label)
        for box, score, label in zip(found.boxes.tolist(), found.scores.tolist(), found.labels.tolist(), strict=True)
    }


@pytest.mark.parametrize("function", ["inner-layer", "acid-outer-layer"])
def test_answers_of_the_shipped_weights_are_nested(function: str) -> None:
    """For every pair of thresholds, on a sample with scratches, which come in pieces."""
    detector = Detector.load(ROOT / "functions" / function)
    picture = np.asarray(Image.open(ROOT / "samples" / function / "grey.jpg"))[:800, :800]
    answers = [rows(detector.detect(picture, threshold).detections) for threshold in THRESHOLDS]
    assert len(answers[0]) > len(answers[-1]) > 0
    for lower, higher in pairwise(answers):
        assert higher <= lower


BOX = st.tuples(st.integers(0, 180), st.integers(0, 180), st.integers(4, 90), st.integers(4, 90))
FOUND = st.lists(st.tuples(BOX, st.floats(0.0, 1.0, width=32), st.integers(0, 1)), max_size=25)


@given(FOUND, st.floats(0, 1), st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_answers_are_nested_whatever_the_weights_say(
    candidates: list[tuple[tuple[int, int, int, int], float, int]], first: float, second: float, seed: int
) -> None:
    """Label 0 comes in pieces; the tiles a candidate is of are drawn, as only their borders matter."""
    grid = tiles.plan(270, 270, 128, 32)
    boxes = np.array([(x, y, x + w, y + h) for (x, y, w, h), _, _ in candidates], np.float32).reshape(-1, 4)
    scores = np.array([score for _, score, _ in candidates], np.float32)
    found = Detections(boxes, scores, np.array([label for _, _, label in candidates], np.int32))
    owner = np.random.default_rng(seed).integers(0, len(grid), len(found))
    gaps = np.array([20, -1], np.float32)
    answers = []
    for threshold in (min(first, second), max(first, second)):
        merged = merge.answer(found, owner, grid, gaps, merge.levels(threshold, 0.5)).detections
        answers.append(rows(merged[merged.scores >= threshold]))
    assert answers[1] <= answers[0]


@given(FOUND, st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_answers_are_nested_with_thresholds_of_labels(
    candidates: list[tuple[tuple[int, int, int, int], float, int]],
    first: float,
    second: float,
    own: float,
    other: float,
) -> None:
    """The labels exclude each other, and label 0 comes in pieces. No label is answered below its own threshold."""
    boxes = np.array([(x, y, x + w, y + h) for (x, y, w, h), _, _ in candidates], np.float32).reshape(-1, 4)
    scores = np.array([score for _, score, _ in candidates], np.float32)
    found = Detections(boxes, scores, np.array([label for _, _, label in candidates], np.int32))
    least = np.array([at_least(own), at_least(other)])
    rules = merge.Rules(0.5, np.array([20, -1], np.float32), exclusive=((0, 1),), least=least)
    answers = []
    for threshold in (min(first, second), max(first, second)):
        merging = merge.Merge(rules, tiles.plan(270, 270, 288, 32), threshold)
        merging.add(Candidates(np.zeros(len(found), np.intp), found), 0)
        answer = merging.answer().detections
        assert (answer.scores >= np.maximum(threshold, np.array([own, other])[answer.labels])).all()
        answers.append(rows(answer))
    assert answers[1] <= answers[0]


def test_a_label_that_does_not_count_hides_no_other() -> None:
    boxes = np.array([(10, 10, 60, 60), (12, 10, 60, 60)], np.float32)
    found = Detections(boxes, np.array([0.8, 0.7], np.float32), np.array([0, 1], np.int32))
    labels = []
    for least in (None, np.array([0.9, 0], np.float32)):
        rules = merge.Rules(0.5, np.array([-1, -1], np.float32), exclusive=((0, 1),), least=least)
        merging = merge.Merge(rules, tiles.plan(64, 64, 64, 0), 0.5)
        merging.add(Candidates(np.zeros(2, np.intp), found), 0)
        labels.append(merging.answer().detections.labels.tolist())
    assert labels == [[0], [1]]


@pytest.mark.parametrize(("asked", "found"), [(0.5, 2), (0.7, 2), (0.95, 1)])
def test_the_larger_of_two_thresholds_counts(tmp_path: Path, asked: float, found: int) -> None:
    """Bright scores 1.0 and blue 0.94; blue counts from 0.9."""
    picture = np.repeat(analytic.board(64, 64, [(8, 8, 30, 20)])[..., None], 3, axis=2)
    picture[40:56, 8:40] = (30, 60, 240)
    folder = analytic.write_function(tmp_path / "analytic")
    for settings, wanted in (
        (Settings(thresholds={"blue": 0.9}), found),
        (Settings(thresholds={"analytic": {"蓝": 0.9}, "other": {"x": 1}}), found),
        (Settings(thresholds={"blue": 0.95}), 1),
        (Settings(thresholds={"other": {"blue": 0.95}}), found),
    ):
        assert len(Detector.load(folder, settings).detect(picture, asked).detections) == wanted
    path = folder / "model.yaml"
    path.write_text(
        path.read_text("utf-8").replace("labels:", "thresholds: {blue: 0.95, bright: 0.2}\nlabels:"), "utf-8"
    )
    assert Detector.load(folder).thresholds == {"blue": 0.95, "bright": 0.2}
    assert len(Detector.load(folder).detect(picture, asked).detections) == 1
    # The variable goes before model.yaml, label by label.
    assert Detector.load(folder, Settings(thresholds={"Blue": 0.9})).thresholds == {"blue": 0.9, "bright": 0.2}
    assert len(Detector.load(folder, Settings(thresholds={"Blue": 0.9})).detect(picture, asked).detections) == found


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"hole": 0.5}, "'hole' is none of the labels bright, blue.*name the model"),
        ({"analytic": {"hole": 0.5}}, "PCB_AOI_THRESHOLDS: analytic: .*'hole'"),
        ({"blue": "0.5"}, "expected a number"),
        ({"blue": 0.5, "other": {"x": 0.1}}, "'blue' does not"),
        ({"blue": 0.5, "蓝": 0.4}, "given twice"),
    ],
)
def test_a_threshold_of_nothing_known_stops_the_start(tmp_path: Path, given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Detector.load(analytic.write_function(tmp_path / "analytic"), Settings(thresholds=given))


@pytest.mark.parametrize(
    ("threshold", "steps"),
    [
        (0.9, [0.5]),
        (0.5, [0.5]),
        (0.4, [0.5, 0.25]),
        (0.25, [0.5, 0.25]),
        (0.07, [0.5, 0.25, 0.1, 0.05]),
        (0, [0.5, 0.25, 0.1, 0.05, 0.01, 0]),
    ],
)
def test_steps_lead_from_the_model_s_own_threshold_down(threshold: float, steps: list[float]) -> None:
    assert merge.levels(threshold, 0.5) == steps


def test_weak_pieces_do_not_swallow_sure_ones() -> None:
    """Two sure scratches, and weak pieces between them that reach from one to the other."""
    boxes = [(0, 0, 20, 200), (200, 0, 220, 200), *((x, 90, x + 30, 110) for x in range(15, 195, 20))]
    found = Detections(
        np.array(boxes, np.float32), np.array([0.9, 0.8] + [0.12] * 9, np.float32), np.zeros(11, np.int32)
    )
    grid = tiles.plan(300, 300, 640, 128)
    gaps = np.array([10], np.float32)
    for threshold in (0.5, 0.3, 0.1):
        merged = merge.answer(found, np.zeros(11, np.intp), grid, gaps, merge.levels(threshold, 0.5)).detections
        assert {box[:4] for box in rows(merged)} >= {(0, 0, 20, 200), (200, 0, 220, 200)}
