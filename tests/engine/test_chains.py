"""chains: pieces that touch are one defect, weak ones only with a strong one, and no other label is touched."""

from __future__ import annotations

import random
from collections.abc import Sequence

import analytic
import numpy as np
import pytest
from analytic import f32, i32
from hypothesis import given
from hypothesis import strategies as st

from pcb_aoi.engine import chains
from pcb_aoi.engine.detections import Detections
from pcb_aoi.engine.detector import Detector
from pcb_aoi.errors import ModelError

SCRATCH = f32([chains.GAP])


def found(boxes: Sequence[tuple[float, ...]], scores: list[float] | None = None, label: int = 0) -> Detections:
    return Detections(f32(boxes), f32(scores or [0.9] * len(boxes)), i32([label] * len(boxes)))


@given(st.integers(2, 40), st.floats(-2, 2), st.integers(0, 6), st.randoms(use_true_random=False))
def test_a_slanted_scratch_of_many_pieces_is_one_box(count: int, slope: float, gap: int, order: random.Random) -> None:
    """Pieces 60 px long that overlap, or end up to 6 px from each other, in any order."""
    step = 60 + gap if gap else 30
    boxes = []
    for piece in range(count):
        y = sorted((slope * piece * step, slope * (piece * step + 60)))
        boxes.append((piece * step, y[0] - 3, piece * step + 60, y[1] + 3))
    order.shuffle(boxes)
    whole = chains.join(found(boxes), SCRATCH)
    assert len(whole) == 1
    low, high = np.min(boxes, axis=0)[:2], np.max(boxes, axis=0)[2:]
    assert whole.boxes[0] == pytest.approx([*low, *high], abs=1e-2)


def test_pieces_further_apart_than_the_gap_stay_two() -> None:
    near = found([(0, 0, 60, 10), (60 + chains.GAP - 1, 0, 130, 10)])
    far = found([(0, 0, 60, 10), (60 + chains.GAP + 1, 0, 130, 10)])
    assert (len(chains.join(near, SCRATCH)), len(chains.join(far, SCRATCH))) == (1, 2)


def test_only_pieces_of_one_joined_label_meet() -> None:
    parts = [found([(0, 0, 60, 10), (40, 0, 90, 10)], label=label) for label in (0, 1, 2)]
    both = Detections.concatenate(parts)
    whole = chains.join(both, f32([chains.GAP, chains.NOT_JOINED, chains.GAP]))
    assert sorted(whole.labels.tolist()) == [0, 1, 1, 2]
    assert np.array_equal(whole.boxes[whole.labels == 1], parts[1].boxes)


def test_a_chain_scores_as_its_best_piece() -> None:
    whole = chains.join(found([(0, 0, 60, 10), (40, 0, 100, 10), (80, 0, 140, 10)], [0.3, 0.8, 0.6]), SCRATCH)
    assert whole.scores.tolist() == pytest.approx([0.8])


def test_weak_pieces_link_but_do_not_stretch() -> None:
    """Three pieces in a row, the middle and the last one weak: they hang together, and the strong one is the box."""
    boxes = [(0, 0, 60, 10), (40, 0, 100, 10), (80, 0, 140, 10)]
    assert chains.join(found(boxes, [0.8, 0.3, 0.3]), SCRATCH).boxes.tolist() == [[0, 0, 60, 10]]
    assert chains.join(found(boxes, [0.8, 0.3, 0.5]), SCRATCH).boxes.tolist() == [[0, 0, 140, 10]]
    assert chains.join(found(boxes, [0.3, 0.35, 0.3]), SCRATCH).boxes.tolist() == [[40, 0, 100, 10]]


def test_weights_say_which_labels_they_find_in_pieces() -> None:
    slugs = ["open", "scratch"]
    assert chains.gaps({}, slugs).tolist() == [-1, -1]
    assert chains.gaps({"joined": '["scratch"]'}, slugs).tolist() == [-1, chains.GAP]
    assert chains.gaps({"joined": '{"scratch": 20}'}, slugs).tolist() == [-1, 20]
    for wrong in ('["scrtch"]', "scratch", "3", '{"scratch": "x"}', '{"scratch": -2}', '{"scrtch": 20}'):
        with pytest.raises(ModelError):
            chains.gaps({"joined": wrong}, slugs)


def test_the_weights_gap_is_the_one_used() -> None:
    parts = found([(0, 0, 60, 10), (85, 0, 130, 10)])
    assert [len(chains.join(parts, f32([gap]))) for gap in (20, 30)] == [2, 1]


def test_only_joined_labels_ask_for_weak_candidates() -> None:
    assert chains.floor(0.5, f32([chains.NOT_JOINED])) == 0.5
    assert chains.floor(0.5, SCRATCH) == chains.WEAK
    assert chains.floor(0.1, SCRATCH) == 0.1


# --- through the detector: label 0 comes in pieces, label 1 does not --------------------------------------------------


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Detector:
    weights = analytic.model(joined=("bright",))
    return Detector.load(analytic.write_function(tmp_path_factory.mktemp("functions") / "pieces", weights))


def image(pieces: list[tuple[int, int, int, int, int]], channel: int = 0) -> np.ndarray:
    """Rectangles x1, y1, x2, y2 of a brightness, which is the score in 255ths."""
    picture = np.zeros((120, 400, 3), np.uint8)
    for x1, y1, x2, y2, level in pieces:
        picture[y1:y2, x1:x2, channel] = level
    return picture


STRONG, WEAK = 200, 140  # of 255: the known detector takes what is over half for bright, 0.55 is WEAK's score


def test_a_weak_piece_counts_only_beside_a_strong_one(detector: Detector) -> None:
    beside = [(10, 10, 50, 30, STRONG), (56, 10, 90, 30, WEAK)]
    alone = [(10, 10, 50, 30, STRONG), (100, 10, 134, 30, WEAK)]
    threshold = 0.7
    assert detector.detect(image(beside), threshold).detections.boxes.tolist() == [[10, 10, 90, 30]]
    assert detector.detect(image(alone), threshold).detections.boxes.tolist() == [[10, 10, 50, 30]]


def test_a_label_that_is_not_joined_is_as_before(detector: Detector) -> None:
    pieces = [(10, 10, 50, 30, STRONG), (56, 10, 90, 30, WEAK)]
    assert detector.detect(image(pieces, channel=2), 0.7).detections.boxes.tolist() == [[10, 10, 50, 30]]
    assert len(detector.detect(image(pieces, channel=2), 0.5).detections) == 2


def test_a_scratch_in_pieces_over_many_tiles_is_one_box(detector: Detector) -> None:
    pieces = [(x, 40, x + 37, 50, STRONG) for x in range(8, 360, 40)]  # 3 px apart; a tile is 64 px
    (box,) = detector.detect(image(pieces)).detections.boxes.tolist()
    assert box == [pieces[0][0], 40, pieces[-1][2], 50]


def test_each_piece_is_told_which_chain_it_became() -> None:
    """Two chains, and one of another label that has no pieces: those alone stand first."""
    boxes = [(0, 0, 60, 10), (0, 90, 60, 100), (50, 0, 110, 10), (55, 90, 90, 100), (200, 0, 210, 10)]
    labels = i32([0, 0, 0, 0, 1])
    pieces = Detections(f32(boxes), f32([0.9] * 5), labels)
    whole, became = chains.gather(pieces, f32([0, chains.NOT_JOINED]))
    assert whole.boxes[became].tolist() == [
        [0, 0, 110, 10],
        [0, 90, 90, 100],
        [0, 0, 110, 10],
        [0, 90, 90, 100],
        [200, 0, 210, 10],
    ]
