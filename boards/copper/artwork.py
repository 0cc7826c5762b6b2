"""Procedural copper artwork: a style for every sheet; boards are cut from a sheet or joined of several."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from boards.copper.canvas import Sheet, touches
from boards.copper.channels import divide
from boards.copper.design_rules import ISLAND_PX, obey, without_islands
from boards.copper.parts import parts
from boards.copper.planes import hatch, plane, pour, zigzag
from boards.copper.routing import bus, route
from boards.pixels.drawing import disc, line, octagon, polygon, rectangle
from boards.pixels.noise import Mask, blur

_BLOCK = 1100  # pixels: larger boards are made of several sheets
DOT_PX = 9.0  # radius of the smallest designed dot: of a smaller one nobody sees that it is round
THINNEST, NARROWEST = 0.6, 0.45  # of a sheet's line and space: finer copper and laminate break its design rules


@dataclass(frozen=True, slots=True)
class Artwork:
    """Copper as designed."""

    copper: Mask  # uint8 (H, W), 1 is copper; outer layers are not drilled yet
    vias: NDArray[np.float32]  # (N, 4): x, y, pad radius, hole radius in pixels
    pads: NDArray[np.float32]  # (M, 4): x, y, width, height of rectangular pads in pixels


def draw_artwork(size: tuple[int, int], um_per_px: float, rng: np.random.Generator, planes: bool = True) -> Artwork:
    """Random artwork of (height, width) pixels. `planes` allows plane and hatched layers (inner layers have them)."""
    height, width = size
    if height <= _BLOCK and width <= _BLOCK:
        # Cut from a larger sheet, so that lines leave the picture as they do in a photograph.
        spare = 160
        for _ in range(4):
            sheet = _sheet((height + spare, width + spare), um_per_px, rng, planes)
            y, x = (int(v) for v in rng.integers(0, spare, 2))
            artwork = _finish(sheet, (x, y), size)
            if artwork.copper.mean() > 0.03:  # an empty corner of a board teaches little
                break
        return artwork
    canvas = np.zeros(size, np.uint8)
    vias, pads = [], []
    for x0, y0, x1, y1 in _blocks(0, 0, width, height, rng):
        sheet = _sheet((y1 - y0, x1 - x0), um_per_px, rng, planes)
        edge = int(np.ceil(sheet.space))
        sheet.canvas[:edge] = sheet.canvas[-edge:] = 0
        sheet.canvas[:, :edge] = sheet.canvas[:, -edge:] = 0
        # What the cut leaves of a disc or a line is a crumb of copper.
        canvas[y0:y1, x0:x1] = without_islands(sheet.canvas, ISLAND_PX)
        vias += [(x + x0, y + y0, pad, hole) for x, y, pad, hole in sheet.vias]
        pads += [(x + x0, y + y0, w, h) for x, y, w, h in sheet.pads]
    return _finish(Sheet(canvas, 1, 1, vias, [], pads), (0, 0), size)


def _finish(sheet: Sheet, corner: tuple[int, int], size: tuple[int, int]) -> Artwork:
    x, y = corner
    height, width = size
    copper = (sheet.canvas[y : y + height, x : x + width] > 127).astype(np.uint8)
    shift = np.array([x, y, 0, 0], np.float32)
    vias = np.array(sheet.vias, np.float32).reshape(-1, 4) - shift
    pads = np.array(sheet.pads, np.float32).reshape(-1, 4) - shift
    return Artwork(copper, vias, pads)


def _blocks(x0: int, y0: int, x1: int, y1: int, rng: np.random.Generator) -> list[tuple[int, int, int, int]]:
    """Cut a rectangle into pieces of at most _BLOCK a side."""
    width, height = x1 - x0, y1 - y0
    if width <= _BLOCK and height <= _BLOCK:
        return [(x0, y0, x1, y1)]
    if width >= height:
        cut = x0 + int(width * rng.uniform(0.35, 0.65))
        return _blocks(x0, y0, cut, y1, rng) + _blocks(cut, y0, x1, y1, rng)
    cut = y0 + int(height * rng.uniform(0.35, 0.65))
    return _blocks(x0, y0, x1, cut, rng) + _blocks(x0, cut, x1, y1, rng)


def _sheet(size: tuple[int, int], um_per_px: float, rng: np.random.Generator, planes: bool) -> Sheet:
    """One sheet of one style."""
    # Lines of 75 to 300 um are 5 to 16 px in the pictures of inspection machines; a few boards are coarse.
    width = float(np.exp(rng.uniform(np.log(5), np.log(14))))
    if rng.random() < 0.35:
        width = float(rng.uniform(14, 36))
    width = max(width, 50 / um_per_px)
    # Outer layers carry drilled pads: wider grids leave room for their rings.
    apart = rng.uniform(0.75, 1.6) if planes else rng.uniform(1.0, 2.4)
    sheet = Sheet(np.zeros(size, np.uint8), width, max(width * float(apart), 4.0))
    style = rng.random()
    if planes and style < 0.14:
        plane(sheet, rng)
    elif planes and style < 0.20:
        hatch(sheet, rng)
    elif planes and style < 0.26:
        _meander(sheet, rng)
    elif planes and style < 0.46:
        divide(sheet, rng)
    else:
        if rng.random() < 0.4:
            _large(sheet, rng)
        for _ in range(int(rng.integers(0, 4))):
            bus(sheet, rng)
        parts(sheet, rng, float(rng.uniform(0.3, 2.0)))
        route(sheet, rng, float(rng.choice((0.15, 0.5, 1.2))))
        _decoys(sheet, rng)
        if rng.random() < 0.35:
            pour(sheet, rng)
    if rng.random() < 0.25:
        _round_corners(sheet, rng)
    copper = (sheet.canvas > 127).astype(np.uint8)
    sheet.canvas[:] = obey(copper, THINNEST * sheet.line, NARROWEST * sheet.space) * np.uint8(255)
    if planes and rng.random() < 0.6:
        _drill(sheet, rng)
    return sheet


def _large(sheet: Sheet, rng: np.random.Generator) -> None:
    """Power tracks and copper areas many lines wide, chamfered, with a few openings."""
    height, width = sheet.canvas.shape
    for _ in range(int(rng.integers(1, 6))):
        trial = np.zeros_like(sheet.canvas)
        x, y = float(rng.uniform(0, width)), float(rng.uniform(0, height))
        if rng.random() < 0.5:
            w, h = (float(np.exp(rng.uniform(np.log(50), np.log(450)))) for _ in range(2))
            octagon(trial, x, y, w, h) if rng.random() < 0.6 else rectangle(trial, x, y, w, h, min(w, h) * 0.1)
            for _ in range(int(rng.choice((0, 0, 1, 2, 4)))):
                hole = float(rng.uniform(8, 0.18 * min(w, h) + 9))
                hx, hy = x + float(rng.uniform(-0.35, 0.35)) * w, y + float(rng.uniform(-0.35, 0.35)) * h
                _opening(trial, hx, hy, hole, sheet.line)
        else:
            line(trial, zigzag(width, height, rng), float(rng.uniform(18, 80)))
        if not touches(sheet, trial):
            np.maximum(sheet.canvas, trial, out=sheet.canvas)


def _opening(canvas: Mask, x: float, y: float, radius: float, web: float) -> None:
    """A round opening where it leaves `web` px of copper all round; one that cut an edge would be a nick to anybody."""
    room = np.zeros_like(canvas)
    disc(room, x, y, radius + web)
    if canvas[room > 0].all():
        disc(canvas, x, y, radius, 0)


def _round_corners(sheet: Sheet, rng: np.random.Generator) -> None:
    """Curved routing, as older and flexible boards have it: bends lose their corners."""
    sigma = sheet.line * float(rng.uniform(0.2, 0.4))
    soft = blur(sheet.canvas.astype(np.float32), sigma)
    sheet.canvas[:] = np.where(soft > 127, 255, 0).astype(np.uint8)


def _meander(sheet: Sheet, rng: np.random.Generator) -> None:
    """Delay lines or resistive tracks: square or trapezoid waves, as copper or as slots in copper."""
    height, width = sheet.canvas.shape
    slots = bool(rng.random() < 0.5)
    if slots:
        sheet.canvas[:] = 255
    pitch = (sheet.line + sheet.space) * float(rng.uniform(1.0, 1.6))
    y = pitch
    while y < height - pitch:
        swing = pitch * float(rng.integers(1, 8))
        leg = pitch * float(rng.uniform(1.0, 3.0))
        slope = float(rng.choice((0.0, pitch / 2)))
        x, points = -leg, []
        while x < width + leg:
            points += [(x, y), (x + leg, y), (x + leg + slope, y + swing), (x + 2 * leg + slope, y + swing)]
            x += 2 * leg + 2 * slope
        line(sheet.canvas, np.array(points), sheet.space if slots else sheet.line, 0 if slots else 255)
        y += swing + pitch * float(rng.uniform(1.0, 3.0))
        if rng.random() < 0.3:
            line(
                sheet.canvas, np.array([(0, y), (width, y)]), sheet.space if slots else sheet.line, 0 if slots else 255
            )
            y += pitch * float(rng.uniform(1.0, 2.0))


def _decoys(sheet: Sheet, rng: np.random.Generator) -> None:
    """Designed features that look like defects and are none: lone dots, small pads, bridges, necks, stubs."""
    height, width = sheet.canvas.shape
    for _ in range(rng.poisson(5)):
        x, y = float(rng.uniform(0, width)), float(rng.uniform(0, height))
        radius = max(sheet.line * float(rng.uniform(0.7, 1.6)), DOT_PX)
        if sheet.free(x - radius, y - radius, x + radius, y + radius):
            if rng.random() < 0.6:
                disc(sheet.canvas, x, y, radius)
            else:
                rectangle(sheet.canvas, x, y, 2 * radius, 2 * radius * float(rng.uniform(0.6, 1.6)))
    for x, y, w, h in sheet.pads:
        if rng.random() < 0.04:  # neighbours joined by design: a straight neck of line width
            step = (w + sheet.space * 2, 0.0) if h >= w else (0.0, h + sheet.space * 2)
            if _is_copper(sheet.canvas, x + step[0], y + step[1]):  # half a bridge would be a spur to anybody
                line(sheet.canvas, np.array([(x, y), (x + step[0], y + step[1])]), sheet.line)
    if rng.random() < 0.3:  # a fiducial or a large land
        x, y = float(rng.uniform(0, width)), float(rng.uniform(0, height))
        radius = sheet.line * float(rng.uniform(3, 8))
        if sheet.free(x - radius, y - radius, x + radius, y + radius):
            shape = np.linspace(0, 2 * np.pi, int(rng.choice((4, 6, 8, 60))), endpoint=False) + np.pi / 4
            polygon(sheet.canvas, np.stack([x + radius * np.cos(shape), y + radius * np.sin(shape)], axis=1))


def _is_copper(canvas: Mask, x: float, y: float) -> bool:
    """Whether (x, y) lies on the canvas, on copper."""
    height, width = canvas.shape
    return 0 <= x < width and 0 <= y < height and bool(canvas[int(y), int(x)])


def _drill(sheet: Sheet, rng: np.random.Generator) -> None:
    """Open the middle of pads, as film for drilled or etched centres shows; small vias may stay closed."""
    smallest = float(rng.choice((0.0, sheet.line * 1.1)))
    for x, y, radius, hole in sheet.vias:
        if radius > smallest and hole >= 4:  # smaller ones could not be told from pinholes
            disc(sheet.canvas, x, y, hole, 0)
