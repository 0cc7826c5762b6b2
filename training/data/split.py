"""A user's annotated images, parted for fine-tuning and cut to scenes on disk.

Whole CVAT tasks fall into a part where there are enough, else sub-folders, else images. They are ranked by the SHA-256
of their name, and the parts are filled in that order: as many images as asked for, whatever luck says, and nearly the
same ones when more images come. Of few images none can be spared: they are cross-validated.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from pcb_aoi.engine import tiles
from pcb_aoi.exports.annotations import AnnotationError, Entry, Report, decode_entry
from pcb_aoi.exports.scene import Scene
from training.data import augment
from training.data.store import write_scene

HELD_OUT, CALIBRATION = 0.2, 0.15  # shares of the images
FEWEST_GROUPS = 5  # tasks or folders from which whole ones fall into a part
FEW = 60  # images under which all of them are held out in turn, and none calibrate
FOLDS = 3
FEWEST_IMAGES, FEWEST_DEFECTS = 5, 5  # from which something can be learnt at all
LARGEST_PX = 1280  # side from which an image is cut into pieces of this size
OVERLAP_PX = 320  # of pieces to train on, so that each defect is whole in one; the others do not overlap
CLEAN_PIECES = 2  # pieces without a defect that are trained on, per piece with one (at least 4 an image)


@dataclass(frozen=True)
class Parts:
    """Which images a run learns from, calibrates with and measures on."""

    folds: list[tuple[list[Entry], list[Entry]]]  # learnt from, held out: one pair, or FOLDS that hold all out in turn
    calibration: list[Entry]
    rule: str

    @property
    def crossed(self) -> bool:
        """Whether the images are too few to hold some out for good."""
        return len(self.folds) > 1

    @property
    def all(self) -> list[Entry]:
        """Every image once."""
        own = [entry for _, held_out in self.folds for entry in held_out]
        return own if self.crossed else [*self.folds[0][0], *self.calibration, *own]


def split(entries: list[Entry], held_out: float = HELD_OUT) -> Parts:
    """The images in parts; raises AnnotationError where there are too few to learn from."""
    defects = sum(label >= 0 for entry in entries for label in entry.labels)
    if len(entries) < FEWEST_IMAGES or defects < FEWEST_DEFECTS:
        raise AnnotationError(
            f"图片太少 / too few images: {len(entries)} with {defects} defects; "
            f"annotate {FEWEST_IMAGES} images with {FEWEST_DEFECTS} defects or more"
        )
    rule, groups = grouped(entries)
    if len(entries) < FEW:
        dealt: list[list[Entry]] = [[] for _ in range(FOLDS)]
        for group in groups:
            min(dealt, key=len).extend(group)
        return Parts([([x for o in dealt if o is not own for x in o], own) for own in dealt], [], rule)
    parts: tuple[list[Entry], ...] = ([], [], [])
    wanted = (held_out * len(entries), CALIBRATION * len(entries))
    for group in groups:
        part = next((p for p, size in zip(parts, wanted, strict=False) if len(p) + len(group) / 2 <= size), parts[2])
        part.extend(group)
    return Parts([(parts[2], parts[0])], parts[1], rule)


def grouped(entries: list[Entry]) -> tuple[str, list[list[Entry]]]:
    """What must stay together, in words, and the groups in the order of their rank."""
    rules = {
        "CVAT 任务 / CVAT task": [entry.picture.task for entry in entries],
        "子文件夹 / sub-folder": [entry.folder for entry in entries],
        "图片 / image": [entry.picture.name for entry in entries],
    }
    rule, keys = next((one for one in rules.items() if len(set(one[1])) >= FEWEST_GROUPS), list(rules.items())[-1])
    groups: dict[str, list[Entry]] = {}
    for entry, key in sorted(zip(entries, keys, strict=True), key=lambda pair: _rank(pair[1])):
        groups.setdefault(key, []).append(entry)
    return rule, list(groups.values())


def _rank(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def store(entries: list[Entry], own: Path, scale: float, fragments: frozenset[int] | None, report: Report) -> None:
    """Decode images and write their scenes to `own`, anew; raises AnnotationError.

    fragments: to train on: labels that are still themselves when cut; None: to measure on, in pieces side by side.
    """
    shutil.rmtree(own, ignore_errors=True)
    own.mkdir(parents=True)
    for number, entry in enumerate(entries):
        scene = scaled(decode_entry(entry, report), scale)
        rng = np.random.default_rng(int(entry.digest[:16] or "0", 16))
        for piece, found in enumerate(pieces(scene, fragments is not None, fragments or frozenset(), rng)):
            write_scene(own / f"{number:06d}-{piece:03d}.npz", found)


def scaled(scene: Scene, scale: float) -> Scene:
    """The scene at the model's pixel pitch, as the functions resample it."""
    if scale == 1:
        return scene
    height, width = (max(1, round(side * scale)) for side in scene.image.shape[:2])
    kind = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    image = np.asarray(cv2.resize(scene.image, (width, height), interpolation=kind), np.uint8)
    return Scene(image, scene.boxes * np.float32(scale), scene.labels, scene.name)


def pieces(scene: Scene, training: bool, fragments: frozenset[int], rng: np.random.Generator) -> Iterator[Scene]:
    """The scene itself, or a large one in pieces: a defect that is cut too much is an ignored area there."""
    height, width = scene.image.shape[:2]
    if max(height, width) <= LARGEST_PX:
        yield scene
        return
    corners = tiles.plan(height, width, LARGEST_PX, OVERLAP_PX if training else 0).boxes[:, :2].tolist()
    clean = []
    marked = 0
    for x, y in corners:
        boxes, labels = augment.cut(scene, x, y, LARGEST_PX, fragments)
        piece = Scene(scene.image[y : y + LARGEST_PX, x : x + LARGEST_PX], boxes, labels, f"{scene.name}-{x}-{y}")
        if len(labels) or not training:
            marked += 1
            yield piece
        else:
            clean.append(piece)
    for index in rng.permutation(len(clean))[: max(4, CLEAN_PIECES * marked)]:
        yield clean[int(index)]
