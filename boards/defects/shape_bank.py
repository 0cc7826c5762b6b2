"""Shapes of real defects: binary masks cut out of a folder, drawn turned, mirrored and scaled."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from boards.pixels.noise import Mask, Points


class ShapeBank:
    """Outlines of the connected blobs in a folder of mask images, centred and scaled to a longest side of 1."""

    def __init__(self, outlines: list[Points]) -> None:
        self.outlines = outlines

    @staticmethod
    @lru_cache(maxsize=4)
    def load(folder: Path, held_out: bool = False) -> ShapeBank:
        """Read every PNG below `folder`; one file in five is kept for `held_out`, the others are for training.

        Raises FileNotFoundError when there are no masks.
        """
        files = sorted(folder.rglob("*.png"))
        if not files:
            raise FileNotFoundError(f"no PNG masks below {folder}")
        outlines: list[Points] = []
        for index, path in enumerate(files):
            if (index % 5 == 4) != held_out:
                continue
            picture = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
            if picture is not None:
                outlines += blobs((np.asarray(picture) > 127).astype(np.uint8))
        return ShapeBank(outlines)

    def draw(self, size: float, rng: np.random.Generator, slim: bool | None = None) -> Points:
        """A random outline (N, 2) round (0, 0) with a longest side of `size` pixels.

        `slim` True takes long thin shapes only, False compact ones only.
        """
        for _ in range(50):
            shape = self.outlines[rng.integers(len(self.outlines))]
            spread = np.linalg.svd(shape - shape.mean(0), compute_uv=False)
            if slim is None or (spread[1] < 0.4 * spread[0]) == slim:
                break
        angle = rng.uniform(0, 2 * np.pi)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        mirror = np.array([rng.choice((-1.0, 1.0)), 1.0])
        return np.asarray(shape * mirror @ turn.T * size, np.float64)


def blobs(mask: Mask, least: int = 12) -> list[Points]:
    """Outlines of the blobs of a mask with at least `least` pixels, normalised."""
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    found = []
    for contour in contours:
        points = np.asarray(contour, np.float64).reshape(-1, 2)
        if len(points) < 5 or cv2.contourArea(np.asarray(contour)) < least:
            continue
        points = points - (points.min(0) + points.max(0)) / 2
        found.append(points / float(np.ptp(points, axis=0).max()))
    return found
