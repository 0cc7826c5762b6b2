"""What is measured is what is served: the engine's own answers, at every threshold at once."""

from __future__ import annotations

from pathlib import Path

import analytic
import numpy as np
import pytest

from pcb_aoi.config.model_config import ModelConfig
from pcb_aoi.engine import chains, doubles
from pcb_aoi.engine.detections import Detections
from pcb_aoi.engine.detector import Detector, Result
from pcb_aoi.errors import ModelError
from training.measure import examine
from training.measure.examine import FLOOR, Examiner


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Label 0 comes in pieces."""
    weights = analytic.model(joined=("bright",))
    return analytic.write_function(tmp_path_factory.mktemp("functions") / "pieces", weights)


def board(seed: int) -> np.ndarray:
    """Rectangles of all brightnesses, which are their scores, on a board of six tiles."""
    rng = np.random.default_rng(seed)
    picture = np.zeros((120, 200, 3), np.uint8)
    for _ in range(14):
        x, y, channel = int(rng.integers(0, 160)), int(rng.integers(0, 100)), int(rng.choice([0, 2]))
        picture[y : y + int(rng.integers(8, 16)), x : x + int(rng.integers(8, 36)), channel] = rng.integers(120, 255)
    return picture


def rows(found: object) -> list[list[float]]:
    return np.column_stack([found.boxes, found.scores, found.labels]).tolist()  # type: ignore[attr-defined]


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7, 0.9])
def test_from_the_threshold_on_calls_are_those_that_are_served(folder: Path, threshold: float) -> None:
    examiner, served = Examiner.load(folder), Detector.load(folder)
    called = 0
    for seed in range(12):
        found = examiner.detect(board(seed), threshold)
        answer = served.detect(board(seed), threshold).detections
        assert rows(found[found.scores >= threshold]) == rows(answer)
        assert (np.diff(found.scores) <= 0).all()
        called += len(answer)
        assert len(found) >= len(answer)
    assert called > 20


def test_between_the_threshold_and_weak_calls_are_those_that_would_be_served_there(folder: Path) -> None:
    """On one tile: on several, a weaker fragment may make a box larger."""
    examiner, served = Examiner.load(folder), Detector.load(folder)
    for seed in range(12):
        picture = board(seed)[:60, :60]
        found = examiner.detect(picture, 0.9)
        for threshold in (0.7, 0.6, 0.5, chains.WEAK):
            assert rows(found[found.scores >= threshold]) == rows(served.detect(picture, threshold).detections)


def test_pieces_are_not_joined(folder: Path) -> None:
    picture = np.zeros((60, 200, 3), np.uint8)
    for x in (8, 36, 64, 92):
        picture[20:30, x : x + 25, 0] = 220
    examiner = Examiner.load(folder)
    assert examiner.gaps.tolist()[0] == chains.GAP
    assert len(examiner.detect(picture, 0.5)) == 1
    assert len(examiner.pieces(picture)) == 4


def test_each_part_of_the_curve_comes_from_the_answer_at_the_next_lower_threshold(folder: Path) -> None:
    """A stand-in for the engine gives boxes of another place at every threshold."""

    class Answers:
        def detect(self, _: np.ndarray, level: float) -> Result:
            scores = np.array([score for score in (0.95, 0.71, 0.4, 0.2, 0.05) if score >= level], np.float32)
            boxes = np.full((len(scores), 4), level, np.float32)
            return Result(Detections(boxes, scores, np.zeros(len(scores), np.int32)), 1, {}, ())

    examiner = Examiner.load(folder)
    examiner._detector = Answers()  # type: ignore[assignment]
    found = examiner.detect(board(0), 0.7)
    assert found.scores.tolist() == pytest.approx([0.95, 0.71, 0.4, 0.2, 0.05])
    assert found.boxes[:, 0].tolist() == pytest.approx([0.7, 0.7, chains.WEAK, FLOOR, FLOOR])


def test_the_limit_of_what_is_served_cuts_no_curve(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = np.zeros((60, 60, 3), np.uint8)
    picture[8:20, 8:20, 2], picture[30:44, 30:44, 2] = 250, 240
    for ask in (lambda: Examiner.load(folder).detect(picture, 0.5), lambda: Examiner.load(folder).pieces(picture)):
        assert len(ask()) == 2
        with monkeypatch.context() as patched:
            patched.setattr(examine, "MOST_PER_TILE", 1)
            assert len(ask()) == 1
    assert examine.MOST_PER_TILE > doubles.MOST


def test_each_tile_is_run_once_and_the_last_picture_is_forgotten(folder: Path) -> None:
    examiner = Examiner.load(folder)
    first, second = board(1), board(2)
    examiner.detect(first, 0.5)
    known = len(examiner._session.known)
    assert 1 < known <= 6 * 2
    examiner.detect(second, 0.5)
    assert len(examiner._session.known) <= 6 * 2
    assert rows(examiner.detect(first, 0.5)) == rows(Examiner.load(folder).detect(first, 0.5))


def test_weights_of_other_labels_are_refused(folder: Path) -> None:
    config = ModelConfig.load(folder / "model.yaml")
    other = analytic.model(metadata={"slugs": '["dark", "bright"]'})
    with pytest.raises(ModelError, match="class 0"):
        Examiner(other, config)
