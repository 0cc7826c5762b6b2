"""The largest board that CVAT 2.15 can store, with defects where tiles meet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from boards.camera.look import Look
from boards.defects.surface import scratch
from boards.process.board import render_board
from pcb_aoi.engine.tiles import Grid

UInt8 = npt.NDArray[np.uint8]
Box = tuple[float, float, float, float]

HEIGHT, WIDTH = 10_900, 16_384  # 178.6 megapixels; Pillow in CVAT 2.15 refuses 178.9
BLOCK = 1000  # not a multiple of the tiles' stride, so that every block lies differently to the seams
UM_PER_PX = 20.8
MARGIN = 10  # the renderer's boxes have some room around the defect
PLANTED = dict.fromkeys(("open", "short", "nick", "pinhole", "spur", "residual_copper"), 7)


@dataclass(frozen=True)
class Planted:
    """A defect; `box` in pixels of its block or of the board."""

    label: str
    box: Box


@dataclass(frozen=True)
class OnSeam(Planted):
    """A defect on the board where tiles meet."""

    source: Planted
    flip: tuple[int, int]
    """Row and column of its block, modulo 2."""
    axes: int
    """1 on a seam, 2 on a corner where four tiles meet."""


def blocks(seed: int, kind: str) -> tuple[UInt8, UInt8, list[Planted]]:
    """Render a block of inner layer, clean and with defects; all else in the two is the same, pixel by pixel."""
    clean, bad = (
        render_board("inner-layer", (BLOCK, BLOCK), UM_PER_PX, Look(kind), np.random.default_rng(seed), defects)
        for defects in ({}, PLANTED)
    )
    planted = [
        Planted(label, (float(x1), float(y1), float(x2), float(y2)))
        for label, (x1, y1, x2, y2) in zip(bad.labels, bad.boxes, strict=True)
    ]
    return np.ascontiguousarray(clean.image[..., 0]), np.ascontiguousarray(bad.image[..., 0]), planted


def flipped(block: UInt8, row: int, column: int) -> UInt8:
    """Mirror every second block, so that conductors go on from block to block."""
    return block[:: -1 if row % 2 else 1, :: -1 if column % 2 else 1]


def flipped_box(box: Box, row: int, column: int) -> Box:
    x1, y1, x2, y2 = box
    if column % 2:
        x1, x2 = BLOCK - x2, BLOCK - x1
    if row % 2:
        y1, y2 = BLOCK - y2, BLOCK - y1
    return x1, y1, x2, y2


def tiled(block: UInt8) -> UInt8:
    """A whole board of one block."""
    pair = np.block([[flipped(block, row, column) for column in (0, 1)] for row in (0, 1)])
    rows, columns = -(-HEIGHT // len(pair)), -(-WIDTH // len(pair))
    return np.ascontiguousarray(np.tile(pair, (rows, columns))[:HEIGHT, :WIDTH])


def seams_crossed(box: Box, grid: Grid) -> int:
    """How many axes have a border of a tile inside the box: 1 on a seam, 2 on a corner where four tiles meet."""
    x1, y1, x2, y2 = box[0] + MARGIN, box[1] + MARGIN, box[2] - MARGIN, box[3] - MARGIN
    xs, ys = np.unique(grid.boxes[:, ::2]), np.unique(grid.boxes[:, 1::2])
    return int(((xs > x1) & (xs < x2)).any()) + int(((ys > y1) & (ys < y2)).any())


def plant_where_tiles_meet(board: UInt8, bad: UInt8, planted: list[Planted], grid: Grid) -> list[OnSeam]:
    """Paste each defect into every block where it falls on a seam."""
    found = []
    for row in range(HEIGHT // BLOCK):
        for column in range(WIDTH // BLOCK):
            source, left, top = flipped(bad, row, column), column * BLOCK, row * BLOCK
            for defect in planted:
                x1, y1, x2, y2 = flipped_box(defect.box, row, column)
                box = (x1 + left, y1 + top, x2 + left, y2 + top)
                if not (axes := seams_crossed(box, grid)):
                    continue
                part = np.s_[int(y1) : int(y2), int(x1) : int(x2)]
                board[top : top + BLOCK, left : left + BLOCK][part] = source[part]
                found.append(OnSeam(defect.label, box, defect, (row % 2, column % 2), axes))
    return found


def plant_scratch(board: UInt8, middle: tuple[int, int], length: int, angle: float, seed: int) -> Box | None:
    """Draw the renderer's scratch, `length` pixels long, around `middle`; its box, or None where nobody sees it."""
    x, y, reach = *middle, length // 2 + 60
    top, left = max(0, y - reach), max(0, x - reach)
    part = np.repeat(board[top : y + reach, left : x + reach, None], 3, axis=2)
    box = scratch(
        part,
        np.random.default_rng(seed),
        UM_PER_PX,
        MARGIN,
        length * UM_PER_PX,
        (float(x - left), float(y - top)),
        angle,
    )
    if box is None:
        return None
    board[top : y + reach, left : x + reach] = part[..., 0]
    x1, y1, x2, y2 = map(float, box)
    return x1 + left, y1 + top, x2 + left, y2 + top
