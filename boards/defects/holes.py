"""Drilled and plated holes of outer layers: where they sit, how they look, and how they fail.

孔偏 hole breakout: the drill missed the pad, whose copper is whole. 孔破 broken tent: the hole is centred, but the
etchant got under the film and ate the ring and the wall.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from boards.camera.look import Look
from boards.defects.planting import Truth
from boards.pixels.drawing import disc, polygon
from boards.pixels.noise import Field, Image, Mask, blur, smooth

DIRECTIONS = 32  # round a pad in which its surroundings are looked at
RING_PX = 5.0  # the thinnest ring of a hole as designed: drill and etchant take some of it
SOUND_PX = 4.0  # what a drill that is off leaves of it: of 3 px nothing shows once they are etched, dulled and blurred
BROKEN_PX = 3.0  # less than this is left of the ring of a broken tent
SMALLER = 0.5  # of its radius, to which a hole may be drilled to leave that ring
RING_SHOWS = 0.4  # share of them with laminate from which a pad is told from a plane

Vias = NDArray[np.float32]  # (N, 4): x, y, pad radius, hole radius in pixels


def usable(vias: Vias, copper: Mask) -> Vias:
    """Holes of at least 3 px radius in a ring of copper, uint8 (H, W), that do not run into each other.

    Their pad radius is what the copper shows, at most the one given; a hole is drilled smaller, down to SMALLER of
    its radius, where that leaves a ring of RING_PX. Some may lie partly outside the picture. A hole without a ring is
    drilled after etching; at once, it would be a broken tent to anybody.
    """
    height, width = copper.shape
    kept: list[NDArray[np.float32]] = []
    for via in vias:
        x, y, pad, hole = (float(value) for value in via)
        if hole < 3 or not (-pad < x < width + pad and -pad < y < height + pad):
            continue
        pad = min(pad, _copper_radius(copper, x, y, pad))
        least = max(SMALLER * hole, 3.0)
        hole = min(hole, pad - RING_PX)
        if hole < least:
            continue
        if all((x - k[0]) ** 2 + (y - k[1]) ** 2 > (hole + k[3] + 2) ** 2 for k in kept):
            kept.append(np.array([x, y, pad, hole], np.float32))
    return np.array(kept, np.float32).reshape(-1, 4)


def stitches(copper: Mask, um_per_px: float, rng: np.random.Generator) -> Vias:
    """Holes straight in large copper, uint8 (H, W), with no ring of their own, as they tie the planes of two layers.

    On a grid, most of its places taken or few.
    """
    hole = max(float(np.exp(rng.uniform(np.log(60), np.log(220)))) / um_per_px, 3.0)
    pad = hole + RING_PX + 1
    depth = np.asarray(cv2.distanceTransform(copper, cv2.DIST_L2, 5), np.float32)
    step = np.exp(rng.uniform(np.log(3.5), np.log(14), 2)) * hole
    keep = float(rng.choice((1.0, 0.6, 0.2)))
    height, width = copper.shape
    x, y = np.meshgrid(*(np.arange(rng.uniform(0, s), end, s) for s, end in zip(step, (width, height), strict=True)))
    wanted = (depth[y.astype(int), x.astype(int)] > pad) & (rng.random(x.shape) < keep)
    found = np.stack((x[wanted], y[wanted]), axis=1)
    sizes = np.broadcast_to(np.array([pad, hole]), found.shape)
    return np.concatenate((found, sizes), axis=1).astype(np.float32)


def mounts(copper: Mask, um_per_px: float, rng: np.random.Generator) -> tuple[Mask, Vias]:
    """Large holes in a thin, even ring with laminate round it, as screws and pins of connectors have them.

    Returns the copper, uint8 (H, W), with room made in its planes and the rings in it, and the holes. Each lies where
    all was copper before, or all laminate, so that no line is cut.
    """
    copper = copper.copy()
    hole = min(max(float(np.exp(rng.uniform(np.log(150), np.log(900)))) / um_per_px, 8.0), 70.0)
    pad = hole + RING_PX + float(rng.uniform(0, max(4.0, 0.2 * hole)))
    room = pad * float(rng.uniform(1.15, 1.9))
    found = []
    for _ in range(int(rng.integers(1, 4))):  # a tile is some 6 mm wide
        depths = [cv2.distanceTransform(side, cv2.DIST_L2, 5) for side in (copper, 1 - copper)]
        rows, columns = np.nonzero(np.maximum(*depths) > room + 3)
        if not len(rows):
            break
        at = int(rng.integers(len(rows)))
        x, y = float(columns[at]), float(rows[at])
        canvas = copper * np.uint8(255)
        disc(canvas, x, y, room, 0)
        disc(canvas, x, y, pad)
        copper = (canvas > 127).astype(np.uint8)
        found.append((x, y, pad, hole))
    return copper, np.array(found, np.float32).reshape(-1, 4)


def _copper_radius(copper: Mask, x: float, y: float, pad: float) -> float:
    """How far copper reaches round a point in every direction, at most `pad`; what the picture cuts off is copper."""
    height, width = copper.shape
    angles = np.linspace(-np.pi, np.pi, DIRECTIONS, endpoint=False)
    radii = np.arange(1, pad + 1)[:, None]
    columns = np.round(x + radii * np.cos(angles)).astype(int)
    rows = np.round(y + radii * np.sin(angles)).astype(int)
    seen = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    bare = seen & (copper[rows.clip(0, height - 1), columns.clip(0, width - 1)] == 0)
    ends = np.flatnonzero(bare.any(axis=1))
    return float(ends[0]) if len(ends) else pad


def drift(vias: Vias, rng: np.random.Generator) -> Vias:
    """Harmless misregistration: one shift for the board, a little of its own for every hole."""
    moved = vias.copy()
    ring = vias[:, 2] - vias[:, 3]
    angle, share = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.35)
    common = np.array([np.cos(angle), np.sin(angle)]) * share
    own = rng.normal(0, 0.07, (len(vias), 2))
    shift = (common + own) * ring[:, None]
    length = np.hypot(shift[:, 0], shift[:, 1])
    allowed = np.clip(np.minimum(0.5 * ring, ring - SOUND_PX), 0, None)
    moved[:, :2] += (shift * np.minimum(1, allowed / np.maximum(length, 1e-6))[:, None]).astype(np.float32)
    return moved


def mask_of(vias: Vias, size: tuple[int, int], grow: float = 0.0) -> Mask:
    """Discs of the holes plus `grow` pixels, uint8 (H, W), 0 or 1."""
    canvas = np.zeros(size, np.uint8)
    for x, y, _, hole in vias:
        disc(canvas, float(x), float(y), float(hole) + grow)
    return (canvas > 127).astype(np.uint8)


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
