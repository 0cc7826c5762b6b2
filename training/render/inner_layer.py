"""内层 inner layer: develop, etch, strip. Copper bright and laminate dark, or thresholded with copper black."""

from __future__ import annotations

import numpy as np

from training.render.defects import ETCH_LABELS
from training.render.etch import Etch
from training.render.noise import Image
from training.render.scene import Scene, Truth, etched, scatter
from training.render.shade import capture, paint
from training.render.surface import FOREIGN_UM, Scratches, foreign_object, harmless

LABELS = ("open", "short", "nick", "pinhole", "spur", "residual_copper", "scratch", "foreign_object")

MARGIN_PX = 10  # annotators of the public set of this process leave about that much round every defect


def render(scene: Scene) -> tuple[Image, Truth]:
    """Draw an inner layer. A binary look shows no surface: scratches and foreign objects are left out of it."""
    etch_rng, paint_rng, surface_rng, camera_rng = scene.rng.spawn(4)
    margin = MARGIN_PX
    process = Etch.sample(etch_rng)
    in_mask = [label for label in scene.wanted if label in ETCH_LABELS]
    coverage, truth = etched(scene.artwork.copper, in_mask, process, scene.um_per_px, margin, etch_rng)
    image = paint(coverage, scene.look, paint_rng)
    if scene.look.kind != "binary":
        dirt(image, scene, truth, margin, surface_rng)
    return capture(image, scene.look, camera_rng), truth


def dirt(image: Image, scene: Scene, truth: Truth, margin: int, rng: np.random.Generator) -> None:
    """Harmless shades first, then the scratches and foreign objects of the plan."""
    harmless_rng, defect_rng = rng.spawn(2)
    harmless(image, harmless_rng)
    scratches = Scratches(image, scene.um_per_px, margin, defect_rng)
    for label in scene.wanted:
        if label == "scratch":
            truth.add(label, scratches.lay())
        elif label == "foreign_object":
            scatter(
                image,
                truth,
                label,
                lambda at, size: foreign_object(image, defect_rng, scene.um_per_px, margin, size, at),
                FOREIGN_UM,
                scene.um_per_px,
                defect_rng,
            )
