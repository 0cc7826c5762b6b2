"""Random signal layers: parts with pads, escape lines on a 45-degree grid, vias at their ends."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from training.render.drawing import disc, line, octagon, parallel, rectangle, teardrop
from training.render.noise import Mask, Points

DIRECTIONS = np.array([(1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1)])


@dataclass(slots=True)
class Sheet:
    """A canvas under construction with its design rules, in pixels."""

    canvas: Mask  # uint8 (H, W), 255 is copper
    line: float  # conductor width
    space: float  # smallest distance of conductors
    vias: list[tuple[float, float, float, float]] = field(default_factory=list)  # x, y, pad radius, hole radius
    pins: list[tuple[float, float, int]] = field(default_factory=list)  # x, y, direction to escape (0 to 7)
    pads: list[tuple[float, float, float, float]] = field(default_factory=list)  # x, y, width, height

    def free(self, x0: float, y0: float, x1: float, y1: float) -> bool:
        """Whether a rectangle plus the smallest space is empty and inside the canvas."""
        height, width = self.canvas.shape
        pad = self.space
        x0, y0, x1, y1 = x0 - pad, y0 - pad, x1 + pad, y1 + pad
        if x0 < 0 or y0 < 0 or x1 > width or y1 > height:
            return False
        return not self.canvas[int(y0) : int(y1) + 1, int(x0) : int(x1) + 1].any()

    def via(self, x: float, y: float, radius: float, hole: float) -> None:
        """Round pad of a plated hole."""
        disc(self.canvas, x, y, radius)
        self.vias.append((x, y, radius, hole))


def bus(sheet: Sheet, rng: np.random.Generator, count: int | None = None) -> None:
    """Bundle of parallel lines that crosses the sheet with 45-degree bends; some end in staggered vias."""
    height, width = sheet.canvas.shape
    pitch = sheet.line + sheet.space * float(rng.uniform(1.0, 1.4))
    count = count or int(rng.integers(3, 12))
    spine = _spine(width, height, (count + 1) * pitch, rng)
    gaps = np.full(count, pitch)
    if rng.random() < 0.4:  # differential pairs
        gaps[::2] *= 1.7
    offsets = np.cumsum(gaps) - gaps.sum() / 2
    trial = np.zeros_like(sheet.canvas)
    for offset in offsets:
        line(trial, parallel(spine, float(offset)), sheet.line)
    if touches(sheet, trial):
        return
    for offset in offsets:
        path = parallel(spine, float(offset))
        if rng.random() < 0.25:
            path = path[: max(len(path) - 1, 2)].copy()
            path[-1] = path[-2] + (path[-1] - path[-2]) * rng.uniform(0.3, 0.9)
            end = min(sheet.line * 0.95, sheet.line / 2 + 0.35 * sheet.space)
            sheet.via(float(path[-1][0]), float(path[-1][1]), end, end * 0.5)
        line(sheet.canvas, path, sheet.line)


def _spine(width: int, height: int, breadth: float, rng: np.random.Generator) -> Points:
    """Centre line from one side to the other with a few 45-degree jogs longer than the bundle is broad."""
    along = -20.0
    across = float(rng.uniform(0.15, 0.85)) * height
    points = [(along, across)]
    while along < width + 20:
        along += breadth + float(rng.uniform(0.1, 0.6)) * width
        points.append((along, across))
        jog = float(rng.uniform(0.6, 2.5)) * breadth * float(rng.choice((-1, 1)))
        if not 0.05 * height < across + jog < 0.95 * height:
            jog = -jog
        along += abs(jog)
        across += jog
        points.append((along, across))
    spine = np.array(points)
    if rng.random() < 0.5:
        return np.asarray(spine[:, ::-1] * (width / max(height, 1), height / max(width, 1)), np.float64)
    return spine


def touches(sheet: Sheet, trial: Mask) -> bool:
    """Whether new copper comes nearer than the smallest space to what is there."""
    reach = 2 * int(np.ceil(sheet.space)) + 1
    grown = cv2.dilate(trial, np.ones((reach, reach), np.uint8))
    return bool(((np.asarray(grown) > 0) & (sheet.canvas > 0)).any())


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


def route(sheet: Sheet, rng: np.random.Generator, fill: float = 0.5) -> None:
    """Walk lines from the pins, and from new vias in empty ground, over a 45-degree grid until something blocks.

    `fill` is the share of empty cells that start a line of their own.
    """
    pitch = sheet.line + sheet.space
    height, width = sheet.canvas.shape
    columns, rows = int(width / pitch) - 1, int(height / pitch) - 1
    if columns < 4 or rows < 4:
        return
    empty = np.asarray(cv2.distanceTransform(255 - sheet.canvas, cv2.DIST_L2, 3), np.float32)
    grid_x = ((np.arange(columns) + 1) * pitch).astype(np.int64)
    grid_y = ((np.arange(rows) + 1) * pitch).astype(np.int64)
    blocked = empty[np.ix_(grid_y, grid_x)] < sheet.line / 2 + sheet.space
    starts: list[tuple[int, int, int, tuple[float, float] | None]] = []
    for x, y, heading in sheet.pins:
        cell = _exit_cell(x / pitch - 1, y / pitch - 1, heading, blocked)
        if cell is not None:
            starts.append((*cell, heading, (x, y)))
    count = int(fill * columns * rows / 14)
    starts += [(int(rng.integers(columns)), int(rng.integers(rows)), int(rng.integers(8)), None) for _ in range(count)]
    longest = int(rng.integers(8, 40))
    radius = min(sheet.line * float(rng.uniform(1.1, 2.2)), pitch * 0.62)
    drops = bool(rng.random() < 0.35)
    for column, row, heading, pin in starts:
        if blocked[row, column]:
            continue
        first = (np.array([column, row], np.float64) + 1) * pitch
        escape = np.empty((0, 2)) if pin is None else _elbow(np.array(pin), first)
        if pin is not None and not _clear(sheet, np.vstack([escape, first])):
            continue
        cells = _walk(blocked, column, row, heading, longest, rng)
        # The walk ended because something is near: draw back a cell, so that two ends do not look like an open.
        cells = cells[: max(len(cells) - 1, 1)] if pin is not None else cells[1:-1]
        if pin is None and len(cells) < 3:
            continue
        path = np.vstack([escape, (np.array(cells, np.float64) + 1) * pitch])
        line(sheet.canvas, path, sheet.line)
        # Only test stubs end without a via: an end in the open would look like half of an open.
        ends = [cells[-1]] if rng.random() < 0.97 else []
        for end in ends if pin is not None else [*ends, cells[0]]:
            x, y = ((np.array(end, np.float64) + 1) * pitch).tolist()
            size = radius if _claim(blocked, end, cells) else sheet.line / 2 + 0.3 * sheet.space
            sheet.via(x, y, size, size * 0.5)
            if drops and end == cells[-1] and len(path) > 2:
                teardrop(sheet.canvas, x, y, size, path[-2], sheet.line)


def _clear(sheet: Sheet, path: Points) -> bool:
    """Whether a path leaves the pad it starts in and meets no other copper, nor comes near any."""
    ahead = np.diff(path, axis=0)
    lengths = np.hypot(ahead[:, 0], ahead[:, 1])
    steps = np.maximum(lengths, 1).astype(int)
    points = np.concatenate(
        [start + step * np.linspace(0, 1, n)[:, None] for start, step, n in zip(path, ahead, steps, strict=False)]
    )
    total = path[-1] - path[0]
    side = np.array([-total[1], total[0]]) / max(float(np.hypot(*total)), 1e-6)
    height, width = sheet.canvas.shape
    for offset in (-1.0, 0.0, 1.0):
        track = np.rint(points + offset * side * (sheet.line / 2 + 0.6 * sheet.space)).astype(int)
        column, row = np.clip(track[:, 0], 0, width - 1), np.clip(track[:, 1], 0, height - 1)
        copper = sheet.canvas[row, column] > 0
        if copper.all() or copper[int(copper.argmin()) :].any():
            return False
    return True


def _claim(blocked: NDArray[np.bool_], end: tuple[int, int], own: list[tuple[int, int]]) -> bool:
    """Take the four cells round the end of a line for a large via; False where one belongs to somebody else."""
    rows, columns = blocked.shape
    around = [(end[0] + dx, end[1] + dy) for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1))]
    around = [cell for cell in around if 0 <= cell[0] < columns and 0 <= cell[1] < rows and cell not in own]
    if any(blocked[row, column] for column, row in around):
        return False
    for column, row in around:
        blocked[row, column] = True
    return True


def _exit_cell(x: float, y: float, heading: int, blocked: NDArray[np.bool_]) -> tuple[int, int] | None:
    """First free grid cell from a pin along its heading, at most 6 cells away."""
    for step in range(1, 7):
        cell = np.rint(np.array([x, y]) + DIRECTIONS[heading] * step).astype(int)
        column, row = int(cell[0]), int(cell[1])
        if not (0 <= row < blocked.shape[0] and 0 <= column < blocked.shape[1]):
            return None
        if not blocked[row, column]:
            return column, row
    return None


def _elbow(pin: Points, cell: Points) -> Points:
    """Pin and, where the grid is off its axis, a 45-degree corner towards the first cell."""
    delta = cell - pin
    short = float(np.abs(delta).min())
    corner = cell - np.sign(delta) * short
    return np.array([pin, corner]) if short > 0.5 else np.array([pin])


def _walk(
    blocked: NDArray[np.bool_],
    column: int,
    row: int,
    heading: int,
    longest: int,
    rng: np.random.Generator,
) -> list[tuple[int, int]]:
    """Cells of a line that turns by 45 degrees now and then; marks them, and what a diagonal squeezes past."""
    rows, columns = blocked.shape
    cells = [(column, row)]
    blocked[row, column] = True
    for _ in range(longest):
        turn = int(rng.choice((0, 0, 0, 0, 0, 0, 1, -1)))
        for change in (turn, 0, 1, -1):
            ahead = DIRECTIONS[(heading + change) % 8]
            x, y = column + int(ahead[0]), row + int(ahead[1])
            if not (0 <= x < columns and 0 <= y < rows) or blocked[y, x]:
                continue
            # Diagonal neighbours on the grid would come too close: a diagonal takes the cells beside it too.
            if ahead[0] and ahead[1]:
                beside = ((x, row), (column, y))
                if any(blocked[cell[1], cell[0]] and cell not in cells for cell in beside):
                    continue
                blocked[row, x] = blocked[y, column] = True
            heading = (heading + change) % 8
            column, row = x, y
            blocked[row, column] = True
            cells.append((column, row))
            break
        else:
            break
    return cells
