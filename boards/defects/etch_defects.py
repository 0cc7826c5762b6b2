"""Etching defects planted in the copper mask before the etch: open, short, nick, pinhole, spur, residual copper.

Works on any mask, drawn or thresholded from a photograph. A proposal counts only if it does to the copper what
its name says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from boards.copper.layer import Layer, Proposal, pieces
from boards.defects.proposals import PROPOSE
from boards.pixels.noise import Mask

Sizes = Mapping[str, tuple[float, float]]  # longest size in um, from and to

# Inner layers: the ranges of the label tables, widened to what annotated boards show.
SIZES_UM: Sizes = {
    "open": (60, 1000),
    "short": (60, 1000),
    "nick": (90, 700),
    "pinhole": (80, 750),
    "spur": (90, 700),
    "residual_copper": (100, 1000),
}
ETCH_LABELS = tuple(SIZES_UM)

# Outer layers are photographed at half the pitch, and their annotated defects are smaller.
FINE_SIZES_UM: Sizes = {
    "open": (50, 700),
    "short": (50, 700),
    "nick": (50, 320),
    "pinhole": (50, 300),
    "spur": (50, 320),
    "residual_copper": (50, 600),
}

HOLLOW = 0.6  # share of a nick that lies within the hull of what is left
_TRIES = 60
_CLEAR = 6  # pixels of peace round every defect


@dataclass(frozen=True, slots=True)
class Plant:
    """One planted defect and the window of the mask it touched: x1, y1, x2, y2 in pixels, end exclusive."""

    label: str
    window: tuple[int, int, int, int]


def plant(
    mask: Mask,
    labels: Sequence[str],
    um_per_px: float,
    rng: np.random.Generator,
    keep_out: Mask | None = None,
    sizes: Sizes = SIZES_UM,
) -> tuple[Mask, list[Plant]]:
    """Plant one defect per entry of `labels`; entries that find no place are left out.

    mask: uint8 (H, W), 1 is copper. keep_out: uint8 (H, W), 1 where nothing may be planted.
    Returns the changed mask and what was planted. No defect is smaller than 4 px.
    """
    for label in labels:
        if label not in SIZES_UM:
            raise ValueError(f"unknown etch defect {label!r}, expected one of {ETCH_LABELS}")
    layer = Layer(mask)
    if keep_out is not None:
        layer.used |= keep_out
    planted = []
    for label in labels:
        low, high = sizes[label]
        for _ in range(_TRIES):
            size = float(np.exp(rng.uniform(np.log(low), np.log(high)))) / um_per_px
            proposal = PROPOSE[label](layer, max(size, 4.0), rng)
            if proposal is not None and _accept(layer, label, proposal, rng):
                x, y = int(proposal.corner[0]), int(proposal.corner[1])
                height, width = proposal.patch.shape
                planted.append(Plant(label, (x, y, x + width, y + height)))
                break
    return layer.mask, planted


def does_what_it_says(label: str, before: Mask, after: Mask) -> bool:
    """Whether the change of a mask window is the defect `label`: how copper and laminate fall to pieces."""
    parts, gaps = np.subtract(pieces(after), pieces(before))
    return {
        "open": bool(parts >= 1),
        "short": bool(parts <= -1),
        "nick": bool(parts == 0 and gaps == 0),
        "pinhole": bool(parts == 0 and gaps >= 1),
        "spur": bool(parts == 0 and gaps == 0),
        "residual_copper": bool(parts >= 1 and gaps == 0),
    }[label]


def still_is(label: str, before: Mask, after: Mask) -> bool:
    """Whether an etched window still shows `label`: nothing healed, opened to an edge, or closed off from it."""
    if label in {"open", "short"}:
        return does_what_it_says(label, before, after)
    grown = np.asarray(cv2.dilate((before != after).astype(np.uint8), np.ones((3, 3), np.uint8)), np.uint8) == 1
    # Copper losses meet laminate at an edge or nowhere; copper gains meet copper likewise.
    other = 0 if label in {"nick", "pinhole"} else 1
    touches = bool((grown & (before == other)).any())
    if label == "nick":
        return touches and is_dent(before, after)
    return touches == (label == "spur")


def is_dent(before: Mask, after: Mask) -> bool:
    """Whether copper lost at an edge leaves a dent, and not an outline as a layout might have it: an end cut short.

    A dent is hollow: the convex hull of the conductor that is left round it takes enough of the lost copper in.
    """
    lost = before & (1 - after)
    x, y, width, height = cv2.boundingRect(lost)
    if not width:
        return False
    reach = max(max(width, height) // 2, 6)
    near = (slice(max(y - reach, 0), y + height + reach), slice(max(x - reach, 0), x + width + reach))
    lost = lost[near]
    _, nets = cv2.connectedComponents(np.ascontiguousarray(before[near]), connectivity=8)
    left = np.isin(nets, np.unique(nets[lost > 0])) & (after[near] > 0)
    points = cv2.findNonZero(left.astype(np.uint8))
    if points is None:
        return False
    hull = cv2.fillConvexPoly(np.zeros_like(lost), cv2.convexHull(points), (1,))
    return bool(hull[lost > 0].mean() >= HOLLOW)


def _accept(layer: Layer, label: str, proposal: Proposal, rng: np.random.Generator) -> bool:
    """Apply a proposal if it is inside the picture, on unused ground, and does what its label says."""
    x, y = int(proposal.corner[0]), int(proposal.corner[1])
    height, width = proposal.patch.shape
    rows, columns = layer.mask.shape
    if min(height, width) == 0 or x < 1 or y < 1 or x + width > columns - 1 or y + height > rows - 1:
        return False
    window = (slice(y, y + height), slice(x, x + width))
    if layer.used[window].any():
        return False
    before = layer.mask[window]
    after = before | proposal.patch if proposal.add else before & (1 - proposal.patch)
    if int((before != after).sum()) < 8 or not does_what_it_says(label, before, after):
        return False
    if rng.random() < 0.25:
        after = _speckle(before, after, label, rng)
    layer.mask[window] = after
    layer.used[max(y - _CLEAR, 0) : y + height + _CLEAR, max(x - _CLEAR, 0) : x + width + _CLEAR] = 1
    return True


def _speckle(before: Mask, after: Mask, label: str, rng: np.random.Generator) -> Mask:
    """Leave crumbs of the old state inside the defect, as thresholded channels show; not where it would matter."""
    changed = np.asarray(cv2.erode((before != after).astype(np.uint8), np.ones((2, 2), np.uint8)), np.uint8)
    crumbs = (rng.random(before.shape) < rng.uniform(0.08, 0.3)) & (changed == 1)
    crumbs = np.asarray(cv2.dilate(crumbs.astype(np.uint8), np.ones((2, 2), np.uint8)), np.uint8) == 1
    mixed = np.where(crumbs & (changed == 1), before, after).astype(np.uint8)
    return mixed if label in {"pinhole", "nick"} or does_what_it_says(label, before, mixed) else after
