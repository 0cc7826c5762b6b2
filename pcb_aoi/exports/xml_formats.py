"""Formats in XML: CVAT for images 1.1, Pascal VOC 1.1 and LabelMe 3.0."""

from __future__ import annotations

import io
import math
import posixpath
from collections import Counter
from xml.etree import ElementTree

from pcb_aoi.config.safe_xml import has_document_type
from pcb_aoi.exports.export_archive import Archive
from pcb_aoi.exports.formats import NO_AREA, AnnotatedPicture, Export, FormatError, corners

Points = list[tuple[float, float]]
Job = tuple[str, str, int, int]  # of CVAT: task, job, first and last frame


def _plain(archive: Archive, member: str) -> bytes:
    content = archive.read(member)
    if has_document_type(content):
        raise FormatError(f"{archive.path}: {archive.prefix}{member}: refused: CVAT writes no document type")
    return content


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
        jobs: list[Job] = []
        try:
            for _, element in ElementTree.iterparse(io.BytesIO(_plain(archive, member))):
                if element.tag == "track":
                    raise FormatError(f"{where}: this is CVAT for video; export as CVAT for images 1.1")
                if element.tag == "meta":
                    jobs += _jobs(element)
                if element.tag == "image":
                    pictures.append(_cvat_image(element, where, left_out))
                    pictures[-1].frame = _frame(element, jobs)
                    element.clear()
        except ElementTree.ParseError as error:
            raise FormatError(f"{where}: not XML: {error}") from None
    return Export("CVAT for images 1.1", pictures, left_out)


def _jobs(meta: ElementTree.Element) -> list[Job]:
    """The jobs that an export is of: those of its tasks, or the only one."""
    found = []
    for task in meta.iter("task"):
        for part in task.iter("segment"):
            first, last = (int(part.findtext(key) or 0) for key in ("start", "stop"))
            found.append((task.findtext("id", ""), part.findtext("id", ""), first, last))
    return found


def _frame(image: ElementTree.Element, jobs: list[Job]) -> str:
    """Where CVAT shows an image, below its address; "" where the export does not tell."""
    number = int(image.get("id", "-1"))
    for task, job, first, last in jobs:
        if first <= number <= last and image.get("task_id", task) == task:
            return f"tasks/{task}/jobs/{job}?frame={number}"
    return ""


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
    except (KeyError, ValueError, OverflowError) as error:
        raise FormatError(f"{where}: not what CVAT for images 1.1 has: {type(error).__name__} {error}") from None
    return picture


def _outline(shape: ElementTree.Element) -> Points:
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


def is_per_image(archive: Archive, member: str) -> bool:
    """Whether an .xml is of one image, as Pascal VOC and LabelMe have it."""
    start = archive.read(member)[:4096]
    return b"<annotation>" in start and b"<filename>" in start


def read_per_image(archive: Archive, members: list[str]) -> Export:
    """Pascal VOC (<bndbox>) or LabelMe (<polygon>, <segm>): an .xml an image, named as the image is."""
    pictures, labelme = [], False
    for member in members:
        where = f"{archive.path}: {archive.prefix}{member}"
        try:
            root = ElementTree.fromstring(_plain(archive, member))
            labelme |= root.find("imagesize") is not None or root.find("source/sourceAnnotation") is not None
            pictures.append(_per_image(root, member, where))
        except (ElementTree.ParseError, ValueError, OverflowError) as error:
            raise FormatError(f"{where}: not what Pascal VOC or LabelMe has: {error}") from None
    return Export("LabelMe 3.0" if labelme else "Pascal VOC 1.1", pictures)


def _per_image(root: ElementTree.Element, member: str, where: str) -> AnnotatedPicture:
    folder = posixpath.dirname(member).removeprefix("Annotations").lstrip("/")
    name = posixpath.join(folder, posixpath.basename(root.findtext("filename", "").replace("\\", "/")))
    size = tuple(int(root.findtext(f"size/{side}") or 0) for side in ("width", "height"))
    if root.findtext("segmented") == "1":
        raise FormatError(f"{where}: 有掩膜 / holds masks, which Pascal VOC keeps without labels: export as COCO 1.0")
    picture = AnnotatedPicture(name, size=(size[0], size[1]) if min(size) > 0 else None)
    for shape in root.iterfind("object"):
        if shape.findtext("deleted") == "1":
            continue
        written = f",{shape.findtext('attributes') or ''}".replace(" ", "")  # LabelMe: occluded=False, rotation=90.0
        turned = written.partition(",rotation=")[2].partition(",")[0]
        for attribute in shape.iterfind("attributes/attribute"):
            turned = (attribute.findtext("value") or "0") if attribute.findtext("name") == "rotation" else turned
        picture.add(shape.findtext("name", ""), _points(shape, float(turned or 0), where), where)
    return picture


def _points(shape: ElementTree.Element, turned: float, where: str) -> Points:
    """Points whose bounding rectangle is that of an <object>."""
    for box in ("bndbox", "segm/box"):
        if (found := shape.find(box)) is not None:
            sides = [float(found.findtext(side, "nan")) for side in ("xmin", "ymin", "xmax", "ymax")]
            return corners(sides[0], sides[1], sides[2], sides[3], turned)
    points = [(float(pt.findtext("x", "nan")), float(pt.findtext("y", "nan"))) for pt in shape.iterfind("polygon/pt")]
    if not points:
        raise FormatError(f"{where}: object {shape.findtext('name')!r} has no shape")
    if shape.findtext("type") == "bounding_box":
        (x1, y1), (x2, y2) = (tuple(bound(values) for values in zip(*points, strict=True)) for bound in (min, max))
        return corners(x1, y1, x2, y2, turned)
    return points
