"""Defects as people draw them: strokes, squiggles, zigzags and dotted lines in a copper mask.

Part of DeepPCB's defects were added by hand, and every board group has its own hand. A stroke is drawn anywhere; what
it does to the copper decides its label, so that the shapes stay free: removing copper opens, nicks or perforates it,
adding copper shorts, spurs or leaves an island.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from boards.copper.design_rules import without_islands
from boards.copper.layer import pieces
from boards.defects.decoys import is_slot

Mask = NDArray[np.uint8]  # (H, W), 1 is copper
Points = NDArray[np.float32]  # (N, 2) xy

ADDING = ("short", "spur", "residual_copper")
REMOVING = ("open", "nick", "pinhole")
LENGTHS = (8.0, 160.0)  # px of the path
THICKEST = 20  # px of a stroke
MARGINS = (7, 12)  # px that annotators leave round a defect
CRUMB_PX = 8.0  # diameter
TRIES = 40
CLEAR = 8  # px between defects
LEAST = 12  # changed pixels


def stroke(rng: np.random.Generator) -> Points:
    """A path of unit steps through the origin: straight, curved, squiggled, zigzag, or to and fro as one shades."""
    steps = int(np.exp(rng.uniform(*np.log(LENGTHS))))
    heading = rng.uniform(0, 2 * np.pi)
    style = rng.integers(5)
    if style == 4:
        return hatching(heading, rng)
    if style == 3:  # zigzag along a line
        turns = np.repeat(rng.choice((-1.0, 1.0), steps // 4 + 1) * rng.uniform(0.5, 1.2), 4)[:steps]
    else:
        bend = (0.01, 0.06, 0.25)[style]
        turns = np.cumsum(rng.normal(0, bend, steps)) + rng.normal(0, bend / 4) * np.arange(steps)
    path = np.cumsum(np.stack((np.cos(heading + turns), np.sin(heading + turns)), axis=1), axis=0)
    return np.asarray(path - path[int(rng.integers(steps))], np.float32)


def hatching(heading: float, rng: np.random.Generator) -> Points:
    """A path of about unit steps through the origin that goes to and fro, each way a few px beside the last."""
    rows, length, gap = int(rng.integers(3, 9)), rng.uniform(8, 30), rng.uniform(2.5, 6)
    along = np.concatenate([np.linspace(0, length, int(length))[:: 1 if row % 2 else -1] for row in range(rows)])
    across = np.linspace(0, rows * gap, len(along)) + rng.normal(0, 0.4, len(along))
    ahead = np.array([np.cos(heading), np.sin(heading)])
    path = along[:, None] * ahead + across[:, None] * np.array([-ahead[1], ahead[0]])
    return np.asarray(path - path[int(rng.integers(len(path)))], np.float32)


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
    """The label of a change of a window, by how copper and laminate fall to pieces; None for a muddle.

    Crumbs that a hatching leaves within itself are no pieces.
    """
    if adding:
        before, after = (1 - without_islands(1 - mask, CRUMB_PX) for mask in (before, after))
    else:
        before, after = (without_islands(mask, CRUMB_PX) for mask in (before, after))
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
            thick = int(np.exp(rng.uniform(np.log(2), np.log(THICKEST))))
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
            if label == "open" and is_slot((before != after).astype(np.uint8)):
                continue  # a long straight cut is as likely the layout's own channel
            mask[window] = after
            used[max(y1 - CLEAR, 0) : y2 + CLEAR, max(x1 - CLEAR, 0) : x2 + CLEAR] = 1
            margin = int(rng.integers(*MARGINS))
            left, top = max(int(x1) - margin, 0), max(int(y1) - margin, 0)
            right, bottom = min(int(x2) + margin, width), min(int(y2) + margin, height)
            planted.append((label, (left, top, right, bottom)))
            break
    return planted
