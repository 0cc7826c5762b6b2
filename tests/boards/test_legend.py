"""legend: something of a broken sign stays, and what is broken shows without the design."""

import cv2
import numpy as np
import pytest

from boards.defects import legend
from boards.defects.planting import Truth

SIDE = 240
PITCH = 10.0


def signs() -> np.ndarray:
    """Three words and a frame of silkscreen, uint8 (H, W) 0 or 255."""
    ink = np.zeros((SIDE, SIDE), np.uint8)
    for row, word in enumerate(("R120", "C47", "U9")):
        cv2.putText(ink, word, (20, 60 + 70 * row), cv2.FONT_HERSHEY_SIMPLEX, 1.3, 255, 4)
    cv2.rectangle(ink, (140, 100), (220, 220), 255, 4)
    return ink


@pytest.mark.parametrize("seed", range(40))
def test_something_of_every_broken_sign_stays_in_the_box(seed: int) -> None:
    before, truth = signs(), Truth()
    ink = before.copy()
    legend.spoil(ink, PITCH, 3, truth, np.random.default_rng(seed))
    assert len(truth.boxes) == 1
    x1, y1, x2, y2 = (int(value) for value in truth.boxes[0])
    lost = (before > 127) & (ink <= 127)
    assert (lost | (ink > before)).any()
    outside = np.ones_like(lost)
    outside[max(y1, 0) : y2, max(x1, 0) : x2] = False
    assert not (outside & lost).any()
    count, of = cv2.connectedComponents((before > 127).astype(np.uint8))
    for sign in range(1, count):
        here = of == sign
        left = (here & (ink > 127)).sum() / here.sum()
        assert left >= 0.35
        if left < 0.85:  # what is boxed is the broken sign, not its missing part
            assert not (outside & here).any()


def test_a_stroke_without_its_end_is_no_defect() -> None:
    broken = 0
    for seed in range(40):
        before, truth = np.zeros((SIDE, SIDE), np.uint8), Truth()
        for row in range(20, SIDE, 40):
            cv2.line(before, (60, row), (180, row), 255, 4)
        ink = before.copy()
        legend.spoil(ink, PITCH, 3, truth, np.random.default_rng(seed))
        lost = (before > 127) & (ink <= 127)
        broken += bool(lost.any())
        for row in np.unique(np.nonzero(lost)[0]):
            columns = np.flatnonzero(lost[row])
            assert columns[0] > 61  # both ends of the line stay
            assert columns[-1] < 178
    assert broken > 10
