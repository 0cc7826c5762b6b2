"""Designed features that look like defects, drawn into the masks of rendered boards: drill holes and channels.

training/data/features.py draws the same into crops, and says why.
"""

from __future__ import annotations

import cv2
import numpy as np

from boards.copper.design_rules import ISLAND_PX, disc_kernel, without_islands
from training.data.features import LAND, NECK, SLIM, SLIM_PX, WIDE, Mask, Points, cut_slot, drill, shouldered

PLANE = 61  # px: copper as wide as this both ways may have channels
STRAIGHT = 0.75  # a cut that fills so much of the rectangle round it is straight


def is_slot(cut: Mask) -> bool:
    """Whether a cut (H, W), 1 where it is, is long, thin and straight: it nearly fills the least rectangle round it."""
    points = cv2.findNonZero(cut)
    if points is None:
        return False
    short, long = sorted(side + 1 for side in cv2.minAreaRect(points)[1])
    return bool(long > SLIM_PX and long > SLIM * short and len(points) > STRAIGHT * short * long)


def necked(length: float, rng: np.random.Generator) -> list[tuple[float, float]]:
    """Profile of a slot of `length` px: wide, a shoulder, a neck, a shoulder, wide; either end may be all neck."""
    neck, widths = rng.uniform(*NECK), rng.uniform(*WIDE, size=2) * rng.choice((1, 1, 1.5))
    widths = np.maximum(widths, 1.5 * neck)
    begin, end = np.sort(rng.uniform(0, 1, 2)) * length
    if rng.random() < 0.3:
        begin, end = (0.0, end) if rng.random() < 0.5 else (begin, length)
    return shouldered(begin, end, length, neck, (float(widths[0]), float(widths[1])), rng)


def add_decoys(mask: Mask, rng: np.random.Generator) -> None:
    """Small round drill holes in wide copper and straight designed channels through planes; in place."""
    radius = rng.uniform(3.0, 7.0)  # one drill a board, as a rule
    for _ in range(int(rng.poisson(5))):
        room = np.argwhere(cv2.distanceTransform(mask, cv2.DIST_L2, 3) > radius + 5)
        if not len(room):
            break
        y, x = room[int(rng.integers(len(room)))]
        own = max(radius * rng.uniform(0.85, 1.15), 2.5)
        drill(mask, np.array([x, y]) + rng.random(2), own, 0)
    if mask.mean() > 0.35:
        add_channels(mask, int(rng.integers(0, 4)), rng)


def add_channels(mask: Mask, number: int, rng: np.random.Generator) -> None:
    """Up to `number` designed gaps through planes, in place: straight pieces at right angles, most of them with a neck.

    Lines and pads stay whole, and no copper narrower than LAND is left beside a gap.
    """
    planes = np.asarray(cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((PLANE, PLANE), np.uint8)), np.uint8)
    starts, fine, cut = np.argwhere(planes), mask & (1 - planes), np.zeros_like(mask)
    for _ in range(number if len(starts) else 0):
        # Anywhere within the pixel: on its corner alone, all necks would be an odd number of pixels wide.
        _add_channel(cut, fine, starts[int(rng.integers(len(starts)))][::-1] + rng.random(2), rng)
    left = mask & (1 - cut)
    solid = np.asarray(cv2.morphologyEx(left, cv2.MORPH_OPEN, disc_kernel(LAND)), np.uint8)
    beside = (cv2.dilate(cut, disc_kernel(4 * LAND)) > 0) & (fine == 0)
    mask[:] = np.where(beside, without_islands(solid, ISLAND_PX), left)


def _add_channel(cut: Mask, fine: Mask, point: Points, rng: np.random.Generator) -> None:
    """One such gap from `point` on, into `cut`: as far as it keeps LAND clear of `fine` copper; both (H, W), 0 or 1."""
    usual = float(rng.uniform(*WIDE))
    across = bool(rng.random() < 0.5)
    for _ in range(int(rng.integers(2, 8))):
        step = np.array([1.0, 0.0] if across else [0.0, 1.0]) * rng.choice((-1, 1))
        length = float(rng.uniform(25, 160))
        profile = necked(length, rng) if rng.random() < 0.6 else [(0.0, usual), (length, usual)]
        piece = np.zeros_like(cut)
        cut_slot(piece, point, step, profile, 1)
        drill(piece, point, profile[0][1] / 2, 1)
        if fine[cv2.dilate(piece, disc_kernel(2 * LAND)) > 0].any():
            return
        cut |= piece
        point = point + step * length
        if rng.random() < 0.6:
            across = not across
