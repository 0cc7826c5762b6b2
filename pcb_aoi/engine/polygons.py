"""A ring of many points made a polygon of few: no point is taken out that would let it cross itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pcb_aoi.engine.detections import Bool

Float64 = npt.NDArray[np.float64]

LEAST, MOST = 5, 30
"""Points of a polygon."""
DECIMALS = 2
"""CVAT draws in pixels; two decimals are far under what an annotator can see."""
_FLAT = 0.003
"""A point whose removal changes the area by less than this share of it is not needed."""
_FINE = 256
"""Points of a ring that is thinned with care."""
_SMALLEST = 1.0
"""Square pixels: a polygon under this cannot be seen."""


def area(ring: Float64) -> float:
    """Return the area inside (K, 2), whatever its direction."""
    if len(ring) < 3:
        return 0.0
    x, y = (ring - ring[0]).T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2


def fit(ring: Float64, low: Float64, high: Float64) -> Float64:
    """Return the polygon (K, 2), LEAST to MOST points, simple, rounded and inside a box.

    Args:
        ring: (N, 2) a simple ring, the first point not once more at its end.
        low: (2,) the box's smallest x and y.
        high: (2,) its largest.

    Of a ring too small to be seen (0, 2) is left. Of one so jagged that no few points follow it, it is the hull.
    """
    ring = ring.clip(low, high)
    points = _rounded(thinned(ring))
    if not is_simple(points):
        points = _rounded(thinned(thinned(ring, _FINE), careful=True))
    if len(points) > MOST or not is_simple(points):
        points = _rounded(thinned(hull(_rounded(ring))))
    return points if area(points) >= _SMALLEST and is_simple(points) else np.zeros((0, 2))


def thinned(ring: Float64, most: int = MOST, *, careful: bool = False) -> Float64:
    """Take out the points that matter least to the area (Visvalingam and Whyatt, 1993), and fill up to LEAST.

    A point with its two neighbours makes a triangle. Where no other point lies in it, the side that takes its place
    crosses nothing, so a simple ring stays simple: with `careful` no others go. That takes the square of the points'
    number, and few rings need it. Points that are not neighbours go at the same time.
    """
    flat = _FLAT * area(ring)
    points = ring
    while len(points) > 3:
        before, after = _neighbours(points)
        cost = np.abs(_turn(before, points, after)) / 2
        if careful:
            cost[_hold_others(points)] = np.inf
        rank = np.empty(len(points), np.intp)
        rank[np.argsort(cost, kind="stable")] = np.arange(len(points))
        surplus = len(points) - most
        # A quarter at most, and none over what has to go: what is cheap changes as neighbours go.
        goes = np.isfinite(cost) & ((cost < flat) | (rank < min(surplus, -(-len(points) // 4))))
        before, after = _neighbours(rank)
        goes &= (rank < before) & (rank < after)
        if not goes.any() or len(points) - goes.sum() < 3:
            break
        points = points[~goes]
    return filled(points)


def filled(points: Float64) -> Float64:
    """Return the polygon with points in the middle of its longest sides, until there are LEAST."""
    while 0 < len(points) < LEAST:
        side = np.roll(points, -1, axis=0) - points
        n = int((side**2).sum(axis=1).argmax())
        points = np.insert(points, n + 1, points[n] + side[n] / 2, axis=0)
    return points


def of_box(x1: float, y1: float, x2: float, y2: float) -> Float64:
    """Return a box as a polygon (8, 2): corners, and the middles of its sides, to be dragged."""
    x, y = (x1 + x2) / 2, (y1 + y2) / 2
    return np.array(((x1, y1), (x, y1), (x2, y1), (x2, y), (x2, y2), (x, y2), (x1, y2), (x1, y))).round(DECIMALS)


def is_simple(points: Float64) -> bool:
    """Whether no two sides of the polygon (K, 2) meet, but for neighbours in the point they share."""
    count = len(points)
    if count < 3 or len(np.unique(points, axis=0)) < count:
        return False
    _, after = _neighbours(points)
    i, j = np.triu_indices(count, 2)
    i, j = i[(i > 0) | (j < count - 1)], j[(i > 0) | (j < count - 1)]
    a, b, c, d = points[i], after[i], points[j], after[j]
    apart = ((np.maximum(a, b) < np.minimum(c, d)) | (np.maximum(c, d) < np.minimum(a, b))).any(axis=1)
    crossed = (_turn(a, b, c) * _turn(a, b, d) <= 0) & (_turn(c, d, a) * _turn(c, d, b) <= 0)
    if (crossed & ~apart).any():
        return False
    # Neighbours that turn back on each other.
    before, after = _neighbours(points)
    back = (_turn(before, points, after) == 0) & (((points - before) * (after - points)).sum(axis=1) < 0)
    return not back.any()


def hull(points: Float64) -> Float64:
    """Return the convex hull (K, 2) of points (N, 2) (Andrew's monotone chain)."""
    ordered = np.unique(points, axis=0)
    halves = []
    for way in (ordered, ordered[::-1]):
        half: list[Float64] = []
        for point in way:
            while len(half) > 1 and _turn(half[-2], half[-1], point) <= 0:
                half.pop()
            half.append(point)
        halves += half[:-1]
    return np.array(halves).reshape(-1, 2)


def _rounded(points: Float64) -> Float64:
    """Points as they are written; those that fall together are one."""
    points = points.round(DECIMALS)
    kept = points[(points != np.roll(points, 1, axis=0)).any(axis=1)]
    return filled(kept).round(DECIMALS) if len(kept) > 2 else kept


def _neighbours(values: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return what stands before and after each of the ring's values (K, ...)."""
    around = np.concatenate([values[-1:], values, values[:1]])
    return around[:-2], around[2:]


def _hold_others(points: Float64) -> Bool:
    """(K,): of each point, whether another lies in or on the triangle with its neighbours."""
    count = len(points)
    corners = (np.arange(count) + np.array(((-1,), (0,), (1,)))) % count
    a, b, c = (points[corner][:, None] for corner in corners)
    turns = np.stack([_turn(a, b, points), _turn(b, c, points), _turn(c, a, points)])
    same_way = np.asarray((turns >= 0).all(axis=0) | (turns <= 0).all(axis=0))
    # On the line of a triangle without an area lie also points far from it.
    box = points[corners]
    in_box = ((points >= box.min(axis=0)[:, None]) & (points <= box.max(axis=0)[:, None])).all(axis=2)
    held: Bool = np.logical_and(same_way, in_box)
    held[np.arange(count), corners] = False
    found: Bool = np.any(held, axis=1)
    return found


def _turn(a: Float64, b: Float64, c: Float64) -> Float64:
    """(..., 2) three times -> (...): twice the area of a, b, c; its sign tells the way it turns."""
    turn: Float64 = (b[..., 0] - a[..., 0]) * (c[..., 1] - a[..., 1]) - (b[..., 1] - a[..., 1]) * (
        c[..., 0] - a[..., 0]
    )
    return turn
