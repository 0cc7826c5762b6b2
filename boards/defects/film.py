"""Thin copper where the plating film failed: 夹膜 film pinch and 渗镀 underplating."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from boards.copper.layer import Layer, conductor_at, distance
from boards.defects.planting import Truth, difference_box
from boards.pixels.noise import Field, Mask, Points, blur, smooth

SHOWS = 0.3  # change of coverage by which thin copper belongs to a defect
BETWEEN_PX = 3.0  # laminate that a fringe leaves before another conductor
_TRIES = 60


class Film:
    """Thin copper where the plating film failed: changes a coverage field in place."""

    def __init__(self, coverage: Field, copper: Mask, um_per_px: float, margin: int, rng: np.random.Generator) -> None:
        """coverage: float32 (H, W), changed by the methods. copper: the mask as designed, uint8 (H, W)."""
        self.coverage = coverage
        self.layer: Layer | None = None
        self.copper = copper
        self.um_per_px = um_per_px
        self.margin = margin
        self.rng = rng

    def pinch(self, truth: Truth) -> None:
        """夹膜: stripped film stays between overplated neighbours; a web fills the gap lengthwise, often several."""
        rng = self.rng
        for _ in range(_TRIES):
            found = self._gap(24.0)
            if found is None:
                continue
            point, normal, gap = found
            layer = self._layer()
            length = float(np.exp(rng.uniform(np.log(120), np.log(1500)))) / self.um_per_px
            gaps = 1 if rng.random() < 0.5 else int(rng.integers(2, 5))
            breadth = gap + (gaps - 1) * 2.2 * gap + 4
            length = max(length, 1.5 * breadth, 10.0)
            middle = point + normal * (breadth / 2 - 2)
            window, along, across = self._strip(middle, normal, length, breadth)
            if window is None or self._taken(window, truth):
                continue
            # Thin film: ragged at its ends, torn here and there, never as bright as a full line.
            shape = along.shape
            ends = np.clip((length / 2 - np.abs(along)) / 4 + smooth(shape, 3.0, rng), 0, 1)
            torn = np.clip(rng.uniform(0.6, 1.6) + 0.8 * smooth(shape, 3.0, rng), 0, 1)
            # Film is pinched between neighbours, not on open ground.
            inside = (np.abs(across) < breadth / 2) & (layer.outside[window] <= 0.6 * gap + 1)
            thin = np.float32(rng.uniform(0.55, 0.95)) * blur(ends * torn * inside.astype(np.float32), 0.7)
            shows = thin - self.coverage[window] > SHOWS
            thin *= _around(shows, point - (window[1].start, window[0].start), 1.3 * gap)
            if self._lay("film_pinch", window, thin, truth):
                return

    def creep(self, truth: Truth) -> None:
        """渗镀: plating crept under lifted film; a ragged thin fringe follows one side of a line."""
        rng = self.rng
        for _ in range(_TRIES):
            layer = self._layer()
            found = layer.edge(rng)
            if found is None:
                return
            point, normal = found
            gap = layer.walk(point, normal, 1, 40) or 40.0
            deepest = min(gap * 0.6, float(rng.uniform(6, 13)))
            if deepest < 5:
                continue
            length = float(np.exp(rng.uniform(np.log(250), np.log(2000)))) / self.um_per_px
            window, along, across = self._strip(point + normal * gap / 2, normal, length, gap - 1)
            if window is None or self._taken(window, truth):
                continue
            # A smooth fringe would be a wider line, as good as any: what tells it is that it is torn, so coarsely that
            # soft optics still show it.
            torn = 0.5 * smooth(along.shape, 2.0, rng) + 0.3 * smooth(along.shape, 5.0, rng)
            profile = np.clip(0.5 + torn, 0, 1) * deepest
            profile *= np.clip((length / 2 - np.abs(along)) / 6, 0, 1)
            inside = np.abs(across) < gap / 2
            # Only the near line grows, on this side of the middle of the gap, and meets no other: copper from one line
            # to the next is what pinched film leaves.
            copper = self.copper[window]
            own = conductor_at(copper, point[0] - window[1].start, point[1] - window[0].start)
            clear = distance(1 - copper * (1 - own)) > BETWEEN_PX
            reach = np.clip(profile - distance(1 - own), 0, 1) * inside * (across < gap * 0.15) * clear
            patchy = np.clip(1 + 0.3 * smooth(along.shape, 2.0, rng), 0.4, 1)
            thin = np.float32(rng.uniform(0.55, 0.95)) * (reach * patchy).astype(np.float32)
            if self._lay("underplating", window, thin, truth):
                return

    def _layer(self) -> Layer:
        if self.layer is None:  # costly, and most boards need none
            self.layer = Layer(self.copper)
        return self.layer

    def _gap(self, widest: float) -> tuple[Points, Points, float] | None:
        """An edge point, its normal, and the width of the gap between two nets there."""
        layer = self._layer()
        found = layer.edge(self.rng)
        if found is None:
            return None
        point, normal = found
        gap = layer.walk(point, normal, 1, widest)
        if gap is None or gap < 3:
            return None
        far = np.rint(point + normal * gap).astype(np.int64)
        same = layer.nets[far[1], far[0]] == layer.nets[int(point[1]), int(point[0])]
        return None if same else (point, normal, gap)

    def _strip(
        self, middle: Points, normal: Points, length: float, breadth: float
    ) -> tuple[tuple[slice, slice] | None, Field, Field]:
        """Window round a strip across `normal`, and the coordinates of its pixels along and across the strip."""
        height, width = self.coverage.shape
        tangent = np.array([-normal[1], normal[0]])
        half = np.abs(tangent) * length / 2 + np.abs(normal) * breadth / 2 + 3
        low = np.maximum(np.floor(middle - half), 0).astype(int)
        high = np.minimum(np.ceil(middle + half), (width, height)).astype(int)
        empty = np.zeros((0, 0), np.float32)
        if (high - low < 4).any():
            return None, empty, empty
        rows, columns = np.mgrid[low[1] : high[1], low[0] : high[0]].astype(np.float32)
        dx, dy = columns - np.float32(middle[0]), rows - np.float32(middle[1])
        along = dx * np.float32(tangent[0]) + dy * np.float32(tangent[1])
        across = dx * np.float32(normal[0]) + dy * np.float32(normal[1])
        return (slice(low[1], high[1]), slice(low[0], high[0])), along, across

    def _taken(self, window: tuple[slice, slice], truth: Truth) -> bool:
        rows, columns = window
        return any(
            box[0] < columns.stop and box[2] > columns.start and box[1] < rows.stop and box[3] > rows.start
            for box in truth.boxes
        )

    def _lay(self, label: str, window: tuple[slice, slice], thin: Field, truth: Truth) -> bool:
        """Add thin copper on laminate; record it where enough of it shows."""
        before = self.coverage[window].copy()
        after = np.maximum(before, thin)
        box = difference_box(before, after, self.margin, SHOWS, 30)
        if box is None:
            return False
        self.coverage[window] = after
        x, y = window[1].start, window[0].start
        return truth.add(label, (x + box[0], y + box[1], x + box[2], y + box[3]))


def _around(shows: NDArray[np.bool_], point: Points, step: float) -> NDArray[np.bool_]:
    """Of a web that `shows`, bool (H, W), the part round a point (x, y): what follows in steps of so many pixels.

    Farther parts are webs of their own to an annotator.
    """
    reach = 2 * int(np.ceil(step / 2)) + 1
    grown = cv2.dilate(shows.astype(np.uint8), np.ones((reach, reach), np.uint8))
    _, parts = cv2.connectedComponents(grown, connectivity=8)
    rows, columns = np.nonzero(grown)
    if not len(rows):
        return shows
    nearest = int(np.hypot(columns - point[0], rows - point[1]).argmin())
    return np.asarray(parts == parts[rows[nearest], columns[nearest]], np.bool_)
