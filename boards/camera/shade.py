"""Copper mask in, picture out: `paint` gives the materials, `capture` the camera, `shade` both in a row."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from boards.camera.look import Look
from boards.pixels.noise import Field, Image, blur, smooth, white


def shade(mask: NDArray[np.uint8] | Field, look: Look, rng: np.random.Generator) -> Image:
    """Picture of a copper layer without surface defects.

    mask: (H, W), uint8 0 / 1 (1 is copper) or float coverage in [0, 1]. Returns uint8 (H, W, 3) RGB.
    `binary` draws copper black on white, as thresholded AOI channels do; `grey` and `colour` draw it bright.
    """
    return capture(paint(mask, look, rng), look, rng)


def paint(mask: NDArray[np.uint8] | Field, look: Look, rng: np.random.Generator) -> Image:
    """Colours and texture of copper and laminate, before the optics. Surface defects go on top of this."""
    if mask.ndim != 2:
        raise ValueError(f"mask must be (H, W), got shape {mask.shape}")
    coverage = np.asarray(mask, np.float32)
    if look.kind == "binary":
        grey = np.asarray(255.0 - 255.0 * coverage, np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    copper = _copper_texture(coverage, look, rng)
    laminate = _laminate_texture(mask.shape, look, rng)
    rest = (1 - coverage) * laminate
    copper *= coverage
    if look.kind == "grey":
        grey = np.clip(copper * look.copper[0] + rest * look.laminate[0], 0, 255).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    image = np.empty((*coverage.shape, 3), np.uint8)
    for channel in range(3):
        mixed = copper * look.copper[channel] + rest * look.laminate[channel]
        image[:, :, channel] = np.clip(mixed, 0, 255)
    return image


def capture(image: Image, look: Look, rng: np.random.Generator) -> Image:
    """Optics, sensor and file: PSF, line-scan banding, noise, JPEG; or the threshold of a binary channel."""
    if look.kind == "binary":
        soft = blur(np.asarray(image[:, :, 0], np.float32), look.psf_px)
        soft += smooth(soft.shape, 12.0, rng) * (255 * look.jagged * 0.8)
        soft += white(soft.shape, rng) * (255 * look.jagged * 0.5)
        grey = np.where(soft > 127.5, 255, 0).astype(np.uint8)
        return _compress(np.repeat(grey[:, :, None], 3, axis=2), look)
    height, width = image.shape[:2]
    soft8 = np.asarray(cv2.GaussianBlur(image, (0, 0), look.psf_px), np.uint8)
    rows = np.cumsum(rng.normal(0, 0.15, height)) * 0.1 + rng.normal(0, 1, height)
    gain = (1 + look.banding * rows).astype(np.float32)[:, None]
    luma = white((height, width), rng) * np.float32(look.noise)
    out = np.empty_like(image)
    for channel in range(3 if look.kind == "colour" else 1):
        plane = soft8[:, :, channel] * gain
        plane += luma
        out[:, :, channel] = np.clip(plane, 0, 255)
    if look.kind == "grey":
        out[:, :, 1:] = out[:, :, :1]
    return _compress(out, look)


def _copper_texture(coverage: Field, look: Look, rng: np.random.Generator) -> Field:
    """Relative brightness of the copper surface, mean about 1, float32 (H, W)."""
    shape = coverage.shape
    texture = 1 + look.grain * smooth(shape, look.grain_px, rng)
    texture += look.cloud * smooth(shape, 60.0, rng)
    if look.brush > 0:
        streak = (0.5, 30.0) if look.brush_vertical else (30.0, 0.5)
        texture += look.brush * smooth(shape, streak, rng)
    if look.rim != 0:
        # 0 deep inside the copper, a half at its border: the etched slope reflects elsewhere. The cap keeps
        # lines thinner than the slope as bright as the border of wide ones.
        slope = np.minimum(1 - blur(coverage, look.rim_px), 0.5)
        texture *= 1 + np.float32(2 * look.rim) * slope
    if look.relief != 0:
        height = blur(coverage, look.rim_px)
        facing = np.gradient(height, axis=1) * np.cos(look.relief_angle)
        facing += np.gradient(height, axis=0) * np.sin(look.relief_angle)
        texture += np.float32(look.relief * look.rim_px * 2) * facing.astype(np.float32)
    return np.asarray(np.maximum(texture, 0.05), np.float32)


def _laminate_texture(shape: tuple[int, ...], look: Look, rng: np.random.Generator) -> Field:
    """Relative brightness of the laminate: a faint glass weave and slow drift, float32 (H, W)."""
    height, width = shape
    texture = 1 + 0.025 * smooth((height, width), 1.2, rng)
    if look.weave > 0:
        phase = rng.uniform(0, 2 * np.pi, 2)
        across = np.cos(np.arange(width) * (2 * np.pi / look.weave_px) + phase[0]).astype(np.float32)
        along = np.cos(np.arange(height) * (2 * np.pi / look.weave_px) + phase[1]).astype(np.float32)
        texture += np.float32(look.weave) * (0.5 * across[None, :] + 0.5 * along[:, None])
    return np.asarray(np.maximum(texture, 0.05), np.float32)


def _compress(image: Image, look: Look) -> Image:
    """JPEG there and back at the look's quality; unchanged where the look has none."""
    if look.jpeg == 0:
        return image
    # cv2 encodes BGR: the channel order matters, because JPEG keeps chroma at half resolution.
    bgr = np.ascontiguousarray(image[:, :, ::-1])
    done, data = cv2.imencode(".jpg", bgr, (cv2.IMWRITE_JPEG_QUALITY, look.jpeg))
    if not done:
        raise ValueError(f"JPEG encoder refused an image of shape {image.shape}")
    decoded = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    return np.ascontiguousarray(decoded[:, :, ::-1])
