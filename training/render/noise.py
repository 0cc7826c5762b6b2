"""Random fields and random outlines, the raw material of texture, ragged edges and defects."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]  # (H, W, 3) RGB
Mask = NDArray[np.uint8]  # (H, W), 0 or 1
Field = NDArray[np.float32]  # (H, W)
IntPoint = NDArray[np.int64]  # (2,) x, y
Points = NDArray[np.float64]  # (N, 2) x, y in pixels

_SUBPIXEL_BITS = 4  # cv2 takes fixed-point coordinates: 4 bits are 1/16 px


def blur(field: Field, sigma: float | tuple[float, float]) -> Field:
    """Gaussian blur; `sigma` in pixels, one number or (x, y). A sigma of 0 leaves that axis alone."""
    sigma_x, sigma_y = (sigma, sigma) if isinstance(sigma, int | float) else sigma
    if sigma_x <= 0 and sigma_y <= 0:
        return field
    # cv2 reads a sigma of 0 as "same as the other axis": a tiny one means "leave it alone".
    soft = cv2.GaussianBlur(field, (0, 0), max(sigma_x, 0.01), sigmaY=max(sigma_y, 0.01))
    return np.asarray(soft, np.float32)


def white(shape: tuple[int, int], rng: np.random.Generator) -> Field:
    """White Gaussian noise, float32 (H, W), standard deviation 1."""
    return rng.standard_normal(shape, dtype=np.float32)


def smooth(shape: tuple[int, int], sigma: float | tuple[float, float], rng: np.random.Generator) -> Field:
    """Gaussian noise with a correlation length of `sigma` pixels ((x, y) for streaks), deviation about 1.

    Wide fields are made on a coarse grid and enlarged, so that cost does not grow with `sigma`.
    """
    sigma_x, sigma_y = (sigma, sigma) if isinstance(sigma, int | float) else sigma
    height, width = shape
    step_x, step_y = max(1, int(sigma_x / 1.5)), max(1, int(sigma_y / 1.5))
    coarse = white((-(-height // step_y) + 3, -(-width // step_x) + 3), rng)
    coarse = blur(coarse, (sigma_x / step_x, sigma_y / step_y))
    # Each axis that was blurred lost a factor sqrt(2 sqrt(pi) s) of its deviation.
    for blurred in (sigma_x / step_x, sigma_y / step_y):
        if blurred > 0.4:
            coarse *= np.float32(np.sqrt(2.0 * np.sqrt(np.pi) * blurred))
    if step_x == 1 and step_y == 1:
        return coarse[:height, :width]
    size = (coarse.shape[1] * step_x, coarse.shape[0] * step_y)
    wide = np.asarray(cv2.resize(coarse, size, interpolation=cv2.INTER_LINEAR), np.float32)
    return np.ascontiguousarray(wide[step_y : step_y + height, step_x : step_x + width])


def outline(radius_x: float, radius_y: float, roughness: float, rng: np.random.Generator) -> Points:
    """Closed irregular outline round (0, 0): an ellipse with random harmonics, turned by a random angle.

    `roughness` 0 is a clean ellipse, 0.3 a lump, 0.6 a torn flake.
    """
    angle = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    order = np.arange(2, 9)
    amplitude = rng.normal(0, 1, order.size) / order * roughness
    phase = rng.uniform(0, 2 * np.pi, order.size)
    radius = 1 + (amplitude[:, None] * np.cos(order[:, None] * angle + phase[:, None])).sum(0)
    radius = np.clip(radius, 0.25, 1.75)
    turn = rng.uniform(0, np.pi)
    x, y = radius_x * radius * np.cos(angle), radius_y * radius * np.sin(angle)
    return np.stack([x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)], axis=1)


def curve(length: float, bend: float, rng: np.random.Generator, angle: float | None = None) -> Points:
    """Open curve of about `length` pixels round (0, 0); `bend`: wander of its heading, radians."""
    count = int(np.clip(length / 4, 6, 400))
    heading = rng.uniform(0, 2 * np.pi) if angle is None else angle
    # Heading wanders like a random walk, normalised so that `bend` does not depend on the point count.
    wander = np.cumsum(rng.normal(0, 1, count)) / np.sqrt(count) * bend
    headings = heading + wander + rng.normal(0, 0.4) * bend * np.linspace(-1, 1, count)
    steps = np.stack([np.cos(headings), np.sin(headings)], axis=1) * (length / count)
    points = np.cumsum(steps, axis=0)
    return np.asarray(points - (points[0] + points[-1]) / 2, np.float64)


def fill(canvas: Mask, points: Points, value: int = 255) -> None:
    """Fill a polygon on a uint8 canvas with antialiased border."""
    fixed = np.round(points * (1 << _SUBPIXEL_BITS)).astype(np.int32)
    cv2.fillPoly(canvas, [fixed], (value,), lineType=cv2.LINE_AA, shift=_SUBPIXEL_BITS)


def stroke(canvas: Mask, points: Points, thickness: int, value: int = 255) -> None:
    """Draw an open polyline on a uint8 canvas, antialiased; `thickness` in whole pixels, 1 or more."""
    fixed = np.round(points * (1 << _SUBPIXEL_BITS)).astype(np.int32)
    cv2.polylines(canvas, [fixed], False, (value,), thickness, cv2.LINE_AA, _SUBPIXEL_BITS)
