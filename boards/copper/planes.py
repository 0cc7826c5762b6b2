"""Copper areas: planes with clearances and splits, pours round what is there, hatched copper."""

from __future__ import annotations

import cv2
import numpy as np

from boards.copper.canvas import Sheet
from boards.pixels.drawing import disc, line, rectangle
from boards.pixels.noise import Mask, Points


def plane(sheet: Sheet, rng: np.random.Generator) -> None:
    """Full copper with anti-pads, thermal reliefs, slots, splits and openings."""
    height, width = sheet.canvas.shape
    sheet.canvas[:] = 255
    unit = sheet.line + sheet.space
    for _ in range(int(rng.integers(0, 4))):  # splits between supplies
        path = zigzag(width, height, rng)
        line(sheet.canvas, path, float(rng.uniform(0.8, 2.5)) * sheet.space, 0)
    for _ in range(int(rng.integers(0, 3))):
        w, h = float(rng.uniform(3, 16)) * unit, float(rng.uniform(1, 10)) * unit
        x, y = float(rng.uniform(0, width)), float(rng.uniform(0, height))
        rectangle(sheet.canvas, x, y, w, h, float(rng.choice((0, h / 2, unit / 2))), 0)
    count = int(rng.uniform(0.2, 1.0) * width * height / (6 * unit) ** 2)
    grid = float(rng.uniform(1.8, 4)) * unit
    for _ in range(count):
        columns, rows = (1, 1) if rng.random() < 0.6 else (int(rng.integers(2, 8)), int(rng.integers(1, 6)))
        x, y = float(rng.uniform(0, width)), float(rng.uniform(0, height))
        for column in range(columns):
            for row in range(rows):
                _antipad(sheet, x + column * grid, y + row * grid, unit, rng)


def _antipad(sheet: Sheet, x: float, y: float, unit: float, rng: np.random.Generator) -> None:
    """Clearance round a hole that passes a plane; with a pad and spokes where it belongs to the plane."""
    radius = unit * 0.45
    outer = radius + sheet.space * 0.9
    reach = int(outer + 3)
    x0, y0 = int(x), int(y)
    around = sheet.canvas[max(y0 - reach, 0) : y0 + reach, max(x0 - reach, 0) : x0 + reach]
    if around.size == 0 or not around.all():  # never cut one clearance into another
        return
    disc(sheet.canvas, x, y, outer, 0)
    kind = rng.random()
    if kind < 0.55:
        disc(sheet.canvas, x, y, radius)
        sheet.vias.append((x, y, radius, radius * 0.5))
    if kind < 0.2:
        _spokes(sheet.canvas, x, y, outer + 2, sheet.line * 0.7, rng)


def pour(sheet: Sheet, rng: np.random.Generator) -> None:
    """Fill what is left with copper at a clearance, without slivers; some pads get thermal spokes."""
    clearance = sheet.space * float(rng.uniform(1.0, 2.2))
    empty = np.asarray(cv2.distanceTransform(255 - sheet.canvas, cv2.DIST_L2, 5), np.float32)
    room = (empty > clearance).astype(np.uint8) * 255
    reach = 2 * int(sheet.line * 0.6) + 1
    kernel = np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach)), np.uint8)
    room = np.asarray(cv2.morphologyEx(room, cv2.MORPH_OPEN, kernel), np.uint8)
    # Design programs drop dead islands, and a small one could not be told from residual copper.
    _, islands, stats, _ = cv2.connectedComponentsWithStats(room, connectivity=8)
    room[np.asarray(stats)[:, cv2.CC_STAT_AREA][np.asarray(islands)] < 40 * sheet.line**2] = 0
    for x, y, radius, _ in sheet.vias:
        if rng.random() < 0.15 and _lonely(sheet.canvas, x, y, radius, radius + clearance + 2):
            _spokes(room, x, y, radius + clearance + 2, sheet.line * 0.8, rng)
    np.maximum(sheet.canvas, room, out=sheet.canvas)


def _lonely(canvas: Mask, x: float, y: float, radius: float, reach: float) -> bool:
    """Whether a ring round a pad holds little copper: spokes there touch the pour and no other net."""
    angle = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    height, width = canvas.shape
    hit = 0
    for distance in np.linspace(radius + 2, reach, 4):
        column = np.clip(np.rint(x + distance * np.cos(angle)), 0, width - 1).astype(np.int64)
        row = np.clip(np.rint(y + distance * np.sin(angle)), 0, height - 1).astype(np.int64)
        hit = max(hit, int((canvas[row, column] > 0).sum()))
    return hit == 0


def _spokes(canvas: Mask, x: float, y: float, reach: float, width: float, rng: np.random.Generator) -> None:
    """Four spokes of a thermal relief."""
    turn = float(rng.choice((0, np.pi / 4)))
    for quarter in range(4):
        angle = turn + quarter * np.pi / 2
        tip = (x + reach * np.cos(angle), y + reach * np.sin(angle))
        line(canvas, np.array([(x, y), tip]), width)


def zigzag(width: int, height: int, rng: np.random.Generator) -> Points:
    """Path across the sheet in horizontal, vertical and 45-degree legs."""
    point = np.array([float(rng.uniform(0, width)), -10.0])
    points = [point.copy()]
    while point[1] < height + 10 and len(points) < 40:
        leg = float(rng.uniform(0.08, 0.3)) * height
        step = np.array([(0, 1), (1, 1), (-1, 1), (1, 0), (-1, 0)][int(rng.integers(5))], np.float64)
        point = point + step * leg
        points.append(point.copy())
    return np.array(points)


def hatch(sheet: Sheet, rng: np.random.Generator) -> None:
    """Cross-hatched copper with islands of pads."""
    height, width = sheet.canvas.shape
    pitch = sheet.line + sheet.space * float(rng.uniform(1.5, 4))
    diagonal = bool(rng.random() < 0.6)
    extent = width + height
    for start in np.arange(-extent, extent, pitch * (np.sqrt(2) if diagonal else 1)):
        if diagonal:
            line(sheet.canvas, np.array([(start, 0), (start + height, height)]), sheet.line)
            line(sheet.canvas, np.array([(start, height), (start + height, 0)]), sheet.line)
        else:
            line(sheet.canvas, np.array([(start, 0), (start, height)]), sheet.line)
            line(sheet.canvas, np.array([(0, start), (width, start)]), sheet.line)
    for _ in range(int(rng.integers(2, 14))):
        x, y = float(rng.uniform(0, width)), float(rng.uniform(0, height))
        radius = sheet.line * float(rng.uniform(1.2, 3))
        disc(sheet.canvas, x, y, radius + sheet.line + sheet.space)
        disc(sheet.canvas, x, y, radius + sheet.space, 0)
        sheet.via(x, y, radius, radius * 0.5)
