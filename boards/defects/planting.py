"""What every process gets, what it gives back, and the step they share: planting in the mask and etching."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from boards.camera.look import Look
from boards.copper.artwork import Artwork
from boards.defects.etch import Etch, edge_shift, etch_with
from boards.defects.etch_defects import SIZES_UM, Sizes, plant, still_is
from boards.defects.shape_bank import ShapeBank
from boards.pixels.noise import Field, Image, Mask, smooth
from boards.pixels.paintwork import Box

# Copper that the etchant nearly took: real spurs and copper left behind (DsPCBSD+) are often dimmer than a line and
# mottled, as laminate shows through. A dim short would be a web of pinched film.
THIN_LABELS = ("spur", "residual_copper")
THIN_SHARE = 0.4
THICKNESS = (0.4, 0.9)  # of a line's
MOTTLED = 0.15  # deviation of it, in patches of 1.5 px
# Real opens and nicks (DsPCBSD+) are often torn: flakes of the line are left in the gap.
TORN_LABELS = ("open", "nick")
TORN_SHARE = 0.4
FLAKES = (0.3, 1.5)  # deviations of a field from which on it leaves copper: a third of the gap to a fifteenth


@dataclass(frozen=True, slots=True)
class Order:
    """One board to draw."""

    artwork: Artwork
    um_per_px: float
    look: Look
    wanted: Sequence[str]  # slugs to plant
    rng: np.random.Generator
    shapes: ShapeBank | None = None  # outlines of real defects
    torn: bool = False  # whether some opens and nicks leave copper in the gap


@dataclass(slots=True)
class Truth:
    """Boxes and labels, growing while a board is drawn."""

    boxes: list[Box] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)

    def add(self, label: str, box: Box | None) -> bool:
        """Record a defect; None, the box of an invisible one, is not recorded. Returns whether it was."""
        if box is None:
            return False
        self.boxes.append(box)
        self.labels.append(label)
        return True

    def hits(self, x: float, y: float, reach: float) -> bool:
        """Whether a square of 2 x `reach` pixels round (x, y) overlaps a recorded box."""
        return any(
            box[0] < x + reach and box[2] > x - reach and box[1] < y + reach and box[3] > y - reach
            for box in self.boxes
        )

    def clipped(self, size: tuple[int, int]) -> tuple[NDArray[np.float32], list[str]]:
        """Boxes cut to the picture, float32 (N, 4), and their labels."""
        height, width = size
        boxes = np.array(self.boxes, np.float32).reshape(-1, 4)
        boxes = np.clip(boxes, 0, np.array([width, height, width, height], np.float32))
        return boxes, list(self.labels)


def etched(
    mask: Mask,
    labels: Sequence[str],
    process: Etch,
    um_per_px: float,
    margin: int,
    rng: np.random.Generator,
    keep_out: Mask | None = None,
    sizes: Sizes = SIZES_UM,
    thin: bool = False,
    torn: bool = False,
) -> tuple[Field, Truth]:
    """Plant `labels` in the mask, etch it, and measure boxes where the coverage differs from the clean twin's.

    thin: some of the copper that should not be there is left thin. torn: some that should be is left in flakes.

    Returns coverage float32 (H, W) and the truth. What the etch wiped out, or turned into something that does
    not deserve its label, is undone and not recorded.
    """
    shift = edge_shift(mask.shape, process, int(rng.integers(2**31)))
    truth = Truth()
    coverage = etch_with(mask, process, shift)
    if not labels:
        return coverage, truth
    changed, plants = plant(mask, labels, um_per_px, rng, keep_out, sizes)
    for item in plants:
        # Only the neighbourhood of a defect is etched again: the rest is the clean twin's.
        outer, inner = _around(item.window, mask.shape)
        clean = coverage[outer][inner].copy()
        dirty = etch_with(changed[outer], process, shift[outer])[inner]
        box = difference_box(clean, dirty, margin)
        before, after = (np.asarray(part > 0.5, np.uint8) for part in (clean, dirty))
        if box is None or not still_is(item.label, before, after):
            continue
        if thin and item.label in THIN_LABELS and rng.random() < THIN_SHARE:
            dirty = thinned(clean, dirty, rng)
        if torn and item.label in TORN_LABELS and rng.random() < TORN_SHARE:
            flaky = flaked(clean, dirty, rng)
            if still_is(item.label, before, np.asarray(flaky > 0.5, np.uint8)):
                dirty = flaky
        coverage[outer][inner] = dirty
        x, y = outer[1].start + inner[1].start, outer[0].start + inner[0].start
        truth.add(item.label, (x + box[0], y + box[1], x + box[2], y + box[3]))
    return coverage, truth


def thinned(clean: Field, dirty: Field, rng: np.random.Generator) -> Field:
    """A window float32 (H, W) in [0, 1] whose copper, where `dirty` has more of it than `clean`, is left thin."""
    thickness = float(rng.uniform(*THICKNESS)) + np.float32(MOTTLED) * smooth(clean.shape, 1.5, rng)
    gained = np.maximum(dirty - clean, 0)
    return np.asarray(dirty - gained * (1 - np.clip(thickness, 0.25, 1)), np.float32)


def flaked(clean: Field, dirty: Field, rng: np.random.Generator) -> Field:
    """A window float32 (H, W) in [0, 1] in which flakes of what `dirty` has lost are left, some of them thin."""
    field = smooth(clean.shape, float(rng.uniform(0.8, 2.5)), rng)
    flakes = np.clip(2 * (field - float(rng.uniform(*FLAKES))), 0, 1) * np.float32(rng.uniform(0.4, 1.0))
    return np.asarray(dirty + np.maximum(clean - dirty, 0) * flakes, np.float32)


def _around(
    window: tuple[int, int, int, int], shape: tuple[int, ...]
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Window grown by what a defect can reach through the etch, in a larger one with the context of its blur."""
    x1, y1, x2, y2 = window
    reach, context = 3, 6
    rows, columns = shape
    top, left = max(y1 - reach, 0), max(x1 - reach, 0)
    bottom, right = min(y2 + reach, rows), min(x2 + reach, columns)
    outer = (
        slice(max(top - context, 0), min(bottom + context, rows)),
        slice(max(left - context, 0), min(right + context, columns)),
    )
    inner = (
        slice(top - outer[0].start, bottom - outer[0].start),
        slice(left - outer[1].start, right - outer[1].start),
    )
    return outer, inner


