"""Exports as CVAT writes them, by hand, for the tests.

Layouts: docs.cvat.ai, "Dataset management / formats": format-coco, format-cvat (with "XML annotation format"),
format-yolo-ultralytics; details (subset and task_id of project exports, rotation, mask, ellipse, COCO's
attributes.rotation) as CVAT's exporters cvat/apps/dataset_manager/formats/*.py and Datumaro's converters write them.
"""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import quoteattr

import numpy as np
import yaml
from PIL import Image

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Item:
    """One image: its name, size and boxes (label, x1, y1, x2, y2) in px."""

    name: str
    width: int = 64
    height: int = 48
    boxes: tuple[tuple[str, float, float, float, float], ...] = ()
    subset: str = "default"
    task: str = ""


def png(width: int, height: int, seed: int = 0) -> bytes:
    """A grey image of noise: no two seeds give the same file."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def pictures(items: list[Item], folder: str) -> dict[str, bytes]:
    """Image members: `folder`, with {subset}, and the name."""
    return {
        f"{folder.format(subset=item.subset)}{item.name}": png(item.width, item.height, seed)
        for seed, item in enumerate(items)
    }


def names_of(items: list[Item]) -> list[str]:
    return sorted({box[0] for item in items for box in item.boxes}) or ["x"]


def coco(items: list[Item], images: bool = True) -> dict[str, bytes]:
    """COCO 1.0: annotations/instances_<subset>.json, images/<subset>/."""
    names, members = names_of(items), pictures(items, "images/{subset}/") if images else {}
    for subset in {item.subset for item in items}:
        own = [item for item in items if item.subset == subset]
        document = {
            "licenses": [{"name": "", "id": 0, "url": ""}],
            "info": {"contributor": "", "date_created": "", "description": "", "url": "", "version": "", "year": ""},
            "categories": [{"id": i, "name": name, "supercategory": ""} for i, name in enumerate(names, 1)],
            "images": [
                {
                    "id": i,
                    "width": item.width,
                    "height": item.height,
                    "file_name": item.name,
                    "license": 0,
                    "flickr_url": "",
                    "coco_url": "",
                    "date_captured": 0,
                }
                for i, item in enumerate(own, 1)
            ],
            "annotations": [
                {
                    "id": 100 * i + k,
                    "image_id": i,
                    "category_id": names.index(label) + 1,
                    "segmentation": [],
                    "area": (x2 - x1) * (y2 - y1),
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "iscrowd": 0,
                    "attributes": {"occluded": False, "rotation": 0.0},
                }
                for i, item in enumerate(own, 1)
                for k, (label, x1, y1, x2, y2) in enumerate(item.boxes)
            ],
        }
        members[f"annotations/instances_{subset}.json"] = json.dumps(document, ensure_ascii=False).encode()
    return members


def cvat_xml(body: str) -> bytes:
    """annotations.xml around <image> elements."""
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n  <meta>\n    <job>\n'
        "      <id>1</id>\n    </job>\n    <dumped>2025-01-01 00:00:00.000000+00:00</dumped>\n  </meta>\n"
        f"{body}</annotations>\n"
    ).encode()


def cvat(items: list[Item], images: bool = True) -> dict[str, bytes]:
    """CVAT for images 1.1 of a project: annotations.xml, images/<subset>/; of a task: images/."""
    body = ""
    for number, item in enumerate(items):
        project = f' subset="{item.subset}" task_id="{item.task}"' if item.task else ""
        body += f'  <image id="{number}" name={quoteattr(item.name)}{project} width="{item.width}" '
        body += f'height="{item.height}">\n'
        for label, x1, y1, x2, y2 in item.boxes:
            body += f'    <box label={quoteattr(label)} source="manual" occluded="0" xtl="{x1:.2f}" ytl="{y1:.2f}" '
            body += f'xbr="{x2:.2f}" ybr="{y2:.2f}" z_order="0">\n'
            body += '      <attribute name="置信度">0.87</attribute>\n    </box>\n'
        body += "  </image>\n"
    folder = "images/{subset}/" if any(item.task for item in items) else "images/"
    return {"annotations.xml": cvat_xml(body)} | (pictures(items, folder) if images else {})


def yolo(items: list[Item], images: bool = True, listed: bool = True, names_as_list: bool = False) -> dict[str, bytes]:
    """Ultralytics YOLO Detection 1.0: data.yaml, <subset>.txt, images/<subset>/, labels/<subset>/."""
    names = names_of(items)
    members = pictures(items, "images/{subset}/") if images else {}
    config: dict[str, object] = {"path": "./"}
    for subset in sorted({item.subset for item in items}):
        own = [item for item in items if item.subset == subset]
        config[subset] = f"{subset}.txt" if listed else f"images/{subset}"
        if listed:
            members[f"{subset}.txt"] = "".join(f"images/{subset}/{item.name}\n" for item in own).encode()
        for item in own:
            rows = [
                f"{names.index(label)} {(x1 + x2) / 2 / item.width:.6f} {(y1 + y2) / 2 / item.height:.6f} "
                f"{(x2 - x1) / item.width:.6f} {(y2 - y1) / item.height:.6f}\n"
                for label, x1, y1, x2, y2 in item.boxes
            ]
            members[f"labels/{subset}/{Path(item.name).with_suffix('.txt')}"] = "".join(rows).encode()
    config["names"] = names if names_as_list else dict(enumerate(names))
    members["data.yaml"] = yaml.safe_dump(config, sort_keys=False, allow_unicode=True).encode()
    return members


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def unpacked(path: Path, members: dict[str, bytes]) -> Path:
    for name, content in members.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path
