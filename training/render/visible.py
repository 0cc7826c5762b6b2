"""What of a defect shows in the finished picture: its box, and whether anybody could see it.

A defect is planted in copper or paint, and then etched over, drilled through, blurred and buried in grain. Truth is
what is left of it: the board is compared with its defect-free twin, which shares artwork, etch, texture and noise.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from training.render.noise import Image
from training.render.paintwork import VISIBLE

MARGIN_PX = 3  # air round a defect in its box, as annotators leave it, whatever the pitch
LEAST_PX = 4  # a patch of changed pixels smaller than this is a trace of JPEG, not of a defect
SURROUNDINGS_PX = 12  # round a box: where the grain that a defect must stand out from is measured
# What a defect must show to be one. An object is seen reliably from contrast x sqrt(area) / noise = 5 on a blank field
# (A. Rose, J. Opt. Soc. Am. 38, 196, 1948); a board is not blank: twice that.
STANDS_OUT = 10.0
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


def grain(clean: Image) -> float:
    """Standard deviation of the fine texture of a patch (H, W, 3), grey levels; edges hardly count (median)."""
    grey = clean.astype(np.float32).mean(axis=2)
    fine = cv2.GaussianBlur(grey, (0, 0), 0.9) - cv2.GaussianBlur(grey, (0, 0), 3.0)
    return float(1.4826 * np.median(np.abs(fine - np.median(fine))))


def stands_out(change: NDArray[np.float32], shows: NDArray[np.bool_], noise: float) -> bool:
    """Whether anybody could see a defect that changes a window by `change`, visibly where `shows`."""
    area = int(shows.sum())
    if area < AREA_PX or float(change.max()) < PEAK:
        return False
    return bool(float(change[shows].mean()) * np.sqrt(area) >= STANDS_OUT * max(noise, 1.0))


def measure(
    image: Image, clean: Image, boxes: NDArray[np.float32], whole: NDArray[np.bool_], margin: int = MARGIN_PX
) -> tuple[Image, NDArray[np.float32], NDArray[np.bool_]]:
    """The picture without what nobody could see, boxes (N, 4) round what shows, and which of them (N,) show.

    image, clean: uint8 (H, W, 3). boxes: float32 (N, 4) xyxy px, as planted. whole (N,): judged as a whole thing (a
    pad, a plug), whose box stays as it is. margin: px of air round what shows.
    """
    height, width = image.shape[:2]
    change = changes(image, clean)
    visible = seen(change)
    measured, shows = boxes.copy(), np.zeros(len(boxes), bool)
    for row, box in enumerate(boxes):
        x1, y1, x2, y2 = (int(value) for value in np.round(box))
        inside = visible[y1:y2, x1:x2]
        near = SURROUNDINGS_PX
        noise = grain(clean[max(y1 - near, 0) : y2 + near, max(x1 - near, 0) : x2 + near])
        shows[row] = inside.size > 0 and stands_out(change[y1:y2, x1:x2], inside, noise)
        if shows[row] and not whole[row]:
            rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
            low = np.array([x1 + columns[0], y1 + rows[0]]) - margin
            high = np.array([x1 + columns[-1], y1 + rows[-1]]) + 1 + margin
            measured[row] = np.clip([*low, *high], 0, [width, height, width, height])
    picture = image.copy()
    for x1, y1, x2, y2 in boxes[~shows].round().astype(int):
        picture[y1:y2, x1:x2] = clean[y1:y2, x1:x2]
    for x1, y1, x2, y2 in measured[shows].round().astype(int):  # what was beside a faint one stays
        picture[y1:y2, x1:x2] = image[y1:y2, x1:x2]
    return picture, measured, shows