def difference_box(before: Field, after: Field, margin: int, level: float = 0.4, least: int = 6) -> Box | None:
    """Box of the pixels whose coverage changed by more than `level`, plus `margin`; None for fewer than `least`."""
    changed = np.abs(after - before) > level
    if int(changed.sum()) < least:
        return None
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    return (
        float(columns[0] - margin),
        float(rows[0] - margin),
        float(columns[-1] + 1 + margin),
        float(rows[-1] + 1 + margin),
    )


def scatter(
    image: Image,
    truth: Truth,
    label: str,
    place: Callable[[tuple[float, float], float], Box | None],
    range_um: tuple[float, float],
    um_per_px: float,
    rng: np.random.Generator,
    tries: int = 40,
) -> None:
    """Try random places (x, y) and sizes (um, all orders of magnitude alike) until `place` draws something visible.

    Places where the defect would cover a recorded one are passed over.
    """
    height, width = image.shape[:2]
    for _ in range(tries):
        x, y = float(rng.uniform(0.02, 0.98) * width), float(rng.uniform(0.02, 0.98) * height)
        size_um = float(np.exp(rng.uniform(np.log(range_um[0]), np.log(range_um[1]))))
        if not truth.hits(x, y, 0.6 * size_um / um_per_px) and truth.add(label, place((x, y), size_um)):
            return
