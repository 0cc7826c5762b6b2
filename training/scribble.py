"""Defects as people draw them: strokes, squiggles, zigzags and dotted lines in a copper mask.

Part of DeepPCB's defects were added by hand, and every board group has its own hand. A stroke is drawn anywhere; what
it does to the copper decides its label, so that the shapes stay free: removing copper opens, nicks or perforates it,
adding copper shorts, spurs or leaves an island. Decoys, designed features that look alike, go in before, unlabelled.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from training.render.layer import pieces

Mask = NDArray[np.uint8]  # (H, W), 1 is copper
Points = NDArray[np.float32]  # (N, 2) xy

ADDING = ("short", "spur", "residual_copper")
REMOVING = ("open", "nick", "pinhole")
LENGTHS = (8.0, 90.0)  # px of the path
MARGINS = (7, 12)  # px that annotators leave round a defect
TRIES = 40
CLEAR = 8  # px between defects
LEAST = 12  # changed pixels


def stroke(rng: np.random.Generator) -> Points:
    """A random walk of unit steps about the origin: straight, curved, squiggled or zigzag."""
    steps = int(np.exp(rng.uniform(*np.log(LENGTHS))))
    heading = rng.uniform(0, 2 * np.pi)
    style = rng.integers(4)
    if style == 3:  # zigzag along a line
        turns = np.repeat(rng.choice((-1.0, 1.0), steps // 4 + 1) * rng.uniform(0.5, 1.2), 4)[:steps]
    else:
        bend = (0.01, 0.06, 0.25)[style]
        turns = np.cumsum(rng.normal(0, bend, steps)) + rng.normal(0, bend / 4) * np.arange(steps)
    path = np.cumsum(np.stack((np.cos(heading + turns), np.sin(heading + turns)), axis=1), axis=0)
    return np.asarray(path - path[steps // 2], np.float32)


def draw(path: Points, width: int, dotted: bool, size: tuple[int, int]) -> Mask:
    """The path as a mask, solid or as a row of dots."""
    canvas = np.zeros(size, np.uint8)
    if dotted:
        for x, y in path[:: max(width + 2, 3)]:
            cv2.circle(canvas, (round(float(x)), round(float(y))), max(width // 2, 1), (1,), -1)
    else:
        cv2.polylines(canvas, [np.round(path).astype(np.int32)], False, (1,), width)
    return canvas


def judge(before: Mask, after: Mask, adding: bool) -> str | None:
    """The label of a change of a window, by how copper and laminate fall to pieces; None for a muddle."""
    parts, gaps = np.subtract(pieces(after), pieces(before))
    if adding:
        if parts <= -1:
            return "short"
        return "residual_copper" if parts == 1 and gaps == 0 else "spur" if parts == 0 and gaps == 0 else None
    if parts >= 1:
        return "open"
    return "pinhole" if parts == 0 and gaps == 1 else "nick" if parts == 0 and gaps == 0 else None


def plant(mask: Mask, labels: list[str], rng: np.random.Generator) -> list[tuple[str, tuple[int, int, int, int]]]:
    """Draw one stroke per label into the mask, in place; those that find no place are left out. Boxes xyxy px."""
    height, width = mask.shape
    used = np.zeros_like(mask)
    planted = []
    for label in labels:
        adding = label in ADDING
        # Islands and pinholes lie off the edges, everything else on them.
        distance = cv2.distanceTransform(1 - mask if adding else mask, cv2.DIST_L2, 3)
        ground = (distance > 5) if label in ("pinhole", "residual_copper") else (distance > 0) & (distance < 4)
        places = np.argwhere(ground)
        for _ in range(TRIES if len(places) else 0):
            y, x = places[int(rng.integers(len(places)))]
            path = stroke(rng) + np.array([x, y], np.float32)
            thick = int(np.exp(rng.uniform(np.log(2), np.log(14))))
            low = np.floor(path.min(0)).astype(int) - thick - 12
            high = np.ceil(path.max(0)).astype(int) + thick + 12
            if low.min() < 0 or high[0] > width or high[1] > height:
                continue
            window = (slice(low[1], high[1]), slice(low[0], high[0]))
            before = mask[window]
            solid = draw(path - low, thick, False, before.shape)
            after = before | solid if adding else before & (1 - solid)
            if judge(before, after, adding) != label:
                continue
            if thick <= 4 and rng.random() < 0.35:
                dots = draw(path - low, thick, True, before.shape)
                after = before | dots if adding else before & (1 - dots)
            y_changed, x_changed = np.nonzero(before != after)
            if len(x_changed) < LEAST:
                continue
            x1, x2 = low[0] + x_changed.min(), low[0] + x_changed.max() + 1
            y1, y2 = low[1] + y_changed.min(), low[1] + y_changed.max() + 1
            if used[y1:y2, x1:x2].any():
                continue
            mask[window] = after
            used[max(y1 - CLEAR, 0) : y2 + CLEAR, max(x1 - CLEAR, 0) : x2 + CLEAR] = 1
            margin = int(rng.integers(*MARGINS))
            left, top = max(int(x1) - margin, 0), max(int(y1) - margin, 0)
            right, bottom = min(int(x2) + margin, width), min(int(y2) + margin, height)
            planted.append((label, (left, top, right, bottom)))
            break
    return planted


def add_decoys(mask: Mask, rng: np.random.Generator) -> None:
    """Small round drill holes in wide copper and straight designed channels through planes; in place."""
    radius = rng.uniform(3.0, 7.0)  # one drill a board, as a rule
    for _ in range(int(rng.poisson(5))):
        room = np.argwhere(cv2.distanceTransform(mask, cv2.DIST_L2, 3) > radius + 5)
        if not len(room):
            break
        y, x = room[int(rng.integers(len(room)))]
        own = max(radius * rng.uniform(0.85, 1.15), 2.5)
        shift = 4  # fractional bits: small discs need sub-pixel centres to look round
        cv2.circle(mask, (int(x) << shift, int(y) << shift), int(own * (1 << shift)), (0,), -1, cv2.LINE_8, shift)
    for _ in range(int(rng.integers(0, 4)) if mask.mean() > 0.35 else 0):
        add_channel(mask, rng)


def add_channel(mask: Mask, rng: np.random.Generator) -> None:
    """A designed gap between planes: straight pieces at right angles, wide ones and narrow ones by turns; in place.

    An open is a ragged gap in a line; a slot that goes on from a wider slot is the layout's own.
    """
    height, width = mask.shape
    point = np.array([rng.uniform(0, width), rng.uniform(0, height)])
    widths = (int(rng.integers(3, 8)), int(rng.integers(7, 18)))
    across = bool(rng.random() < 0.5)
    for piece in range(int(rng.integers(2, 8))):
        step = np.array([1.0, 0.0] if across else [0.0, 1.0]) * rng.choice((-1, 1)) * rng.uniform(25, 160)
        ends = [(int(x), int(y)) for x, y in (point, point + step)]
        cv2.line(mask, ends[0], ends[1], (0,), widths[piece % 2])
        point = point + step
        if rng.random() < 0.6:
            across = not across
