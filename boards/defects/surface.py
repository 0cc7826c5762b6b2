"""Defects on top of the copper: scratches and foreign matter, and the harmless dirt that must not be called.

Every function changes `image` (uint8 (H, W, 3)) in place, before the camera's blur and noise, and returns the
box x1, y1, x2, y2 (pixels, x2 and y2 exclusive) of what visibly changed plus `margin`, or None for nothing.
A thresholded channel shows no surface: do not use these on `binary` looks.
"""

from __future__ import annotations

import cv2
import numpy as np

from boards.pixels.noise import Field, Image, IntPoint, Points, blur, smooth
from boards.pixels.paintwork import Box, commit, is_grey, patch_of
from boards.pixels.shapes import canvas_for, curve, fill, outline, stroke

FOREIGN_UM = (120.0, 3000.0)  # sizes of foreign objects
# Radius of harmless specks: the smallest defect planted, 50 um at 20 um a pixel, is 2.5 px across, and as nobody knows
# a picture's pitch by looking, no larger speck could be told from it at any.
SPECK_PX = 1.0
APART_PX = 60  # pieces of one scratch are joined over 40 px (pcb_aoi/engine/chains.py), and boxes of pieces are wide
TRIES = 6
BUNDLED_PX = 60.0  # length from which on a scratch may be a bundle of lines: in a shorter one they merge into a blot
SLENDER = 12.0  # how many times as long as thick a scratch is, and as the deviation of the lines of a bundle


def scratch(
    image: Image,
    rng: np.random.Generator,
    um_per_px: float = 20.8,
    margin: int = 5,
    length_um: float | None = None,
    start: tuple[float, float] | None = None,
    angle: float | None = None,
) -> Box | None:
    """Thin line or a bundle, straight or curved, bright or dark; 0.3 to 20 mm unless `length_um` is given.

    Its middle is at `start` (x, y; else a random place, on copper rather than laminate): long ones leave the
    picture.
    """
    height, width = image.shape[:2]
    length = (length_um or float(np.exp(rng.uniform(np.log(300), np.log(20_000))))) / um_per_px
    angle = float(rng.uniform(0, np.pi)) if angle is None else angle
    middle = start or bright_place(image, rng)
    count = 1 if length < BUNDLED_PX or rng.random() < 0.5 else int(rng.integers(2, 9))
    spread = min(float(rng.uniform(2, 9)) * np.sqrt(count), length / SLENDER)
    bend = 0.0 if rng.random() < 0.4 else float(rng.uniform(0.1, 0.8))
    backbone = curve(length, bend, rng, angle)
    canvas, corner = canvas_for(backbone + middle, 8 + 3 * spread, (height, width))
    if canvas.size == 0:
        return None
    across = np.array([-np.sin(angle), np.cos(angle)])
    for number in range(count):
        # One is as long as the scratch, all run past its middle: lines one after the other would be several scratches.
        first, last = (rng.uniform(0, 0.4), rng.uniform(0.6, 1)) if number else (0.0, 1.0)
        part = backbone[int(first * len(backbone)) : int(last * len(backbone)) + 2]
        offset = across * rng.normal(0, spread) if count > 1 else 0.0
        thickness = min(int(rng.choice((1, 1, 1, 2, 3))), max(int(length / SLENDER), 1))
        stroke(canvas, part + middle + offset - corner, thickness, int(rng.uniform(130, 255)))
    depth = canvas.astype(np.float32) / np.float32(255)
    if rng.random() < 0.6:  # the tool skips: strength varies along the line, sometimes down to nothing
        depth *= np.clip(0.75 + 0.5 * smooth(canvas.shape, 14.0, rng), 0, 1)
    return groove(image, depth, corner, margin, rng)


