"""What CVAT exports, told apart by content: COCO 1.0 and CVAT for images 1.1 here, Ultralytics YOLO in yolo_format.py.

A shape becomes its bounding rectangle, in the coordinates that its file uses. Every complaint names file and place.
"""

from __future__ import annotations

import io
import json
import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any
from xml.etree import ElementTree

from pcb_aoi.errors import PcbAoiError
from training.annotated.export_archive import Archive

Box = tuple[float, float, float, float]  # x1 y1 x2 y2
NO_AREA = ("points", "cuboid", "skeleton")  # shapes of CVAT that bound no defect


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


# COCO


def load_json(archive: Archive, member: str) -> Any:  # noqa: ANN401 - any JSON
    """The document, or None where the member is no JSON: whatever it is, it holds no annotations."""
    content = archive.read(member)
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def is_coco(data: object) -> bool:
    """Whether a document looks like COCO instances."""
    return isinstance(data, dict) and all(
        isinstance(data.get(k), list) for k in ("images", "annotations", "categories")
    )


def read_coco(archive: Archive, documents: dict[str, Any]) -> Export:
    """COCO instances; `documents` by member name. CVAT keeps the angle of a turned box in attributes.rotation."""
    pictures: list[AnnotatedPicture] = []
    for member, data in documents.items():
        where = f"{archive.path}: {archive.prefix}{member}"
        subset = PurePosixPath(member).stem.removeprefix("instances_")
        try:
            names = {entry["id"]: str(entry["name"]) for entry in data["categories"]}
            known = {}
            for entry in data["images"]:
                size = (int(entry.get("width") or 0), int(entry.get("height") or 0))
                name = str(entry["file_name"]).replace("\\", "/")
                known[entry["id"]] = AnnotatedPicture(name, subset, size=size if min(size) > 0 else None)
            for entry in data["annotations"]:
                x, y, w, h = (float(value) for value in entry["bbox"])
                turned = float((entry.get("attributes") or {}).get("rotation") or 0)
                picture = known[entry["image_id"]]
                picture.add(names[entry["category_id"]], corners(x, y, x + w, y + h, turned), where)
        except FormatError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise FormatError(f"{where}: not what COCO 1.0 has: {type(error).__name__} {error}") from None
        pictures += known.values()
    return Export("COCO 1.0", pictures)


# CVAT for images


def is_cvat(archive: Archive, member: str) -> bool:
    """Whether an .xml is CVAT's, for images or for video."""
    start = archive.read(member)[:65536]
    return b"<annotations" in start and b"<version>1." in start


def read_cvat(archive: Archive, members: list[str]) -> Export:
    """annotations.xml: <image> with boxes, polygons, polylines, masks and ellipses."""
    pictures: list[AnnotatedPicture] = []
    left_out: Counter[str] = Counter()
    for member in members:
        where = f"{archive.path}: {archive.prefix}{member}"
        content = archive.read(member)
        if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
            raise FormatError(f"{where}: refused: CVAT writes no document type")
        try:
            for _, element in ElementTree.iterparse(io.BytesIO(content)):
                if element.tag == "track":
                    raise FormatError(f"{where}: this is CVAT for video; export as CVAT for images 1.1")
                if element.tag == "image":
                    pictures.append(_cvat_image(element, where, left_out))
                    element.clear()
        except ElementTree.ParseError as error:
            raise FormatError(f"{where}: not XML: {error}") from None
    return Export("CVAT for images 1.1", pictures, left_out)


def _cvat_image(element: ElementTree.Element, where: str, left_out: Counter[str]) -> AnnotatedPicture:
    where = f"{where}: image {element.get('name')!r}"
    try:
        size = (int(element.attrib["width"]), int(element.attrib["height"]))
        name = element.attrib["name"].replace("\\", "/")
        picture = AnnotatedPicture(name, element.get("subset", ""), element.get("task_id", ""), size)
        for shape in element:
            if shape.get("outside") == "1" or shape.tag == "tag":
                continue
            if shape.tag in NO_AREA:
                left_out[shape.tag] += 1
                continue
            picture.add(shape.attrib["label"], _outline(shape), where)
    except FormatError:
        raise
    except (KeyError, ValueError) as error:
        raise FormatError(f"{where}: not what CVAT for images 1.1 has: {type(error).__name__} {error}") from None
    return picture


def _outline(shape: ElementTree.Element) -> list[tuple[float, float]]:
    """Points whose bounding rectangle is the shape's."""
    number = {key: float(value) for key, value in shape.attrib.items() if key in _NUMBERS}
    turned = number.get("rotation", 0.0)
    if shape.tag == "box":
        return corners(number["xtl"], number["ytl"], number["xbr"], number["ybr"], turned)
    if shape.tag == "mask":
        left, top = number["left"], number["top"]
        return [(left, top), (left + number["width"], top + number["height"])]
    if shape.tag == "ellipse":
        cos, sin = math.cos(math.radians(turned)), math.sin(math.radians(turned))
        half_x = math.hypot(number["rx"] * cos, number["ry"] * sin)
        half_y = math.hypot(number["rx"] * sin, number["ry"] * cos)
        cx, cy = number["cx"], number["cy"]
        return [(cx - half_x, cy - half_y), (cx + half_x, cy + half_y)]
    points = [point.split(",") for point in shape.attrib["points"].split(";")]
    return [(float(x), float(y)) for x, y in points]


_NUMBERS = {"xtl", "ytl", "xbr", "ybr", "rotation", "left", "top", "width", "height", "cx", "cy", "rx", "ry"}
