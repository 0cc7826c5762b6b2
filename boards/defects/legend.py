"""字符残缺: what goes wrong with the legend, the white ink of names, outlines and marks."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from boards.copper.layer import pieces
from boards.defects.planting import Truth, difference_box
from boards.pixels.noise import Mask
from boards.pixels.shapes import canvas_for, fill, outline


def spoil(ink: Mask, um_per_px: float, margin: int, truth: Truth, rng: np.random.Generator) -> None:
    """Break strokes of the legend, or smear ink where none belongs; changes `ink` in place.

    Of every stroke that is hit a good part must stay, and one must fall apart or open: who does not know the design
    misses no sign that is gone altogether, and takes a stroke without its end for a shorter one. The box holds the
    broken signs, or of a long line the gap.
    """
    height, width = ink.shape
    _, strokes, extents, _ = cv2.connectedComponentsWithStats((ink > 127).astype(np.uint8), connectivity=8)
    for _ in range(60):
        size = max(float(np.exp(rng.uniform(np.log(120), np.log(700)))) / um_per_px, 9.0)
        erase = bool(rng.random() < 0.75)  # few of them find a place
        if erase:
            rows, columns = np.nonzero(ink > 200)
            if len(rows) == 0:
                return
            index = int(rng.integers(len(rows)))
            at = (float(columns[index]), float(rows[index]))
        else:
            at = (float(rng.uniform(0, width)), float(rng.uniform(0, height)))
        if truth.hits(at[0], at[1], size):
            continue
        shape = outline(size / 2, size / 2 * float(rng.uniform(0.35, 1)), 0.5, rng) + at
        canvas, corner = canvas_for(shape, 3, (height, width))
        if canvas.size == 0:
            continue
        fill(canvas, shape - corner)
        x, y = int(corner[0]), int(corner[1])
        window = ink[y : y + canvas.shape[0], x : x + canvas.shape[1]]
        after = np.minimum(window, 255 - canvas) if erase else np.maximum(window, canvas)
        before, later = (np.asarray(part / 255, np.float32) for part in (window, after))
        box = difference_box(before, later, margin, 0.4, 25)
        if box is None:
            continue
        whole = np.array([x + box[0], y + box[1], x + box[2], y + box[3]])
        if erase:
            lost = strokes[y : y + canvas.shape[0], x : x + canvas.shape[1]][(window > 127) & (after <= 127)]
            hit, counts = np.unique(lost[lost > 0], return_counts=True)
            share = counts / extents[hit, cv2.CC_STAT_AREA]
            if len(hit) == 0 or share.max() > 0.6 or share.max() < 0.02:
                continue
            remains = ink.copy()
            remains[y : y + canvas.shape[0], x : x + canvas.shape[1]] = after
            if not any(_broken(strokes == stroke, remains > 127) for stroke in hit):
                continue
            for left, top, wide, high, _ in extents[hit]:
                if max(wide, high) <= 1.8 * max(box[2] - box[0], box[3] - box[1]):
                    sign = np.array([left - margin, top - margin, left + wide + margin, top + high + margin])
                    whole = np.concatenate((np.minimum(whole[:2], sign[:2]), np.maximum(whole[2:], sign[2:])))
        window[:] = after
        truth.add("legend_defect", (float(whole[0]), float(whole[1]), float(whole[2]), float(whole[3])))
        return


def _broken(stroke: NDArray[np.bool_], remains: NDArray[np.bool_]) -> bool:
    """Whether a stroke, bool (H, W), is in two good parts, or a loop of it open, where ink remains."""
    rest = stroke & remains
    _, _, parts, _ = cv2.connectedComponentsWithStats(rest.astype(np.uint8), connectivity=8)
    if int((parts[1:, cv2.CC_STAT_AREA] >= 0.1 * stroke.sum()).sum()) > 1:
        return True
    loops = [pieces(mask.astype(np.uint8))[1] for mask in (stroke, rest)]
    return loops[1] < loops[0]
