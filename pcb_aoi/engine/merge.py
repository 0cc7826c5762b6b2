"""One answer from many tiles: doubles removed, fragments of one long defect joined, weak candidates kept or dropped.

This module alone decides which scores count, and knows which labels come in pieces (chains.py). Only boxes of the same
label meet: what one label says of a place never hides what another says, unless model.yaml calls them exclusive.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from pcb_aoi.config.model_config import ModelConfig
from pcb_aoi.engine import boxes as bx
from pcb_aoi.engine import chains, doubles, masks, seams, tiles
from pcb_aoi.engine.detections import Bool, Detections, Float32
from pcb_aoi.engine.heads.base import Candidates, at_least
from pcb_aoi.engine.masks import Masks
from pcb_aoi.engine.tiles import Grid

Index = npt.NDArray[np.intp]

SAME = 0.6
"""Above this overlap, two boxes of labels that exclude each other are of one object."""
LEVELS = (0.25, 0.1, 0.05, 0.01, 0.0)
"""Under the model's own threshold, answers are made at these, each on top of the one before."""
MAX_TOTAL = 10_000


@dataclass(frozen=True)
class Rules:
    """What a model's answers are merged by."""

    threshold: float
    """The model's own."""
    gaps: Float32
    """(C,) px: how far apart pieces of a label may be and still touch; negative: it does not come in pieces."""
    exclusive: tuple[tuple[int, ...], ...] = ()
    """Groups of labels of which one object can only be one."""
    most_per_tile: int = doubles.MOST
    outlined: Bool | None = None
    """(C,): labels whose masks are wanted; None: of none."""
    least: Float32 | None = None
    """(C,): scores from which labels count, whatever lower one is asked for; None: no label has one."""

    @classmethod
    def of(
        cls,
        config: ModelConfig,
        metadata: Mapping[str, str],
        thresholds: Mapping[str, float],
        most_per_tile: int = doubles.MOST,
    ) -> Self:
        """Read them from model.yaml, the metadata of the weights, and thresholds by slug.

        Raises:
            ModelError: the metadata's `joined` cannot be read.
        """
        gaps = chains.gaps(metadata, config.slugs)
        outlined = np.array([kind == "polygon" for kind in config.types])
        least = np.array([at_least(thresholds.get(slug, 0.0)) for slug in config.slugs])
        return cls(
            config.threshold,
            gaps,
            config.exclusive,
            most_per_tile,
            outlined if outlined.any() else None,
            least if least.any() else None,
        )


@dataclass(frozen=True)
class Merged:
    """Detections, best first, and the candidates that each was made of."""

    detections: Detections
    owner: Index
    """(P,) the position of a detection ..."""
    piece: Index
    """(P,) ... and of a candidate that is a piece of it."""
    over: int = 0
    """Candidates that were dropped because there were too many."""

    def __getitem__(self, index: Bool) -> Merged:
        """Select detections by a mask (N,)."""
        kept = index[self.owner]
        return Merged(self.detections[index], (np.cumsum(index) - 1)[self.owner[kept]], self.piece[kept], self.over)


class Merge:
    """The way of one image from candidates, batch by batch, to its answer."""

    def __init__(self, rules: Rules, grid: tiles.Grid, threshold: float) -> None:
        """Start an answer of what scores at least `threshold` on the tiles of `grid`."""
        self._rules, self._grid, self._threshold = rules, grid, threshold
        self._steps = levels(threshold, rules.threshold)
        self.floor = chains.floor(self._steps[-1], rules.gaps)
        """The score from which candidates are wanted."""
        self.over = 0
        """Candidates and detections that were dropped because there were too many."""
        self._found: list[Detections] = []
        self._tile: list[Index] = []
        self._masks: list[Masks] = []

    def __len__(self) -> int:
        """How many detections are kept so far."""
        return sum(map(len, self._found))

    def add(self, candidates: Candidates, first: int) -> None:
        """Take the candidates of a batch of tiles; the batch starts with tile `first` of the grid."""
        found = candidates.detections
        # Of labels that do not come in pieces, nothing under the lowest step can get into the answer.
        wanted = (found.scores >= at_least(self._steps[-1])) | (self._rules.gaps[found.labels] >= 0)
        tile = candidates.tile[wanted] + first
        found, seen = tiles.onto_board(found[wanted], tile, self._grid)
        classes, most = len(self._rules.gaps), self._rules.most_per_tile
        kept, over = doubles.drop(found, tile[seen], classes, self._threshold, most)
        found, tile = found[kept], tile[seen][kept]
        self._found.append(found)
        self._tile.append(tile)
        self.over += over
        if candidates.coefficients is not None and self._rules.outlined is not None:
            shapes = candidates[wanted][seen][kept]
            self._masks.append(masks.cut(shapes, self._rules.outlined[found.labels], found.boxes, tile, self._grid))

    def answer(self) -> Merged:
        """Return one detection per defect, best first, in board pixels at the model's scale."""
        found, tile = Detections.concatenate(self._found), np.concatenate(self._tile)
        merged = answer(found, tile, self._grid, self._rules.gaps, self._steps)
        self.over += merged.over
        if self._rules.least is not None:
            # Before labels exclude each other: one that does not count hides nothing.
            merged = merged[merged.detections.scores >= self._rules.least[merged.detections.labels]]
        merged = merged[one_label_a_place(merged.detections, self._rules.exclusive)]
        return merged[merged.detections.scores >= at_least(self._threshold)]

    def masks(self) -> Masks | None:
        """Return the masks of the candidates that `answer` tells the pieces of; None: there are none."""
        return Masks.concatenate(self._masks) if self._masks else None


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


