"""Lines of signal layers: bundles across a sheet, and lines from pins on a 45-degree grid, vias at their ends."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from boards.copper.canvas import Sheet, touches
from boards.pixels.drawing import line, parallel, teardrop
from boards.pixels.noise import Points

DIRECTIONS = np.array([(1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1)])


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
