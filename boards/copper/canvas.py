"""A canvas under construction: copper, its design rules, and where vias, pins and pads are."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from boards.pixels.drawing import disc
from boards.pixels.noise import Mask


@dataclass(slots=True)
class Sheet:
    """A canvas under construction with its design rules, in pixels."""

    canvas: Mask  # uint8 (H, W), 255 is copper
    line: float  # conductor width
    space: float  # smallest distance of conductors
    vias: list[tuple[float, float, float, float]] = field(default_factory=list)  # x, y, pad radius, hole radius
    pins: list[tuple[float, float, int]] = field(default_factory=list)  # x, y, direction to escape (0 to 7)
    pads: list[tuple[float, float, float, float]] = field(default_factory=list)  # x, y, width, height

    def free(self, x0: float, y0: float, x1: float, y1: float) -> bool:
        """Whether a rectangle plus the smallest space is empty and inside the canvas."""
        height, width = self.canvas.shape
        pad = self.space
        x0, y0, x1, y1 = x0 - pad, y0 - pad, x1 + pad, y1 + pad
        if x0 < 0 or y0 < 0 or x1 > width or y1 > height:
            return False
        return not self.canvas[int(y0) : int(y1) + 1, int(x0) : int(x1) + 1].any()

    def via(self, x: float, y: float, radius: float, hole: float) -> None:
        """Round pad of a plated hole."""
        disc(self.canvas, x, y, radius)
        self.vias.append((x, y, radius, hole))


def touches(sheet: Sheet, trial: Mask) -> bool:
    """Whether new copper comes nearer than the smallest space to what is there."""
    reach = 2 * int(np.ceil(sheet.space)) + 1
    grown = cv2.dilate(trial, np.ones((reach, reach), np.uint8))
    return bool(((np.asarray(grown) > 0) & (sheet.canvas > 0)).any())
