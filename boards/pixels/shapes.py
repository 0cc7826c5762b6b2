"""Random outlines and strokes, drawn antialiased on small canvases: the raw material of defects."""

from __future__ import annotations

import cv2
import numpy as np

from boards.pixels.noise import IntPoint, Mask, Points

_SUBPIXEL_BITS = 4  # cv2 takes fixed-point coordinates: 4 bits are 1/16 px


def outline(radius_x: float, radius_y: float, roughness: float, rng: np.random.Generator) -> Points:
    """Closed irregular outline round (0, 0): an ellipse with random harmonics, turned by a random angle.

    `roughness` 0 is a clean ellipse, 0.3 a lump, 0.6 a torn flake.
    """
    angle = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    order = np.arange(2, 9)
    amplitude = rng.normal(0, 1, order.size) / order * roughness
    phase = rng.uniform(0, 2 * np.pi, order.size)
    radius = 1 + (amplitude[:, None] * np.cos(order[:, None] * angle + phase[:, None])).sum(0)
    radius = np.clip(radius, 0.25, 1.75)
    turn = rng.uniform(0, np.pi)
    x, y = radius_x * radius * np.cos(angle), radius_y * radius * np.sin(angle)
    return np.stack([x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)], axis=1)


def curve(length: float, bend: float, rng: np.random.Generator, angle: float | None = None) -> Points:
    """Open curve of about `length` pixels round (0, 0); `bend`: wander of its heading, radians."""
    count = int(np.clip(length / 4, 6, 400))
    heading = rng.uniform(0, 2 * np.pi) if angle is None else angle
    # Heading wanders like a random walk, normalised so that `bend` does not depend on the point count.
    wander = np.cumsum(rng.normal(0, 1, count)) / np.sqrt(count) * bend
    headings = heading + wander + rng.normal(0, 0.4) * bend * np.linspace(-1, 1, count)
    steps = np.stack([np.cos(headings), np.sin(headings)], axis=1) * (length / count)
    points = np.cumsum(steps, axis=0)
    return np.asarray(points - (points[0] + points[-1]) / 2, np.float64)


def fill(canvas: Mask, points: Points, value: int = 255) -> None:
    """Fill a polygon on a uint8 canvas with antialiased border; an empty canvas (beside the picture) stays so."""
    if canvas.size == 0:
        return
    fixed = np.round(points * (1 << _SUBPIXEL_BITS)).astype(np.int32)
    cv2.fillPoly(canvas, [fixed], (value,), lineType=cv2.LINE_AA, shift=_SUBPIXEL_BITS)


def stroke(canvas: Mask, points: Points, thickness: int, value: int = 255) -> None:
    """Draw an open polyline on a uint8 canvas, antialiased; `thickness` in whole pixels, 1 or more."""
    if canvas.size == 0:
        return
    fixed = np.round(points * (1 << _SUBPIXEL_BITS)).astype(np.int32)
    cv2.polylines(canvas, [fixed], False, (value,), thickness, cv2.LINE_AA, _SUBPIXEL_BITS)


def canvas_for(points: Points, pad: float, size: tuple[int, int]) -> tuple[Mask, IntPoint]:
    """Zero canvas that covers `points` plus `pad`, cut to the image; and its corner (x, y) in the image."""
    height, width = size
    low = np.floor(points.min(0) - pad).astype(np.int64)
    high = np.ceil(points.max(0) + pad).astype(np.int64) + 1
    low, high = np.maximum(low, 0), np.minimum(high, (width, height))
    extent = np.maximum(high - low, 0)
    return np.zeros((extent[1], extent[0]), np.uint8), low
