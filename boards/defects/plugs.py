"""Resin plugs of a board: where they are, which of them has which defect, and resin left on the copper."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from boards.camera.look import Look
from boards.defects.planting import Truth
from boards.defects.resin import Resin, Spot
from boards.pixels.noise import Image, blur, smooth
from boards.pixels.paintwork import Box, commit, is_grey, patch_of
from boards.pixels.shapes import canvas_for, fill, outline

RESIDUE_UM = (150.0, 3000.0)

Discs = NDArray[np.float32]  # (N, 3): x, y, radius in pixels


def layout(size: tuple[int, int], um_per_px: float, rng: np.random.Generator) -> Discs:
    """Fields, rows and single holes of one to three drill sizes between 0.15 and 0.5 mm."""
    height, width = size
    drills = np.exp(rng.uniform(np.log(150), np.log(500), int(rng.integers(1, 4)))) / um_per_px / 2
    discs: list[tuple[float, float, float]] = []

    def add(x: float, y: float, radius: float) -> None:
        if -radius < x < width + radius and -radius < y < height + radius:
            near = discs[-1500:]
            if all((x - a) ** 2 + (y - b) ** 2 > (radius + c + 6) ** 2 for a, b, c in near):
                discs.append((x, y, radius))

    area = height * width / 320**2
    for _ in range(int(rng.integers(1, 4) * max(area, 1) ** 0.8)):
        radius = float(rng.choice(drills))
        pitch = max(radius * float(rng.uniform(2.8, 6.5)), 2 * radius + 8)
        columns, rows = int(rng.integers(1, 12)), int(rng.integers(1, 9))
        stagger = float(rng.choice((0, 0, 0.5)))
        x0, y0 = float(rng.uniform(-0.2, 0.9) * width), float(rng.uniform(-0.2, 0.9) * height)
        for row in range(rows):
            for column in range(columns):
                if rng.random() < 0.93:
                    add(x0 + (column + stagger * (row % 2)) * pitch, y0 + row * pitch, radius)
    for _ in range(rng.poisson(6 * area)):
        add(float(rng.uniform(0, width)), float(rng.uniform(0, height)), float(rng.choice(drills)))
    return np.array(discs, np.float32).reshape(-1, 3)


def assign(discs: Discs, labels: Sequence[str], rng: np.random.Generator) -> dict[int, str]:
    """One defect a disc, on randomly chosen discs; labels beyond the number of discs are dropped."""
    order = rng.permutation(len(discs))
    return {int(index): label for index, label in zip(order, labels, strict=False)}


def draw(
    image: Image,
    discs: Discs,
    plan: dict[int, str],
    resin: Resin,
    look: Look,
    margin: int,
    truth: Truth,
    rng: np.random.Generator,
    defect_rng: np.random.Generator,
) -> None:
    """Paint all discs in place, those of the plan with their defect, and record it.

    Every disc takes its texture from `rng`, every defect its shape from `defect_rng`: sound discs look the same
    with and without defects elsewhere.
    """
    for index, (x, y, radius) in enumerate(discs.tolist()):
        disc_rng = rng.spawn(1)[0]
        reach = radius + 14
        frame = np.array([[x - reach, y - reach], [x + reach, y + reach]])
        canvas, corner = canvas_for(frame, 0, (image.shape[0], image.shape[1]))
        if canvas.size == 0:
            continue
        patch = patch_of(image, canvas.shape, corner)
        before = patch.astype(np.float32)
        spot = Spot(canvas.shape, x - float(corner[0]), y - float(corner[1]), radius)
        sound = spot.fill(before, resin, disc_rng)
        label = plan.get(index)
        if label is None:
            patch[:] = np.clip(sound, 0, 255).astype(np.uint8)
            continue
        patch[:] = np.clip(sound, 0, 255).astype(np.uint8)
        damaged = spot.damage(label, before, sound, resin, look, defect_rng)
        box = commit(patch, patch.astype(np.float32), damaged, corner, margin)
        if box is not None and label not in {"void", "crack"}:  # the whole plug is judged
            outer = radius + 2 + margin
            box = (
                min(x - outer, box[0]),
                min(y - outer, box[1]),
                max(x + outer, box[2]),
                max(y + outer, box[3]),
            )
        truth.add(label, box)


def residue(
    image: Image,
    resin: Resin,
    at: tuple[float, float],
    size_um: float,
    um_per_px: float,
    margin: int,
    rng: np.random.Generator,
) -> Box | None:
    """残胶: patch of resin of `size_um` left on the copper at `at` (x, y), worn through by the brush."""
    size = max(size_um / um_per_px, 8.0)
    shape = outline(size / 2, size / 2 * float(rng.uniform(0.25, 1)), 0.7, rng)
    canvas, corner = canvas_for(shape + at, 4, (image.shape[0], image.shape[1]))
    fill(canvas, shape + at - corner)
    worn = np.clip(1.0 + 0.7 * smooth(canvas.shape, (1.0, 18.0), rng) + 0.3 * smooth(canvas.shape, 6.0, rng), 0, 1)
    alpha = blur(canvas.astype(np.float32) / np.float32(255), float(rng.uniform(0.7, 2.5))) * worn
    alpha *= np.float32(rng.uniform(0.5, 0.95))
    patch = patch_of(image, canvas.shape, corner)
    before = patch.astype(np.float32)
    colour = np.array(resin.colour, np.float32) * (1 + 0.05 * smooth(canvas.shape, 2.0, rng))[:, :, None]
    if is_grey(before):
        colour = colour.mean(axis=2, keepdims=True)
    after = before + alpha[:, :, None] * (colour - before)
    return commit(patch, before, np.asarray(after, np.float32), corner, margin)
