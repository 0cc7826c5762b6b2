"""酸性外层 acid outer layer: panel plate, tent, cupric chloride etch. As an inner layer, plus plated holes."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from boards.camera.look import Look
from boards.camera.shade import capture, paint
from boards.copper import drilling
from boards.defects import holes
from boards.defects.etch import Etch
from boards.defects.etch_defects import ETCH_LABELS, FINE_SIZES_UM
from boards.defects.planting import Order, Truth, etched
from boards.pixels.noise import Image
from boards.process.inner_layer import dirt
from training.traits import MARGIN_PX

LABELS = (
    "open",
    "short",
    "nick",
    "spur",
    "residual_copper",
    "broken_tent",
    "hole_breakout",
    "scratch",
    "foreign_object",
)

WHOLE = ("broken_tent", "hole_breakout")  # the pad is judged
LEAST_UM = {"scratch": 300.0}  # a shorter one is a speck


def render(order: Order) -> tuple[Image, Truth]:
    """Draw an acid-etched outer layer in grey or colour; a binary look is drawn grey."""
    etch_rng, hole_rng, paint_rng, surface_rng, camera_rng = order.rng.spawn(5)
    look = thick_copper(order.look, paint_rng)
    margin = MARGIN_PX
    size = order.artwork.copper.shape
    pads = drilling.usable(order.artwork.vias, order.artwork.copper)
    count = Counter(order.wanted)
    in_mask = [label for label in order.wanted if label in ETCH_LABELS]
    keep_out = drilling.mask_of(pads, (size[0], size[1]), 2.0)
    process = Etch.sample(etch_rng)
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
    defect_rng, clean_rng = hole_rng.spawn(2)
    vias, taken = drilling.drift(pads, clean_rng), set[int]()
    holes.break_out(coverage, vias, pads, count["hole_breakout"], margin, truth, taken, defect_rng)
    shifted = set(taken)
    holes.break_tent(coverage, vias, count["broken_tent"], margin, truth, taken, defect_rng)
    image = paint(coverage, look, paint_rng)
    holes.bore(image, vias, sorted(taken - shifted), look, clean_rng)
    dirt(image, order, truth, margin, surface_rng)
    return capture(image, look, camera_rng), truth


def thick_copper(look: Look, rng: np.random.Generator) -> Look:
    """Plated copper: coarser grain, a wider slope, a hint of light from one side."""
    return replace(
        look,
        kind="grey" if look.kind == "binary" else look.kind,
        grain=look.grain * float(rng.uniform(1.0, 1.25)),
        grain_px=look.grain_px * float(rng.uniform(1.0, 1.6)),
        rim=min(look.rim, 0.1) - 0.1,
        rim_px=look.rim_px * float(rng.uniform(1.2, 1.8)),
        relief=float(rng.uniform(0, 0.5)),
        relief_angle=float(rng.uniform(0, 2 * np.pi)),
    )
