"""A copper mask and the questions defect planting asks of it: edges, normals, widths, gaps, nets, free places."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from boards.pixels.noise import Field, IntPoint, Mask, Points


@dataclass(frozen=True, slots=True)
class Proposal:
    """A patch of copper to remove or to add, 0 / 1, with its corner (x, y) in the mask."""

    patch: Mask
    corner: IntPoint
    add: bool


class Layer:
    """A copper mask with what is needed to find places on it. `mask` changes as defects are planted."""

    def __init__(self, mask: Mask) -> None:
        """mask: uint8 (H, W), 1 is copper; it is copied."""
        self.mask = mask.copy()
        self.used = np.zeros_like(mask)
        # The border of the picture is no edge: distances there would be wrong without the padding.
        self.inside = distance(mask)
        self.outside = distance(1 - mask)
        _, nets = cv2.connectedComponents(mask, connectivity=8)
        self.nets: NDArray[np.int32] = np.asarray(nets, np.int32)
        near = np.asarray(cv2.erode(mask, np.ones((3, 3), np.uint8), borderValue=1), np.uint8)
        rows, columns = np.nonzero(mask & (1 - near))
        self.edges = np.stack([columns, rows], axis=1)  # (N, 2) x, y of copper pixels at an edge
        self.soft = np.asarray(cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 2.0), np.float32)

    def edge(self, rng: np.random.Generator) -> tuple[Points, Points] | None:
        """A random edge pixel (x, y) and the unit normal that points out of the copper."""
        height, width = self.mask.shape
        if len(self.edges) == 0:
            return None
        point = self.edges[rng.integers(len(self.edges))].astype(np.float64)
        x, y = int(point[0]), int(point[1])
        if not (2 <= x < width - 2 and 2 <= y < height - 2):
            return None
        uphill = np.array(
            [self.soft[y, x + 1] - self.soft[y, x - 1], self.soft[y + 1, x] - self.soft[y - 1, x]], np.float64
        )
        steep = float(np.hypot(*uphill))
        return (point, -uphill / steep) if steep > 1e-3 else None

    def walk(self, start: Points, direction: Points, value: int, limit: float) -> float | None:
        """Pixels from `start` until the mask is `value`; None beyond `limit` or outside the picture."""
        steps = np.arange(1, int(limit) + 2)
        path = np.rint(start + steps[:, None] * direction).astype(np.int64)
        height, width = self.mask.shape
        within = (path[:, 0] >= 0) & (path[:, 1] >= 0) & (path[:, 0] < width) & (path[:, 1] < height)
        path = path[: int(within.argmin()) if not within.all() else len(path)]
        hits = np.flatnonzero(self.mask[path[:, 1], path[:, 0]] == value)
        return float(steps[hits[0]]) if hits.size else None

    def place(self, field: Field, depth: float, rng: np.random.Generator) -> Points | None:
        """A random pixel (x, y) at least `depth` from an edge, by the distance field given."""
        height, width = self.mask.shape
        x, y = rng.integers(0, width, 400), rng.integers(0, height, 400)
        good = np.flatnonzero(field[y, x] >= depth)
        return np.array([x[good[0]], y[good[0]]], np.float64) if good.size else None


def pieces(copper: Mask) -> tuple[int, int]:
    """Number of connected pieces of copper (8-connected) and of laminate (4-connected) in a window."""
    parts, _ = cv2.connectedComponents(copper, connectivity=8)
    gaps, _ = cv2.connectedComponents(1 - copper, connectivity=4)
    return parts - 1, gaps - 1


def distance(mask: Mask) -> Field:
    """Distance of every 1 to the nearest 0, in pixels; what lies outside the picture is taken as the same."""
    padded = np.pad(mask, 1, mode="edge")
    if padded.all():
        return np.full(mask.shape, 1e4, np.float32)
    return np.asarray(cv2.distanceTransform(padded, cv2.DIST_L2, 3), np.float32)[1:-1, 1:-1]


def conductor_at(copper: Mask, x: float, y: float) -> Mask:
    """uint8 (H, W): of the copper in a window, the piece that lies at (x, y)."""
    _, pieces = cv2.connectedComponents(np.ascontiguousarray(copper), connectivity=4)
    return np.asarray(pieces == pieces[int(y), int(x)], np.uint8)
