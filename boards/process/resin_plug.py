"""树脂塞孔 resin plug: holes filled with resin, baked and ground flat, before the copper cap is plated."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from boards.camera.look import Look
from boards.camera.shade import capture, paint
from boards.defects import plugs
from boards.defects.planting import Order, Truth, scatter
from boards.defects.resin import Resin
from boards.defects.surface import FOREIGN_UM, foreign_object, harmless
from boards.pixels.noise import Image, smooth
from training.traits import MARGIN_PX

LABELS = (
    "missing_plug",
    "underfill",
    "dimple",
    "void",
    "crack",
    "resin_residue",
    "knee_copper_loss",
    "foreign_object",
)

WHOLE = ("missing_plug", "underfill", "dimple", "knee_copper_loss")  # the plug is judged


def render(order: Order) -> tuple[Image, Truth]:
    """Draw a ground panel: copper everywhere, resin discs where the artwork has holes; a binary look is grey."""
    layout_rng, paint_rng, plug_rng, surface_rng, camera_rng = order.rng.spawn(5)
    look = ground_copper(order.look, paint_rng)
    margin = MARGIN_PX
    height, width = order.artwork.copper.shape
    image = paint(np.ones((height, width), np.float32), look, paint_rng)
    _grind(image, look, paint_rng)
    clean_rng, defect_rng = surface_rng.spawn(2)
    harmless(image, clean_rng)
    discs = plugs.layout((height, width), order.um_per_px, layout_rng)
    truth = Truth()
    style = Resin.sample(look, plug_rng)
    # Smears lie below the plugs, so that the plugs stay in sight; dirt lies on top of everything.
    for label in order.wanted:
        if label == "resin_residue":
            scatter(
                image,
                truth,
                label,
                lambda at, size: plugs.residue(image, style, at, size, order.um_per_px, margin, defect_rng),
                plugs.RESIDUE_UM,
                order.um_per_px,
                defect_rng,
            )
    of_plugs = [label for label in order.wanted if label not in {"resin_residue", "foreign_object"}]
    plan = plugs.assign(discs, of_plugs, defect_rng)
    plugs.draw(image, discs, plan, style, look, margin, truth, plug_rng, defect_rng)
    for label in order.wanted:
        if label == "foreign_object":
            scatter(
                image,
                truth,
                label,
                lambda at, size: foreign_object(image, defect_rng, order.um_per_px, margin, size, at),
                FOREIGN_UM,
                order.um_per_px,
                defect_rng,
            )
    return capture(image, look, camera_rng), truth


def ground_copper(look: Look, rng: np.random.Generator) -> Look:
    """Bright copper with strong brush lines in one direction."""
    gain = float(rng.uniform(1.0, 1.2))
    red, green, blue = (min(value * gain, 240.0) for value in look.copper)
    return replace(
        look,
        kind="grey" if look.kind == "binary" else look.kind,
        copper=(red, green, blue),
        brush=look.brush + float(rng.uniform(0.03, 0.10)),
        rim=0.0,
        relief=0.0,
    )


def _grind(image: Image, look: Look, rng: np.random.Generator) -> None:
    """Single grinding marks over the brush texture, and often a second, fainter direction across it."""
    height, width = image.shape[:2]
    long = float(rng.uniform(60, 200))
    streak = (0.6, long) if look.brush_vertical else (long, 0.6)
    marks = np.maximum(smooth((height, width), streak, rng) - 1.2, 0) * np.float32(rng.uniform(0.05, 0.22))
    if rng.random() < 0.5:
        cross = streak[::-1]
        marks += np.maximum(smooth((height, width), cross, rng) - 1.2, 0) * np.float32(rng.uniform(0.02, 0.1))
    marks *= np.float32(rng.choice((-1.0, 1.0)))
    image[:] = np.clip(image * (1 + marks[:, :, None]), 0, 255).astype(np.uint8)
