"""Plugged holes: discs that differ from the other discs of the image, and spots on the ground copper."""

from __future__ import annotations

import cv2
import numpy as np

from training.baseline.blobs import Blob, Call, Float, Mask, blobs, lab, opened, rare
from training.scene import Image

ROUND = 0.6  # roundness from which a blob is a hole
BRUSHED = np.array([0.5, 1.0, 1.0], np.float32)  # brush lines change lightness, hardly colour


def strange(colours: Float) -> tuple[Mask, float]:
    """What is not ground copper, the material of most of the image: Otsu's threshold on the distance from it."""
    copper = np.median(colours.reshape(-1, 3), axis=0)
    smooth = cv2.GaussianBlur(colours, (0, 0), 1.5)
    distance = np.linalg.norm((smooth - copper) * BRUSHED, axis=2).clip(0, 60)
    level, _ = cv2.threshold((distance * 4).astype(np.uint8), 0, 255, cv2.THRESH_OTSU)
    level = max(level / 4, 8.0)  # an image of copper alone has no second material
    return opened(np.asarray(distance > level), 1), level


def inside(blob: Blob, light: Float, usual: float) -> list[Call]:
    """What is wrong with one disc; `light` (H, W) is lightness, `usual` that of the image's other discs."""
    x1, y1, x2, y2 = blob.box
    height, width = blob.mask.shape
    away = light[blob.y : blob.y + height, blob.x : blob.x + width] - usual
    distance = cv2.distanceTransform(cv2.copyMakeBorder(blob.mask.astype(np.uint8), 1, 1, 1, 1, 0), cv2.DIST_L2, 5)
    depth = distance[1:-1, 1:-1]
    core = depth > max(2.0, 0.08 * width)
    rim, middle = core & (depth < 0.2 * width), depth >= 0.25 * width
    if core.sum() < 12 or not rim.any() or not middle.any():
        return []
    limit = max(5.0, 0.15 * usual)
    dark, bright = core & (away < -limit), core & (away > 0.6 * limit)
    share, shine = float(dark.sum() / core.sum()), float(bright.sum() / core.sum())
    pad = 0.12 * width
    box = (x1 - pad, y1 - pad, x2 + pad, y2 + pad)
    if share > 0.85:
        return [Call("missing_plug", box, float(-np.mean(away[core])) / 12)]
    if dark[rim].mean() > 0.45 and dark[middle].mean() < 0.2:
        return [Call("knee_copper_loss", box, float(dark[rim].mean() - dark[middle].mean()) * 2)]
    if share > 0.08 and shine > 0.08:  # dark on one side and bright on the other: shading of a hollow
        return [Call("dimple", box, 4 * min(share, shine))]
    if share > 0.18:
        return [Call("underfill", box, share * float(-np.mean(away[dark])) / 8)]
    calls = []
    for spot in blobs(dark, 4):
        length, breadth = spot.shape()
        slug = "crack" if length > 2.5 * min(breadth, 1.5 * spot.area / length) else "void"
        a, b, c, d = spot.box
        strength = float(-away[dark].mean()) / 10
        calls.append(Call(slug, (x1 + a, y1 + b, x1 + c, y1 + d), strength))
    low, high = np.percentile(away[core], (10, 90))
    if not calls and high - low > 6:
        calls.append(Call("dimple", box, float(high - low) / 20))
    return calls


def find(image: Image) -> list[Call]:
    colours = lab(image)
    mask, level = strange(colours)
    height, width = mask.shape
    light = np.ascontiguousarray(colours[:, :, 0])
    discs, others = [], []
    for blob in blobs(mask, 30):
        x1, y1, x2, y2 = blob.box
        cut = x1 <= 0 or y1 <= 0 or x2 >= width or y2 >= height
        if blob.roundness() > ROUND and max(blob.mask.shape) < 120:
            discs.append(blob)
        elif not cut:
            others.append(blob)
    calls: list[Call] = []
    if discs:
        medians = np.array([np.median(blob.of(light)) for blob in discs])
        usual = float(np.median(medians))
        resin = np.median(np.concatenate([blob.of(colours) for blob in discs]), axis=0)
        for blob in discs:
            calls += inside(blob, light, usual)
    else:
        resin = np.array([50.0, 0.0, 0.0])
    spots = []
    for blob in others:
        colour = np.median(blob.of(colours), axis=0)
        like_resin = np.abs(colour - resin).max() < 0.8 * level
        slug = "resin_residue" if like_resin else "foreign_object"
        spots.append(Call(slug, blob.box, min(blob.area / 150, 2.0)))
    calls += rare(spots)
    return calls
