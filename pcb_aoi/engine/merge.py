"""One answer from many tiles: doubles removed, fragments of one long defect joined across seams.

Only boxes of the same label meet: what one label says of a place never hides what another says.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pcb_aoi.engine import boxes as bx
from pcb_aoi.engine import chains
from pcb_aoi.engine.detections import Bool, Detections, Float32
from pcb_aoi.engine.heads.base import at_least
from pcb_aoi.engine.tiles import Grid

Index = npt.NDArray[np.intp]

IOU = 0.5
"""Above this overlap, two boxes of one label are one defect."""
SAME = 0.6
"""Above this overlap, two boxes of labels that exclude each other are of one object."""
COVERED = 0.5
"""A fragment goes when this share of it lies in boxes of a tile that saw more, which are then at least as sure."""
NESTED = 0.8
"""Within a tile, a box goes when this share of it lies in a surer box of its label: detectors box a part of a large
defect once more."""
SMALL = 0.1
"""Under this share of the other's area, a nested box is a defect of its own: the box of a slanted scratch is mostly
empty."""
BORDER = 12
"""A box that ends within this many pixels of its tile's border may go on beyond it. Detectors place the end of an
object that leaves the picture a few pixels inside."""
LEVELS = (0.25, 0.1, 0.05, 0.01, 0.0)
"""Under the model's own threshold, answers are made at these, each on top of the one before."""
MAX_PER_TILE = 1000
MAX_TOTAL = 10_000

_LEFT, _TOP, _RIGHT, _BOTTOM = range(4)


def levels(threshold: float, own: float) -> list[float]:
    """The thresholds at which an answer for `threshold` is merged, highest first.

    Above the model's own threshold a higher one only takes away: the answer is merged as there. Else a box that hides
    another would itself be gone at a threshold between their scores, and the other one come back.
    """
    if threshold >= own:
        return [own]
    between = [level for level in LEVELS if threshold < level < own]
    lowest = max(level for level in LEVELS if level <= threshold)
    return [own, *between, lowest]


def answer(found: Detections, tile: Index, grid: Grid, gaps: Float32, steps: list[float]) -> tuple[Detections, int]:
    """Merge all tiles' candidates into one per defect, best score first: what is sure at a higher step stays.

    A lower threshold brings weaker candidates, and these may join what was apart or hide what stood alone. So each
    step only adds: of what it merges, the boxes that no answer of a step before has at that place.

    Args:
        found: candidates of all tiles, in board pixels at the model's scale.
        tile: (N,) the tile each is of.
        grid: the tiles.
        gaps: float32 (C,), which labels come in pieces (chains.py).
        steps: as from `levels`.

    Returns the merged detections and how many were over MAX_TOTAL.
    """
    kept, over, before = Detections.empty(), 0, math.inf
    for step in steps:
        wanted = found.scores >= at_least(chains.floor(step, gaps))
        # Only pieces of labels that come in pieces count under the step itself.
        wanted &= (found.scores >= at_least(step)) | (gaps[found.labels] >= 0)
        merged, surplus = across_tiles(found[wanted], tile[wanted], grid, gaps)
        over = max(over, surplus)
        merged = merged[(merged.scores >= at_least(step)) & (merged.scores < at_least(before))]
        kept = Detections.concatenate([kept, merged[~_seen(merged, kept)]])
        before = step
    return kept, over


def one_label_a_place(found: Detections, groups: Sequence[Sequence[int]]) -> Detections:
    """Of boxes at one place, with labels of one group, keep the surest: one object is not two things.

    `found` must be best first. What is kept does not depend on boxes that are less sure, so answers at different
    thresholds stay nested.
    """
    kept = np.ones(len(found), bool)
    for group in groups:
        member = np.flatnonzero(np.isin(found.labels, group))
        best = bx.suppress(found.boxes[member], found.scores[member], np.zeros(len(member), np.intp), SAME)
        kept[np.setdiff1d(member, member[best])] = False
    return found[kept]


def _seen(new: Detections, kept: Detections) -> Bool:
    """(N,): a box of its label is there already, or most of one of the two lies in the other."""
    both = Detections.concatenate([new, kept])
    i, j = bx.touching(both.boxes, both.labels.astype(np.intp))
    first, second = np.minimum(i, j), np.maximum(i, j)
    pair = (first < len(new)) & (second >= len(new))
    first, second = first[pair], second[pair]
    area, shared = bx.area(both.boxes), bx.intersection(both.boxes[first], both.boxes[second])
    seen = np.zeros(len(new), bool)
    seen[first[shared > COVERED * np.minimum(area[first], area[second])]] = True
    return seen


def per_tile(
    found: Detections, tile: Index, classes: int, threshold: float, most: int = MAX_PER_TILE
) -> tuple[Detections, Index, int]:
    """Suppress doubles within each tile; `tile` (N,) says which tile a detection is of.

    At most `most` candidates of a tile, the best, are looked at: a threshold of 0 makes every anchor a
    candidate. Returns what is left, its tiles, and how many candidates from `threshold` up were over the limit.
    """
    wanted = int(np.count_nonzero(found.scores >= at_least(threshold)))
    order = np.lexsort((-found.scores, tile))
    # Position within the tile's run of the sorted order = rank by score within the tile.
    run_start = np.searchsorted(tile[order], tile[order], side="left")
    order = np.sort(order[np.arange(len(found)) - run_start < most])
    found, tile = found[order], tile[order]
    over = wanted - int(np.count_nonzero(found.scores >= at_least(threshold)))
    kept = bx.suppress(found.boxes, found.scores, tile * classes + found.labels, IOU)
    found, tile = found[kept], tile[kept]
    whole = ~_nested(found, tile * classes + found.labels)
    return found[whole], tile[whole], over


def _nested(found: Detections, group: Index) -> Bool:
    """(N,): the box lies in a surer one of its group, and so is no defect of its own."""
    i, j = bx.touching(found.boxes, group)
    area, shared = bx.area(found.boxes), bx.intersection(found.boxes[i], found.boxes[j])
    nested = np.zeros(len(found), bool)
    for part, whole in ((i, j), (j, i)):
        surer = found.scores[part] < found.scores[whole]
        part_of: Bool = (area[part] < area[whole]) & (area[part] > SMALL * area[whole])
        nested[part[surer & part_of & (shared > NESTED * area[part])]] = True
    return nested


def across_tiles(found: Detections, tile: Index, grid: Grid, gaps: Float32 | None = None) -> tuple[Detections, int]:
    """Merge the tiles' detections, in board pixels at the model's scale, into one per defect, best score first.

    `gaps`: which labels come in pieces (chains.py). Returns the merged detections and how many were over
    MAX_TOTAL.
    """
    over = max(0, len(found) - MAX_TOTAL)
    if over:
        best = np.argsort(-found.scores, kind="stable")[:MAX_TOTAL]
        found, tile = found[best], tile[best]
    if len(grid) > 1:
        found = _join(found, tile, grid)
    if gaps is not None:
        found = chains.join(found, gaps)
    kept = found[bx.suppress(found.boxes, found.scores, found.labels.astype(np.intp), IOU)]
    return kept[np.lexsort((*kept.boxes.T[::-1], kept.labels, -kept.scores))], over


def _join(found: Detections, tile: Index, grid: Grid) -> Detections:
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
    return Detections(np.concatenate([low, high], axis=1), score, found.labels)[heads]


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
