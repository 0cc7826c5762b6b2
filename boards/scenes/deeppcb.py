"""DeepPCB: 1,000 real inner-layer-like images, 640 x 640, near-binary, copper BLACK on a white ground, 20.8 um/px.

Layout under `root`: images/NAME.jpg, labels/NAME.txt (`x1 y1 x2 y2 type`, one a line), templates/NAME.png (1-bit, the
same board without its defects). The first five characters of a name are the board group; images of one group
overlap, so only whole groups make an honest split:

- `TEST` groups are never trained on and never used for calibration (the recipes of folds have others: `HELD_OUT`).
- The other groups are trained on, all but the last tenth of each group's names, which is the calibration set. Those
  images show familiar boards, on which a net is surer of itself than on the user's: the F1 columns of the model card,
  taken on the test groups, say how well the thresholds carry over. A whole group for calibration was tried first;
  it cost one kind of artwork in four, and kinds of artwork are what accuracy on unseen boards is made of.

Corners in the files are pixels, the last one included (the largest is 639, and 10 px of air lie left of a pinhole, 9
right of it, were they edges). A box here runs from edge to edge, as CVAT's do: one more to the right and below.

Terms: the repository holds an MIT LICENSE file; its README adds "You can only use this dataset for research purpose".
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from pcb_aoi.exports.scene import Scene

TEST = ("92000", "50600", "44000")
TRAIN = ("00041", "13000", "20085", "77000")
GROUPS = tuple(sorted(TRAIN + TEST))
# Whose groups are the test of which recipe: three folds say how well a recipe does on boards of all these groups.
# What ships learns from all of them, and has no test of its own.
HELD_OUT: dict[str, tuple[str, ...]] = {
    "inner-layer": TEST,
    "inner-layer-all": (),
    "inner-layer-fold-1": ("92000",),
    "inner-layer-fold-2": ("44000", "50600"),
    "inner-layer-fold-3": ("77000", "00041"),
}
SPLITS = ("train", "calibration", "test")
CALIBRATION_SHARE = 0.1  # of each training group
SIDE = 640
UM_PER_PX = 20.8
# DeepPCB's type number -> our slug.
SLUGS = {1: "open", 2: "short", 3: "nick", 4: "spur", 5: "residual_copper", 6: "pinhole"}


class LabelError(ValueError):
    """A label file that is not what DeepPCB documents; the message names file and line."""


def parse_labels(text: str, where: str, slugs: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """`x1 y1 x2 y2 type` lines -> boxes float32 (N, 4) from edge to edge, labels int64 (N,) as indices into `slugs`.

    Line by line: concatenated files without a last newline are how a type "5242" once came about.
    """
    boxes, labels = [], []
    for number, line in enumerate(text.splitlines(), 1):
        fields = line.split()
        if not fields:
            continue
        try:
            x1, y1, x2, y2, kind = (int(field) for field in fields)
        except ValueError:
            raise LabelError(f"{where}:{number}: expected five integers, got {line!r}") from None
        if kind not in SLUGS:
            raise LabelError(f"{where}:{number}: type must be 1 to 6, got {kind}")
        if not (0 <= x1 < x2 < SIDE and 0 <= y1 < y2 < SIDE):
            raise LabelError(f"{where}:{number}: not a box inside {SIDE} x {SIDE}: {x1} {y1} {x2} {y2}")
        boxes.append((x1, y1, x2 + 1, y2 + 1))
        labels.append(slugs.index(SLUGS[kind]))
    return np.array(boxes, np.float32).reshape(-1, 4), np.array(labels, np.int64)


def read_grey(path: Path) -> np.ndarray:
    """uint8 (H, W)."""
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise FileNotFoundError(f"no readable image at {path}")
    return np.asarray(image, np.uint8)


def names(root: Path, split: str, held_out: tuple[str, ...] = TEST) -> list[str]:
    """Names (without suffix) of a split's images, in order; `held_out`: the groups of the test."""
    groups: dict[str, list[str]] = {}
    for path in sorted((root / "images").glob("*.jpg")):
        groups.setdefault(path.stem[:5], []).append(path.stem)
    chosen = []
    for group, members in groups.items():
        kept = len(members) - round(len(members) * CALIBRATION_SHARE)
        if split == "test" and group in held_out:
            chosen += members
        elif group in GROUPS and group not in held_out:
            chosen += {"train": members[:kept], "calibration": members[kept:], "test": []}[split]
    return chosen


def load(root: Path, split: str, slugs: list[str], held_out: tuple[str, ...] = TEST) -> list[Scene]:
    """All scenes of a split, in the order of their names; 0.8 MiB each."""
    scenes = []
    for name in names(root, split, held_out):
        label_path = root / "labels" / f"{name}.txt"
        boxes, labels = parse_labels(label_path.read_text(), str(label_path), slugs)
        clean = read_grey(root / "templates" / f"{name}.png")
        scenes.append(Scene(read_grey(root / "images" / f"{name}.jpg"), boxes, labels, name, clean))
    if not scenes:
        raise FileNotFoundError(f"no images of the {split} split under {root / 'images'}")
    return scenes
