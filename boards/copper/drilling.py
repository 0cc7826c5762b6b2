"""Holes of outer layers as designed: where they sit, in rings or straight in copper, and how far a drill drifts."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from boards.pixels.drawing import disc
from boards.pixels.noise import Mask

DIRECTIONS = 32  # round a pad in which its surroundings are looked at
RING_PX = 5.0  # the thinnest ring of a hole as designed: drill and etchant take some of it
SOUND_PX = 4.0  # what a drill that is off leaves of it: of 3 px nothing shows once they are etched, dulled and blurred
SMALLER = 0.5  # of its radius, to which a hole may be drilled to leave that ring

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
