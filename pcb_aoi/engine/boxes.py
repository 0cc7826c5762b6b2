"""Box arithmetic on arrays: pairs that touch, IoU, suppression. No loop over boxes, no N x N matrix."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from pcb_aoi.engine.detections import Bool, Float32

Index = npt.NDArray[np.intp]
Float64 = npt.NDArray[np.float64]

# Pairs looked at in one step: bounds the memory of the crowded case to some hundred megabytes.
_CHUNK = 2_000_000


def touching(boxes: Float32, groups: Index) -> tuple[Index, Index]:
    """Return all pairs (i, j), each once, of boxes of the same group that share an area.

    Args:
        boxes: (N, 4) xyxy.
        groups: (N,) integers >= 0; boxes of different groups never pair.

    A sweep along x: sorted by (group, x1), the partners of a box are the run that starts before its x2.
    """
    found = list(_touching(boxes.astype(np.float64), groups))
    if not found:
        return np.zeros(0, np.intp), np.zeros(0, np.intp)
    return np.concatenate([i for i, _ in found]), np.concatenate([j for _, j in found])


def _touching(boxes: Float64, groups: Index) -> Iterator[tuple[Index, Index]]:
    if len(boxes) < 2:
        return
    left = boxes[:, 0] - boxes[:, 0].min()
    right = boxes[:, 2] - boxes[:, 0].min()
    span = max(float(right.max()), float(left.max())) + 1.0
    order = np.argsort(left + groups * span, kind="stable")
    start, stop = (left + groups * span)[order], (right + groups * span)[order]
    top, bottom = boxes[order, 1], boxes[order, 3]
    # Partners of the k-th box are k + 1 .. end[k] - 1.
    counts = np.maximum(np.searchsorted(start, stop, side="left") - np.arange(len(order)) - 1, 0)
    total = np.concatenate([[0], np.cumsum(counts)])
    first = 0
    while first < len(order):
        last = max(first + 1, int(np.searchsorted(total, total[first] + _CHUNK, side="right")) - 1)
        run = counts[first:last]
        a = np.repeat(np.arange(first, last), run)
        b = a + 1 + np.arange(len(a)) - np.repeat(total[first:last] - total[first], run)
        near = np.flatnonzero((bottom[a] > top[b]) & (bottom[b] > top[a]))
        i, j = order[a[near]], order[b[near]]
        # x is compared again: the sweep's keys are sums, and rounding may let a mere neighbour in. So are empty
        # boxes, which share no area with any.
        hit = (np.minimum(boxes[i, 2:], boxes[j, 2:]) > np.maximum(boxes[i, :2], boxes[j, :2])).all(axis=1)
        yield i[hit], j[hit]
        first = last


def area(boxes: Float32) -> Float64:
    """(N, 4) xyxy -> (N,) areas."""
    size = np.maximum(boxes[:, 2:].astype(np.float64) - boxes[:, :2], 0)
    return size[:, 0] * size[:, 1]


def intersection(a: Float32, b: Float32) -> Float64:
    """(N, 4), (N, 4) xyxy -> (N,) shared areas, row by row."""
    low = np.maximum(a[:, :2], b[:, :2]).astype(np.float64)
    size = np.maximum(np.minimum(a[:, 2:], b[:, 2:]) - low, 0)
    return size[:, 0] * size[:, 1]


def iou(a: Float32, b: Float32) -> Float64:
    """(N, 4), (N, 4) xyxy -> (N,) intersection over union, row by row; 0 where both are empty."""
    shared = intersection(a, b)
    union = area(a) + area(b) - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def suppress(boxes: Float32, scores: Float32, groups: Index, threshold: float) -> Bool:
    """Greedy non-maximum suppression; returns the mask (N,) of the boxes kept.

    A box goes when a kept box of its group with a higher score has an IoU with it above `threshold`. The result is
    that of the textbook loop, found in rounds: in each, the boxes whose better rivals are all gone are kept, and
    what they overlap goes. Equal scores are ordered by coordinates, so the order of the input does not matter.
    """
    kept = np.zeros(len(boxes), bool)
    i, j = touching(boxes, groups)
    near = iou(boxes[i], boxes[j]) > threshold
    i, j = i[near], j[near]
    rank = np.empty(len(boxes), np.intp)
    rank[np.lexsort((*boxes.T[::-1], -scores))] = np.arange(len(boxes))
    better, worse = np.where(rank[i] < rank[j], i, j), np.where(rank[i] < rank[j], j, i)
    open_ = np.ones(len(boxes), bool)
    while open_.any():
        waits = np.zeros(len(boxes), bool)
        waits[worse[open_[better]]] = True
        kept |= open_ & ~waits
        open_[worse[kept[better]]] = False
        open_ &= ~kept
    return kept


def components(count: int, i: Index, j: Index) -> Index:
    """Return (count,) the smallest index of each node's connected component; edges are (i, j).

    Labels spread along edges and jump to their label's label, so chains of n nodes take about log n rounds.
    """
    label = np.arange(count)
    while True:
        low = np.minimum(label[i], label[j])
        new = label.copy()
        np.minimum.at(new, i, low)
        np.minimum.at(new, j, low)
        np.minimum.at(new, label[i], low)
        np.minimum.at(new, label[j], low)
        new = new[new]
        if (new == label).all():
            return label
        label = new
