"""A sample board: what was planted, what was answered, and which of the two belong together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pcb_aoi.config.labelmap import Labelmap
from pcb_aoi.engine import boxes

# A planted defect counts as found when a box of its label shares this much with it.
FOUND_IOU = 0.5


@dataclass
class Planted:
    """A defect that was rendered into the image, and what became of it."""

    slug: str
    box: list[float]
    found: bool = False
    iou: float = 0.0
    """With its own detection; for one that was missed, with the best box of its label."""


@dataclass
class Detection:
    """A box of an answer. `slug` is the name as answered where the labelmap has no such label."""

    slug: str
    box: list[float]
    confidence: float
    planted: int | None = None
    """Index of the planted defect it found; None for one that was not planted."""


@dataclass
class Board:
    """One image and everything known about it."""

    labelmap: Labelmap
    path: Path
    planted: list[Planted]
    detections: list[Detection]
    seconds: float = 0.0
    error: str = ""
    chosen: bool = True
    """The seed was chosen so that everything is found; False: fixed beforehand, whatever is found."""

    @property
    def missed(self) -> int:
        """How many planted defects were not found."""
        return sum(not defect.found for defect in self.planted)

    @property
    def extra(self) -> int:
        """How many boxes found nothing that was planted."""
        return sum(detection.planted is None for detection in self.detections)


def match(planted: list[Planted], detections: list[Detection]) -> None:
    """Pair detections, best first, each with the free planted defect of its label that it overlaps most."""
    if not planted or not detections:
        return
    a = np.array([defect.box for defect in planted], np.float32)  # (P, 4)
    b = np.array([detection.box for detection in detections], np.float32)  # (D, 4)
    iou = boxes.iou(np.repeat(a, len(b), 0), np.tile(b, (len(a), 1))).reshape(len(a), len(b))
    same = [[p.slug == d.slug for d in detections] for p in planted]
    iou = np.where(same, iou, 0)
    for defect, best in zip(planted, iou.max(axis=1), strict=True):
        defect.iou = float(best)
    for d in sorted(range(len(detections)), key=lambda d: -detections[d].confidence):
        p = int(iou[:, d].argmax())
        if iou[p, d] >= FOUND_IOU:
            planted[p].found, planted[p].iou, detections[d].planted = True, float(iou[p, d]), p
            iou[p] = 0
