"""From masks to contours: one simple polygon a defect, as CVAT's polygons are and annotators drag them.

The windows of a defect's pieces are laid on one grid over its box, wherever tiles cut it, and the contour is the line
where their union is zero, found between the grid's points. It is thinned to a few points without ever crossing itself.
CVAT's polygons have no holes and one part: holes are filled, and parts that a fade or a gap keeps apart are joined by
a thin bridge. Specks go.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
from contourpy import FillType, contour_generator

from pcb_aoi.engine import polygons
from pcb_aoi.engine.detections import Float32
from pcb_aoi.engine.masks import Masks
from pcb_aoi.engine.merge import Merged
from pcb_aoi.errors import DeadlineExceeded

Float64 = npt.NDArray[np.float64]
Index = npt.NDArray[np.intp]

_SAMPLES = 256
"""Along a box's longer side: up to here the grid is of whole pixels, then it grows, no coarser than the prototypes."""
_SPECK = 0.1
"""Parts under this share of the largest one's area are no part of the defect."""
_MOST_PARTS = 16
_BRIDGE_HEADS = 100
_INSIDE = np.float32(1e-3)


@dataclass(frozen=True)
class Contours:
    """N polygons in image pixels; those of no points are of detections without a mask."""

    points: Float64
    """(P, 2) x, y, rounded to what is answered; a polygon's first point does not come once more at its end."""
    start: Index
    """(N + 1,) where each polygon begins in `points`, and where the last one ends."""

    def __len__(self) -> int:
        return len(self.start) - 1

    def __iter__(self) -> Iterator[Float64]:
        return map(self.__getitem__, range(len(self)))

    def __getitem__(self, n: int) -> Float64:
        """Return the points (K, 2) of one polygon."""
        return self.points[self.start[n] : self.start[n + 1]]


def trace(masks: Masks, merged: Merged, ratio: Float32, size: tuple[int, int], deadline: float = math.inf) -> Contours:
    """Return the contour of each detection: 5 to 30 points, simple, inside its box and the image.

    Args:
        masks: of all candidates, on the board at the model's scale.
        merged: the detections there, and the candidates that they are made of.
        ratio: (2,) image pixels per board pixel, x and y.
        size: height and width of the image.
        deadline: `time.monotonic()` by which they must be traced.

    Raises:
        DeadlineExceeded: there are too many for the time that is left.
    """
    boxes = merged.detections.boxes
    order = np.argsort(merged.owner, kind="stable")
    first = np.searchsorted(merged.owner[order], np.arange(len(boxes) + 1))
    scale = ratio.astype(np.float64)
    limit = np.array(size[::-1])
    found = []
    for n, box in enumerate(boxes.astype(np.float64)):
        if time.monotonic() > deadline:
            raise DeadlineExceeded(f"out of time after {n} of {len(boxes)} contours; raise the threshold or the limits")
        pieces = merged.piece[order[first[n] : first[n + 1]]]
        pieces = pieces[masks.size[pieces].all(axis=1)]
        ring = _ring(masks, pieces, box) * scale
        found.append(polygons.fit(ring, (box[:2] * scale).clip(0, limit), (box[2:] * scale).clip(0, limit)))
    start = np.concatenate([[0], np.cumsum([len(points) for points in found])]).astype(np.intp)
    return Contours(np.concatenate([np.zeros((0, 2)), *found]), start)


def _ring(masks: Masks, pieces: Index, box: Float64) -> Float64:
    """The contour (K, 2) of all pieces on the board, of many points, or (0, 2) where there is no mask."""
    if not len(pieces):
        return np.zeros((0, 2))
    x, y = (_axis(box[axis], box[axis + 2], _step(box, masks.step[pieces])) for axis in (0, 1))
    field = np.full((len(y), len(x)), -np.inf, np.float32)
    for n in pieces.tolist():
        _lay(masks, n, field, x, y)
    _seal(field)
    outlines = _outlines(field, x, y)
    if len(outlines) > 1:
        for start, end in _bridges(outlines):
            _draw(field, x, y, start, end)
        _seal(field)
        outlines = _outlines(field, x, y)
    return outlines[0] if outlines else np.zeros((0, 2))


def _step(box: Float64, steps: Float32) -> float:
    """How far apart, in board pixels, the grid's points are."""
    side = float((box[2:] - box[:2]).max())
    return min(max(1.0, side / _SAMPLES), max(1.0, float(steps.min())))


