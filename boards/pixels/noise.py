"""Random fields, the raw material of texture and ragged edges, and the array types of this package."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]  # (H, W, 3) RGB
Mask = NDArray[np.uint8]  # (H, W), 0 or 1
Field = NDArray[np.float32]  # (H, W)
IntPoint = NDArray[np.int64]  # (2,) x, y
Points = NDArray[np.float64]  # (N, 2) x, y in pixels


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
