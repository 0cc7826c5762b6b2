"""Etched copper: what openings and closings take away or add, what is enclosed, and what is of another colour."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from training.baseline.blobs import (
    Blob,
    Call,
    Float,
    Mask,
    blobs,
    closed,
    deviation,
    grow,
    lab,
    opened,
    rare,
    rgb,
    shrink,
)
from training.scene import Image

RADII_PX = (2, 3.5, 6, 10, 16)  # of the discs that open and close: defects come in all widths
CORNER = 0.55  # depth of a residue over the radius: corners of right angles leave 0.41
OUTLIER = 5.0  # spreads from which a pixel is of another colour
WINDOW = 61  # px in which the usual colour is sought
EDGE = 3  # px along an edge whose colour is neither material's


@dataclass(frozen=True)
class Copper:
    """What threshold and components say of an image."""

    mask: Mask  # drilled holes filled in
    holes: list[Blob]  # round, enclosed by copper, not tiny: drilled
    pinholes: list[Blob]  # other enclosed spots of laminate


def near_binary(grey: Image) -> bool:
    """True for thresholded channels: hardly any half-tones. There copper is the dark side."""
    return float(((grey > 60) & (grey < 195)).mean()) < 0.08


def segment(image: Image, smallest_hole: int = 7) -> Copper:
    """Otsu's threshold on the smoothed grey image, then enclosed laminate sorted into drilled holes and pinholes.

    Round ones from `smallest_hole` px count as drilled.
    """
    grey = np.asarray(cv2.cvtColor(rgb(image), cv2.COLOR_RGB2GRAY), np.uint8)
    smooth = cv2.GaussianBlur(grey, (0, 0), 1.2)
    level, _ = cv2.threshold(smooth, 0, 255, cv2.THRESH_OTSU)
    bright = np.asarray(smooth > level)
    mask = ~bright if near_binary(grey) else bright
    mask = opened(mask, 1)
    holes: list[Blob] = []
    pinholes: list[Blob] = []
    for blob in blobs(~mask, 6, 40_000):
        if _at_border(blob, mask):
            continue
        if blob.roundness() > 0.65 and max(blob.mask.shape) >= smallest_hole:
            holes.append(blob)
        elif blob.area < 1500:
            pinholes.append(blob)
    filled = mask.copy()
    for blob in holes:
        height, width = blob.mask.shape
        filled[blob.y : blob.y + height, blob.x : blob.x + width] |= blob.mask
    return Copper(filled, holes, pinholes)


def _at_border(blob: Blob, mask: Mask) -> bool:
    height, width = mask.shape
    x1, y1, x2, y2 = blob.box
    return x1 <= 0 or y1 <= 0 or x2 >= width or y2 >= height


def residues(mask: Mask, radius: float, cut: str, bitten: str) -> list[Call]:
    """What an opening takes from `mask`: `cut` where the rest falls apart there, `bitten` where it stays whole.

    For copper that is short and spur; for laminate, which a closing of copper opens, open and nick.
    """
    core = opened(mask, radius)
    _, parts = cv2.connectedComponents(core.astype(np.uint8), connectivity=4)
    distance = cv2.distanceTransform((~core).astype(np.uint8), cv2.DIST_L2, 5)
    calls = []
    for blob in blobs(mask & ~core, 4, 4000):
        length, _ = blob.shape()
        if length > 8 * radius or _at_border(blob, mask):
            continue  # a line or gap by design
        depth = float(blob.of(distance).max()) / radius
        height, width = blob.mask.shape
        y, x = max(blob.y - 2, 0), max(blob.x - 2, 0)
        near = parts[y : blob.y + height + 2, x : blob.x + width + 2]
        around = np.pad(blob.mask, 2)[y - blob.y + 2 :, x - blob.x + 2 :][: near.shape[0], : near.shape[1]]
        sides = np.unique(near[grow(around, 2)])
        sides = sides[sides > 0]
        compact = min(1.0, 3 * radius / length)
        if len(sides) >= 2:
            calls.append(Call(cut, blob.box, min(depth, 2) * compact))
        elif len(sides) == 1 and depth > CORNER:
            calls.append(Call(bitten, blob.box, (depth - CORNER) * compact))
    return calls


def shapes(copper: Copper) -> list[Call]:
    """Opens, shorts, nicks, spurs and islands."""
    calls = []
    for radius in RADII_PX:
        calls += rare(residues(copper.mask, radius, "short", "spur"))
        calls += rare(residues(~copper.mask, radius, "open", "nick"))
    islands = []
    for blob in blobs(copper.mask, 6, 1500):
        if not _at_border(blob, copper.mask):
            islands.append(Call("residual_copper", blob.box, 200 / (50 + blob.area)))
    return calls + rare(islands)


def surface(colours: Float, copper: Copper) -> list[tuple[Blob, Float, bool]]:
    """Spots of another colour than their material: (blob, mean deviation (3,) in spreads, mostly on copper)."""
    away = np.zeros(colours.shape, np.float32)
    holes = np.zeros(copper.mask.shape, bool)
    for hole in copper.holes:
        height, width = hole.mask.shape
        holes[hole.y : hole.y + height, hole.x : hole.x + width] |= hole.mask
    for material in (copper.mask & ~holes, ~copper.mask):
        away += deviation(colours, shrink(material, EDGE), WINDOW)
    strange = np.asarray(np.linalg.norm(away, axis=2) > OUTLIER)
    # Wide enough to join what an edge between the materials parts.
    found = []
    for blob in blobs(closed(strange, EDGE + 3), 30):
        height, width = blob.mask.shape
        window = slice(blob.y, blob.y + height), slice(blob.x, blob.x + width)
        own = blob.mask & strange[window]
        mean = np.asarray(away[window][own].mean(axis=0), np.float32)
        found.append((blob, mean, bool(copper.mask[window][own].mean() > 0.5)))
    return found


def outside(calls: list[Call], spots: list[Call]) -> list[Call]:
    """The calls that do not lie mostly in the box of a larger spot: its texture is no etching."""
    kept = []
    for call in calls:
        x1, y1, x2, y2 = call.box
        inside = False
        for spot in spots:
            a, b, c, d = spot.box
            shared = max(0.0, min(x2, c) - max(x1, a)) * max(0.0, min(y2, d) - max(y1, b))
            area = (x2 - x1) * (y2 - y1)
            inside |= spot.slug != "scratch" and shared > 0.6 * area and (c - a) * (d - b) > 3 * area
        if not inside:
            kept.append(call)
    return kept


def scratch_or(blob: Blob, away: Float, other: str) -> Call:
    """`scratch` for a thin blob, else the other label."""
    length, width = blob.shape()
    thin = length > 5 * min(width, blob.area / length * 1.5) and length > 20
    strength = float(np.linalg.norm(away)) / 8 * min(1.0, blob.area / 60)
    return Call("scratch" if thin else other, blob.box, strength)


def spots(image: Image, copper: Copper, other: str) -> list[Call]:
    """Scratches, and spots called `other`."""
    return rare([scratch_or(blob, away, other) for blob, away, _ in surface(lab(image), copper)])


def inner_layer(image: Image) -> list[Call]:
    copper = segment(image)
    calls = shapes(copper)
    # Inner layers have no drilled holes: round or not, what copper encloses is a pinhole.
    for blob in copper.pinholes + copper.holes:
        if blob.area < 700:
            calls.append(Call("pinhole", blob.box, 100 / (50 + blob.area)))
    if near_binary(rgb(image)[:, :, 1]):
        return calls
    found = spots(image, copper, "foreign_object")
    return outside(calls, found) + found


def rings(copper: Copper) -> list[Call]:
    """Holes whose ring of copper is much narrower on one side (breakout) or all round eaten (broken tent)."""
    laminate = cv2.distanceTransform(copper.mask.astype(np.uint8), cv2.DIST_L2, 5)
    calls = []
    for hole in copper.holes:
        x1, y1, x2, y2 = hole.box
        radius = max(x2 - x1, y2 - y1) / 2
        angles = np.arange(24) * (2 * np.pi / 24)
        x = np.round((x1 + x2) / 2 + (radius + 1) * np.cos(angles)).astype(int).clip(0, copper.mask.shape[1] - 1)
        y = np.round((y1 + y2) / 2 + (radius + 1) * np.sin(angles)).astype(int).clip(0, copper.mask.shape[0] - 1)
        width = laminate[y, x]
        narrow, wide = float(width.min()), float(np.percentile(width, 80))
        pad = radius + wide
        box = ((x1 + x2) / 2 - pad, (y1 + y2) / 2 - pad, (x1 + x2) / 2 + pad, (y1 + y2) / 2 + pad)
        if narrow < 0.3 * wide:
            calls.append(Call("hole_breakout", box, 0.3 * wide / (narrow + 0.5)))
    return calls


def open_rings(image: Image, copper: Copper) -> list[Call]:
    """Drilled holes, darker than laminate, that laminate reaches: their ring is broken."""
    grey = cv2.GaussianBlur(cv2.cvtColor(rgb(image), cv2.COLOR_RGB2GRAY), (0, 0), 1.2)
    laminate = grey[shrink(~copper.mask, 4)]
    if not len(laminate):
        return []
    dark = np.asarray(grey < 0.6 * np.median(laminate))
    calls = []
    for blob in blobs(opened(dark, 2), 20, 5000):
        if blob.roundness() < 0.65 or _at_border(blob, copper.mask):
            continue
        wide = np.pad(blob.mask, 6)
        ring = grow(wide, 5) & ~grow(wide, 2)
        y, x = blob.y - 6, blob.x - 6
        if y < 0 or x < 0:
            continue
        window = copper.mask[y : y + wide.shape[0], x : x + wide.shape[1]]
        share = float(window[ring[: window.shape[0], : window.shape[1]]].mean())
        if 0.25 < share < 0.93:
            x1, y1, x2, y2 = blob.box
            more = 0.4 * (x2 - x1)
            # Off centre the ring is whole on the other side; eaten by the etchant it is thin and ragged all round.
            slug = "hole_breakout" if share > 0.55 else "broken_tent"
            calls.append(Call(slug, (x1 - more, y1 - more, x2 + more, y2 + more), 1.5 * (1 - share)))
    return calls


def acid_outer_layer(image: Image) -> list[Call]:
    copper = segment(image, 4)
    calls = shapes(copper) + rings(copper) + open_rings(image, copper)
    # A ragged edge inside a pad, where the etchant came through the hole.
    calls += rare([Call("broken_tent", blob.box, 60 / (40 + blob.area)) for blob in copper.pinholes])
    found = spots(image, copper, "foreign_object")
    return outside(calls, found) + found


def alkaline_outer_layer(image: Image) -> list[Call]:
    copper = segment(image, 4)
    calls = []
    for call in shapes(copper):
        x1, y1, x2, y2 = call.box
        long = max(x2 - x1, y2 - y1) > 3 * min(x2 - x1, y2 - y1)
        if call.slug == "spur":  # no such label here: a ragged fringe is underplating
            calls.append(Call("underplating", call.box, call.strength))
        elif call.slug == "short" and long:
            calls.append(Call("film_pinch", call.box, call.strength))
        else:
            calls.append(call)
    found = []
    for blob, away, on_copper in surface(lab(image), copper):
        light, _, yellow = away.tolist()
        if not on_copper:
            found.append(scratch_or(blob, away, "film_pinch"))
        else:  # tin is colourless and flat; a nodule is copper, with a bright and a dark side
            found.append(scratch_or(blob, away, "residual_tin" if yellow < -2 and abs(light) < 6 else "nodule"))
    found = rare(found)
    return outside(calls, found) + found
