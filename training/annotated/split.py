"""A user's annotated images, split for fine-tuning and cut to scenes on disk.

The split is by CVAT task where there are enough, else by sub-folder, else by file name: the first rule that leaves
every part enough images. Which part a task, folder or name falls into follows from its SHA-256 alone, so that what
was held out once is held out again when more images come.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from pcb_aoi.engine import tiles
from training.annotated.annotations import AnnotationError, Entry, Report, decode_entry
from training.data import augment
from training.data.scene import Scene
from training.data.store import write_scene

PARTS = ("train", "calibration", "held-out")
CALIBRATION = 0.15  # share of the images
FEWEST_GROUPS = 5  # tasks or folders from which a split by them is tried
FEWEST_IMAGES = {"train": 10, "calibration": 1, "held-out": 3}
FEWEST_DEFECTS = {"train": 10, "calibration": 0, "held-out": 5}
LARGEST_PX = 1280  # side from which an image is cut into pieces of this size
OVERLAP_PX = 320  # of pieces to train on, so that each defect is whole in one; the others do not overlap
CLEAN_PIECES = 2  # pieces without a defect that are trained on, per piece with one (at least 4 an image)

Split = dict[str, list[Entry]]


def part_of(key: str, held_out: float) -> str:
    """Where a task, folder or file name belongs."""
    number = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") / 2**64
    return "held-out" if number < held_out else "calibration" if number < held_out + CALIBRATION else "train"


def split(entries: list[Entry], held_out: float) -> tuple[Split, str]:
    """The entries of each part, and the rule in words; raises AnnotationError where there are too few."""
    rules = {
        "CVAT 任务 / CVAT task": [entry.picture.task for entry in entries],
        "子文件夹 / sub-folder": [entry.folder for entry in entries],
        "文件名 / file name": [entry.picture.name for entry in entries],
    }
    short = ""
    for rule, keys in rules.items():
        if len(set(keys)) < FEWEST_GROUPS:
            continue
        parts: Split = {part: [] for part in PARTS}
        for entry, key in zip(entries, keys, strict=True):
            parts[part_of(key, held_out)].append(entry)
        short = shortage(parts)
        if not short:
            return parts, rule
    raise AnnotationError(f"图片太少 / too few images: {short or f'{len(entries)} in all'}; annotate more")


def shortage(parts: Split) -> str:
    """What a split lacks, in words, or nothing."""
    for part, found in parts.items():
        defects = sum(sum(label >= 0 for label in entry.labels) for entry in found)
        if len(found) < FEWEST_IMAGES[part] or defects < FEWEST_DEFECTS[part]:
            least = f"at least {FEWEST_IMAGES[part]} images with {FEWEST_DEFECTS[part]} defects are needed"
            return f"{len(found)} images with {defects} defects would be {part}, {least}"
    return ""


def store(parts: Split, folder: Path, scale: float, fragments: frozenset[int], report: Report) -> None:
    """Decode every image and write its scenes to `folder`/<part>/, anew; raises AnnotationError."""
    for part, entries in parts.items():
        own = folder / part
        shutil.rmtree(own, ignore_errors=True)
        own.mkdir(parents=True)
        for number, entry in enumerate(entries):
            scene = scaled(decode_entry(entry, report), scale)
            rng = np.random.default_rng(int(entry.digest[:16] or "0", 16))
            for piece, found in enumerate(pieces(scene, part == "train", fragments, rng)):
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
