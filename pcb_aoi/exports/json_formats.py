"""Formats in JSON: COCO 1.0 and Datumaro 1.0.

CVAT keeps the angle of a turned box in attributes.rotation, of both.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import PurePosixPath
from typing import Any

from pcb_aoi.exports.export_archive import Archive
from pcb_aoi.exports.formats import NO_AREA, AnnotatedPicture, Export, FormatError, corners


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
    """COCO instances; `documents` by member name."""
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
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise FormatError(f"{where}: not what COCO 1.0 has: {type(error).__name__} {error}") from None
        pictures += known.values()
    return Export("COCO 1.0", pictures)


def is_datumaro(data: object) -> bool:
    """Whether a document is a subset of Datumaro's own format."""
    return isinstance(data, dict) and isinstance(data.get("items"), list) and isinstance(data.get("categories"), dict)


def read_datumaro(archive: Archive, documents: dict[str, Any]) -> Export:
    """Datumaro's own format; `documents` by member name."""
    pictures: list[AnnotatedPicture] = []
    left_out: Counter[str] = Counter()
    for member, data in documents.items():
        where = f"{archive.path}: {archive.prefix}{member}"
        try:
            names = [str(entry["name"]) for entry in data["categories"].get("label", {"labels": []})["labels"]]
            for item in data["items"]:
                media = item.get("image") or item.get("media") or {}
                height, width = media.get("size") or (0, 0)
                name = str(media.get("path") or item["id"])
                picture = AnnotatedPicture(name, PurePosixPath(member).stem, size=(width, height) if width else None)
                for entry in item["annotations"]:
                    if entry["type"] in NO_AREA:
                        left_out[entry["type"]] += 1
                    elif entry["type"] not in ("label", "caption"):
                        picture.add(names[entry["label_id"]], _datumaro_outline(entry), where)
                pictures.append(picture)
        except (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise FormatError(f"{where}: not what Datumaro 1.0 has: {type(error).__name__} {error}") from None
    return Export("Datumaro 1.0", pictures, left_out)


def _datumaro_outline(entry: dict[str, Any]) -> list[tuple[float, float]]:
    """Points whose bounding rectangle is the shape's."""
    if entry["type"] == "bbox":
        x, y, w, h = (float(value) for value in entry["bbox"])
        return corners(x, y, x + w, y + h, float((entry.get("attributes") or {}).get("rotation") or 0))
    if entry["type"] == "mask":
        from pycocotools import mask  # the extra `evaluate`

        x, y, w, h = (float(value) for value in mask.toBbox(entry["rle"]))
        return corners(x, y, x + w, y + h)
    points = [float(value) for value in entry["points"]]
    return list(zip(points[::2], points[1::2], strict=True))
