"""From a scene to a training crop: placed near a defect, scaled, turned, its contrast changed.

All changes keep the polarity: whether copper is the dark or the bright side is what tells an open from a short.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from training.assign import IGNORED
from training.scene import Boxes, Image, Labels, Scene

NEAR_DEFECT = 0.8  # share of crops placed to hold a chosen defect
UNDO = 0.15  # share of defects repaired with the clean board, where it is known
SCALED = 0.5  # share of crops resized, by a factor in SCALES
SCALES = (0.86, 1.16)
VISIBLE = 0.6  # a defect cut by the crop to less than this is ignored
JUDGEABLE_PX = 4.0  # a remnant thinner than this is not even ignored: nothing of it can be seen
FRAGMENT_PX = 14.0  # longest side from which the rest of a cut scratch is still called one
CONTRAST = 0.4  # share of crops whose grey levels are changed


@dataclass(frozen=True)
class Crop:
    image: Image  # (S, S, 3) uint8 RGB
    boxes: Boxes
    labels: Labels


def undo_defects(scene: Scene, rng: np.random.Generator) -> Scene:
    """Repair some defects by pasting the clean board over them: the same place, now a negative."""
    if scene.clean is None or not len(scene.boxes):
        return scene
    repaired = rng.random(len(scene.boxes)) < UNDO
    if not repaired.any():
        return scene
    image = scene.image.copy()
    for x1, y1, x2, y2 in scene.boxes[repaired].astype(int):
        image[y1:y2, x1:x2] = scene.clean[y1:y2, x1:x2]
    return Scene(image, scene.boxes[~repaired], scene.labels[~repaired], scene.name, scene.clean)


def place(scene: Scene, side: int, rng: np.random.Generator) -> tuple[int, int]:
    """Top-left corner (x, y) of a window of `side` px, mostly one that holds a defect whole."""
    height, width = scene.image.shape[:2]
    room = np.array([width - side, height - side])
    if len(scene.boxes) and rng.random() < NEAR_DEFECT:
        x1, y1, x2, y2 = scene.boxes[int(rng.integers(len(scene.boxes)))]
        lowest = np.array([x2, y2]) - side
        highest = np.array([x1, y1])
        # A defect longer than the window turns the range round: any window along it will do.
        lowest, highest = np.minimum(lowest, highest), np.maximum(lowest, highest)
        corner = lowest + (highest - lowest) * rng.random(2)
    else:
        corner = room * rng.random(2)
    x, y = np.clip(np.round(corner), 0, room).astype(int)
    return int(x), int(y)


def cut(scene: Scene, x: int, y: int, side: int, fragments: frozenset[int]) -> tuple[Boxes, Labels]:
    """Boxes clipped to the window and moved into it; those cut too much become IGNORED or, unseen, vanish.

    A label in `fragments` (a scratch) is still itself when cut: what is left of it stays a positive, boxed anew
    where the scene knows its trail (the clipped box of a slanted scratch may hold none of it).
    """
    moved = scene.boxes - np.array([x, y, x, y], np.float32)
    clipped = moved.clip(0, side)
    size, full = clipped[:, 2:] - clipped[:, :2], moved[:, 2:] - moved[:, :2]
    share = size.prod(1) / np.maximum(full.prod(1), 1e-6)
    seen = size.min(1) >= JUDGEABLE_PX
    labels = np.where(share >= VISIBLE, scene.labels, IGNORED)
    for row in np.flatnonzero(np.isin(scene.labels, list(fragments)) & seen & (share < 0.999)):
        points = scene.trails[scene.trails[:, 2] == row, :2] - np.array([x, y], np.float32)
        if not len(points):
            continue  # no trail known: judged by its share, like the others
        margin = points[:, 0].min() - moved[row, 0]
        points = points[((points >= 0) & (points < side)).all(1)]
        seen[row] = len(points) > 0
        if seen[row]:
            extent = np.concatenate((points.min(0), points.max(0) + 1))
            labels[row] = scene.labels[row] if (extent[2:] - extent[:2]).max() >= FRAGMENT_PX else IGNORED
            clipped[row] = (extent + np.array([-margin, -margin, margin, margin], np.float32)).clip(0, side)
    return clipped[seen], labels[seen]


def turn(image: Image, boxes: Boxes, rng: np.random.Generator) -> tuple[Image, Boxes]:
    """One of the eight flips and quarter turns of a square."""
    side = image.shape[0]
    if rng.random() < 0.5:
        image, boxes = image[:, ::-1], np.stack(
            (side - boxes[:, 2], boxes[:, 1], side - boxes[:, 0], boxes[:, 3]), axis=1
        )
    if rng.random() < 0.5:
        image, boxes = image[::-1], np.stack(
            (boxes[:, 0], side - boxes[:, 3], boxes[:, 2], side - boxes[:, 1]), axis=1
        )
    if rng.random() < 0.5:
        image, boxes = np.swapaxes(image, 0, 1), boxes[:, [1, 0, 3, 2]]
    return image, boxes


def change_contrast(image: Image, rng: np.random.Generator) -> Image:
    """Compress the grey range, bend it, blur it and add noise: a softer camera, the same polarity."""
    levels = np.arange(256, dtype=np.float32) / 255
    low, high = rng.uniform(0, 0.3), rng.uniform(0.7, 1.0)
    curve = (low + (high - low) * levels ** rng.uniform(0.7, 1.4)) * 255
    image = cv2.LUT(image, curve.astype(np.uint8))
    if rng.random() < 0.5:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.1))
    if rng.random() < 0.5:
        noise = np.empty(image.shape, np.int16)
        cv2.setRNGSeed(int(rng.integers(2**31 - 1)))
        cv2.randn(noise, 0, rng.uniform(1, 8))
        image = np.clip(image.astype(np.int16) + noise, 0, 255).astype(np.uint8)
    return image


def crop(scene: Scene, side: int, rng: np.random.Generator, fragments: frozenset[int] = frozenset()) -> Crop:
    """A random training crop of `side` x `side` px."""
    scene = undo_defects(scene, rng)
    scale = rng.uniform(*SCALES) if rng.random() < SCALED else 1.0
    window = min(round(side / scale), *scene.image.shape[:2])
    x, y = place(scene, window, rng)
    boxes, labels = cut(scene, x, y, window, fragments)
    image = scene.image[y : y + window, x : x + window]
    image, boxes = turn(image, boxes, rng)
    image = np.ascontiguousarray(image)
    if window != side:
        image = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA if window > side else cv2.INTER_LINEAR)
        boxes = boxes * np.float32(side / window)
    if rng.random() < CONTRAST:
        image = change_contrast(image, rng)
    if image.ndim == 2:
        image = np.repeat(image[:, :, None], 3, axis=2)
    return Crop(image, boxes.astype(np.float32), labels)