def _axis(low: float, high: float, step: float) -> Float64:
    """Points of the grid along one axis: whole steps over the box, and one more beyond either side.

    The box's sides lie half-way between two points, so a mask that fills its box is traced along them.
    """
    count = max(2, math.ceil((high - low) / step))
    step = (high - low) / count
    return np.asarray(low + step * (np.arange(count + 2) - 0.5), np.float64)


def _lay(masks: Masks, n: int, field: Float32, x: Float64, y: Float64) -> None:
    """Lay a window over the field of the whole: where either is positive, the defect is."""
    x1, y1, x2, y2 = masks.boxes[n].astype(np.float64)
    # The points in the piece's box and one beyond, where its mask ends.
    across = slice(max(0, int(np.searchsorted(x, x1)) - 1), int(np.searchsorted(x, x2)) + 1)
    down = slice(max(0, int(np.searchsorted(y, y1)) - 1), int(np.searchsorted(y, y2)) + 1)
    px, py, window = x[across], y[down], masks.window(n)
    values = _between(window, (py - masks.corner[n, 1]) / masks.step[n, 1])
    values = _between(values.T, (px - masks.corner[n, 0]) / masks.step[n, 0]).T
    inside = ((py >= y1) & (py <= y2))[:, None] & ((px >= x1) & (px <= x2))
    # Beyond the box the field's mirror: the contour then runs half-way between the two points, which is on the side.
    values = np.where(inside, values, -np.abs(values) - _INSIDE)
    np.maximum(field[down, across], values, out=field[down, across])


def _between(rows: Float32, at: Float64) -> Float32:
    """Interpolate rows (h, w) linearly at positions (k,) -> (k, w); beyond the ends the last row goes on."""
    at = at.clip(0, len(rows) - 1)
    low = np.minimum(at.astype(np.intp), max(0, len(rows) - 2))
    share = (at - low).astype(np.float32)[:, None]
    between: Float32 = rows[low] * (1 - share) + rows[np.minimum(low + 1, len(rows) - 1)] * share
    return between


def _seal(field: Float32) -> None:
    """Nothing lies beyond the box, nor where no piece says anything; zeros would let a contour touch itself."""
    for border in (field[0], field[-1], field[:, 0], field[:, -1]):
        border[:] = -np.abs(border)
    field[field == 0] = -_INSIDE
    field[np.isinf(field)] = -1


def _outlines(field: Float32, x: Float64, y: Float64) -> list[Float64]:
    """Return the outer contours (K, 2) that are no specks, the largest first."""
    filled = contour_generator(x, y, field, fill_type=FillType.OuterOffset).filled(0, math.inf)
    lines, offsets = cast("tuple[list[Float64], list[npt.NDArray[np.uint32]]]", filled)
    rings = [line[: offset[1] - 1] for line, offset in zip(lines, offsets, strict=True)]
    areas = np.array([polygons.area(ring) for ring in rings])
    order = np.argsort(-areas, kind="stable")[:_MOST_PARTS]
    return [rings[i] for i in order.tolist() if areas[i] >= _SPECK * areas.max()]


def _bridges(outlines: list[Float64]) -> Iterator[tuple[Float64, Float64]]:
    """Yield the shortest lines, start and end (2,), that join all parts: each time the part nearest to those joined."""
    # A line may start a little beside the nearest point, so of long outlines few points are enough.
    joined, *left = (outline[:: 1 + len(outline) // _BRIDGE_HEADS] for outline in outlines)
    while left:
        gaps = [((joined[:, None] - part) ** 2).sum(axis=2) for part in left]
        nearest = int(np.argmin([gap.min() for gap in gaps]))
        i, j = np.unravel_index(gaps[nearest].argmin(), gaps[nearest].shape)
        part = left.pop(nearest)
        yield joined[i], part[j]
        joined = np.concatenate([joined, part])


def _draw(field: Float32, x: Float64, y: Float64, start: Float64, end: Float64) -> None:
    """Draw a line over the field, two steps of the grid wide: it passes a point in each row, or each column."""
    half = max(x[1] - x[0], y[1] - y[0])
    low, high = np.minimum(start, end) - half, np.maximum(start, end) + half
    across = slice(*np.searchsorted(x, (low[0], high[0])).tolist())
    down = slice(*np.searchsorted(y, (low[1], high[1])).tolist())
    along = end - start
    dx, dy = x[across] - start[0], (y[down] - start[1])[:, None]
    share = ((dx * along[0] + dy * along[1]) / max(float(along @ along), 1e-9)).clip(0, 1)
    away = np.hypot(dx - share * along[0], dy - share * along[1])
    np.maximum(field[down, across], ((half - away) / half).astype(np.float32), out=field[down, across])
