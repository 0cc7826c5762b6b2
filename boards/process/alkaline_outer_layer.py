"""碱性外层 alkaline outer layer: pattern plate, tin, strip, ammoniacal etch, tin strip. Rounded, overplated lines."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from boards.camera.look import Look
from boards.camera.shade import capture, paint
from boards.copper import drilling
from boards.defects import holes, plating
from boards.defects.etch import Etch
from boards.defects.etch_defects import ETCH_LABELS, FINE_SIZES_UM
from boards.defects.film import Film
from boards.defects.planting import Order, Truth, etched, scatter
from boards.defects.surface import Scratches, harmless
from boards.pixels.noise import Image, Mask
from training.traits import MARGIN_PX

LABELS = (
    "open",
    "short",
    "nick",
    "residual_copper",
    "film_pinch",
    "underplating",
    "residual_tin",
    "nodule",
    "scratch",
)
LEAST_UM = {"underplating": 200.0, "scratch": 300.0}  # a shorter fringe is a rough edge, a shorter scratch a speck


def render(order: Order) -> tuple[Image, Truth]:
    """Draw an alkaline-etched outer layer in grey or colour; a binary look is drawn grey."""
    etch_rng, hole_rng, film_rng, paint_rng, surface_rng, camera_rng = order.rng.spawn(6)
    look = overplated(order.look, paint_rng)
    margin = MARGIN_PX
    height, width = order.artwork.copper.shape
    vias = drilling.drift(drilling.usable(order.artwork.vias, order.artwork.copper), hole_rng)
    in_mask = [label for label in order.wanted if label in ETCH_LABELS]
    keep_out = drilling.mask_of(vias, (height, width), 2.0)
    process = Etch.sample(etch_rng, 1.3)
    coverage, truth = etched(
        order.artwork.copper,
        in_mask,
        process,
        order.um_per_px,
        margin,
        etch_rng,
        keep_out,
        FINE_SIZES_UM,
        thin=True,
        torn=order.torn,
    )
    film = Film(coverage, order.artwork.copper, order.um_per_px, margin, film_rng)
    count = Counter(order.wanted)
    for _ in range(count["film_pinch"]):
        film.pinch(truth)
    for _ in range(count["underplating"]):
        film.creep(truth)
    image = paint(coverage, look, paint_rng)
    _surface(image, order, order.artwork.copper & (1 - keep_out), truth, margin, surface_rng)
    holes.bore(image, vias, (), look, hole_rng)
    return capture(image, look, camera_rng), truth


def _surface(image: Image, order: Order, copper: Mask, truth: Truth, margin: int, rng: np.random.Generator) -> None:
    """Dirt, then tin, nodules and scratches of the plan; `copper`, uint8 (H, W), is 0 where holes will be bored."""
    harmless_rng, defect_rng = rng.spawn(2)
    harmless(image, harmless_rng)
    pitch = order.um_per_px
    scratches = Scratches(image, pitch, margin, defect_rng)
    for label in order.wanted:
        if label == "scratch":
            truth.add(label, scratches.lay())
        elif label == "residual_tin":
            scatter(
                image,
                truth,
                label,
                lambda at, size: plating.tin(image, copper, at, size, pitch, margin, defect_rng),
                plating.TIN_UM,
                pitch,
                defect_rng,
            )
        elif label == "nodule":
            scatter(
                image,
                truth,
                label,
                lambda at, size: plating.nodule(image, copper, at, size, pitch, margin, defect_rng),
                plating.NODULE_UM,
                pitch,
                defect_rng,
            )


def overplated(look: Look, rng: np.random.Generator) -> Look:
    """Matt copper after the tin strip, with broad rounded shoulders."""
    return replace(
        look,
        kind="grey" if look.kind == "binary" else look.kind,
        grain=look.grain * float(rng.uniform(1.1, 1.4)),
        grain_px=look.grain_px * float(rng.uniform(1.0, 1.8)),
        brush=look.brush * 0.4,
        rim=-float(rng.uniform(0.15, 0.5)),
        rim_px=float(rng.uniform(2.5, 5.0)),
        relief=float(rng.uniform(0.2, 1.0)),
        relief_angle=float(rng.uniform(0, 2 * np.pi)),
    )
