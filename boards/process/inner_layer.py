"""内层 inner layer: develop, etch, strip. Copper bright and laminate dark, or thresholded with copper black."""

from __future__ import annotations

import numpy as np

from boards.camera.shade import capture, paint
from boards.defects.etch import Etch
from boards.defects.etch_defects import ETCH_LABELS
from boards.defects.planting import Order, Truth, etched, scatter
from boards.defects.surface import FOREIGN_UM, Scratches, foreign_object, harmless
from boards.pixels.noise import Image
from training.traits import INNER_MARGIN_PX

LABELS = ("open", "short", "nick", "pinhole", "spur", "residual_copper", "scratch", "foreign_object")


def render(order: Order) -> tuple[Image, Truth]:
    """Draw an inner layer. A binary look shows no surface: scratches and foreign objects are left out of it."""
    etch_rng, paint_rng, surface_rng, camera_rng = order.rng.spawn(4)
    margin = INNER_MARGIN_PX
    process = Etch.sample(etch_rng)
    in_mask = [label for label in order.wanted if label in ETCH_LABELS]
    coverage, truth = etched(order.artwork.copper, in_mask, process, order.um_per_px, margin, etch_rng)
    image = paint(coverage, order.look, paint_rng)
    if order.look.kind != "binary":
        dirt(image, order, truth, margin, surface_rng)
    return capture(image, order.look, camera_rng), truth


def dirt(image: Image, order: Order, truth: Truth, margin: int, rng: np.random.Generator) -> None:
    """Harmless shades first, then the scratches and foreign objects of the plan."""
    harmless_rng, defect_rng = rng.spawn(2)
    harmless(image, harmless_rng)
    scratches = Scratches(image, order.um_per_px, margin, defect_rng)
    for label in order.wanted:
        if label == "scratch":
            truth.add(label, scratches.lay())
        elif label == "foreign_object":
            scatter(
                image,
                truth,
                label,
                lambda at, size: foreign_object(image, defect_rng, order.um_per_px, margin, size, at),
                FOREIGN_UM,
                order.um_per_px,
                defect_rng,
            )
