"""Pads of parts: chip pairs, rows of leads, four-sided packages, pin headers, ball grids; their pins start lines."""

from __future__ import annotations

import numpy as np

from boards.copper.canvas import Sheet
from boards.pixels.drawing import disc, line, octagon, rectangle


def parts(sheet: Sheet, rng: np.random.Generator, density: float) -> None:
    """Scatter parts: chip pairs, rows of leads, four-sided packages, pin headers, ball grids."""
    height, width = sheet.canvas.shape
    tries = int(density * width * height / (30 * sheet.line) ** 2) + 2
    kinds = (_chip, _row, _quad, _header, _balls)
    weights = rng.dirichlet((3, 2, 1, 2, 0.8))
    for _ in range(tries):
        kind = kinds[int(rng.choice(len(kinds), p=weights))]
        kind(sheet, float(rng.uniform(0, width)), float(rng.uniform(0, height)), rng)


def _pad(sheet: Sheet, x: float, y: float, w: float, h: float, corner: float, escape: int) -> None:
    rectangle(sheet.canvas, x, y, w, h, corner)
    sheet.pads.append((x, y, w, h))
    sheet.pins.append((x, y, escape))


def _chip(sheet: Sheet, x: float, y: float, rng: np.random.Generator) -> None:
    """Two pads of a resistor or capacitor."""
    w = sheet.line * float(rng.uniform(1.6, 4))
    h = w * float(rng.uniform(0.9, 1.6))
    gap = max(sheet.space * 1.2, w * float(rng.uniform(0.5, 1.6)))
    corner = float(rng.choice((0, w * 0.25)))
    flat = bool(rng.random() < 0.5)
    reach = (gap + 2 * w) / 2
    box = (x - reach, y - h / 2, x + reach, y + h / 2) if flat else (x - h / 2, y - reach, x + h / 2, y + reach)
    if not sheet.free(*box):
        return
    for sign in (-1, 1):
        if flat:
            _pad(sheet, x + sign * (gap + w) / 2, y, w, h, corner, 0 if sign > 0 else 4)
        else:
            _pad(sheet, x, y + sign * (gap + w) / 2, h, w, corner, 2 if sign > 0 else 6)


def _row(sheet: Sheet, x: float, y: float, rng: np.random.Generator) -> None:
    """One or two rows of leads, as small-outline packages have."""
    pitch = (sheet.line + sheet.space) * float(rng.choice((1.0, 1.3, 2.0)))
    count = int(rng.integers(3, 13))
    lead_w, lead_h = pitch * float(rng.uniform(0.45, 0.6)), pitch * float(rng.uniform(1.2, 3))
    apart = lead_h * float(rng.uniform(1.8, 4))
    corner = float(rng.choice((0, lead_w / 2, lead_w / 4)))
    flat = bool(rng.random() < 0.5)
    half_l, half_a = count * pitch / 2, (apart + lead_h) / 2
    box = (x - half_l, y - half_a, x + half_l, y + half_a) if flat else (x - half_a, y - half_l, x + half_a, y + half_l)
    if not sheet.free(*box):
        return
    for side in (-1, 1):
        for index in range(count):
            step = (index - (count - 1) / 2) * pitch
            if flat:
                _pad(sheet, x + step, y + side * apart / 2, lead_w, lead_h, corner, 2 if side > 0 else 6)
            else:
                _pad(sheet, x + side * apart / 2, y + step, lead_h, lead_w, corner, 0 if side > 0 else 4)


def _quad(sheet: Sheet, x: float, y: float, rng: np.random.Generator) -> None:
    """Package with leads on four sides and often a pad in the middle."""
    pitch = (sheet.line + sheet.space) * float(rng.choice((1.0, 1.3)))
    count = int(rng.integers(4, 13))
    lead_w, lead_h = pitch * 0.55, pitch * float(rng.uniform(1.3, 2.2))
    half = (count + 1) * pitch / 2 + lead_h
    if not sheet.free(x - half, y - half, x + half, y + half):
        return
    corner = float(rng.choice((0, lead_w / 2)))
    for index in range(count):
        step = (index - (count - 1) / 2) * pitch
        reach = half - lead_h / 2
        _pad(sheet, x + step, y - reach, lead_w, lead_h, corner, 6)
        _pad(sheet, x + step, y + reach, lead_w, lead_h, corner, 2)
        _pad(sheet, x - reach, y + step, lead_h, lead_w, corner, 4)
        _pad(sheet, x + reach, y + step, lead_h, lead_w, corner, 0)
    if rng.random() < 0.5:
        inner = 2 * (half - lead_h - sheet.space * 2)
        rectangle(sheet.canvas, x, y, inner * 0.8, inner * 0.8, inner * 0.05)


def _header(sheet: Sheet, x: float, y: float, rng: np.random.Generator) -> None:
    """Row or field of through-hole pads: round, square, octagonal or oblong."""
    radius = sheet.line * float(rng.uniform(1.2, 3.5))
    pitch = 2 * radius + sheet.space * float(rng.uniform(1.2, 4))
    columns, rows = int(rng.integers(1, 8)), int(rng.integers(1, 3))
    half_w, half_h = columns * pitch / 2, rows * pitch / 2
    if not sheet.free(x - half_w, y - half_h, x + half_w, y + half_h):
        return
    shape = str(rng.choice(("round", "octagon", "square", "oblong")))
    hole = radius * float(rng.uniform(0.4, 0.65))
    for row in range(rows):
        for column in range(columns):
            px, py = x + (column - (columns - 1) / 2) * pitch, y + (row - (rows - 1) / 2) * pitch
            if shape == "octagon":
                octagon(sheet.canvas, px, py, 2 * radius, 2 * radius)
            elif shape == "square" or (shape == "round" and row == column == 0):
                rectangle(sheet.canvas, px, py, 2 * radius, 2 * radius)
            elif shape == "oblong" and rows == 1:
                rectangle(sheet.canvas, px, py, 2 * radius, 3 * radius, radius)
            else:
                disc(sheet.canvas, px, py, radius)
            sheet.vias.append((px, py, radius, hole))
            sheet.pins.append((px, py, int(rng.integers(0, 4)) * 2))


def _balls(sheet: Sheet, x: float, y: float, rng: np.random.Generator) -> None:
    """Ball grid with dog-bone vias between the balls."""
    pitch = (sheet.line + sheet.space) * float(rng.uniform(1.7, 2.6))
    side = int(rng.integers(4, 10))
    half = side * pitch / 2
    if not sheet.free(x - half, y - half, x + half, y + half):
        return
    radius = pitch * float(rng.uniform(0.2, 0.27))
    diagonal = np.array([(1, 1), (1, -1), (-1, 1), (-1, -1)])[int(rng.integers(4))]
    for row in range(side):
        for column in range(side):
            px, py = x + (column - (side - 1) / 2) * pitch, y + (row - (side - 1) / 2) * pitch
            if rng.random() < 0.06:
                continue
            disc(sheet.canvas, px, py, radius)
            edge = row in (0, side - 1) or column in (0, side - 1)
            if edge:
                out = {row == 0: 6, row == side - 1: 2, column == 0: 4, column == side - 1: 0}.get(True, 0)
                sheet.pins.append((px, py, out))
            elif rng.random() < 0.8:
                vx, vy = px + diagonal[0] * pitch / 2, py + diagonal[1] * pitch / 2
                line(sheet.canvas, np.array([(px, py), (vx, vy)]), sheet.line * 0.7)
                sheet.via(vx, vy, radius * 0.9, radius * 0.45)
