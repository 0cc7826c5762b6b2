"""Designed bridges between neighbouring pads, as ground pins of one part have: unlabelled, for training.

No picture tells one from a short with certainty. A tie is straight, at least a line wide and ends square on both pads;
a factory whose model calls each of them stops looking at its calls.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from boards.copper.artwork import Artwork
from boards.pixels.noise import Mask

SHARES = (0.1, 0.6)  # of the pairs of neighbours, on one board
GAPS_PX = (4.0, 30.0)  # between pads
LEAST_PX = 5.0  # width of a tie
ALONG = 0.6  # share of the smaller pad's side within which a tie lies
IN_LINE_PX = 1.5  # by which the middles of neighbours are off at most
CLEAR_PX = 3  # laminate on either side of a tie


def tie(artwork: Artwork, rng: np.random.Generator) -> Mask:
    """The copper uint8 (H, W), 1 is copper, with some neighbouring pads joined; none where there are no pads."""
    copper = artwork.copper.copy()
    if not len(artwork.pads):
        return copper
    share = float(np.exp(rng.uniform(*np.log(SHARES))))
    for upright in (False, True):
        # Seen along x; ties along y are those of the picture turned round its diagonal.
        view = copper.T if upright else copper
        pads = artwork.pads[:, [1, 0, 3, 2]] if upright else artwork.pads
        for left, right in _neighbours(pads):
            if rng.random() < share:
                _join(view, left, right, rng)
    return copper


def _neighbours(pads: NDArray[np.float32]) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Pairs of pads (x, y, width, height), left and right, whose gap is in GAPS_PX."""
    apart = pads[None, :, 0] - pads[:, None, 0] - (pads[None, :, 2] + pads[:, None, 2]) / 2
    in_line = np.abs(pads[None, :, 1] - pads[:, None, 1]) < IN_LINE_PX
    return [(pads[i], pads[j]) for i, j in np.argwhere(in_line & (apart >= GAPS_PX[0]) & (apart <= GAPS_PX[1]))]


def _join(view: Mask, left: NDArray[np.float32], right: NDArray[np.float32], rng: np.random.Generator) -> None:
    """Lay a tie between two pads, in place, where nothing but laminate is between them."""
    side = float(min(left[3], right[3]))
    width = max(side * float(rng.uniform(0.2, 0.5)), LEAST_PX)
    middle = float(left[1]) + side * ALONG / 2 * float(rng.choice((0.0, rng.uniform(-1, 1))))
    x0, x1 = float(left[0] + left[2] / 2), float(right[0] - right[2] / 2)
    y0, y1 = round(middle - width / 2), round(middle + width / 2)
    rows, columns = view.shape
    if width > ALONG * side or x0 < 2 or x1 > columns - 2 or y0 < CLEAR_PX or y1 > rows - CLEAR_PX:
        return
    inner = view[y0 - CLEAR_PX : y1 + CLEAR_PX, int(x0) + 2 : int(x1) - 1]
    ends = view[y0:y1, [int(x0) - 2, int(x1) + 1]]
    if ends.all() and not inner.any():
        view[y0:y1, int(x0) - 2 : int(x1) + 2] = 1
