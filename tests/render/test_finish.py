"""finish: a legend defect leaves something of the sign, and bare copper does not pass for a larger land."""

import cv2
import numpy as np
import pytest

from training.render import finish
from training.render.lands import Panel
from training.render.scene import Truth

SIDE = 240
PITCH = 10.0


def legend() -> np.ndarray:
    """Three words and a frame of silkscreen, uint8 (H, W) 0 or 255."""
    ink = np.zeros((SIDE, SIDE), np.uint8)
    for row, word in enumerate(("R120", "C47", "U9")):
        cv2.putText(ink, word, (20, 60 + 70 * row), cv2.FONT_HERSHEY_SIMPLEX, 1.3, 255, 4)
    cv2.rectangle(ink, (140, 100), (220, 220), 255, 4)
    return ink


@pytest.mark.parametrize("seed", range(40))
def test_something_of_every_broken_sign_stays_in_the_box(seed: int) -> None:
    before, truth = legend(), Truth()
    ink = before.copy()
    finish.spoil_legend(ink, PITCH, 3, truth, np.random.default_rng(seed))
    assert len(truth.boxes) == 1
    x1, y1, x2, y2 = (int(value) for value in truth.boxes[0])
    lost = (before > 127) & (ink <= 127)
    assert (lost | (ink > before)).any()
    outside = np.ones_like(lost)
    outside[max(y1, 0) : y2, max(x1, 0) : x2] = False
    assert not (outside & lost).any()
    count, signs = cv2.connectedComponents((before > 127).astype(np.uint8))
    for sign in range(1, count):
        here = signs == sign
        left = (here & (ink > 127)).sum() / here.sum()
        assert left >= 0.35
        if left < 0.85:  # what is boxed is the broken sign, not its missing part
            assert not (outside & here).any()


def board() -> tuple[np.ndarray, Panel]:
    """Copper everywhere under green mask, one land of OSP copper in the middle."""
    image = np.full((SIDE, SIDE, 3), (24, 82, 46), np.uint8)
    osp = np.zeros((SIDE, SIDE), np.uint8)
    osp[100:140, 100:140] = 255
    image[osp > 0] = (166, 112, 98)
    nothing = np.zeros_like(osp)
    return image, Panel(copper=np.full_like(osp, 255), gold=nothing, osp=osp, ink=nothing.copy(), lands=[])


@pytest.mark.parametrize("seed", range(8))
def test_bare_copper_keeps_away_from_lands_that_look_like_it(seed: int) -> None:
    image, panel = board()
    before = image.copy()
    brush = finish.Brush(image, panel, PITCH, 3, None, np.random.default_rng(seed))
    box = brush.bare((90, 120), 400, (166.0, 112.0, 98.0), panel.osp)
    assert box is not None
    near = cv2.dilate(panel.osp, np.ones((5, 5))) > 0
    changed = np.abs(image.astype(int) - before).max(axis=2) > 16
    assert changed.any()
    assert not (changed & near).any()
    image, panel = board()
    brush = finish.Brush(image, panel, PITCH, 3, None, np.random.default_rng(seed))
    brush.bare((90, 120), 400, (208.0, 172.0, 118.0), panel.gold)  # gold beside copper may touch it
    assert ((np.abs(image.astype(int) - before).max(axis=2) > 16) & near).any()
