"""From a scene to a training crop: placed near a defect, scaled, turned, its contrast changed.

All changes but the last keep the polarity: which side is copper is what tells an open from a short. The last shows
copper bright in every crop, as it then is to the weights (pcb_aoi/engine/polarity.py).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from pcb_aoi.engine import polarity
from pcb_aoi.exports.scene import IGNORED, Boxes, Image, Labels, Scene
from training.data import features, pieces
from training.data.pieces import Pieces
from training.traits import INNER_MARGIN_PX

NEAR_DEFECT = 0.8  # share of crops placed to hold a chosen defect
UNDO = 0.15  # share of defects repaired with the clean board, where it is known
SCALED = 0.6  # share of crops resized, by a factor in SCALES
SCALES = (0.85, 1.25)  # wider than any error in pitch: it also makes lines as wide as boards not in the set have them
INVERTED = 0.35  # share of near-binary crops with copper and laminate exchanged, where the labels have counterparts
FEATURES = 0.5  # share of near-binary crops that get designed features which look like defects
VISIBLE = 0.6  # a defect cut by the crop to less than this is ignored
JUDGEABLE_PX = 4.0  # a remnant thinner than this is not even ignored: nothing of it can be seen
FRAGMENT_PX = 14.0  # longest side from which the rest of a cut scratch is still called one
CONTRAST = 0.3  # share of crops whose grey levels are changed


@dataclass(frozen=True)
class Crop:
    image: Image  # (S, S, 3) uint8 RGB
    boxes: Boxes
    labels: Labels
    taught: tuple[int, ...] | None = None  # as the scene's
    pieces: Pieces = pieces.NONE


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
    kept = ~repaired
    renumbered = np.cumsum(kept) - 1  # row of each defect that stays
    owner = scene.trails[:, 2].astype(int)
    trails = scene.trails[kept[owner]]
    trails[:, 2] = renumbered[owner[kept[owner]]]
    return replace(scene, image=image, boxes=scene.boxes[kept], labels=scene.labels[kept], trails=trails)


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


def apart(scene: Scene, joined: frozenset[int]) -> tuple[Scene, NDArray[np.float32], NDArray[np.int64]]:
    """The scene without the defects learnt in pieces, and the points (P, 2) and owners (P,) of their trails.

    Where no trail is known: a short defect keeps its box, which is one piece; a long thin one has its trail along it;
    of a long wide one nobody knows where it runs: ignored.
    """
    owners = scene.trails[:, 2].astype(np.int64)
    own = np.isin(scene.labels, list(joined))
    known = np.isin(np.arange(len(scene.labels)), owners) & own
    labels = scene.labels
    parts, whose = [scene.trails[known[owners], :2]], [owners[known[owners]]]
    for row in np.flatnonzero(own & ~known):
        box = scene.boxes[row]
        if (box[2:] - box[:2]).max() <= 2 * pieces.REACH:
            continue
        points = pieces.trail_of(box)
        if points is None:
            labels = labels.copy()
            labels[row] = IGNORED
            continue
        known[row] = True
        parts.append(points)
        whose.append(np.full(len(points), row))
    kept, other = ~known, ~known[owners]
    trails = scene.trails[other].copy()
    trails[:, 2] = (np.cumsum(kept) - 1)[owners[other]]
    rest = replace(scene, boxes=scene.boxes[kept], labels=labels[kept], trails=trails)
    return rest, np.concatenate(parts) + np.float32(0.5), np.concatenate(whose)


def turn(image: Image, boxes: Boxes, rng: np.random.Generator) -> tuple[Image, Boxes]:
    """One of the eight flips and quarter turns of a square."""
    side = image.shape[0]
    if rng.random() < 0.5:
        image, boxes = (
            image[:, ::-1],
            np.stack((side - boxes[:, 2], boxes[:, 1], side - boxes[:, 0], boxes[:, 3]), axis=1),
        )
    if rng.random() < 0.5:
        image, boxes = image[::-1], np.stack((boxes[:, 0], side - boxes[:, 3], boxes[:, 2], side - boxes[:, 1]), axis=1)
    if rng.random() < 0.5:
        image, boxes = np.swapaxes(image, 0, 1), boxes[:, [1, 0, 3, 2]]
    return image, boxes


def change_contrast(image: Image, rng: np.random.Generator) -> Image:
    """Compress the grey range a little, bend it, blur it and add noise: a softer camera.

    Only a little: copper is dark in near-binary channels and bright in grey ones, and what tells the two apart is
    that near-binary ones have no half-tones and no grain.
    """
    levels = np.arange(256, dtype=np.float32) / 255
    low, high = rng.uniform(0, 0.08), rng.uniform(0.88, 1.0)
    curve = (low + (high - low) * levels ** rng.uniform(0.85, 1.2)) * 255
    image = np.asarray(cv2.LUT(image, curve.astype(np.uint8)), np.uint8)
    if rng.random() < 0.5:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 0.7)), np.uint8)
    if rng.random() < 0.5:
        noise = rng.standard_normal(image.shape, np.float32) * np.float32(rng.uniform(0.5, 3))
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
    return image


def is_near_binary(image: Image) -> bool:
    """Whether a crop is of a thresholded channel, where copper is the dark side: hardly any half-tones."""
    if image.ndim == 3:
        return False
    sample = image[::4, ::4]
    return bool(((sample > 50) & (sample < 205)).mean() < 0.05)


def crop(
    scene: Scene,
    side: int,
    rng: np.random.Generator,
    fragments: frozenset[int] = frozenset(),
    counterparts: dict[int, int] | None = None,
    joined: frozenset[int] = frozenset(),
    bright_copper: bool = False,
    bridges: frozenset[int] = frozenset(),
) -> Crop:
    """A random training crop of `side` x `side` px.

    `bright_copper`: of a thresholded scene, where copper is black, the crop is the negative (engine/polarity.py).
    `joined`: labels learnt in pieces, where the scene knows their trail; the rest keep their boxes.
    `counterparts` says what each label becomes when copper and laminate are exchanged: a gap in a line becomes a
    bridge over a slot, a bite a tooth, a hole an island. It turns boards of lines into boards of slots in planes,
    which the set hardly has. A long thin one of `bridges` (a short) becomes a slot as a layout may have it: ignored.
    """
    scene = undo_defects(scene, rng)
    scale = rng.uniform(*SCALES) if rng.random() < SCALED else 1.0
    window = min(round(side / scale), *scene.image.shape[:2])
    x, y = place(scene, window, rng)
    rest, points, owners = apart(scene, joined) if joined else (scene, scene.trails[:0, :2], np.empty(0, np.int64))
    boxes, labels = cut(rest, x, y, window, fragments)
    image = scene.image[y : y + window, x : x + window]
    points = points - np.array([x, y], np.float32)
    image, moved = turn(image, np.concatenate((boxes, np.tile(points, 2))), rng)
    boxes, points = moved[: len(boxes)], moved[len(boxes) :, :2]
    image = np.ascontiguousarray(image)
    if window != side:
        kind = cv2.INTER_AREA if window > side else cv2.INTER_LINEAR
        image = np.asarray(cv2.resize(image, (side, side), interpolation=kind), np.uint8)
        boxes, points = boxes * np.float32(side / window), points * np.float32(side / window)
    if counterparts and rng.random() < INVERTED and is_near_binary(image):
        image = 255 - image
        slots = np.isin(labels, list(bridges)) & features.slim(boxes, INNER_MARGIN_PX)
        labels = np.array([counterparts.get(label, label) for label in labels.tolist()], np.int64)
        labels[slots] = IGNORED
    if rng.random() < FEATURES and is_near_binary(image):
        image = features.add_designed_features(image, boxes, rng)
    if rng.random() < CONTRAST:
        image = change_contrast(image, rng)
    if bright_copper and polarity.thresholded(scene.image):
        image = 255 - image
    if image.ndim == 2:
        image = np.repeat(image[:, :, None], 3, axis=2)
    found = pieces.cut(points, scene.labels[owners], owners, side) if len(points) else pieces.NONE
    return Crop(image, boxes.astype(np.float32), labels, scene.taught, found)
