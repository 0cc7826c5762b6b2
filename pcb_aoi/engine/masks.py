"""What a segmentation model says of the shape of each candidate: windows cut from fields, positive on the defect.

A field is the sum of the tile's prototypes, each times the candidate's coefficient (heads/base.py). Only the window
under the box of what suppression within the tile left is made: a tile's prototypes hold megabytes, the windows of its
defects some hundred bytes each, so a board of a thousand tiles needs no more memory than its defects.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from pcb_aoi.engine.detections import Bool, Float32
from pcb_aoi.engine.heads.base import Candidates
from pcb_aoi.engine.tiles import Grid

Index = npt.NDArray[np.intp]
Float16 = npt.NDArray[np.float16]

_LIMIT = 100.0
"""Of a field's values, either side: more says no more, and float16 would overflow at 65,504."""


@dataclass(frozen=True)
class Masks:
    """N windows on the board at the model's scale; a window of no samples is of a candidate without a mask."""

    values: Float16
    """(S,) the samples of all windows, one after the other, row by row."""
    start: Index
    """(N + 1,) where each window begins in `values`, and where the last one ends."""
    size: Index
    """(N, 2) rows and columns."""
    corner: Float32
    """(N, 2) x, y of the first sample, board px."""
    step: Float32
    """(N, 2) from a sample to the next, board px."""
    boxes: Float32
    """(N, 4) xyxy of the candidates, board px: a mask ends at its box."""

    @classmethod
    def concatenate(cls, parts: Sequence[Masks]) -> Self:
        """Join in order; there must be one at least."""
        ends = np.concatenate([[0], *(np.diff(part.start) for part in parts)]).cumsum()
        return cls(
            np.concatenate([part.values for part in parts]),
            ends,
            np.concatenate([part.size for part in parts]),
            np.concatenate([part.corner for part in parts]),
            np.concatenate([part.step for part in parts]),
            np.concatenate([part.boxes for part in parts]),
        )

    def __len__(self) -> int:
        return len(self.boxes)

    def window(self, n: int) -> Float32:
        """Return the samples (h, w) of one window."""
        return self.values[self.start[n] : self.start[n + 1]].reshape(self.size[n]).astype(np.float32)


def cut(candidates: Candidates, wanted: Bool, boxes: Float32, tile: Index, grid: Grid) -> Masks:
    """Return the windows of N candidates with coefficients.

    Args:
        candidates: `tile` is the position in the batch.
        wanted: (N,) whose masks are made; the others get no samples, nor do fields that are not finite.
        boxes: (N, 4) xyxy on the board.
        tile: (N,) the tile of the grid that each is of.
        grid: the tiles.
    """
    if candidates.coefficients is None or candidates.prototypes is None:
        raise ValueError("candidates without masks")
    rows, columns = candidates.prototypes.shape[2:]
    # A prototype's value stands in the middle of the pixels that it is of.
    step = np.array((grid.tile / columns, grid.tile / rows), np.float32)
    origin = grid.boxes[tile, :2].astype(np.float32)
    most = np.array((columns, rows))
    low = np.floor((boxes[:, :2] - origin) / step - 0.5).clip(0, most - 1).astype(np.intp)
    high = (np.ceil((boxes[:, 2:] - origin) / step - 0.5) + 1).clip(low + 1, most).astype(np.intp)
    size = np.where(wanted[:, None], (high - low)[:, ::-1], 0)
    parts = []
    for n in np.flatnonzero(wanted).tolist():
        (x1, y1), (x2, y2) = low[n], high[n]
        prototypes = candidates.prototypes[candidates.tile[n], :, y1:y2, x1:x2]
        with np.errstate(invalid="ignore", over="ignore"):
            field = np.tensordot(candidates.coefficients[n], prototypes, 1).ravel()
        if np.isfinite(field).all():
            parts.append(field.clip(-_LIMIT, _LIMIT).astype(np.float16))
        else:
            size[n] = 0
    start = np.concatenate([[0], size.prod(axis=1).cumsum()])
    values = np.concatenate([np.zeros(0, np.float16), *parts])
    corner = (origin + (low + np.float32(0.5)) * step).astype(np.float32)
    return Masks(values, start, size, corner, np.tile(step, (len(boxes), 1)), boxes)
