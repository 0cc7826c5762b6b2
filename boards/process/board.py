"""The entry: one function's board, defects planted, drawn as its camera sees it, with exact boxes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from boards.camera.look import Look
from boards.camera.visible import measure
from boards.copper import drilling, ties
from boards.copper.artwork import Artwork, draw_artwork
from boards.defects.planting import Order, Truth
from boards.defects.shape_bank import ShapeBank
from boards.pixels.noise import Image
from boards.process import acid_outer_layer, alkaline_outer_layer, gold_osp, inner_layer, resin_plug
from training.traits import LINES


@dataclass(frozen=True, slots=True)
class RenderedBoard:
    """A picture and what was planted in it."""

    image: Image  # uint8 (H, W, 3) RGB
    boxes: NDArray[np.float32]  # (N, 4) x1, y1, x2, y2 in pixels, clipped to the picture
    labels: list[str]  # N slugs
    clean: Image | None = None  # the same board without its defects, pixel for pixel; not known of inner layers


@dataclass(frozen=True, slots=True)
class Process:
    """What distinguishes one function: its labels, and how its order is made."""

    labels: tuple[str, ...]
    um_per_px: float  # native pitch
    planes: bool  # whether its artwork has plane and hatched layers
    render: Callable[[Order], tuple[Image, Truth]]
    # Labels judged as a whole pad or plug, whose box is drawn round that. None: an inner layer, whose boxes have the
    # wide margins of the public set's annotators and are measured in the etched copper (planting.etched).
    whole: tuple[str, ...] | None = ()
    # What must show of a label, in um along the longer side: less is a remnant that nobody could name.
    least_um: Mapping[str, float] = field(default_factory=dict)


PROCESSES: Mapping[str, Process] = {
    "inner-layer": Process(inner_layer.LABELS, 20.8, True, inner_layer.render, None),
    "acid-outer-layer": Process(
        acid_outer_layer.LABELS,
        10.0,
        False,
        acid_outer_layer.render,
        acid_outer_layer.WHOLE,
        least_um=acid_outer_layer.LEAST_UM,
    ),
    "alkaline-outer-layer": Process(
        alkaline_outer_layer.LABELS, 10.0, False, alkaline_outer_layer.render, least_um=alkaline_outer_layer.LEAST_UM
    ),
    "resin-plug": Process(resin_plug.LABELS, 10.0, False, resin_plug.render, resin_plug.WHOLE),
    "gold-osp": Process(gold_osp.LABELS, 10.0, False, gold_osp.render, gold_osp.WHOLE),
}


def render_board(
    function: str,
    size: tuple[int, int],
    um_per_px: float | None,
    look: Look,
    rng: np.random.Generator,
    defects: Mapping[str, int] | float = 0.0,
    clean_share: float = 0.0,
    artwork: Artwork | None = None,
    shapes: ShapeBank | None = None,
    extras: bool = False,
) -> RenderedBoard:
    """Draw a board of (height, width) pixels.

    function: a folder name under functions/. um_per_px: pixel pitch, None for the function's native one.
    defects: how many of each label to plant, or the mean number of defects per megapixel over all labels.
    clean_share: probability of planting nothing at all. artwork: what to draw; procedural when None.
    shapes: outlines of real defects (gold-osp uses them beside invented ones).
    extras: for training, whether a drilled board gets more than its artwork has: holes straight in large copper, large
    ones in thin rings, ties between pads; and opens and nicks that leave some copper.
    Defects that find no place, or that nobody could see, are left out: believe the boxes, not the plan.
    Raises ValueError for unknown functions and labels.
    """
    if function not in PROCESSES:
        raise ValueError(f"unknown function {function!r}, expected one of {sorted(PROCESSES)}")
    process = PROCESSES[function]
    pitch = um_per_px or process.um_per_px
    # One stream per purpose: a board and its defect-free twin share artwork, etch, texture and noise.
    plan_rng, art_rng, scene_rng = rng.spawn(3)
    wanted = _plan(process.labels, size, defects, plan_rng)
    if plan_rng.random() < clean_share:
        wanted = []
    if artwork is None:
        artwork = draw_artwork(size, pitch, art_rng, process.planes)
    if extras:
        copper, large = drilling.mounts(ties.tie(artwork, art_rng), pitch, art_rng)
        vias = np.concatenate((artwork.vias, large, drilling.stitches(copper, pitch, art_rng)))
        artwork = replace(artwork, copper=copper, vias=vias)
    twin_rng = copy.deepcopy(scene_rng)
    image, truth = process.render(Order(artwork, pitch, look, wanted, scene_rng, shapes, extras))
    boxes, labels = truth.clipped(size)
    if process.whole is None:
        return RenderedBoard(image, boxes, labels)
    if not labels:
        return RenderedBoard(image, boxes, labels, image)
    clean, _ = process.render(Order(artwork, pitch, look, [], twin_rng, shapes, extras))
    least = np.array([process.least_um.get(label, 0.0) / pitch for label in labels], np.float32)
    lines = np.isin(labels, LINES)
    image, boxes, shows = measure(image, clean, boxes, np.isin(labels, process.whole), least=least, lines=lines)
    return RenderedBoard(image, boxes[shows], [label for label, kept in zip(labels, shows, strict=True) if kept], clean)


def _plan(
    labels: tuple[str, ...], size: tuple[int, int], defects: Mapping[str, int] | float, rng: np.random.Generator
) -> list[str]:
    """List of labels to plant, shuffled."""
    if isinstance(defects, Mapping):
        for label in defects:
            if label not in labels:
                raise ValueError(f"unknown label {label!r}, expected one of {labels}")
        wanted = [label for label, count in defects.items() for _ in range(count)]
    else:
        count = int(rng.poisson(defects * size[0] * size[1] / 1e6))
        wanted = [labels[int(index)] for index in rng.integers(0, len(labels), count)]
    rng.shuffle(wanted)
    return wanted
