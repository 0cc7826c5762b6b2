"""Doubles of one defect within a tile: of boxes of one label that overlap, or lie in one another, the surest stays."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pcb_aoi.engine import boxes as bx
from pcb_aoi.engine.detections import Bool, Detections
from pcb_aoi.engine.heads.base import at_least

Index = npt.NDArray[np.intp]

IOU = 0.5
"""Above this overlap, two boxes of one label are one defect."""
NESTED = 0.8
"""Within a tile, a box goes when this share of it lies in a surer box of its label: detectors box a part of a large
defect once more."""
SMALL = 0.1
"""Under this share of the other's area, a nested box is a defect of its own: the box of a slanted scratch is mostly
empty."""
MOST = 1000
"""Candidates of a tile that are looked at."""


def drop(found: Detections, tile: Index, classes: int, threshold: float, most: int = MOST) -> tuple[Index, int]:
    """Suppress doubles within each tile; `tile` (N,) says which tile a detection is of.

    At most `most` candidates of a tile, the best, are looked at: a threshold of 0 makes every anchor a
    candidate. Returns the positions of what is left, and how many candidates from `threshold` up were over the limit.
    """
    wanted = int(np.count_nonzero(found.scores >= at_least(threshold)))
    order = np.lexsort((-found.scores, tile))
    # Position within the tile's run of the sorted order = rank by score within the tile.
    run_start = np.searchsorted(tile[order], tile[order], side="left")
    order = np.sort(order[np.arange(len(found)) - run_start < most])
    found, tile = found[order], tile[order]
    over = wanted - int(np.count_nonzero(found.scores >= at_least(threshold)))
    kept = bx.suppress(found.boxes, found.scores, tile * classes + found.labels, IOU)
    found, tile, order = found[kept], tile[kept], order[kept]
    return order[~_nested(found, tile * classes + found.labels)], over


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
