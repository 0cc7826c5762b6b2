"""Shapes and places of the six etching defects, proposed on a copper layer; `defects.py` accepts or refuses them.

Conductors are found by walking from an edge along its normal, nets are connected components.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from boards.copper.layer import Layer, Proposal
from boards.pixels.noise import Points
from boards.pixels.shapes import canvas_for, curve, fill, outline, stroke


def _patch(layer: Layer, points: Points, pad: float, thickness: int = 0) -> Proposal:
    """Rasterise an outline (thickness 0) or a stroke with `pad` pixels of context, as copper to remove."""
    canvas, corner = canvas_for(points, pad, layer.mask.shape)
    if canvas.size:
        if thickness:
            stroke(canvas, points - corner, thickness)
        else:
            fill(canvas, points - corner)
    return Proposal((canvas > 127).astype(np.uint8), corner, False)


def _adding(proposal: Proposal) -> Proposal:
    return Proposal(proposal.patch, proposal.corner, True)


def _across(
    layer: Layer, middle: Points, normal: Points, width: float, size: float, rng: np.random.Generator
) -> Proposal:
    """Shape that crosses a strip of `width` pixels along `normal`: band, lump, or thin crooked line."""
    tangent = np.array([-normal[1], normal[0]])
    pad = max(6.0, 0.6 * width)
    style = rng.random()
    if style < 0.4:  # band with crooked sides
        along = np.linspace(-0.5, 0.5, 7) * (width + 5)
        left = rng.normal(-size / 2, 0.08 * size + 0.3, 7)
        right = rng.normal(size / 2, 0.08 * size + 0.3, 7)
        slant = rng.normal(0, 0.2) * along
        sides = [along[:, None] * normal + (side + slant)[:, None] * tangent for side in (left, right)]
        return _patch(layer, middle + np.concatenate([sides[0], sides[1][::-1]]), pad)
    if style < 0.65:
        shape = outline(width / 2 + 3, max(size / 2, 2.0), 0.2, rng)
        angle = rng.normal(0, 0.15)
        # `outline` turns its shape at random: turn it back so that the long axis lies across the strip.
        spread = np.linalg.eigh(np.cov(shape.T))[1][:, 1]
        turn = np.arctan2(normal[1], normal[0]) - np.arctan2(spread[1], spread[0]) + angle
        if width / 2 + 3 < size / 2:
            turn += np.pi / 2
        rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        return _patch(layer, middle + shape @ rotation.T, pad)
    thick = int(np.clip(round(min(size, 8) * rng.uniform(0.4, 1)), 2, 8))
    lean = rng.normal(0, 0.35)
    path = curve((width + 6) / np.cos(min(abs(lean), 1.0)), 0.5, rng, float(np.arctan2(normal[1], normal[0]) + lean))
    return _patch(layer, middle + path, pad + thick, thick)


def _open(layer: Layer, size: float, rng: np.random.Generator) -> Proposal | None:
    found = layer.edge(rng)
    if found is None:
        return None
    point, normal = found
    width = layer.walk(point, -normal, 0, 60)
    if width is None or (width > 24 and rng.random() < 0.7):  # opens sit in lines more than in pads
        return None
    return _across(layer, point - normal * (width - 1) / 2, normal, width, min(size, 3 * width + 8), rng)


def _short(layer: Layer, size: float, rng: np.random.Generator) -> Proposal | None:
    found = layer.edge(rng)
    if found is None:
        return None
    point, normal = found
    gap = layer.walk(point, normal, 1, 60)
    if gap is None or gap < 3 or (gap > 24 and rng.random() < 0.6):
        return None
    far = np.rint(point + normal * gap).astype(np.int64)
    if layer.nets[far[1], far[0]] == layer.nets[int(point[1]), int(point[0])]:
        return None
    shape = _across(layer, point + normal * gap / 2, normal, gap, min(size, 2 * gap + 8), rng)
    return _adding(shape)


def _bump(layer: Layer, point: Points, normal: Points, size: float, reach: float, rng: np.random.Generator) -> Proposal:
    """Lump, wedge or hair rooted at an edge point and reaching up to `reach` pixels along `normal`."""
    style = rng.random()
    if style < 0.55:
        shape = outline(size / 2, max(min(reach, size) / 2, 1.8), 0.3, rng)
        # Push the lump so far along the normal that it reaches `reach`.
        top = float((shape @ normal).max())
        return _patch(layer, point + shape + normal * (reach - top), 8)
    angle = float(np.arctan2(normal[1], normal[0]) + rng.normal(0, 0.5))
    if style < 0.8:  # wedge
        tangent = np.array([-normal[1], normal[0]])
        tip = point + reach * np.array([np.cos(angle), np.sin(angle)])
        half = max(size * rng.uniform(0.2, 0.5), 1.5)
        mid = (point + tip) / 2 + tangent * rng.normal(0, half / 3)
        shape = np.array(
            [
                point + tangent * half - normal,
                mid + tangent * half * 0.5,
                tip,
                mid - tangent * half * 0.5,
                point - tangent * half - normal,
            ]
        )
        return _patch(layer, shape, 8)
    path = curve(reach + 2, 0.8, rng, angle)
    return _patch(layer, point - normal + path - path[0], 8, int(rng.integers(2, 5)))


def _nick(layer: Layer, size: float, rng: np.random.Generator) -> Proposal | None:
    found = layer.edge(rng)
    if found is None:
        return None
    point, normal = found
    width = layer.walk(point, -normal, 0, 80) or 80.0
    reach = min(size, width * float(rng.uniform(0.25, 0.75)))
    return _bump(layer, point, -normal, size, reach, rng) if reach >= 2.5 else None


def _spur(layer: Layer, size: float, rng: np.random.Generator) -> Proposal | None:
    found = layer.edge(rng)
    if found is None:
        return None
    point, normal = found
    gap = layer.walk(point, normal, 1, 80) or 80.0
    reach = min(size, (gap - 3) * float(rng.uniform(0.35, 0.85)))
    return _adding(_bump(layer, point, normal, size, reach, rng)) if reach >= 3 else None


def _spot(layer: Layer, middle: Points, size: float, rng: np.random.Generator) -> Proposal:
    """Free-standing lump, worm or pair of lumps of the given longest size."""
    style = rng.random()
    if style < 0.55:
        return _patch(layer, middle + outline(size / 2, max(size / 2 * rng.uniform(0.35, 1), 1.8), 0.35, rng), 4)
    thick = int(np.clip(size * rng.uniform(0.2, 0.5), 2, 9))
    return _patch(layer, middle + curve(max(size - thick, 3.0), 1.6, rng), 4 + thick, thick)


def _pinhole(layer: Layer, size: float, rng: np.random.Generator) -> Proposal | None:
    # Small holes fit anywhere, large ones in planes only: take what the copper at a random place allows.
    middle = layer.place(layer.inside, 4.5, rng)
    if middle is None:
        return None
    room = 2 * float(layer.inside[int(middle[1]), int(middle[0])]) - 5
    return _spot(layer, middle, min(size, room), rng) if room >= 4 else None


def _residual(layer: Layer, size: float, rng: np.random.Generator) -> Proposal | None:
    middle = layer.place(layer.outside, 5.0, rng)
    if middle is None:
        return None
    room = 2 * float(layer.outside[int(middle[1]), int(middle[0])]) - 6
    return _adding(_spot(layer, middle, min(size, room), rng)) if room >= 4 else None


PROPOSE: dict[str, Callable[[Layer, float, np.random.Generator], Proposal | None]] = {
    "open": _open,
    "short": _short,
    "nick": _nick,
    "pinhole": _pinhole,
    "spur": _spur,
    "residual_copper": _residual,
}
