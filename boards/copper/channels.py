"""Copper divided by wide straight channels, or wide tracks on bare laminate, with links between neighbours.

What boards of power supplies, lamps and probe cards look like. A bridge over a wide channel is a short that touches
nothing fine; a narrow stretch between two wide ones is the layout's own and no defect: nets that had seen only lines
as fine as their gaps missed the one and called the other.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from boards.copper.canvas import Sheet
from boards.pixels.drawing import line
from boards.pixels.noise import Mask, Points

WIDTHS = (10.0, 80.0)  # px of the widest channels of a sheet
SHARES = (0.3, 0.5, 1.0, 1.0)  # of that, the widths its channels have
BETWEEN = (0.8, 4.0)  # from one channel to the next, in the widest width
LEAST = 5.0  # px of the narrowest stretch
ROOM = 35.0  # px between channels from which on there are links
TRACKS = 0.4  # share of sheets that are tracks on laminate, not channels in copper


def divide(sheet: Sheet, rng: np.random.Generator) -> None:
    """Draw channels all over the sheet, in place."""
    side = max(sheet.canvas.shape)
    drawn = np.zeros((side, side), np.uint8)
    wide = float(np.exp(rng.uniform(*np.log(WIDTHS))))
    linked = rng.uniform(0.2, 1.0)
    x = float(rng.uniform(-wide, wide))  # middle of the next channel
    last, edge = 0.0, 0.0  # middle and right edge of the last one
    while x < side + wide:
        width = max(wide * float(rng.choice(SHARES)), LEAST)
        line(drawn, _jogged(x, side, width, rng), width)
        if x - width / 2 - edge > ROOM and rng.random() < linked:
            _link(drawn, last, x, min(width, 0.4 * (x - width / 2 - edge)), rng)
        last, edge = x, x + width / 2
        x = edge + max(wide * float(rng.uniform(*BETWEEN)), 3 * LEAST)
    turned = np.rot90(drawn, int(rng.integers(4)))[: sheet.canvas.shape[0], : sheet.canvas.shape[1]]
    sheet.canvas[:] = turned if rng.random() < TRACKS else 255 - turned


def _jogged(x: float, side: int, width: float, rng: np.random.Generator) -> Points:
    """A line from top to bottom; one in three steps aside by at most half its width, at 45 degrees."""
    if rng.random() < 2 / 3:
        return np.array([(x, -width), (x, side + width)])
    step, y = float(rng.uniform(-0.5, 0.5)) * width, float(rng.uniform(0.1, 0.9)) * side
    return np.array([(x, -width), (x, y), (x + step, y + abs(step)), (x + step, side + width)])


def _link(canvas: Mask, left: float, right: float, widest: float, rng: np.random.Generator) -> None:
    """Paths from the middle of a channel to that of the next one: across, along, across; some end half way.

    Their widths change.
    """
    y = float(rng.uniform(0, 80))
    while y < len(canvas):
        narrow = max(widest * float(rng.uniform(0.25, 0.8)), LEAST)
        middle = left + (right - left) * float(rng.uniform(0.4, 0.6))
        along = float(rng.uniform(0, 90)) + narrow
        path = np.array([(left, y), (middle, y), (middle, y + along), (right, y + along)])
        path = path[: 4 if rng.random() < 0.7 else 3]
        for begin, end in pairwise(path):
            line(canvas, np.array([begin, end]), narrow)
            if rng.random() < 0.5:  # wider over a part: what is left is a neck
                part = np.sort(rng.uniform(0, 1, 2))
                line(canvas, begin + (end - begin) * part[:, None], narrow * float(rng.uniform(1.4, 2.4)))
        y += along + narrow + float(rng.uniform(20, 150))