class Scratches:
    """The scratches of one board, apart from each other: two that meet are one to whoever boxes them."""

    def __init__(self, image: Image, um_per_px: float, margin: int, rng: np.random.Generator) -> None:
        """image: uint8 (H, W, 3), changed in place."""
        self.image, self.um_per_px, self.margin, self.rng = image, um_per_px, margin, rng
        self.taken = np.zeros(image.shape[:2], np.uint8)

    def lay(self, length_um: float | None = None) -> Box | None:
        """One more, or None where a few tries found none that can be seen and keeps APART_PX from the others."""
        for _ in range(TRIES):
            before = self.image.copy()
            box = scratch(self.image, self.rng, self.um_per_px, self.margin, length_um)
            changed = (self.image != before).any(axis=2).astype(np.uint8)
            near = np.asarray(cv2.dilate(changed, np.ones((2 * APART_PX + 1,) * 2, np.uint8)), np.uint8)
            if box is not None and not (near & self.taken).any():
                self.taken |= changed
                return box
            self.image[:] = before
        return None


def bright_place(image: Image, rng: np.random.Generator) -> tuple[float, float]:
    """The brightest of a few random pixels, as (x, y): copper where there is any."""
    height, width = image.shape[:2]
    x, y = rng.integers(0, width, 5), rng.integers(0, height, 5)
    best = int(image[y, x].sum(axis=1).argmax())
    return float(x[best]), float(y[best])


def groove(
    image: Image, depth: Field, corner: IntPoint, margin: int, rng: np.random.Generator, metal: Field | None = None
) -> Box | None:
    """Brighten or darken a groove of the given depth (0 to 1): strong on copper, faint on dark laminate.

    metal: how much of each pixel (0 to 1) is bare metal; the rest is solder mask, where any groove is a pale line.
    """
    patch = patch_of(image, depth.shape, corner)
    before = patch.astype(np.float32)
    bright = before.mean(axis=2, keepdims=True)
    style = rng.random()
    strength = np.float32(rng.uniform(0.5, 1.0))
    line = depth[:, :, None]
    if style < 0.5:  # fresh metal throws light into the lens; bare glass shows pale on laminate
        after = before + line * strength * (0.9 * (250 - before) * (bright / 255 + 0.25))
    elif style < 0.85:  # the groove throws light away
        after = before * (1 - line * strength)
    else:  # lit side and shadow side
        lower = np.roll(depth, (1, 1), (0, 1))[:, :, None]
        after = before + line * strength * (240 - before) * (bright / 255 + 0.2)
        after -= lower * strength * before * 0.8
    if metal is not None:
        pale = before + line * strength * np.float32(rng.uniform(0.2, 0.6)) * (210 - before)
        after = pale + metal[:, :, None] * (after - pale)
    return commit(patch, before, np.asarray(after, np.float32), corner, margin, line=True)


def foreign_object(
    image: Image,
    rng: np.random.Generator,
    um_per_px: float = 20.8,
    margin: int = 5,
    size_um: float | None = None,
    centre: tuple[float, float] | None = None,
) -> Box | None:
    """Fibre, dust lump or film flake of 0.1 to 3 mm, opaque enough to be seen on copper and on laminate."""
    height, width = image.shape[:2]
    size = (size_um or float(np.exp(rng.uniform(*np.log(FOREIGN_UM))))) / um_per_px
    size = max(size, 5.0)
    style = str(rng.choice(("fibre", "lump", "flake"), p=(0.35, 0.3, 0.35)))
    if style == "lump":
        size = min(size, 700 / um_per_px + 5)
    middle = centre or (float(rng.uniform(0, width)), float(rng.uniform(0, height)))
    shape = curve(size * 1.3, 2.5, rng) if style == "fibre" else _flake(size, style, rng)
    canvas, corner = canvas_for(shape + middle, 6, (height, width))
    if canvas.size == 0:
        return None
    if style == "fibre":
        stroke(canvas, shape + middle - corner, int(rng.choice((1, 2, 2, 3, 4))))
    else:
        fill(canvas, shape + middle - corner)
    alpha = canvas.astype(np.float32) / np.float32(255)
    if style == "flake":  # torn border and holes, as crumpled film and lint have
        torn = smooth(alpha.shape, max(1.2, size / 14), rng)
        torn_alpha = blur(alpha, max(1.0, size / 20)) * 2.2 + 0.55 * torn - 0.6
        alpha = np.clip(torn_alpha, 0, 1, dtype=np.float32)
    alpha = blur(alpha, 0.5) * np.float32(rng.uniform(0.7, 0.97))
    return _cover(image, alpha, corner, margin, rng)


