"""What of a defect shows in the finished picture: its box, and whether anybody could see it.

A defect is planted in copper or paint, and then etched over, drilled through, blurred and buried in grain. Truth is
what is left of it: the board is compared with its defect-free twin, which shares artwork, etch, texture and noise.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from boards.pixels.noise import Image
from boards.pixels.paintwork import FAINT, VISIBLE
from training.traits import MARGIN_PX

LEAST_PX = 4  # a patch of changed pixels smaller than this is a trace of JPEG, not of a defect
SURROUNDINGS_PX = 24  # round a box: where the texture that a defect must stand out from is measured
# An object is seen reliably from a signal of 5 times the noise on a blank field (A. Rose, J. Opt. Soc. Am. 38, 196,
# 1948); a board is not blank: twice that.
STANDS_OUT = 10.0
SCALES_PX = (1.0, 2.0, 4.0)  # a faint nodule drowns in mottled copper, not in fine grain: each scale has its noise
ALIKE = 35  # grey levels within which a pixel of the surroundings is the material that the defect lies on
LEAST_TEXTURE = 100  # such pixels needed for a measurement
LEAST_NOISE = 3.0  # grey levels at a scale of 1 px, of any camera
AREA_PX = 10
PEAK = 1.5 * VISIBLE  # grey levels


def changes(image: Image, clean: Image) -> NDArray[np.float32]:
    """float32 (H, W): grey levels by which each pixel of uint8 (H, W, 3) differs from the twin's, as optics see it."""
    change = np.abs(image.astype(np.int16) - clean).max(axis=2).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(change, (0, 0), 0.9), np.float32)


def seen(change: NDArray[np.float32]) -> NDArray[np.bool_]:
    """bool (H, W): pixels that visibly changed, without lone ones."""
    _, patches, statistics, _ = cv2.connectedComponentsWithStats((change > VISIBLE).astype(np.uint8), connectivity=8)
    large = statistics[:, cv2.CC_STAT_AREA] >= LEAST_PX
    large[0] = False  # the background
    return np.asarray(large[patches], np.bool_)


def followed(change: NDArray[np.float32]) -> NDArray[np.bool_]:
    """bool (H, W): pixels that visibly changed, and what holds together with them and changed at least faintly."""
    _, parts = cv2.connectedComponents((change > FAINT).astype(np.uint8), connectivity=8)
    kept = np.zeros(int(parts.max()) + 1, np.bool_)
    kept[parts[seen(change)]] = True
    kept[0] = False  # the background
    return np.asarray(kept[parts], np.bool_)


def signal_to_noise(image: Image, clean: Image, shows: NDArray[np.bool_]) -> float:
    """How far a defect stands out from the texture it lies on, at the scale that shows it best.

    image, clean: uint8 (H, W, 3), a window with surroundings. shows: bool (H, W), the defect's visible pixels.
    At a scale s the window is blurred (Gaussian, s px); noise is the deviation there of the clean twin's pixels that
    have the defect's material all round (2 s), and a matched filter gains the root of the number of independent spots:
    area / (4 pi s^2).
    """
    before = clean.astype(np.float32)
    change = (image.astype(np.float32) - before) * cv2.dilate(shows.astype(np.uint8), np.ones((5, 5)))[..., None]
    material = np.median(before[shows], axis=0)
    alike = (np.abs(cv2.GaussianBlur(before, (0, 0), 1.5) - material).max(axis=2) < ALIKE).astype(np.uint8)
    best = 0.0
    for scale in SCALES_PX:
        reach = int(2 * scale)
        texture = cv2.GaussianBlur(before, (0, 0), scale)[cv2.erode(alike, np.ones((2 * reach + 1,) * 2)) > 0]
        noise = np.full(3, LEAST_NOISE / scale)
        if len(texture) >= LEAST_TEXTURE:  # median: what else lies about hardly counts
            noise = np.maximum(noise, 1.4826 * np.median(np.abs(texture - np.median(texture, axis=0)), axis=0))
        energy = ((cv2.GaussianBlur(change, (0, 0), scale)[shows] / noise) ** 2).sum(axis=0).max()
        best = max(best, float(np.sqrt(energy / (4 * np.pi * scale**2))))
    return best


def stands_out(image: Image, clean: Image, shows: NDArray[np.bool_], peak: float) -> bool:
    """Whether anybody could see a defect that changes a window visibly where `shows`, by at most `peak`."""
    if int(shows.sum()) < AREA_PX or peak < PEAK:
        return False
    return signal_to_noise(image, clean, shows) >= STANDS_OUT


def measure(
    image: Image,
    clean: Image,
    boxes: NDArray[np.float32],
    whole: NDArray[np.bool_],
    margin: int = MARGIN_PX,
    least: NDArray[np.float32] | None = None,
    lines: NDArray[np.bool_] | None = None,
) -> tuple[Image, NDArray[np.float32], NDArray[np.bool_]]:
    """The picture without what nobody could see, boxes (N, 4) round what shows, and which of them (N,) show.

    image, clean: uint8 (H, W, 3). boxes: float32 (N, 4) xyxy px, as planted. whole (N,): judged as a whole thing (a
    pad, a plug), whose box stays as it is. margin: px of air round what shows. least: float32 (N,) px, where less than
    this shows, along the longer side, it is a remnant that nobody could name. lines: bool (N,), boxed with where it is
    faint.
    """
    height, width = image.shape[:2]
    change = changes(image, clean)
    visible = seen(change)
    faint = followed(change) if lines is not None and lines.any() else visible
    measured, shows = boxes.copy(), np.zeros(len(boxes), bool)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    for row, box in enumerate(boxes):
        x1, y1, x2, y2 = (int(value) for value in np.round(box))
        inside = visible[y1:y2, x1:x2].copy()
        extent = faint[y1:y2, x1:x2].copy() if lines is not None and lines[row] else inside
        for left, top, right, bottom in boxes[area < area[row]].round().astype(int):  # theirs: a scratch passes a hole
            theirs = (slice(max(top - y1, 0), max(bottom - y1, 0)), slice(max(left - x1, 0), max(right - x1, 0)))
            inside[theirs] = extent[theirs] = False
        if inside.size == 0:
            continue
        left, top = max(x1 - SURROUNDINGS_PX, 0), max(y1 - SURROUNDINGS_PX, 0)
        window = (slice(top, y2 + SURROUNDINGS_PX), slice(left, x2 + SURROUNDINGS_PX))
        own = np.zeros(image[window].shape[:2], bool)
        own[y1 - top : y2 - top, x1 - left : x2 - left] = inside
        shows[row] = stands_out(image[window], clean[window], own, float(change[window][own].max(initial=0)))
        rows, columns = np.flatnonzero(extent.any(axis=1)), np.flatnonzero(extent.any(axis=0))
        if shows[row] and least is not None:
            shows[row] = max(np.ptp(rows), np.ptp(columns)) + 1 >= least[row]
        if shows[row] and not whole[row]:
            low = np.array([x1 + columns[0], y1 + rows[0]]) - margin
            high = np.array([x1 + columns[-1], y1 + rows[-1]]) + 1 + margin
            measured[row] = np.clip([*low, *high], 0, [width, height, width, height])
    picture = image.copy()
    for x1, y1, x2, y2 in boxes[~shows].round().astype(int):
        picture[y1:y2, x1:x2] = clean[y1:y2, x1:x2]
    for x1, y1, x2, y2 in measured[shows].round().astype(int):  # what was beside a faint one stays
        picture[y1:y2, x1:x2] = image[y1:y2, x1:x2]
    return picture, measured, shows
