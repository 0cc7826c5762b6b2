"""Copper shapes on a canvas: lines, pads, holes, parallel paths. Canvases are uint8 (H, W), 255 is copper."""

from __future__ import annotations

import cv2
import numpy as np

from boards.pixels.noise import Mask, Points

_BITS = 4  # fixed-point coordinates of cv2: 1/16 px


def line(canvas: Mask, path: Points, width: float, value: int = 255) -> None:
    """Polyline of any width, round ends and corners (up to 20 px wide as cv2 rounds them: dodecagons)."""
    thickness = max(round(width), 1)
    fixed = np.round(np.asarray(path) * (1 << _BITS)).astype(np.int32)
    cv2.polylines(canvas, [fixed], False, (value,), thickness, cv2.LINE_AA, _BITS)


def disc(canvas: Mask, x: float, y: float, radius: float, value: int = 255) -> None:
    """Filled circle; cv2.circle draws a dodecagon up to 10 px of radius, whose corners look etched."""
    height, width = canvas.shape
    x0, x1 = max(int(x - radius) - 1, 0), min(int(x + radius) + 3, width)
    y0, y1 = max(int(y - radius) - 1, 0), min(int(y + radius) + 3, height)
    if x0 >= x1 or y0 >= y1:
        return
    rows, columns = np.ogrid[y0:y1, x0:x1]
    cover = np.clip(radius + 0.5 - np.hypot(columns - x, rows - y), 0, 1)
    patch = canvas[y0:y1, x0:x1]
    patch[:] = np.round(patch + cover * (value - patch.astype(np.float64)))


def polygon(canvas: Mask, points: Points, value: int = 255) -> None:
    """Filled polygon."""
    fixed = np.round(np.asarray(points) * (1 << _BITS)).astype(np.int32)
    cv2.fillPoly(canvas, [fixed], (value,), lineType=cv2.LINE_AA, shift=_BITS)


def rectangle(
    canvas: Mask, x: float, y: float, width: float, height: float, corner: float = 0.0, value: int = 255
) -> None:
    """Filled rectangle centred on (x, y); `corner` is the radius of its corners."""
    corner = min(corner, width / 2, height / 2)
    half_w, half_h = width / 2, height / 2
    if corner < 1:
        polygon(
            canvas,
            np.array(
                [[x - half_w, y - half_h], [x + half_w, y - half_h], [x + half_w, y + half_h], [x - half_w, y + half_h]]
            ),
            value,
        )
        return
    turn = np.linspace(0, np.pi / 2, max(6, int(corner / 3)))
    points = []
    for quarter, (sx, sy) in enumerate(((1, 1), (-1, 1), (-1, -1), (1, -1))):
        angle = turn + quarter * np.pi / 2
        cx, cy = x + sx * (half_w - corner), y + sy * (half_h - corner)
        points.append(np.stack([cx + corner * np.cos(angle), cy + corner * np.sin(angle)], axis=1))
    polygon(canvas, np.concatenate(points), value)


def octagon(canvas: Mask, x: float, y: float, width: float, height: float, value: int = 255) -> None:
    """Rectangle with its corners cut at 45 degrees."""
    cut = 0.29 * min(width, height)
    w, h = width / 2, height / 2
    shape = [
        (-w + cut, -h),
        (w - cut, -h),
        (w, -h + cut),
        (w, h - cut),
        (w - cut, h),
        (-w + cut, h),
        (-w, h - cut),
        (-w, -h + cut),
    ]
    polygon(canvas, np.array(shape) + np.array([x, y]), value)


def teardrop(canvas: Mask, x: float, y: float, radius: float, toward: Points, width: float) -> None:
    """Widen a line of `width` where it enters the pad at (x, y); `toward` is a point on the line."""
    ahead = np.asarray(toward, np.float64) - (x, y)
    length = float(np.hypot(*ahead))
    if length < 1e-6:
        return
    ahead /= length
    side = np.array([-ahead[1], ahead[0]])
    tip = np.array([x, y]) + ahead * min(length, radius * 2.4)
    polygon(
        canvas,
        np.array(
            [(x, y) + side * radius * 0.9, tip + side * width / 2, tip - side * width / 2, (x, y) - side * radius * 0.9]
        ),
    )


def parallel(path: Points, offset: float) -> Points:
    """Path shifted sideways by `offset` pixels with mitred corners: neighbours of a bus keep their spacing."""
    path = np.asarray(path, np.float64)
    ahead = np.diff(path, axis=0)
    ahead /= np.maximum(np.hypot(ahead[:, 0], ahead[:, 1])[:, None], 1e-9)
    normal = np.stack([-ahead[:, 1], ahead[:, 0]], axis=1)
    before, after = np.vstack([normal[:1], normal]), np.vstack([normal, normal[-1:]])
    mitre = (before + after) / np.maximum(1 + (before * after).sum(axis=1), 0.2)[:, None]
    return np.asarray(path + offset * mitre, np.float64)
