"""Drilled and plated holes of outer layers: how they look, and how they fail.

孔偏 hole breakout: the drill missed the pad, whose copper is whole. 孔破 broken tent: the hole is centred, but the
etchant got under the film and ate the ring and the wall.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from boards.camera.look import Look
from boards.copper.drilling import DIRECTIONS, Vias
from boards.defects.planting import Truth
from boards.pixels.drawing import polygon
from boards.pixels.noise import Field, Image, blur, smooth

BROKEN_PX = 3.0  # less than this is left of the ring of a broken tent
RING_SHOWS = 0.4  # share of them with laminate from which a pad is told from a plane


def break_out(
    coverage: Field,
    vias: Vias,
    pads: Vias,
    count: int,
    margin: int,
    truth: Truth,
    taken: set[int],
    rng: np.random.Generator,
) -> None:
    """Move `count` holes out of their pads, in place, towards laminate; the box is the pad with its hole."""
    for index in _pick(pads, truth, taken, (coverage.shape[0], coverage.shape[1]), rng):
        if count == 0:
            return
        x, y, pad, hole = (float(value) for value in pads[index])
        free = _free_directions(coverage, x, y, pad)
        if len(free) < RING_SHOWS * DIRECTIONS:
            continue
        angle = float(rng.choice(free))
        # The ring is open: from a notch that shows to most of the hole outside its pad.
        reach = pad - hole + max(hole * float(rng.uniform(0.12, 0.7)), 1.5)
        vias[index, 0], vias[index, 1] = x + reach * np.cos(angle), y + reach * np.sin(angle)
        count -= 1
        taken.add(index)
        hx, hy = float(vias[index, 0]), float(vias[index, 1])
        box = (
            min(x - pad, hx - hole) - margin,
            min(y - pad, hy - hole) - margin,
            max(x + pad, hx + hole) + margin,
            max(y + pad, hy + hole) + margin,
        )
        truth.add("hole_breakout", box)


def break_tent(
    coverage: Field, vias: Vias, count: int, margin: int, truth: Truth, taken: set[int], rng: np.random.Generator
) -> None:
    """Eat the copper round `count` centred holes, in place: a crescent, or the whole ring, with ragged border.

    Where it is eaten deepest less than BROKEN_PX is left, as nowhere on a sound board: a ring merely thinner is that
    of a wider hole, or of one a little off.
    """
    for index in _pick(vias, truth, taken, (coverage.shape[0], coverage.shape[1]), rng):
        if count == 0:
            return
        x, y, pad, hole = (float(value) for value in vias[index])
        if len(_free_directions(coverage, x, y, pad)) < RING_SHOWS * DIRECTIONS:
            continue
        ring = pad - hole
        span = float(rng.uniform(0.35, 1.0)) * np.pi  # half the angle of the crescent
        facing = rng.uniform(0, 2 * np.pi)
        angle = np.linspace(-np.pi, np.pi, 72)
        deepest = float(rng.uniform(max(0.45, 1 - BROKEN_PX / ring), 1.25)) * ring
        bite = np.clip((span - np.abs(angle)) / 0.5, 0, 1) * deepest
        ragged = rng.normal(0, 0.12, 72) * ring
        radius = hole + np.maximum(bite + np.where(bite > 0, ragged, 0), -0.5)
        canvas = np.zeros(coverage.shape, np.uint8)
        points = np.stack([x + radius * np.cos(angle + facing), y + radius * np.sin(angle + facing)], axis=1)
        polygon(canvas, points)
        lost = blur(canvas.astype(np.float32) / np.float32(255), 0.7)
        if float((coverage * lost).sum()) < 0.25 * np.pi * (pad**2 - hole**2) * 0.3:
            continue  # nothing there to eat: pad outside the picture
        coverage *= 1 - lost
        count -= 1
        taken.add(index)
        reach = max(pad, float(radius.max())) + margin
        truth.add("broken_tent", (x - reach, y - reach, x + reach, y + reach))


def _free_directions(coverage: Field, x: float, y: float, pad: float) -> NDArray[np.float64]:
    """Angles in which laminate begins where the pad ends. A pad inside a plane has none: nobody could tell its edge."""
    angles = np.linspace(-np.pi, np.pi, DIRECTIONS, endpoint=False)
    height, width = coverage.shape
    columns = np.clip(np.round(x + (pad + 3) * np.cos(angles)), 0, width - 1).astype(int)
    rows = np.clip(np.round(y + (pad + 3) * np.sin(angles)), 0, height - 1).astype(int)
    return np.asarray(angles[coverage[rows, columns] < 0.5], np.float64)


def bore(image: Image, vias: Vias, broken: Sequence[int], look: Look, rng: np.random.Generator) -> None:
    """Paint the holes: dark, a lighter wall on one side, a bright or dark knee; walls that lost copper are dull."""
    height, width = image.shape[:2]
    depth = float(rng.uniform(4, 26))
    wall = float(rng.uniform(0.1, 0.5))
    knee = float(rng.uniform(-0.5, 0.35))
    angle = rng.uniform(0, 2 * np.pi)
    for index, (x, y, _, hole) in enumerate(vias.tolist()):
        reach = int(hole + 6)
        x0, y0, x1, y1 = (
            max(int(x) - reach, 0),
            max(int(y) - reach, 0),
            min(int(x) + reach, width),
            min(int(y) + reach, height),
        )
        if x1 <= x0 or y1 <= y0:
            continue
        rows, columns = np.mgrid[y0:y1, x0:x1].astype(np.float32)
        dx, dy = columns + 0.5 - x, rows + 0.5 - y
        distance = np.hypot(dx, dy)
        open_air = np.clip(hole - distance + 0.5, 0, 1)[:, :, None]
        rim = np.exp(-(((distance - hole - 1) / 1.4) ** 2))[:, :, None]
        side = np.clip((dx * np.cos(angle) + dy * np.sin(angle)) / hole, 0, 1)
        lit = side * np.clip((distance / hole - 0.55) / 0.45, 0, 1) * wall
        metal = np.array(look.laminate if index in broken else look.copper, np.float32)
        inside = depth * (1 + 0.1 * smooth(distance.shape, 1.5, rng))[:, :, None] + lit[:, :, None] * metal
        patch = image[y0:y1, x0:x1].astype(np.float32)
        patch *= 1 + knee * rim
        patch += open_air * (inside - patch)
        image[y0:y1, x0:x1] = np.clip(patch, 0, 255).astype(np.uint8)


def _pick(vias: Vias, truth: Truth, taken: set[int], size: tuple[int, int], rng: np.random.Generator) -> list[int]:
    """Holes free of other defects and with their middle in the picture, in random order."""
    height, width = size
    order = rng.permutation(len(vias))
    return [
        int(index)
        for index in order
        if int(index) not in taken
        and 0 <= vias[index, 0] < width
        and 0 <= vias[index, 1] < height
        and vias[index, 2] - vias[index, 3] >= 2
        and not truth.hits(float(vias[index, 0]), float(vias[index, 1]), float(vias[index, 2]) + 4)
    ]
