"""Fragments of one defect that tile borders cut become one box.

Only boxes of the same label meet, and only those of different tiles.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pcb_aoi.engine import boxes as bx
from pcb_aoi.engine.detections import Bool, Detections, Float32
from pcb_aoi.engine.tiles import Grid

Index = npt.NDArray[np.intp]

COVERED = 0.5
"""A fragment goes when this share of it lies in boxes of a tile that saw more, which are then at least as sure."""
BORDER = 12
"""A box that ends within this many pixels of its tile's border may go on beyond it. Detectors place the end of an
object that leaves the picture a few pixels inside."""

_LEFT, _TOP, _RIGHT, _BOTTOM = range(4)


def join(found: Detections, tile: Index, grid: Grid) -> tuple[Detections, Index]:
    """Return the detections (N) of all tiles, in board pixels, with one box for what several tiles saw of a defect.

    `tile` (N,) says which tile a detection is of. A box takes the best score of its fragments. The second array (N,)
    is the position of the one that each became a piece of, or -1: another tile saw it better.
    """
    cut = _cut_sides(found.boxes, grid.boxes[tile], grid)
    is_cut = np.any(cut, axis=1)
    i, j = bx.touching(found.boxes, found.labels.astype(np.intp))
    other: Bool = tile[i] != tile[j]
    i, j = i[other], j[other]
    area, shared = bx.area(found.boxes), bx.intersection(found.boxes[i], found.boxes[j])

    # A fragment that another tile saw whole: it ends at its tile's border, or the whole goes on beyond that tile. Two
    # defects that the border cuts side by side may look like one there, so the boxes of that other tile count together.
    hidden, by = [], []
    for part, whole in ((i, j), (j, i)):
        leaves = _leaves(found.boxes[whole], grid.boxes[tile[part]]) & (area[part] < area[whole])
        may = (is_cut[part] | leaves) & ~is_cut[whole]
        part, whole = part[may], whole[may]
        _, looks = np.unique(part * len(grid) + tile[whole], return_inverse=True)
        hides = np.bincount(looks, shared[may])[looks] > COVERED * area[part]
        hidden.append(part[hides])
        by.append(whole[hides])
    gone = np.zeros(len(found), bool)
    gone[np.concatenate(hidden)] = True
    scores = _handed_on(found.scores, np.concatenate(hidden), np.concatenate(by))

    # Fragments of one defect that no tile saw whole: two that leave their tiles towards each other, or one that lies
    # in the other.
    facing: Bool = np.zeros(len(i), bool)
    for near, far in ((_RIGHT, _LEFT), (_LEFT, _RIGHT), (_BOTTOM, _TOP), (_TOP, _BOTTOM)):
        facing |= cut[i, near] & cut[j, far]
    inside = shared > COVERED * np.minimum(area[i], area[j])
    edge = is_cut[i] & is_cut[j] & ~gone[i] & ~gone[j] & (facing | inside)
    root = bx.components(len(found), i[edge], j[edge])
    low, high, score = found.boxes[:, :2].copy(), found.boxes[:, 2:].copy(), scores.copy()
    np.minimum.at(low, root, found.boxes[:, :2])
    np.maximum.at(high, root, found.boxes[:, 2:])
    np.maximum.at(score, root, scores)
    heads = (root == np.arange(len(found))) & ~gone
    became = np.where(gone, -1, np.cumsum(heads)[root] - 1)
    return Detections(np.concatenate([low, high], axis=1), score, found.labels)[heads], became


def _handed_on(scores: Float32, hidden: Index, by: Index) -> Float32:
    """(N,) scores, each at least that of what it hides, row by row of `hidden` and `by`, and of what those hide.

    The surest look at a defect counts: dropped with its fragment, a defect could fall below the threshold.
    """
    while True:
        surer = scores.copy()
        np.maximum.at(surer, by, scores[hidden])
        if (surer == scores).all():
            return surer
        scores = surer


def _leaves(boxes: Float32, tiles: npt.NDArray[np.int32]) -> Bool:
    """(N, 4) boxes, (N, 4) tiles -> (N,): the box reaches beyond the tile."""
    out: Bool = np.any(boxes[:, :2] < tiles[:, :2], axis=1) | np.any(boxes[:, 2:] > tiles[:, 2:], axis=1)
    return out


def _cut_sides(boxes: Float32, tiles: npt.NDArray[np.int32], grid: Grid) -> Bool:
    """(N, 4) boxes and the tiles (N, 4) they are of -> (N, 4): left, top, right, bottom may go on beyond the tile.

    The board's own border cuts nothing: there is nothing beyond it.
    """
    near = np.concatenate([boxes[:, :2] - tiles[:, :2] < BORDER, tiles[:, 2:] - boxes[:, 2:] < BORDER], axis=1)
    inner = np.concatenate([tiles[:, :2] > 0, tiles[:, 2:] < (grid.width, grid.height)], axis=1)
    cut: Bool = near & inner
    return cut
