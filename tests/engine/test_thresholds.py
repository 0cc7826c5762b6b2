"""A lower threshold may add boxes, and never takes a surer one away."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pcb_aoi.engine import merge, tiles
from pcb_aoi.engine.detections import Detections
from pcb_aoi.engine.detector import Detector

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
