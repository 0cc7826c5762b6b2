"""Finished boards: copper under solder mask, gold and OSP lands in its openings, white legend on top."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from boards.copper.artwork import Artwork
from boards.pixels.drawing import disc, line, rectangle
from boards.pixels.noise import Mask


@dataclass(frozen=True, slots=True)
class Land:
    """One mask opening: centre, size, corner radius in pixels, and its finish."""

    x: float
    y: float
    width: float
    height: float
    corner: float
    gold: bool


@dataclass(frozen=True, slots=True)
class Panel:
    """The layers of a finished board; masks are uint8 (H, W), 255 inside."""

    copper: Mask
    gold: Mask  # openings with gold
    osp: Mask  # openings with OSP copper
    ink: Mask  # legend
    lands: list[Land]


def lay_out(artwork: Artwork, rng: np.random.Generator) -> Panel:
    """Lands on the pads of the artwork, or rows of lands as modules and flexible boards have them."""
    height, width = artwork.copper.shape
    finish = str(rng.choice(("gold", "osp", "mixed"), p=(0.3, 0.25, 0.45)))
    # Dense pads of a signal layer are too small for finished-board inspection: rows are the commoner sight.
    if rng.random() < 0.4 and len(artwork.pads) >= 4:
        copper = artwork.copper * np.uint8(255)
        lands = _on_pads(artwork, finish, rng)
    else:
        copper = np.zeros((height, width), np.uint8)
        if rng.random() < 0.5:
            copper = artwork.copper * np.uint8(255)
        lands = _rows(height, width, finish, rng)
    gold, osp = np.zeros((height, width), np.uint8), np.zeros((height, width), np.uint8)
    grow = float(rng.choice((2.0, 4.0, -2.0)))  # opening smaller or larger than the copper below
    for land in lands:
        rectangle(copper, land.x, land.y, land.width + 2 * grow, land.height + 2 * grow, land.corner)
        _open(gold if land.gold else osp, land, 0.0)
    ink = _legend(height, width, lands, rng) if rng.random() < 0.7 else np.zeros((height, width), np.uint8)
    return Panel(copper, gold, osp, ink, lands)


def _open(canvas: Mask, land: Land, grow: float) -> None:
    rectangle(canvas, land.x, land.y, land.width + 2 * grow, land.height + 2 * grow, land.corner + max(grow, 0))


def _on_pads(artwork: Artwork, finish: str, rng: np.random.Generator) -> list[Land]:
    lands = []
    share = float(rng.uniform(0, 0.3))
    round_ones = bool(rng.random() < 0.5)
    for x, y, w, h in artwork.pads.tolist():
        gold = finish == "gold" or (finish == "mixed" and (x + y) % 97 < 48)
        lands.append(Land(x, y, w, h, min(w, h) / 2 if round_ones else 1.5, gold))
    for x, y, pad, _ in artwork.vias.tolist():
        if pad > 6 and rng.random() < share:
            lands.append(Land(x, y, 2 * pad, 2 * pad, pad, finish != "osp"))
    return lands


def _rows(height: int, width: int, finish: str, rng: np.random.Generator) -> list[Land]:
    """Bands of equal lands: rectangles, rounded rectangles, dots, fingers."""
    lands: list[Land] = []
    y = -float(rng.uniform(0, 30))
    while y < height:
        w = float(np.exp(rng.uniform(np.log(14), np.log(110))))
        h = w * float(rng.uniform(0.6, 1.6)) if rng.random() < 0.75 else float(rng.uniform(60, 160))
        kind = str(rng.choice(("round", "soft", "square")))
        if kind == "round":
            h = w
        corner = {"round": min(w, h) / 2, "soft": min(w, h) * 0.3, "square": 1.5}[kind]
        gap = float(rng.uniform(6, 40))
        gold = finish == "gold" or (finish == "mixed" and bool(rng.random() < 0.5))
        skip = 0.25 if rng.random() < 0.4 else 0.0
        rows = 2 if kind == "round" and rng.random() < 0.5 else 1
        for row in range(rows):
            x = -float(rng.uniform(0, w))
            while x < width + w:
                if rng.random() >= skip:
                    lands.append(Land(x + w / 2, y + h / 2, w, h, corner, gold))
                x += w + gap
            y += h + (gap if row + 1 < rows else float(rng.uniform(8, 70)))
    return lands


def _legend(height: int, width: int, lands: list[Land], rng: np.random.Generator) -> Mask:
    """White ink: names of parts, outlines, corner marks. Names keep clear of lands, as designers see to."""
    ink = np.zeros((height, width), np.uint8)
    keep_off = np.zeros_like(ink)
    for land in lands:
        _open(keep_off, land, 5.0)
    scale = float(rng.uniform(0.5, 1.6))
    thick = max(round(scale * 2.2), 1)
    wanted = int(rng.poisson(4 * max(height * width / 320**2, 0.5)) + 2)
    for _ in range(6 * wanted):
        trial = np.zeros_like(ink)
        if rng.random() < 0.75:
            _name(trial, scale, thick, rng)
            near = np.asarray(cv2.dilate(trial, np.ones((7, 7), np.uint8)), np.uint8)
            if ((near > 0) & ((ink > 0) | (keep_off > 0))).any():
                continue
        else:
            x, y = float(rng.uniform(-20, width)), float(rng.uniform(-20, height))
            w, h = float(rng.uniform(30, 160)), float(rng.uniform(30, 160))
            corners = np.array([(x, y), (x + w, y), (x + w, y + h), (x, y + h), (x, y)], np.float64)
            line(trial, corners[: int(rng.integers(2, 6))], thick)
            if ((trial > 0) & (ink > 0)).any():
                continue
        np.maximum(ink, trial, out=ink)
        wanted -= 1
        if wanted == 0:
            break
    ink[keep_off > 0] = 0
    return ink


def _name(canvas: Mask, scale: float, thick: int, rng: np.random.Generator) -> None:
    """Write the name of a part at a random place, along or up the board."""
    height, width = canvas.shape
    letters = "RCUJLDQTP"[int(rng.integers(9))] + str(int(rng.integers(1, 400)))
    at = (int(rng.uniform(-20, width)), int(rng.uniform(10, height)))
    cv2.putText(canvas, letters, at, cv2.FONT_HERSHEY_SIMPLEX, scale, (255,), thick, cv2.LINE_AA)
    if rng.random() < 0.3:
        turned = np.rot90(canvas)[:height, :width].copy()
        canvas[:] = 0
        canvas[: turned.shape[0], : turned.shape[1]] = turned


def probe_marks(image_shape: tuple[int, int], lands: list[Land], rng: np.random.Generator) -> Mask:
    """Marks of test needles: one to three small dots near the middle of many gold lands."""
    marks = np.zeros(image_shape, np.uint8)
    pattern = rng.normal(0, 0.22, (int(rng.integers(1, 4)), 2))
    size = float(rng.uniform(1.0, 2.2))
    share = float(rng.uniform(0.3, 1.0))
    for land in lands:
        if land.gold and min(land.width, land.height) > 16 and rng.random() < share:
            for dx, dy in pattern + rng.normal(0, 0.03, pattern.shape):
                disc(marks, land.x + dx * land.width, land.y + dy * land.height, size)
    return marks
