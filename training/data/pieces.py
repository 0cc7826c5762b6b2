"""Scratches and other defects with no size of their own, learnt piece by piece.

The box of a scratch as long as a tile is told by its two ends, which no cell sees at once. So each cell of the fine
level that a scratch runs through learns the box of what runs past it, up to REACH px away, and whoever reads the
answer joins the pieces that touch (pcb_aoi/engine/chains.py), as text-line detectors do (CTPN: Tian et al., ECCV 2016).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pcb_aoi.exports.scene import IGNORED, Boxes, Labels
from training.traits import MARGIN_PX

STRIDE = 8  # px: the net's finest level (net.py, which needs torch)
REACH = 40  # px from the cell's centre
SPOT = STRIDE // 2  # px: a cell's centre, and so what is within REACH of it, lies on the grid of half cells
SPOTS = REACH // SPOT
FEWEST = 4  # points of a trail in the crop below which nobody could tell what it is
THIN = 32.0  # px: a box no wider than this tells where its scratch runs
STEP = 3.0  # px between the points of a trail
NEAR = np.array([[x, y] for x in (-1, 0, 1) for y in (-1, 0, 1) if x or y], np.int64)


class Pieces(NamedTuple):
    """K cells of a crop's fine level: what each learns of one label. Label IGNORED: nothing (`of` names the label)."""

    cells: NDArray[np.int64]  # (K,) row-major number of the cell
    labels: Labels  # (K,)
    boxes: Boxes  # (K, 4) xyxy px
    of: Labels  # (K,) the label a cell learns, or learns nothing of


NONE = Pieces(np.empty(0, np.int64), np.empty(0, np.int64), np.empty((0, 4), np.float32), np.empty(0, np.int64))


def trail_of(box: NDArray[np.float32]) -> NDArray[np.float32] | None:
    """Points (P, 2) along a scratch of which only the box xyxy is known, as people annotate them.

    A long thin box has its scratch along it: its two long sides are the trail, without the air round it. None for a
    wide one: where in it the scratch runs, nobody knows.
    """
    low, high = box[:2] + MARGIN_PX, box[2:] - MARGIN_PX
    size = np.maximum(high - low, 0)
    along, across = int(size.argmax()), int(size.argmin())
    if size[across] > THIN or along == across:
        return None
    way = np.arange(low[along], high[along], STEP, dtype=np.float32)
    points = np.empty((2, len(way), 2), np.float32)
    points[:, :, along] = way
    points[0, :, across], points[1, :, across] = low[across], max(high[across] - 1, low[across])
    return points.reshape(-1, 2)


def gathered(points: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:
    """Half cells (S, 2) that hold points (P, 2), and the lowest and highest x and y (S, 2) of those in each.

    There are ten times as many points as half cells, and every cell asks which are near it.
    """
    spots = (points // SPOT).astype(np.int64)
    order = np.lexsort(spots.T)
    points, spots = points[order], spots[order]
    first = np.flatnonzero(np.diff(spots, axis=0, prepend=-1).any(axis=1))
    return spots[first], np.minimum.reduceat(points, first), np.maximum.reduceat(points, first)


def cut(points: NDArray[np.float32], labels: Labels, owners: NDArray[np.int64], side: int) -> Pieces:
    """The pieces of a crop of `side` px, a multiple of STRIDE.

    points: (P, 2) xy px of visible pixels, those outside the crop are left out; labels, owners: (P,) what each is of.
    """
    count = side // STRIDE
    parts = []
    for owner in np.unique(owners):
        mine = (owners == owner) & ((points >= 0) & (points < side)).all(axis=1)
        if not mine.any():
            continue
        own, label = points[mine], int(labels[mine][0])
        spots, low_of, high_of = gathered(own)
        cells = np.unique(spots // 2, axis=0)
        around = (cells[:, None] + NEAR).reshape(-1, 2)
        around = np.unique(around[((around >= 0) & (around < count)).all(axis=1)], axis=0)
        around = around[~np.isin(around @ (count, 1), cells @ (count, 1))]
        if len(own) < FEWEST:
            cells, around = cells[:0], np.concatenate((cells, around))
        offset = spots[None] - (2 * cells[:, None] + 1)  # from the cell's centre, in spots
        within = ((offset >= -SPOTS) & (offset < SPOTS)).all(axis=2)
        low, high = (
            np.stack([reduce(np.where(within, value, outside), axis=1, initial=outside) for value in of.T], axis=1)
            for reduce, of, outside in ((np.min, low_of, np.inf), (np.max, high_of, -np.inf))
        )
        boxes = np.concatenate((low - MARGIN_PX, high + MARGIN_PX), axis=1).clip(0, side)
        both = np.concatenate((cells, around))
        parts.append(
            Pieces(
                both[:, 1] * count + both[:, 0],
                np.concatenate((np.full(len(cells), label), np.full(len(around), IGNORED))),
                np.concatenate((boxes, np.zeros((len(around), 4)))).astype(np.float32),
                np.full(len(both), label),
            )
        )
    return Pieces(*(np.concatenate(column) for column in zip(*parts, strict=True))) if parts else NONE
