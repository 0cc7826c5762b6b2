"""What the tests of exports share: three pictures in each format, and how they are read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from training_exports import Item, coco, cvat, yolo

from pcb_aoi.exports.annotations import Report, decode_entry, index
from pcb_aoi.exports.label_names import Names
from pcb_aoi.exports.scene import Scene

ROOT = Path(__file__).resolve().parents[1]
NAMES = Names.load(ROOT / "labelmaps" / "acid-outer-layer.yaml")
WRITERS: dict[str, Callable[[list[Item]], dict[str, bytes]]] = {"coco": coco, "cvat": cvat, "yolo": yolo}
ITEMS = [
    Item("a.png", boxes=(("开路", 1, 2, 30, 40), ("划伤", 10.5, 4.25, 60, 9))),
    Item("b.png", boxes=(("缺口", 5, 6, 25, 26),)),
    Item("clean.png"),
]


def read(path: Path, names: Names = NAMES, images: Path | None = None) -> tuple[dict[str, Scene], Report]:
    report = Report()
    scenes = [decode_entry(entry, report) for entry in index([path], names, images, report)]
    return {scene.name: scene for scene in scenes}, report


def spelled(scene: Scene) -> list[str]:
    return [NAMES.slugs[label] if label >= 0 else "ignored" for label in scene.labels]
