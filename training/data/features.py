"""Designed features that look like defects, drawn into near-binary crops and never labelled.

A round drilled hole is no pinhole, a round dot no residual copper, a slot that narrows between two wide stretches no
open. A net that has not seen them calls each of them with confidence.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.uint8]  # (H, W), 1 is copper
Points = NDArray[np.float64]  # (N, 2) xy px

BITS = 4  # fixed-point coordinates of cv2: 1/16 px
WIDE, NECK = (7.0, 16.0), (2.5, 8.0)  # px: widths of a slot and of its neck
MOUTH = 10.0  # px that is wide on either side of a neck at least
LAND = 6.0  # px of copper that a slot has on either side at least
DEAD_END = 20.0  # px from the end of a neck to where its slot ends in copper, if it meets no channel
FARTHEST = 120.0  # px from the end of a neck to the channel that its slot runs on to
SLIM, SLIM_PX = 2.5, 16.0  # a cut so many times as long as wide, and so long, may be a designed slot


def slim(boxes: NDArray[np.float32], margin: float) -> NDArray[np.bool_]:
    """(N,): whether what lies `margin` px inside the boxes (N, 4) is as long and thin as a designed slot or bridge."""
    size = np.sort(boxes[:, 2:] - boxes[:, :2] - 2 * margin, axis=1)
    return np.asarray((size[:, 1] > SLIM_PX) & (size[:, 1] > SLIM * np.maximum(size[:, 0], 4)))


def cut_slot(image: Mask, start: Points, step: Points, profile: Sequence[tuple[float, float]], value: int) -> None:
    """Fill the straight slot whose width is (distance from `start` along `step`, px; width, px) at these points."""
    along, width = np.array(profile).T
    middle = start + along[:, None] * step
    half = width[:, None] / 2 * np.array([-step[1], step[0]])
    outline = np.concatenate((middle + half, (middle - half)[::-1]))
    cv2.fillPoly(image, [np.round(outline * (1 << BITS)).astype(np.int32)], (value,), cv2.LINE_8, BITS)


def shouldered(
    begin: float, end: float, length: float, neck: float, widths: tuple[float, float], rng: np.random.Generator
) -> list[tuple[float, float]]:
    """Profile of a slot from 0 to `length` whose neck is from `begin` to `end`; shoulders are square to gentle."""
    slope = float(rng.choice((0.0, 0.5, 1.0))) * rng.uniform(0.5, 1.5)
    profile = [(begin, neck), (end, neck)]
    if begin > 0:
        top = max(begin - slope * (widths[0] - neck) / 2, 0.0)
        profile = [(0.0, widths[0]), (top, widths[0]), *profile]
    if end < length:
        top = min(end + slope * (widths[1] - neck) / 2, length)
        profile = [*profile, (top, widths[1]), (length, widths[1])]
    return profile


def drill(mask: Mask, centre: Points, radius: float, value: int) -> None:
    """Set the pixels within `radius` px of (x, y), in place; as for cv2, whole numbers are the middles of pixels.

    A small cv2.circle is a dodecagon.
    """
    x, y = (float(at) for at in centre)
    left, top = max(int(x - radius) - 1, 0), max(int(y - radius) - 1, 0)
    window = mask[top : max(int(y + radius) + 2, 0), left : max(int(x + radius) + 2, 0)]
    rows, columns = np.indices(window.shape)
    window[np.hypot(columns + left - x, rows + top - y) <= radius] = value


def add_necked_slot(image: Mask, copper: Mask, free: Mask, rng: np.random.Generator) -> None:
    """Cut a straight slot with a neck into wide copper of a near-binary image, copper dark, in place, where it fits.

    Its wide ends run into copper, or on to the channel that they meet. `copper` and `free` of defects: (H, W), 0 or 1.
    """
    places = np.argwhere(cv2.erode(copper & free, np.ones((23, 23), np.uint8), borderValue=0))
    if not len(places):
        return
    middle = places[int(rng.integers(len(places)))][::-1].astype(np.float64)
    direction = int(rng.integers(8)) * np.pi / 4
    step = np.array([np.cos(direction), np.sin(direction)])
    neck, length = float(rng.uniform(*NECK)), float(rng.uniform(12, 50))
    widths = np.maximum(rng.uniform(*WIDE, size=2), 1.5 * neck)
    ends = [
        _room(copper, free, middle, turn * step, length / 2, width) for turn, width in zip((-1, 1), widths, strict=True)
    ]
    if min(ends) < length / 2 + MOUTH:
        return
    profile = shouldered(
        ends[0] - length / 2, ends[0] + length / 2, sum(ends), neck, (float(widths[0]), float(widths[1])), rng
    )
    cut_slot(image, middle - step * ends[0], step, profile, 255)


def _room(copper: Mask, free: Mask, middle: Points, step: Points, neck: float, width: float) -> float:
    """How far a slot of this width may go from `middle` along `step`: to the channel that it meets; 0: nowhere.

    The first `neck` px must be copper.
    """
    reach = int(neck + FARTHEST)
    side = (width / 2 + LAND) * np.array([-step[1], step[0]])
    lines = middle + np.arange(reach)[:, None] * step + np.array([0 * side, side, -side])[:, None]
    x, y = np.round(lines).astype(int).transpose(2, 0, 1)
    height, length = copper.shape
    inside = (x >= 0) & (y >= 0) & (x < length) & (y < height)
    x, y = x.clip(0, length - 1), y.clip(0, height - 1)
    solid, clear = (copper[y, x] > 0) & inside, (free[y, x] > 0) | ~inside
    met = np.flatnonzero(~solid[0])
    end = int(met[0]) + 3 if len(met) else int(neck + DEAD_END)
    land = max(end - int(LAND) - 3, int(neck))  # a channel met at a slant is met by one side first
    if end < neck + MOUTH or end > reach or not clear[:, :end].all() or not solid[1:, :land].all():
        return 0.0
    return float(end)


def add_designed_features(image: Mask, boxes: NDArray[np.float32], rng: np.random.Generator) -> Mask:
    """Drill round holes and cut slots into copper and put round dots on laminate, clear of every edge and defect.

    `image` is near-binary grey, copper dark; a changed copy is returned.
    """
    copper = (image < 128).astype(np.uint8)
    free = np.ones_like(copper)
    for x1, y1, x2, y2 in boxes.astype(int):
        free[max(0, y1 - 8) : y2 + 8, max(0, x1 - 8) : x2 + 8] = 0
    image = image.copy()
    for inside, colour, (smallest, largest) in ((copper, 255, (4, 14)), (1 - copper, 0, (5, 20))):
        if rng.random() < 0.4:
            continue
        room = cv2.distanceTransform(inside & free, cv2.DIST_L2, 3)
        radius = rng.uniform(smallest, largest)  # one tool for all holes of a crop, as on a board
        y, x = np.nonzero(room > radius + rng.uniform(3, 10))
        if colour == 255:
            for _ in range(int(rng.integers(0, 12))):
                add_necked_slot(image, (image < 128).astype(np.uint8), free, rng)
        for _ in range(int(rng.integers(1, 6)) if len(x) else 0):
            at = int(rng.integers(len(x)))
            if (image[int(y[at]), int(x[at])] < 128) == bool(colour):
                drill(image, np.array([x[at], y[at]]) + rng.random(2), radius, colour)
    return image
