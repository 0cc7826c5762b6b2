"""The few boards that fine-tuning mixes in, so that nothing is forgotten: replay/FUNCTION.zip.

    python -m boards replay acid-outer-layer

An export as CVAT writes it (COCO 1.0), of which the subset `train` is learnt from and `known` measured on. All artwork
is generated and all shapes are invented: the pictures carry nothing of anybody else.
"""

from __future__ import annotations

import argparse
import io
import json
import zipfile
from pathlib import Path

import cv2
from PIL import Image

from boards.process.board import PROCESSES
from boards.scenes import inner_tiles, outer_tiles
from pcb_aoi.exports.scene import Scene

SEED = 20261128
COUNTS = {"train": 40, "known": 24}
SPLITS = {"train": "train", "known": "calibration"}  # how densely defects are planted, and in which looks
QUALITY = 85  # of WebP: a quarter of the bytes of a JPEG that looks the same


def draw(function: str, subset: str, number: int) -> Scene:
    """One board; function, subset and number decide everything."""
    if function == "inner-layer":
        return inner_tiles.render_tile(Path(), [], SPLITS[subset], SEED, number)
    return outer_tiles.render_tile(function, None, SPLITS[subset], SEED, number)


def document(function: str, scenes: list[Scene]) -> dict[str, object]:
    """COCO of one subset."""
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    for number, scene in enumerate(scenes, 1):
        height, width = scene.image.shape[:2]
        images.append({"id": number, "width": width, "height": height, "file_name": f"{number:03d}.webp"})
        for box, label in zip(scene.boxes.round(1).tolist(), scene.labels.tolist(), strict=True):
            bbox = [box[0], box[1], round(box[2] - box[0], 1), round(box[3] - box[1], 1)]
            annotations.append(
                {"id": len(annotations) + 1, "image_id": number, "category_id": label + 1, "bbox": bbox, "iscrowd": 0}
            )
    categories = [{"id": number, "name": slug} for number, slug in enumerate(PROCESSES[function].labels, 1)]
    return {"images": images, "annotations": annotations, "categories": categories}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of the command line."""
    parser.add_argument("function", choices=sorted(PROCESSES))
    parser.add_argument("--out", type=Path, help="default: replay/FUNCTION.zip")


def run(args: argparse.Namespace) -> int:
    """Draw the boards and write the archive; 0."""
    cv2.setNumThreads(1)
    path = args.out or Path("replay") / f"{args.function}.zip"
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for subset, count in COUNTS.items():
            scenes = [draw(args.function, subset, number) for number in range(count)]
            for number, scene in enumerate(scenes, 1):
                buffer = io.BytesIO()
                Image.fromarray(scene.image).save(buffer, "WEBP", quality=QUALITY, method=6)
                archive.writestr(zipfile.ZipInfo(f"images/{subset}/{number:03d}.webp"), buffer.getvalue())
            text = json.dumps(document(args.function, scenes), separators=(",", ":"))
            archive.writestr(zipfile.ZipInfo(f"annotations/instances_{subset}.json"), text)
            print(f"{path}: {count} boards of {subset}", flush=True)
    return 0