def answer(found: Detections, tile: Index, grid: Grid, gaps: Float32, steps: list[float]) -> Merged:
    """Merge all tiles' candidates into one per defect, best score first: what is sure at a higher step stays.

    A lower threshold brings weaker candidates, and these may join what was apart or hide what stood alone. So each
    step only adds: of what it merges, the boxes that no answer of a step before has at that place.

    Args:
        found: candidates of all tiles, in board pixels at the model's scale.
        tile: (N,) the tile each is of.
        grid: the tiles.
        gaps: float32 (C,), which labels come in pieces (chains.py).
        steps: as from `levels`.
    """
    kept, over, before = Detections.empty(), 0, math.inf
    owners, pieces = [], []
    for step in steps:
        wanted = found.scores >= at_least(chains.floor(step, gaps))
        # Only pieces of labels that come in pieces count under the step itself.
        wanted &= (found.scores >= at_least(step)) | (gaps[found.labels] >= 0)
        rows = np.flatnonzero(wanted)
        merged = across_tiles(found[rows], tile[rows], grid, gaps)
        over = max(over, merged.over)
        scores = merged.detections.scores
        merged = merged[(scores >= at_least(step)) & (scores < at_least(before))]
        merged = merged[~_seen(merged.detections, kept)]
        owners.append(len(kept) + merged.owner)
        pieces.append(rows[merged.piece])
        kept = Detections.concatenate([kept, merged.detections])
        before = step
    return Merged(kept, np.concatenate(owners), np.concatenate(pieces), over)


def one_label_a_place(found: Detections, groups: Sequence[Sequence[int]]) -> Bool:
    """(N,): of boxes at one place, with labels of one group, the surest stays: one object is not two things.

    `found` must be best first. What is kept does not depend on boxes that are less sure, so answers at different
    thresholds stay nested.
    """
    kept = np.ones(len(found), bool)
    for group in groups:
        member = np.flatnonzero(np.isin(found.labels, group))
        best = bx.suppress(found.boxes[member], found.scores[member], np.zeros(len(member), np.intp), SAME)
        kept[np.setdiff1d(member, member[best])] = False
    return kept


def _seen(new: Detections, kept: Detections) -> Bool:
    """(N,): a box of its label is there already, or most of one of the two lies in the other."""
    both = Detections.concatenate([new, kept])
    i, j = bx.touching(both.boxes, both.labels.astype(np.intp))
    first, second = np.minimum(i, j), np.maximum(i, j)
    pair = (first < len(new)) & (second >= len(new))
    first, second = first[pair], second[pair]
    area, shared = bx.area(both.boxes), bx.intersection(both.boxes[first], both.boxes[second])
    seen = np.zeros(len(new), bool)
    seen[first[shared > seams.COVERED * np.minimum(area[first], area[second])]] = True
    return seen


def across_tiles(found: Detections, tile: Index, grid: Grid, gaps: Float32 | None = None) -> Merged:
    """Merge the tiles' detections, in board pixels at the model's scale, into one per defect, best score first.

    `gaps`: which labels come in pieces (chains.py). More than MAX_TOTAL, the best, are not looked at.
    """
    rows = np.arange(len(found))
    over = max(0, len(found) - MAX_TOTAL)
    if over:
        rows = np.argsort(-found.scores, kind="stable")[:MAX_TOTAL]
        found, tile = found[rows], tile[rows]
    became = np.arange(len(found))
    if len(grid) > 1:
        found, became = seams.join(found, tile, grid)
    if gaps is not None:
        found, chain = chains.gather(found, gaps)
        became = np.where(became >= 0, chain[became], -1)
    kept = np.flatnonzero(bx.suppress(found.boxes, found.scores, found.labels.astype(np.intp), doubles.IOU))
    found = found[kept]
    order = np.lexsort((*found.boxes.T[::-1], found.labels, -found.scores))
    # One more, for the -1 of those that became nothing.
    place = np.full(len(became) + 1, -1)
    place[kept[order]] = np.arange(len(order))
    owner = place[became]
    return Merged(found[order], owner[owner >= 0], rows[owner >= 0], over)
