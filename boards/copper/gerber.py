"""Copper layers of Gerber files and holes of Excellon files, drawn to masks with gerbonara."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from boards.pixels.drawing import disc, line, polygon
from boards.pixels.noise import Mask

_CANNED_SLOT = re.compile(r"G85X[-\d.]+Y[-\d.]+")


def read_gerber(path: Path) -> tuple[list[Any], tuple[float, float, float, float]]:
    """Graphic primitives of a layer in millimetres, and their bounding box. Needs the package gerbonara."""
    from gerbonara import GerberFile
    from gerbonara.utils import MM

    layer = GerberFile.open(str(path))
    (x1, y1), (x2, y2) = layer.bounding_box(MM)
    primitives = [primitive for shape in layer.objects for primitive in shape.to_primitives(MM)]
    return primitives, (float(x1), float(y1), float(x2), float(y2))


def draw_gerber(primitives: list[Any], box: tuple[float, float, float, float], px_per_mm: float) -> Mask:
    """Draw primitives over a bounding box (x1, y1, x2, y2 in mm, y up): uint8 (H, W), 0 or 1, y down."""
    x1, y1, x2, y2 = box
    height, width = int((y2 - y1) * px_per_mm) + 1, int((x2 - x1) * px_per_mm) + 1
    canvas = np.zeros((height, width), np.uint8)

    def place(points: Any) -> np.ndarray[Any, np.dtype[np.float64]]:  # noqa: ANN401
        xy = np.array([(point[0], point[1]) for point in points], np.float64)
        return np.stack([(xy[:, 0] - x1) * px_per_mm, (y2 - xy[:, 1]) * px_per_mm], axis=1)

    for item in primitives:
        value = 255 if item.polarity_dark else 0
        kind = type(item).__name__
        if kind == "Line":
            path = place([(item.x1, item.y1), (item.x2, item.y2)])
            line(canvas, path, item.width * px_per_mm, value)
        elif kind == "Circle":
            (x, y) = place([(item.x, item.y)])[0]
            disc(canvas, float(x), float(y), item.r * px_per_mm, value)
        elif kind == "ArcPoly":
            polygon(canvas, place(item.outline), value)
        elif kind == "Rectangle":
            polygon(canvas, place(item.to_arc_poly().outline), value)
        elif kind == "Arc":
            # Arcs are rare in copper: the chord is near enough for a texture of real artwork.
            path = place([(item.x1, item.y1), (item.x2, item.y2)])
            line(canvas, path, item.width * px_per_mm, value)
    return (canvas > 127).astype(np.uint8)


def read_drill(path: Path) -> list[tuple[float, float, float]]:
    """Holes of an Excellon file: x, y, radius in millimetres. Canned slots count as their start, routed ones not."""
    from gerbonara import ExcellonFile
    from gerbonara.graphic_objects import Flash
    from gerbonara.utils import MM

    # gerbonara 1.5 knows no canned slots (G85), which KiCad writes.
    text = _CANNED_SLOT.sub("", path.read_text(encoding="utf-8", errors="replace"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)  # G90 after the header, as KiCad writes it
        file = ExcellonFile.from_string(text, filename=path.name)
    hits = [shape for shape in file.objects if isinstance(shape, Flash)]
    return [(MM(hit.x, hit.unit), MM(hit.y, hit.unit), hit.tool.equivalent_width(MM) / 2) for hit in hits]