def _flake(size: float, style: str, rng: np.random.Generator) -> Points:
    """Outline of a lump or a flake of the given longest size."""
    slim = rng.uniform(0.5, 1.0) if style == "lump" else rng.uniform(0.25, 0.9)
    return outline(size / 2, max(size / 2 * slim, 1.6), 0.3 if style == "lump" else 0.8, rng)


def _cover(image: Image, alpha: Field, corner: IntPoint, margin: int, rng: np.random.Generator) -> Box | None:
    """Lay opaque textured matter of a colour that stands out from what is below it."""
    patch = patch_of(image, alpha.shape, corner)
    before = patch.astype(np.float32)
    below = float((before.mean(axis=2) * alpha).sum() / max(float(alpha.sum()), 1e-6))
    level = float(rng.uniform(25, 150))
    if abs(level - below) < 35:  # invisible matter cannot be labelled
        step = 35 + float(rng.uniform(0, 60))
        level = below + step if below < 120 else below - step
    # Lint and film are grey with a little hue, rarely the blue-green of dry film. A grey camera sees grey.
    hue = rng.normal(0, 0.05, 3)
    if rng.random() < 0.2:
        hue = np.array([-0.25, 0.0, 0.25]) * rng.uniform(-0.5, 1)
    if is_grey(before):
        hue = np.zeros(3)
    lie = (3.0, 0.9) if rng.random() < 0.5 else (0.9, 3.0)  # fibres of lint have a direction
    texture = 1 + 0.06 * smooth(alpha.shape, 0.8, rng) + 0.12 * smooth(alpha.shape, lie, rng)
    texture += 0.14 * smooth(alpha.shape, 4.0, rng)
    colour = level * (1 + hue[None, None, :]) * np.clip(texture, 0.2, 2.0)[:, :, None]
    after = before
    if rng.random() < 0.5:  # matter has height: a soft shadow at its foot
        shadow = np.roll(blur(alpha, 2.0), (2, 1), (0, 1)) * np.float32(0.35)
        after = after * (1 - shadow[:, :, None])
    after = after + alpha[:, :, None] * (colour - after)
    return commit(patch, before, np.asarray(after, np.float32), corner, margin)


def harmless(image: Image, rng: np.random.Generator) -> None:
    """Dirt nobody rejects, left unlabelled: slow oxide shades, faint water marks, specks no larger than SPECK_PX."""
    height, width = image.shape[:2]
    if rng.random() < 0.5:
        shade = smooth((height, width), float(rng.uniform(30, 120)), rng)
        shade = 1 - np.float32(rng.uniform(0.03, 0.14)) * np.clip(shade - 0.6, 0, 1.5)
        tint = (1.0, 1.0, 1.0) if is_grey(image) else tuple(rng.uniform(0.8, 1.1, 3))
        for channel in range(3):
            plane = image[:, :, channel] * (1 - (1 - shade) * np.float32(tint[channel]))
            image[:, :, channel] = np.clip(plane, 0, 255)
    megapixels = height * width / 1e6
    for _ in range(rng.poisson(12 * megapixels)):
        middle = np.array([rng.uniform(0, width), rng.uniform(0, height)])
        radius = float(rng.uniform(0.5, SPECK_PX))
        speck = outline(radius, radius, 0.3, rng) + middle
        canvas, corner = canvas_for(speck, 3, (height, width))
        if canvas.size == 0:
            continue
        fill(canvas, speck - corner)
        patch = patch_of(image, canvas.shape, corner)
        alpha = canvas[:, :, None].astype(np.float32) / 255 * np.float32(rng.uniform(0.1, 0.35))
        patch[:] = np.clip(patch + alpha * (rng.uniform(20, 200) - patch), 0, 255)
