"""Suppression of 33,000 boxes against the loop of the textbooks, with the same answer."""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import median

import numpy as np
import numpy.typing as npt

from pcb_aoi.engine import boxes as bx
from pcb_aoi.engine import merge

Float32 = npt.NDArray[np.float32]
COUNT = 33_000  # candidates of a YOLO on a picture of 1280 pixels
MOST = merge.MAX_TOTAL  # no more ever reach the suppression of a whole board
IOU = 0.5


@dataclass(frozen=True)
class Race:
    """Medians in seconds."""

    layout: str
    count: int
    kept: int
    ours: float
    textbook: float


LAYOUTS = ("scattered", "crowded")


def layout_of(name: str, count: int) -> Float32:
    """Boxes (count, 4) scattered over a board; or crowded, a hundred and more on each of 300 objects."""
    rng = np.random.default_rng(0)

    def around(centres: npt.NDArray[np.float64], jitter: float) -> Float32:
        size = rng.uniform(20, 60, (count, 2))
        middle = centres + rng.normal(0, jitter, (count, 2))
        return np.concatenate([middle - size / 2, middle + size / 2], axis=1).astype(np.float32)

    if name == "scattered":
        return around(rng.uniform(0, 16_000, (count, 2)), 0)
    objects = rng.uniform(0, 1280, (300, 2))
    return around(objects[rng.integers(0, 300, count)], 4)


def textbook(boxes: Float32, scores: Float32) -> npt.NDArray[np.bool_]:
    """Greedy suppression as everybody writes it: the best box, then all it overlaps, then the next best."""
    x1, y1, x2, y2 = boxes.astype(np.float64).T
    area = (x2 - x1) * (y2 - y1)
    order, kept = np.argsort(-scores, kind="stable"), np.zeros(len(boxes), bool)
    while len(order):
        best, rest = order[0], order[1:]
        kept[best] = True
        width = np.maximum(0, np.minimum(x2[best], x2[rest]) - np.maximum(x1[best], x1[rest]))
        height = np.maximum(0, np.minimum(y2[best], y2[rest]) - np.maximum(y1[best], y1[rest]))
        shared = width * height
        order = rest[shared / (area[best] + area[rest] - shared) <= IOU]
    return kept


def race(layout: str, count: int = COUNT) -> Race:
    """Time both on the same boxes; the textbook once only, it takes long where little overlaps."""
    boxes = layout_of(layout, count)
    scores = np.linspace(0, 1, count, dtype=np.float32)[np.random.default_rng(1).permutation(count)]  # no ties
    one_label = np.zeros(count, np.intp)
    times = []
    for _ in range(3):
        started = time.perf_counter()
        ours = bx.suppress(boxes, scores, one_label, IOU)
        times.append(time.perf_counter() - started)
    started = time.perf_counter()
    theirs = textbook(boxes, scores)
    taken = time.perf_counter() - started
    assert (ours == theirs).all()
    return Race(layout, count, int(ours.sum()), median(times), taken)
