"""What every format of annotations comes to: pictures with labelled boxes, in the coordinates that the file uses.

A shape becomes its bounding rectangle. Every complaint names file and place.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from pcb_aoi.errors import PcbAoiError

Box = tuple[float, float, float, float]  # x1 y1 x2 y2
NO_AREA = ("points", "cuboid", "cuboid_3d", "skeleton")  # shapes of CVAT that bound no defect


class FormatError(PcbAoiError):
    """Not one of the formats, or one with something impossible in it; names file and place."""


@dataclass
class AnnotatedPicture:
    """One image as the annotation file knows it."""

    name: str  # with its sub-folders; YOLO exports without images know no suffix
    subset: str = ""
    task: str = ""
    size: tuple[int, int] | None = None  # width, height in px, where the file says so
    relative: bool = False  # boxes are shares of width and height, not px
    frame: str = ""  # "tasks/12/jobs/34?frame=5" in CVAT, where the export tells
    source: str = ""  # member that holds its boxes, where each image has one
    boxes: list[Box] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)

    def add(self, label: str, points: Iterable[tuple[float, float]], where: str) -> None:
        """Append the bounding rectangle of `points`; raises FormatError unless all are finite."""
        x, y = zip(*points, strict=True)
        if not all(math.isfinite(value) for value in (*x, *y)):
            raise FormatError(f"{where}: a coordinate is not a number")
        self.boxes.append((min(x), min(y), max(x), max(y)))
        self.labels.append(label)


@dataclass
class Export:
    """All images of one export."""

    format: str
    pictures: list[AnnotatedPicture]
    left_out: Counter[str] = field(default_factory=Counter)  # shapes without an area, by kind


def corners(x1: float, y1: float, x2: float, y2: float, degrees: float = 0.0) -> list[tuple[float, float]]:
    """The four corners of a box turned about its centre, clockwise on the screen as CVAT draws it."""
    if degrees % 180 == 0:
        return [(x1, y1), (x2, y2)]  # exactly: a centre and an offset would round
    cx, cy = (x1 + x2) / 2, (y1 + y2) / 2
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    offsets = [(x - cx, y - cy) for x in (x1, x2) for y in (y1, y2)]
    return [(cx + dx * cos - dy * sin, cy + dx * sin + dy * cos) for dx, dy in offsets]
