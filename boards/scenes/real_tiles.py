"""Real outer-layer tiles recovered from DsPCBSD+ mosaics (CC BY 4.0): a few, faulty, for training only.

The pixels under the drawn rectangles are made up, and the fill round every box gives the defect away: so decoy
frames are filled in elsewhere, in the same manner. Tiles whose scratches and foreign objects may be unboxed teach the
other labels alone. No score is ever taken on these tiles.
"""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

from pcb_aoi.exports.scene import IGNORED, Scene

# DsPCBSD+ category -> our slug; the same mapping serves the published set.
SLUGS = {
    "SH": "short",
    "SP": "spur",
    "SC": "residual_copper",
    "OP": "open",
    "MB": "nick",
    "HB": "hole_breakout",
    "CS": "scratch",
    "CFO": "foreign_object",
    "BMFO": "foreign_object",
}
SOMETIMES_UNBOXED = ("scratch", "foreign_object")  # on the tiles that say so
VARIANTS = 6  # copies of a tile, each with other decoys
SMALLEST_PX = 10.0  # boxes below this hold mostly filled pixels


def add_decoys(image: np.ndarray, boxes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Fill the frames of a few random rectangles in from their surroundings, as the frames of the boxes were."""
    height, width = image.shape[:2]
    frame = np.zeros((height, width), np.uint8)
    for _ in range(max(3, 2 * len(boxes))):
        w, h = rng.integers(14, 60, 2)
        x, y = int(rng.integers(0, width - w)), int(rng.integers(0, height - h))
        cv2.rectangle(frame, (x, y), (x + int(w), y + int(h)), 255, int(rng.integers(2, 5)))
    for x1, y1, x2, y2 in boxes.astype(int):
        frame[max(0, y1) : y2, max(0, x1) : x2] = 0  # a defect itself stays as it is
    return np.asarray(cv2.inpaint(image, frame, 3, cv2.INPAINT_TELEA), np.uint8)


def load(root: Path, slugs: list[str], seed: int = 1) -> list[Scene]:
    """Scenes of 226 x 226 px: labels that the model does not have or that a tile cannot teach, and boxes too small to
    see, are ignored areas."""
    content = json.loads((root / "annotations.json").read_text())
    names = {category["id"]: category["name"] for category in content["categories"]}
    rng = np.random.default_rng(seed)
    boxed = tuple(number for number, slug in enumerate(slugs) if slug not in SOMETIMES_UNBOXED)
    scenes = []
    for entry in content["images"]:
        taught = None if entry["cs_cfo_annotated"] else boxed
        found = [one for one in content["annotations"] if one["image_id"] == entry["id"]]
        boxes = np.array([one["bbox"] for one in found], np.float32).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        labels = np.array([_index(names[one["category_id"]], slugs) for one in found], np.int64)
        labels[(boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0) < SMALLEST_PX] = IGNORED
        if taught is not None:
            labels[~np.isin(labels, taught)] = IGNORED
        image = cv2.imread(str(root / "images" / entry["file_name"]), cv2.IMREAD_COLOR_RGB)
        if image is None:
            raise FileNotFoundError(f"no readable image at {root / 'images' / entry['file_name']}")
        for variant in range(VARIANTS):
            picture = add_decoys(np.asarray(image, np.uint8), boxes, rng)
            scenes.append(Scene(picture, boxes, labels, f"{entry['file_name']}-{variant}", taught=taught))
    return scenes


def _index(category: str, slugs: list[str]) -> int:
    """Place of a category among a model's labels; IGNORED where the model has no such label."""
    return slugs.index(SLUGS[category]) if SLUGS[category] in slugs else IGNORED
