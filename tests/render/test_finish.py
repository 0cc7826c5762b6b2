"""finish: bare copper does not pass for a larger land."""

import cv2
import numpy as np
import pytest

from training.render import finish
from training.render.lands import Panel

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
