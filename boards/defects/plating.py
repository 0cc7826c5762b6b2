"""What pattern plating leaves on boards: 锡残 residual tin, 铜瘤 nodules (thin copper under the film: film.py)."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from boards.copper.layer import conductor_at
from boards.pixels.noise import Image, IntPoint, Mask, blur, smooth
from boards.pixels.paintwork import Box, commit, is_grey, patch_of
from boards.pixels.shapes import canvas_for, fill, outline

TIN_UM = (100.0, 1500.0)
NODULE_UM = (60.0, 400.0)

CLUSTERED = 0.6  # of the radius: the smallest bump of a cluster
BARE = 0.5  # copper without tin beside a patch, as a share of the patch: what it is told from without colour
TIN_STEP = 55.0  # grey levels by which tin differs from copper where there is no colour to tell it


def tin(
    image: Image,
    copper: Mask,
    at: tuple[float, float],
    size_um: float,
    um_per_px: float,
    margin: int,
    rng: np.random.Generator,
) -> Box | None:
    """锡残: grey-silver matt patch of `size_um` on the conductor at `at` (x, y); None off the copper.

    On that conductor only: what stays on two lines side by side are two remnants to an annotator.
    """
    if not copper[int(at[1]), int(at[0])]:
        return None
    size = max(size_um / um_per_px, 6.0)
    shape = outline(size / 2, size / 2 * float(rng.uniform(0.35, 1)), 0.7, rng)
    canvas, corner = canvas_for(shape + at, 3, (image.shape[0], image.shape[1]))
    fill(canvas, shape + at - corner)
    x, y = int(corner[0]), int(corner[1])
    metal = conductor_at(copper[y : y + canvas.shape[0], x : x + canvas.shape[1]], at[0] - x, at[1] - y)
    patchy = np.clip(0.9 + float(rng.uniform(0.1, 0.6)) * smooth(canvas.shape, max(1.5, size / 12), rng), 0, 1)
    alpha = blur(canvas.astype(np.float32) / np.float32(255) * metal, 0.8) * patchy
    alpha *= np.float32(rng.uniform(0.55, 0.95))
    patch = patch_of(image, canvas.shape, corner)
    before = patch.astype(np.float32)
    if is_grey(before) and not _copper_beside(canvas, corner, copper, at, size):
        return None
    below = float((before.mean(axis=2) * alpha).sum() / max(float(alpha.sum()), 1e-6))
    level = float(rng.uniform(95, 215))
    if is_grey(before) and abs(level - below) < TIN_STEP:  # without colour only brightness tells tin from copper
        level = below + TIN_STEP if below < 140 else below - TIN_STEP
    colour = level * np.array([0.98, 1.0, 1.03] if not is_grey(before) else [1.0, 1.0, 1.0])
    matt = 1 + 0.07 * smooth(canvas.shape, 1.5, rng)
    after = before + alpha[:, :, None] * (colour * matt[:, :, None] - before)
    return commit(patch, before, after.astype(np.float32), corner, margin)


def _copper_beside(canvas: Mask, corner: IntPoint, copper: Mask, at: tuple[float, float], size: float) -> bool:
    """Whether enough of the conductor stays bare within half the patch's size of it: without, it looks as designed."""
    reach = int(size / 2)
    low, high = np.maximum(corner - reach, 0), corner + np.array(canvas.shape[::-1]) + reach
    own = conductor_at(copper[low[1] : high[1], low[0] : high[0]], at[0] - low[0], at[1] - low[1])
    x, y = corner - low
    covered = own[y : y + canvas.shape[0], x : x + canvas.shape[1]] & (canvas > 127)
    return bool(own.sum() >= (1 + BARE) * covered.sum())


def nodule(
    image: Image,
    copper: Mask,
    at: tuple[float, float],
    size_um: float,
    um_per_px: float,
    margin: int,
    rng: np.random.Generator,
) -> Box | None:
    """铜瘤: round bump of `size_um` on copper at `at` (x, y): bright cap towards the light, shadow behind.

    Or a cluster of up to four that grow together. Of copper, also where it bulges over a line's edge. None off the
    copper, and where it would reach another conductor.
    """
    if not copper[int(at[1]), int(at[0])]:
        return None
    radius = max(size_um / um_per_px / 2, 3.0)
    count = 1 if rng.random() < 0.7 else int(rng.integers(2, 5))
    offsets = _touching(count, radius, rng)
    reach = 2.2 * radius + 3 + float(np.abs(offsets).max())
    frame = np.array([[-reach, -reach], [reach, reach]]) + at
    canvas, corner = canvas_for(frame, 0, (image.shape[0], image.shape[1]))
    patch = patch_of(image, canvas.shape, corner)
    before = patch.astype(np.float32)
    after = before.copy()
    angle = float(rng.uniform(0, 2 * np.pi))
    light = np.array([np.cos(angle), np.sin(angle)])
    strength = float(rng.uniform(0.35, 0.8))
    rows, columns = np.mgrid[0 : canvas.shape[0], 0 : canvas.shape[1]].astype(np.float32)
    x, y = int(corner[0]), int(corner[1])
    window = copper[y : y + canvas.shape[0], x : x + canvas.shape[1]]
    own = conductor_at(window, at[0] - x, at[1] - y)
    inside = cv2.erode(own, np.ones((3, 3), np.uint8)) > 0  # the etched edge is dark
    colour = np.median(before[inside if inside.any() else own > 0], axis=0)
    for offset in offsets:
        size = radius * float(rng.uniform(CLUSTERED, 1.0)) if count > 1 else radius
        centre = np.array(at) + offset - corner
        dx, dy = (columns - np.float32(centre[0])) / size, (rows - np.float32(centre[1])) / size
        distance = np.hypot(dx, dy)
        body = np.clip((1 - distance) * size + 0.5, 0, 1)
        if (body[(window > 0) & (own == 0)] > 0).any():
            return None
        after += (0.85 * body)[:, :, None] * (colour - after)
        tilt = dx * np.float32(light[0]) + dy * np.float32(light[1])
        cap = np.exp(-(((dx - 0.35 * light[0]) ** 2 + (dy - 0.35 * light[1]) ** 2) / 0.12))
        cast = np.exp(-(((dx + 1.0 * light[0]) ** 2 + (dy + 1.0 * light[1]) ** 2) / 0.35)) * (1 - body)
        after *= (1 + body * (0.5 * strength * tilt - 0.25 * strength * distance**2))[:, :, None]
        after *= (1 - 0.7 * strength * cast)[:, :, None]
        after += (body * cap * strength)[:, :, None] * (245 - after)
    return commit(patch, before, after.astype(np.float32), corner, margin)


def _touching(count: int, radius: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Middles (count, 2) of bumps round (0, 0), each touching one before: two apart would be two defects."""
    middles = np.zeros((count, 2))
    for row in range(1, count):
        angle, step = rng.uniform(0, 2 * np.pi), rng.uniform(0.7, 2 * CLUSTERED) * radius
        middles[row] = middles[rng.integers(row)] + step * np.array([np.cos(angle), np.sin(angle)])
    return middles
