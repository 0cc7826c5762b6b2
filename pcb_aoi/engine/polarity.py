"""Which side of a picture is copper: a camera shows it bright, a thresholded channel (as of AOI masters) black.

What is an open on one is a short on the other, so a model that is to know both learns twice, and mixes them up.
Weights whose metadata say `"copper": "bright"` know the one side only: of a thresholded board they are shown the
negative.

A thresholded picture has two levels and hardly anything between them. They are black and white, or, where the machine
writes video levels, or somebody lowered contrast or brightness, any other two. A camera's flat picture comes near to
that, so the second kind must be sharp: nearly all pixels within one level of the two, and no colour.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

UInt8 = npt.NDArray[np.uint8]

EDGE = 16
"""Grey levels from black, and from white, within which a pixel of a thresholded picture lies, JPEG and all."""
SHARE = 0.7
"""Of the pixels. Thresholded boards of the renderer have 0.83 or more, resampled ones too; others at most 0.53."""
BOTH = 0.5
"""Of the number of half-tones that white, and black, must have: a dark picture of few conductors is black, too."""
APART = 40
"""Grey levels between the two of a thresholded picture that is not black and white."""
NEAR = 4
"""Grey levels from either within which a pixel is of that level: what JPEG leaves of flat areas."""
SHARP = 0.5
"""Half-tones an edge. A threshold leaves none, and JPEG at most 0.3."""
SOFT = 1.5
"""The same where flat areas are `FLAT`: resampling spreads an edge as a lens does, but brings no grain."""
FLAT = 0.55
"""Share of pixels that equal their neighbour. Resampled thresholded boards have 0.6 or more; real tiles in grey whose
edges are that sharp at most 0.51."""
EDGES = 5e-4
"""Of the pixels: with fewer edges the second level is no level, but what lies on the first."""
COLOUR, COLOURED = 24, 0.02
"""Spread of the channels from which a pixel has colour, and the share of such pixels from which a picture has."""
_SAMPLES = 1 << 15
_ROWS = 1 << 18


@dataclass(frozen=True)
class Evidence:
    """What a picture says of its copper."""

    thresholded: bool
    weak: bool
    """It lies near the border of what is called thresholded, on either side."""


def bright_copper(metadata: Mapping[str, str]) -> bool:
    """Whether the weights have learnt copper as the bright side of every picture."""
    return metadata.get("copper") == "bright"


def thresholded(image: UInt8) -> bool:
    """Whether uint8 (H, W) or (H, W, 3) has hardly any half-tones, judged by an even sample of its pixels."""
    return evidence(image).thresholded


def evidence(image: UInt8) -> Evidence:
    """Judge uint8 (H, W) or (H, W, 3) by an even sample of its pixels."""
    step = max(1, math.isqrt(image.shape[0] * image.shape[1] // _SAMPLES))
    sample = np.ascontiguousarray(image[::step, ::step])  # counting strides takes longer than the copy
    black, white = (int(np.count_nonzero(part)) / sample.size for part in (sample <= EDGE, sample >= 255 - EDGE))
    if black + white > SHARE and min(black, white) >= BOTH * (1 - black - white):
        return Evidence(True, False)
    if sample.ndim == 3:
        red, green, blue = (sample[..., channel] for channel in range(3))
        spread = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
        if np.count_nonzero(spread > COLOUR) > COLOURED * spread.size:
            return Evidence(False, False)
        image = image[..., 1]
    # Whole rows: an edge is what lies between one pixel and the next.
    step = max(1, image.size // _ROWS)
    share, lesser, soft, flat = _two_levels(np.ascontiguousarray(image[::step]))
    if share <= SHARE or lesser < BOTH * (1 - share):
        return Evidence(False, False)
    found = soft <= SHARP or (soft <= SOFT and flat >= FLAT)
    return Evidence(found, SHARP < soft <= 2 * SOFT and flat > FLAT - 0.1)


def _two_levels(rows: UInt8) -> tuple[float, float, float, float]:
    """Find the two commonest levels of uint8 (H, W) that are `APART`.

    Returns (share of the pixels `NEAR` them, share of the lesser, half-tones for each edge from one to the other,
    share of pixels that equal the next).
    """
    count = np.bincount(rows.ravel(), minlength=256) / rows.size
    near = np.convolve(count, np.ones(2 * NEAR + 1), "same")
    first = int(near.argmax())
    others = near.copy()
    others[max(0, first - APART + 1) : first + APART] = 0
    second = int(others.argmax())
    low, high = min(first, second), max(first, second)
    # -1 and 1 are the levels, 0 is neither. Between two levels that differ lies an edge, soft or sharp.
    kind = np.zeros(256, np.int8)
    kind[: low + NEAR + 1], kind[high - NEAR :] = -1, 1
    levels = kind[rows.ravel()]
    of_a_level = levels[levels != 0]
    edges = int(np.count_nonzero(of_a_level[1:] != of_a_level[:-1]))
    margin = (high - low) // 4
    halftones = int(np.count_nonzero((rows > low + margin) & (rows < high - margin)))
    flat = int(np.count_nonzero(rows[:, 1:] == rows[:, :-1])) / rows.size
    soft = halftones / edges if edges > EDGES * rows.size else float("inf")
    return float(near[first] + near[second]), float(near[second]), soft, flat
