"""detector: metamorphic properties with a detector of which everything is known."""

from __future__ import annotations

import random
import time
from pathlib import Path

import analytic
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcb_aoi.config.settings import Settings
from pcb_aoi.engine.detections import Detections
from pcb_aoi.engine.detector import Detector
from pcb_aoi.engine.heads import at_least
from pcb_aoi.errors import DeadlineExceeded, ModelError

Boxes = list[tuple[int, int, int, int]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return analytic.write_function(tmp_path_factory.mktemp("functions") / "analytic")


@pytest.fixture(scope="module")
def detector(folder: Path) -> Detector:
    return Detector.load(folder)


def boxes_of(detector: Detector, image: np.ndarray, threshold: float = 0.5) -> set[tuple[float, ...]]:
    return {tuple(box) for box in detector.detect(image, threshold).detections.boxes.tolist()}


def rows(found: Detections) -> list[tuple[float, ...]]:
    return [
        (*box, score, label)
        for box, score, label in zip(found.boxes.tolist(), found.scores.tolist(), found.labels.tolist(), strict=True)
    ]


@st.composite
def boards(draw: st.DrawFn) -> tuple[int, int, Boxes]:
    """A board and solid rectangles on it, apart by more than a tile's stride, one under the other."""
    height, width = draw(st.integers(1, 260)), draw(st.integers(1, 260))
    boxes: Boxes = []
    y = draw(st.integers(0, 20))
    while y < height:
        x = draw(st.integers(0, max(0, width - 1)))
        x2, y2 = min(width, x + draw(st.integers(9, 200))), min(height, y + draw(st.integers(9, 15)))
        # The detector looks at every eighth pixel: what is 8 x 8 or larger is hit in any tile that shows it whole.
        if x2 - x >= 8 and y2 - y >= 8:
            boxes.append((x, y, x2, y2))
        y = y2 + draw(st.integers(10, 40))
    return height, width, boxes


@given(boards())
def test_every_rectangle_is_found_once_and_exactly(detector: Detector, board: tuple[int, int, Boxes]) -> None:
    """Strips, crops smaller than a tile, boards of many tiles; rectangles on seams, in corners, longer than a tile."""
    height, width, boxes = board
    assert boxes_of(detector, analytic.board(height, width, boxes)) == {tuple(map(float, box)) for box in boxes}


@given(st.integers(0, 70), st.integers(0, 70))
def test_a_shifted_image_gives_shifted_boxes(detector: Detector, dx: int, dy: int) -> None:
    boxes = [(5, 5, 30, 20), (60, 40, 75, 52), (20, 70, 170, 82)]
    moved = [(x1 + dx, y1 + dy, x2 + dx, y2 + dy) for x1, y1, x2, y2 in boxes]
    image = analytic.board(200, 260, moved)
    assert boxes_of(detector, image) == {tuple(map(float, box)) for box in moved}


def test_grey_and_colour_are_the_same(detector: Detector) -> None:
    image = analytic.board(150, 150, [(40, 40, 100, 60)])
    assert boxes_of(detector, image) == boxes_of(detector, np.repeat(image[..., None], 3, axis=2)) != set()


def test_labels_are_class_ids(detector: Detector) -> None:
    image = np.full((120, 120, 3), 40, np.uint8)
    image[10:30, 10:40], image[60:80, 50:90, 2] = 255, 255
    found = detector.detect(image).detections
    assert dict(zip(found.labels.tolist(), found.boxes.tolist(), strict=True)) == {
        0: [10, 10, 40, 30],
        1: [50, 60, 90, 80],
    }


@pytest.mark.parametrize(("threshold", "count"), [(0.0, 3), (0.6, 3), (200 / 255, 2), (0.8, 1), (1.0, 1)])
def test_the_threshold_is_honoured(detector: Detector, threshold: float, count: int) -> None:
    image = analytic.board(64, 200, [(10, 10, 30, 30)])
    image[10:30, 60:80], image[10:30, 120:140] = 200, 160
    # At 0 the detector's dark pixels are candidates too; what counts is that no rectangle is missing.
    found = detector.detect(image, threshold).detections
    assert ((found.boxes[:, 2] - found.boxes[:, 0] == 20) & (found.scores > 0.5)).sum() == count
    assert (found.scores.astype(float) >= threshold).all()


@given(boards(), st.randoms(use_true_random=False), st.floats(0.5, 1))
def test_a_higher_threshold_only_takes_away(
    detector: Detector, board: tuple[int, int, Boxes], random: random.Random, threshold: float
) -> None:
    """Tiles that see a defect differ in how sure they are: of each rectangle, every column is of another brightness."""
    height, width, boxes = board
    image = analytic.board(height, width, boxes)
    for x1, y1, x2, y2 in boxes:
        image[y1:y2, x1:x2] = [random.randint(128, 255) for _ in range(x2 - x1)]
    default, answer = (detector.detect(image, value).detections for value in (detector.config.threshold, threshold))
    assert rows(answer) == rows(default[default.scores >= at_least(threshold)])


def test_the_default_threshold_is_model_yamls_unless_ops_set_one(folder: Path) -> None:
    image = analytic.board(64, 64, [(10, 10, 30, 30)], value=160)  # score 0.627
    assert len(Detector.load(folder).detect(image).detections) == 1
    assert len(Detector.load(folder, Settings(threshold=0.7)).detect(image).detections) == 0


@pytest.mark.parametrize(
    ("pitch", "factor"), [(10, 1), (9, 1), (11, 1), (6, 0.6), (8, 0.8), (12, 1.2), (20, 2), (40, 4), (2.5, 0.25)]
)
def test_a_pitch_over_15_percent_off_is_brought_to_the_models_own(folder: Path, pitch: float, factor: float) -> None:
    """The model is native at 10 um/px. Boxes are answered in the image's own pixels."""
    size = round(200 / factor)
    box = tuple(round(value / factor) for value in (40, 60, 140, 100))
    result = Detector.load(folder, Settings(um_per_px=pitch)).detect(analytic.board(size, size, [box]))  # type: ignore[list-item]
    assert result.tiles == 16
    np.testing.assert_allclose(result.detections.boxes, [box], atol=1.5 / min(1, factor))


def test_a_pitch_too_coarse_is_warned_of(folder: Path) -> None:
    image = analytic.board(64, 64, [])
    assert Detector.load(folder, Settings(um_per_px=20)).detect(image).warnings == ()
    assert "too coarse" in Detector.load(folder, Settings(um_per_px=31)).detect(image).warnings[0]


def test_an_empty_board_gives_no_boxes(detector: Detector) -> None:
    assert len(detector.detect(np.zeros((100, 100), np.uint8)).detections) == 0


def test_noise_is_bounded_in_number_and_time(detector: Detector) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (400, 400, 3), np.uint8)
    result = detector.detect(noise, 0.0)
    assert 0 < len(result.detections) <= 10_000


