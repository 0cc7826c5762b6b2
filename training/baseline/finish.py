"""Finished boards: pads, mask and legend told apart by colour; then what is unlike its own pad, or unlike the mask."""

from __future__ import annotations

import cv2
import numpy as np

from training.baseline.blobs import Blob, Call, Float, Mask, blobs, closed, deviation, grow, lab, opened, rare, shrink
from training.scene import Image

OUTLIER = 6.0  # spreads
WINDOW = 101
EDGE = 3


def materials(colours: Float) -> tuple[Mask, Mask]:
    """(pads, legend): Otsu's threshold on the direction in which the colours vary most; white, colourless is legend."""
    chroma = np.linalg.norm(colours[:, :, 1:], axis=2)
    light = colours[:, :, 0]
    legend = np.asarray((light > 62) & (chroma < 14))
    legend = grow(legend, 1)
    rows = colours[~legend]
    if len(rows) < 100:  # all white
        return np.zeros_like(legend), legend
    _, axes = cv2.PCACompute(rows[::7], mean=np.empty(0), maxComponents=1)
    along = (colours @ axes[0]).astype(np.float32)
    low, high = np.percentile(along, (0.5, 99.5))
    scaled = ((along - low) / max(high - low, 1e-6) * 255).clip(0, 255).astype(np.uint8)
    level, _ = cv2.threshold(scaled[~legend][None], 0, 255, cv2.THRESH_OTSU)
    side = np.asarray(scaled > level)
    warm = colours[:, :, 1] + colours[:, :, 2]
    if not (side & ~legend).any() or not (~side & ~legend).any():  # all of one colour
        return np.zeros_like(legend), legend
    if warm[side & ~legend].mean() < warm[~side & ~legend].mean():
        side = ~side
    return opened(side & ~legend, 1), legend


def name_on_pad(blob: Blob, away: Float) -> str:
    """A label for a spot on a pad by its shape and by how its colour is off: lighter, redder, yellower."""
    length, width = blob.shape()
    light, red, yellow = away.tolist()
    if length > 3.5 * min(width, 1.5 * blob.area / length) and length > 10:
        return "gold_scratch"
    if blob.area < 120 and light < -4 and red < 4:
        return "dent"
    if red > 2.5 and light < 0:
        return "oxidation"
    if yellow < -3 and blob.area < 300:
        return "exposed_nickel"
    return "foreign_object" if light < -8 or yellow < -12 else "stain"


def on_pads(colours: Float, pads: list[Blob]) -> list[Call]:
    """Spots that differ from the median colour of their own pad."""
    calls = []
    for pad in pads:
        height, width = pad.mask.shape
        crop = colours[pad.y : pad.y + height, pad.x : pad.x + width]
        contour, _ = cv2.findContours(pad.mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        filled = np.zeros((height + 2, width + 2), np.uint8)
        cv2.drawContours(filled, contour, -1, 1, cv2.FILLED, offset=(1, 1))
        inner = shrink(filled > 0, EDGE)[1:-1, 1:-1]
        if inner.sum() < 40:
            continue
        away = crop - np.median(crop[inner], axis=0)
        spread = np.maximum(1.4826 * np.median(np.abs(away[inner]), axis=0), 1.0)
        away = away / spread
        spots = closed((np.linalg.norm(away, axis=2) > OUTLIER) & inner, 2) & inner
        for spot in blobs(spots, 12):
            mean = np.asarray(spot.of(away).mean(axis=0), np.float32)
            x1, y1, x2, y2 = spot.box
            box = (pad.x + x1 - 1, pad.y + y1 - 1, pad.x + x2 + 1, pad.y + y2 + 1)
            strength = float(np.linalg.norm(mean)) / 12 * min(1.0, spot.area / 40)
            calls.append(Call(name_on_pad(spot, mean), box, strength))
    return rare(calls)


def find(image: Image) -> list[Call]:
    colours = lab(image)
    warm, legend = materials(colours)
    found = blobs(warm, 12)
    typical = float(np.median([blob.area for blob in found if blob.area > 150] or [400]))
    pads = [blob for blob in found if blob.area > 0.25 * typical and blob.area > 80]
    pad_mask = np.zeros(warm.shape, bool)
    for pad in pads:
        height, width = pad.mask.shape
        pad_mask[pad.y : pad.y + height, pad.x : pad.x + width] |= pad.mask
    calls = on_pads(colours, pads)
    yellow = float(np.median(colours[pad_mask][:, 2])) if pad_mask.any() else 20.0
    near = grow(pad_mask, 6)
    for blob in found:  # metal in small pieces where there should be mask
        if 25 < blob.area <= max(0.25 * typical, 80):
            gold = float(np.median(blob.of(colours)[:, 2])) > yellow - 6 and bool(blob.of(near).any())
            calls.append(Call("extraneous_gold" if gold else "mask_exposed_copper", blob.box, blob.area / 60))
    core = opened(pad_mask, 5)
    for blob in blobs(pad_mask & ~core, 15, 600):  # metal that sticks out of a pad
        calls.append(Call("extraneous_gold", blob.box, blob.area / 150))
    ground = shrink(~(pad_mask | legend), EDGE)
    away = deviation(colours, ground, WINDOW)
    spots = closed(np.asarray(np.linalg.norm(away, axis=2) > OUTLIER), 5) & ground
    for blob in blobs(spots, 40):
        mean = np.asarray(blob.of(away).mean(axis=0), np.float32)
        strength = float(np.linalg.norm(mean))
        reddish = mean[1] > 4 and mean[2] > 2
        slug = "mask_exposed_copper" if reddish else "foreign_object" if strength > 14 else "stain"
        calls.append(Call(slug, blob.box, strength / 15 * min(1.0, blob.area / 150)))
    stroke = cv2.distanceTransform(legend.astype(np.uint8), cv2.DIST_L2, 5)
    usual = float(np.percentile(stroke[legend], 90)) if legend.any() else 3.0
    for blob in blobs(legend, 30):
        thickness = float(blob.of(stroke).max()) / usual
        if thickness > 1.8 or blob.area < 60:  # a smear of ink, or a crumb of a stroke
            calls.append(Call("legend_defect", blob.box, thickness / 2))
    return calls
