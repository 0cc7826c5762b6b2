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

from pcb_aoi.config import classes
from pcb_aoi.config.model_config import ModelConfig
from pcb_aoi.engine import boxes as bx
from pcb_aoi.engine import chains, seams, tiles
from pcb_aoi.engine.detections import Bool, Detections, Float32
from pcb_aoi.engine.heads.base import Candidates, at_least
from pcb_aoi.engine.tiles import Grid

Index = npt.NDArray[np.intp]

IOU = 0.5
"""Above this overlap, two boxes of one label are one defect."""
SAME = 0.6
"""Above this overlap, two boxes of labels that exclude each other are of one object."""
NESTED = 0.8
"""Within a tile, a box goes when this share of it lies in a surer box of its label: detectors box a part of a large
defect once more."""
SMALL = 0.1
"""Under this share of the other's area, a nested box is a defect of its own: the box of a slanted scratch is mostly
empty."""
LEVELS = (0.25, 0.1, 0.05, 0.01, 0.0)
"""Under the model's own threshold, answers are made at these, each on top of the one before."""
MAX_PER_TILE = 1000
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
    most_per_tile: int = MAX_PER_TILE

    @classmethod
    def of(cls, config: ModelConfig, metadata: Mapping[str, str], most_per_tile: int = MAX_PER_TILE) -> Self:
        """Read them from model.yaml and the metadata of the weights.

        Raises:
            ModelError: the metadata's `joined` cannot be read.
        """
        dropped = classes.dropped(metadata, config) if "joined" in metadata else ()
        gaps = chains.gaps(metadata, config.slugs, dropped)
        return cls(config.threshold, gaps, config.exclusive, most_per_tile)


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
        found, tile, over = per_tile(found, tile[seen], classes, self._threshold, most)
        self._found.append(found)
        self._tile.append(tile)
        self.over += over

    def answer(self) -> Detections:
        """Return one detection per defect, best first, in board pixels at the model's scale."""
        found, tile = Detections.concatenate(self._found), np.concatenate(self._tile)
        merged, over = answer(found, tile, self._grid, self._rules.gaps, self._steps)
        self.over += over
        merged = one_label_a_place(merged, self._rules.exclusive)
        return merged[merged.scores >= at_least(self._threshold)]


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
    seen[first[shared > seams.COVERED * np.minimum(area[first], area[second])]] = True
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
        found = seams.join(found, tile, grid)
    if gaps is not None:
        found = chains.join(found, gaps)
    kept = found[bx.suppress(found.boxes, found.scores, found.labels.astype(np.intp), IOU)]
    return kept[np.lexsort((*kept.boxes.T[::-1], kept.labels, -kept.scores))], over
