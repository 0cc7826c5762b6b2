"""What no layout program lets through, mended in a copper mask: necks, slits, sharp notches and crumbs of copper.

Artwork drawn at random, and real artwork at a coarse pitch, has corners that just touch, wedges between two lines and
islands a few pixels wide. To whoever looks at the picture they are nicks, opens and residual copper, and no reference
board says otherwise: as unlabelled features they would teach a net to pass over defects.
"""

from __future__ import annotations

import cv2
import numpy as np

from boards.pixels.noise import Mask

ISLAND_PX = 14.0  # diameter of the smallest island of copper: a smaller dot is what residual copper is


def disc_kernel(diameter: float) -> Mask:
    """A disc to open and close with, uint8 (D, D), D odd and at least 1."""
    side = 2 * int(max(diameter - 1, 0) / 2) + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), np.uint8)


def obey(copper: Mask, line: float, space: float) -> Mask:
    """The mask, uint8 (H, W), 1 is copper, without copper narrower than `line` px or laminate narrower than `space`.

    Slits are filled first: a corner that just touches becomes a fillet before what is thin is taken away. What the
    picture cuts off goes on outside it.
    """
    reach = int(np.ceil(max(line, space))) + 1
    padded = cv2.copyMakeBorder(copper, reach, reach, reach, reach, cv2.BORDER_REPLICATE)
    for kind, width in ((cv2.MORPH_CLOSE, space), (cv2.MORPH_OPEN, line), (cv2.MORPH_CLOSE, space)):
        padded = cv2.morphologyEx(padded, kind, disc_kernel(width))
    mended = np.ascontiguousarray(np.asarray(padded, np.uint8)[reach:-reach, reach:-reach])
    return without_islands(mended, ISLAND_PX)


def without_islands(copper: Mask, diameter: float) -> Mask:
    """The mask without pieces of copper smaller than a disc of `diameter` px; those at the border may be large."""
    _, pieces, statistics, _ = cv2.connectedComponentsWithStats(copper, connectivity=8)
    small = statistics[:, cv2.CC_STAT_AREA] < np.pi / 4 * diameter**2
    small[0] = False  # the background
    for border in (pieces[0], pieces[-1], pieces[:, 0], pieces[:, -1]):
        small[border] = False
    return np.where(small[pieces], np.uint8(0), copper)