def test_a_board_that_cannot_be_done_in_time_is_refused_before_the_first_tile(detector: Detector) -> None:
    image = np.zeros((4000, 4000), np.uint8)
    ran: list[int] = []
    run = detector.model.run
    detector.model.run = lambda tiles: ran.append(1) or run(tiles)  # type: ignore[method-assign,func-returns-value]
    try:
        with pytest.raises(DeadlineExceeded, match="6889 tiles need"):
            detector.detect(image, deadline=time.monotonic() + 0.05)
    finally:
        del detector.model.run
    assert not ran


def test_a_board_is_not_refused_for_a_stall_that_is_over(detector: Detector) -> None:
    """A machine that was busy once leaves a bad estimate; a refusal runs no tile, so nothing else would mend it."""
    detector.model.runtime.seconds_per_item = 3600.0
    image = analytic.board(400, 400, [(40, 60, 140, 100)])
    assert len(detector.detect(image, deadline=time.monotonic() + 30).detections) == 1
    assert detector.model.runtime.seconds_per_item < 60


def test_the_warning_of_dropped_detections_counts_those_that_were_asked_for(folder: Path) -> None:
    """At the default threshold a tile of noise has few detections, and thousands of candidates below it."""
    detector = Detector.load(folder, Settings(threshold=0.99))
    noise = np.random.default_rng(0).integers(0, 200, (300, 300), dtype=np.uint8)
    assert detector.detect(noise).warnings == ()


def test_the_deadline_is_kept_between_batches(detector: Detector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Detector, "_check_time", lambda *_: None)
    with pytest.raises(DeadlineExceeded, match="out of time after 1 of"):
        detector.detect(np.zeros((400, 400), np.uint8), deadline=time.monotonic())


def poisoned(detector: Detector, monkeypatch: pytest.MonkeyPatch, share: slice) -> None:
    run = detector.model.run

    def bad(tiles: np.ndarray) -> list[np.ndarray]:
        boxes, scores = run(tiles)
        boxes[:, share] = np.nan
        return [boxes, scores]

    monkeypatch.setattr(detector.model, "run", bad)


def test_boxes_that_are_not_finite_are_dropped_and_said(detector: Detector, monkeypatch: pytest.MonkeyPatch) -> None:
    poisoned(detector, monkeypatch, slice(0, 30))
    result = detector.detect(analytic.board(64, 64, [(0, 40, 64, 60)]))
    assert len(result.detections) == 1
    assert "not finite" in result.warnings[0]


def test_an_infinite_score_is_no_detection(detector: Detector, monkeypatch: pytest.MonkeyPatch) -> None:
    run = detector.model.run

    def bad(tiles: np.ndarray) -> list[np.ndarray]:
        boxes, scores = run(tiles)
        scores[:, :30] = np.inf
        return [boxes, scores]

    monkeypatch.setattr(detector.model, "run", bad)
    found = detector.detect(analytic.board(64, 64, [(0, 40, 64, 60)])).detections
    assert len(found) == 1
    assert np.isfinite(found.scores).all()


def test_nothing_but_nan_is_an_error_and_not_an_empty_answer(
    detector: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    poisoned(detector, monkeypatch, slice(None))
    with pytest.raises(ModelError, match="not finite"):
        detector.detect(analytic.board(64, 64, [(0, 40, 64, 60)]))


def test_scores_above_one_are_one(detector: Detector, monkeypatch: pytest.MonkeyPatch) -> None:
    run = detector.model.run
    monkeypatch.setattr(
        detector.model, "run", lambda tiles: [part * 3e38 if i else part for i, part in enumerate(run(tiles))]
    )
    found = detector.detect(analytic.board(64, 64, [(10, 10, 30, 30)])).detections
    assert found.scores.tolist() == [1.0]


def test_infinite_outputs_are_warned_of(detector: Detector, monkeypatch: pytest.MonkeyPatch) -> None:
    run = detector.model.run

    def bad(tiles: np.ndarray) -> list[np.ndarray]:
        boxes, scores = run(tiles)
        boxes[:, :30] = np.inf
        return [boxes, scores]

    monkeypatch.setattr(detector.model, "run", bad)
    assert "not finite" in detector.detect(analytic.board(64, 64, [(0, 40, 64, 60)])).warnings[0]
