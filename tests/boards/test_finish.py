"""finish: bare copper does not pass for a larger land, and what shows belongs together."""

import cv2
import numpy as np
import pytest

from boards.copper.lands import Land, Panel
from boards.defects import finish

SIDE = 240
PITCH = 10.0


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
    box = brush.bare((85, 120), 400, (166.0, 112.0, 98.0))
    assert box is not None
    near = cv2.dilate(panel.osp, np.ones((5, 5))) > 0
    changed = np.abs(image.astype(int) - before).max(axis=2) > 16
    assert changed.any()
    assert not (changed & near).any()


@pytest.mark.parametrize("seed", range(8))
def test_bare_copper_is_of_one_conductor(seed: int) -> None:
    image, panel = board()
    panel.copper[:, 60:70] = 0  # two conductors, laminate between them
    before = image.copy()
    brush = finish.Brush(image, panel, PITCH, 3, None, np.random.default_rng(seed))
    assert brush.bare((52, 120), 500, (166.0, 112.0, 98.0)) is not None
    changed = np.abs(image.astype(int) - before).max(axis=2) > 16
    assert changed[:, :60].any()
    assert not changed[:, 70:].any()


def test_a_scratch_goes_on_over_the_mask() -> None:
    """Over the mask it is pale whatever it is on the metal: one scratch over two lands is one thing to see."""
    land = Land(120, 120, 40, 40, 0, True)
    pale = 0
    for seed in range(24):
        image, panel = board()
        panel = Panel(panel.copper, panel.osp, np.zeros_like(panel.osp), panel.ink, [land])
        before = image.astype(int)
        brush = finish.Brush(image, panel, PITCH, 3, None, np.random.default_rng(seed))
        box = brush.scratch(land)
        if box is None:  # too faint
            continue
        mask = panel.gold == 0
        changed = np.abs(image - before).max(axis=2) > 10
        assert (image[mask & changed].astype(int).sum(axis=1) > before[mask & changed].sum(axis=1)).all()
        x1, y1, x2, y2 = (max(0, int(edge)) for edge in box)
        inside = np.zeros_like(changed)
        inside[y1:y2, x1:x2] = True
        assert not (changed & ~inside).any()
        pale += int((mask & changed).sum() > 20)
    assert pale > 5
