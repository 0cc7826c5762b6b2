"""gold_osp: ink that was smeared lies on the metal, too; the legend as designed spares it."""

import numpy as np
import pytest

from boards.camera.look import Look
from boards.copper.lands import Panel
from boards.defects import legend
from boards.process import gold_osp
from boards.process.board import render_board

SIDE = 120
COLOURS = gold_osp.Colours((24, 82, 46), (208, 172, 118), (166, 112, 98), (232, 232, 226), 0.2)


def painted(smeared: bool) -> np.ndarray:
    """A gold land in the middle, ink over its right half."""
    nothing = np.zeros((SIDE, SIDE), np.uint8)
    gold, ink = nothing.copy(), nothing.copy()
    gold[40:80, 40:80] = 255
    ink[50:70, 60:100] = 255
    panel = Panel(np.full_like(nothing, 255), gold, nothing, ink, [])
    return gold_osp._paint(panel, ink if smeared else nothing, COLOURS, Look("colour"), np.random.default_rng(3))


def test_ink_lies_on_metal_only_where_it_was_smeared() -> None:
    for smeared in (False, True):
        image = painted(smeared).astype(int)
        on_metal, on_mask, metal = image[54:66, 64:76], image[54:66, 86:96], image[54:66, 44:56]
        assert on_mask[..., 2].mean() > 180  # white
        assert (on_metal[..., 2].mean() > 180) == smeared
        assert metal[..., 2].mean() < 150


def test_what_a_smear_adds_to_the_legend_is_painted_as_smeared(monkeypatch: pytest.MonkeyPatch) -> None:
    """A smear over the whole board: nothing of lands and mask is left to see."""
    deviation = []
    for spoil in (lambda ink, *_: ink.fill(255), lambda *_: None):
        monkeypatch.setattr(legend, "spoil", spoil)
        rng = np.random.default_rng(5)
        board = render_board("gold-osp", (160, 160), None, Look("colour"), rng, {"legend_defect": 1})
        deviation.append(board.image.std(axis=(0, 1)).max())
    smeared, designed = deviation
    assert smeared < 15 < designed
