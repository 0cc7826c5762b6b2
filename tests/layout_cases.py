"""Layouts run through `pcb-aoi adopt`: what each must give, and what it gives.

`PYTHONPATH=tests python tests/layout_cases.py > tests/layouts.md` writes the table.
"""

from __future__ import annotations

import contextlib
import io
import re
import shutil
import sys
import tempfile
import warnings
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
from layouts import (
    BOXES,
    CELLS,
    COEFFICIENTS,
    LABELS,
    NAMES,
    PROTOTYPES,
    SCORES,
    SLUGS,
    TILE,
    ULTRALYTICS,
    Arrays,
    centres,
    external,
    frozen,
    graph,
    half,
    libre,
    listed,
    masks,
    own,
    plugin,
    queries,
    rows,
    scores,
    v5,
    v8,
)
from onnx import TensorProto

from pcb_aoi import cli
from pcb_aoi.config.settings import Settings
from pcb_aoi.engine.detector import Detector

ROOT = Path(__file__).resolve().parents[1]
FUNCTION = "inner-layer"
LISTED = "0=" + ",".join(SLUGS)


@dataclass(frozen=True)
class Case:
    """A file, how `adopt` is called, and what it must give."""

    name: str
    data: bytes
    head: str | None = None
    """Found; None: refused."""
    says: str = ""
    """What the refusal says, a pattern; of one that is found, what else is said."""
    told: tuple[str, ...] = ()
    file: str = "best.onnx"
    labels: tuple[int, ...] = field(default=tuple(LABELS.tolist()))
    masks: bool = False
    """Whether it gives the contours of the ellipses in the boxes, too."""


TWELVE = "{" + ", ".join(f'"{i}": "{SLUGS[i] if i < 8 else f"x{i}"}"' for i in sorted(range(12), key=str)) + "}"
DROP_TWELVE = tuple(word for i in range(8, 12) for word in ("--map", f"x{i}=-"))
NUMBERED = ("--classes", LISTED)
IN_ORDER = ("--classes", ",".join(SLUGS))
LIST = rows(BOXES, SCORES, LABELS, count=300)
TORCHVISION: Arrays = {"boxes": BOXES, "labels": LABELS + 1, "scores": SCORES}
SHORT = rows(BOXES, LABELS, SCORES, count=3)

CASES = (
    # Ultralytics and what looks like it
    Case("YOLOv8, v5u, 11, 12, 26 and v10 by default", v8(), "yolov8"),
    Case("the same, dynamic", v8(shape=("batch", 3, "height", "width")), "yolov8"),
    Case(
        "the same, dynamic, nothing tells the size",
        v8(shape=("b", 3, "h", "w"), metadata={"names": NAMES}),
        says="--tile",
    ),
    Case(
        "the same, told", v8(shape=("b", 3, "h", "w"), metadata={"names": NAMES}), "yolov8", told=("--tile", str(TILE))
    ),
    Case("batch of 4 in the file", v8(shape=(4, 3, TILE, TILE)), "yolov8"),
    Case("batch frozen by a reshape", frozen(), "yolov8", says="froze its batch"),
    Case("half=True (float16)", half(), "yolov8"),
    Case(
        "imgsz=256", v8(shape=(1, 3, 256, 256), outputs={"output0": rows(centres(), scores(), count=1344).T}), "yolov8"
    ),
    Case("not square", v8(shape=(1, 3, 96, 128)), says="export it square, imgsz=128"),
    Case("side no multiple of 32", v8(shape=(1, 3, 100, 100)), says="imgsz=128"),
    Case("channels last", v8(shape=(1, TILE, TILE, 3)), "yolov8"),
    Case("grey input", v8(shape=(1, 1, TILE, TILE), metadata=ULTRALYTICS | {"channels": "1"}), "yolov8"),
    Case("transposed", v8(outputs={"output0": rows(centres(), scores())}), "yolov8"),
    Case("boxes in 0 to 1", v8(outputs={"output0": rows(centres() / TILE, scores()).T}), "yolov8-unit"),
    Case(
        "scores without sigmoid",
        v8(outputs={"output0": rows(centres(), scores() * 9 - 5).T}),
        says="export with sigmoid",
    ),
    Case("uint8 input", v8(kind=TensorProto.UINT8), says="export it with a float input"),
    Case(
        "one class",
        v8(outputs={"output0": rows(centres(), SCORES).T}, metadata={"names": "{0: 'short'}"}),
        "yolov8",
        labels=(1, 1, 1),
    ),
    Case(
        "two classes",
        v8(
            outputs={"output0": rows(centres(), scores(2, np.array([0, 1, 0]))).T},
            metadata={"names": "['nick', 'open']"},
        ),
        "yolov8",
        labels=(2, 0, 2),
    ),
    Case(
        "other number of classes than names",
        v8(outputs={"output0": rows(centres(), scores(9)).T}),
        says="check the number of classes",
    ),
    Case(
        "12 classes, JSON names",
        v8(outputs={"output0": rows(centres(), scores(12)).T}, metadata={"names": TWELVE}),
        "yolov8",
        told=DROP_TWELVE,
    ),
    Case("no names", v8(metadata={}), says="order cannot be verified"),
    Case("no names, told", v8(metadata={}), "yolov8", told=IN_ORDER),
    Case(
        "RT-DETR of Ultralytics",
        v8(outputs={"output0": rows(centres() / TILE, scores(), count=300)}),
        "rtdetr-ultralytics",
    ),
    Case(
        "v8, 11, 12-seg",
        v8(
            outputs={"output0": masks(rows(centres(), scores())).T, "output1": PROTOTYPES},
            metadata=ULTRALYTICS | {"task": "segment"},
        ),
        "yolov8",
        says="sync --shape polygon",
        masks=True,
    ),
    Case(
        "26-seg, nms=False",
        listed(
            outputs={"output0": masks(LIST), "output1": PROTOTYPES},
            metadata=ULTRALYTICS | {"task": "segment", "end2end": "True"},
        ),
        "end2end",
        masks=True,
    ),
    Case(
        "v8, 11, 12-seg, nms=True",
        listed(
            outputs={"output0": masks(LIST), "output1": PROTOTYPES},
            metadata=ULTRALYTICS | {"task": "segment", "args": "{'nms': True}"},
        ),
        "end2end",
        masks=True,
    ),
    Case(
        "pose",
        v8(
            outputs={"output0": rows(centres(), scores(1, np.zeros(3, int)), np.ones((3, 51))).T},
            metadata=ULTRALYTICS | {"task": "pose"},
        ),
        says="task=detect",
    ),
    Case(
        "obb",
        v8(outputs={"output0": rows(centres(), scores(), np.ones(3)).T}, metadata=ULTRALYTICS | {"task": "obb"}),
        says="task=detect",
    ),
    Case(
        "obb, task not told",
        v8(outputs={"output0": rows(centres(), scores(), np.ones(3)).T}, metadata={"names": NAMES}),
        says="no head reads",
    ),
    Case("classification", graph({"output0": np.zeros(1000, np.float32)}, {"names": NAMES}), says="no head reads"),
    # lists of boxes found
    Case("YOLO26, v10 with nms=False", listed(), "end2end"),
    Case("nms=True", listed(metadata=ULTRALYTICS | {"args": "{'nms': True}"}), "end2end"),
    Case("the same, no names", listed(metadata={}), says="with the number of the first, 0 or 1"),
    Case("the same, no names, order told", listed(metadata={}), says="write the first one", told=IN_ORDER),
    Case(
        "the same, no names, from 1, told",
        listed(1, metadata={}),
        "end2end",
        told=("--classes", LISTED.replace("0=", "1=")),
    ),
    Case(
        "the same, boxes in 0 to 1",
        listed(outputs={"output0": rows(BOXES / TILE, SCORES, LABELS, count=300)}),
        says="not in pixels",
    ),
    Case(
        "nothing found in the trial", listed(outputs={"output0": np.zeros((300, 6), np.float32)}), "end2end", labels=()
    ),
    Case(
        "YOLOv7 n x 7",
        graph({"output": rows(np.zeros(3), BOXES, SHORT[:, 4:], count=3)}, batched=False),
        "yolov7",
        told=NUMBERED,
    ),
    Case(
        "EfficientNMS",
        graph(
            {
                "num_dets": np.array([3]),
                "det_boxes": LIST[:, :4],
                "det_scores": LIST[:, 4],
                "det_classes": LIST[:, 5].astype(np.int64),
            }
        ),
        "efficientnms",
        told=NUMBERED,
    ),
    Case("EfficientNMS as TensorRT's plugin", plugin(), says="Export it without plugins"),
    Case(
        "torchvision",
        graph(TORCHVISION, batched=False),
        "torchvision",
        told=IN_ORDER,
    ),
    Case(
        "torchvision, scores before labels",
        graph({"boxes": BOXES, "scores": SCORES, "labels": LABELS + 1}, batched=False),
        says="no head reads",
        told=IN_ORDER,
    ),
    # objectness
    Case("YOLOv5, YOLOv7 without NMS", v5(), "yolov5"),
    Case(
        "YOLOv5, one class",
        v5(outputs={"output0": rows(centres(), np.ones(3), SCORES, count=3 * CELLS)}, metadata={"names": "['short']"}),
        "yolov5",
        labels=(1, 1, 1),
    ),
    Case(
        "YOLOv5-seg",
        v5(outputs={"output0": masks(rows(centres(), np.ones(3), scores(), count=3 * CELLS)), "output1": PROTOTYPES}),
        "yolov5",
        masks=True,
    ),
    Case("YOLOX, decoded", v5(1, metadata={}), "yolox", told=IN_ORDER),
    Case(
        "YOLOX, one class",
        v5(1, outputs={"output0": rows(centres(), np.ones(3), SCORES)}, metadata={}),
        "yolox",
        told=("--classes", "short"),
        labels=(1, 1, 1),
    ),
    Case(
        "YOLOv6",
        v5(
            1,
            outputs={
                "outputs": rows(centres(), np.ones(3), scores())
                + np.eye(13)[4].astype(np.float32) * (np.arange(CELLS) > 2)[:, None]
            },
        ),
        "yolov6",
    ),
    Case(
        "YOLOX, raw",
        v5(1, outputs={"output": rows(centres() / 64 - 1, np.ones(3), scores(), rest=0.0)}),
        says="--decode_in_inference",
    ),
    Case(
        "rows of no usual grid",
        v5(outputs={"output0": rows(centres(), np.ones(3), scores(), count=700)}),
        says="choose --head yolov5 .*--head yolox",
    ),
    # LibreYOLO
    Case("LibreYOLO yolo9", libre("yolo9", {"output": rows(BOXES, scores()).T}), "yolo9"),
    Case("LibreYOLO yolox", libre("yolox", {"output": rows(centres(), np.ones(3), scores())}), "yolox"),
    Case("LibreYOLO picodet", libre("picodet", {"output": rows(BOXES, scores())}), "picodet"),
    Case("LibreYOLO rtmdet", libre("rtmdet", {"output": rows(BOXES, scores())}), says="model_family rtmdet"),
    Case(
        "LibreYOLO yolo9, nms=True",
        libre("yolo9", {"output": LIST, "raw": rows(BOXES, scores(), count=1344).T}),
        "end2end",
    ),
    Case("LibreYOLO dfine, deim, rtdetr", libre("dfine", queries("pred_logits", "pred_boxes")), "detr"),
    Case("LibreYOLO ec", libre("ec", queries("pred_logits", "pred_boxes")), "detr-imagenet"),
    Case(
        "LibreYOLO deimv2",
        libre("deimv2", queries("pred_logits", "pred_boxes")),
        says="--head detr .*--head detr-imagenet",
    ),
    Case("LibreYOLO detr", libre("detr", queries("pred_logits", "pred_boxes")), says="model_family detr"),
    Case("LibreYOLO rtmdet, nms=True", libre("rtmdet", {"output": LIST}), says="model_family rtmdet"),
    Case("LibreYOLO faster_rcnn", libre("faster_rcnn", TORCHVISION, batched=False), says="model_family faster_rcnn"),
    Case(
        "LibreYOLO rfdetr, one column more than names",
        libre("rfdetr", queries("dets", "labels", classes=9), name="input"),
        says="one name for each column",
    ),
    Case(
        "LibreYOLO rfdetr, every column told",
        libre("rfdetr", queries("dets", "labels", classes=9), name="input"),
        "rfdetr",
        told=("--classes", ",".join(SLUGS) + ",-"),
    ),
    Case(
        "corners in rows, family not told",
        graph({"output": rows(BOXES, scores())}, {"names": NAMES}),
        says="--head yolo9 .*--head picodet",
    ),
    # transformers and others
    Case(
        "Hugging Face RT-DETR, D-FINE",
        graph(queries("logits", "pred_boxes"), name="pixel_values"),
        "detr",
        told=IN_ORDER,
    ),
    Case(
        "Hugging Face, with pixel_mask",
        graph(
            queries("logits", "pred_boxes"),
            name="pixel_values",
            more_inputs={"pixel_mask": (TensorProto.INT64, (1, TILE, TILE))},
        ),
        says="without the others",
        told=IN_ORDER,
    ),
    Case(
        "Hugging Face DETR (softmax, no object last)",
        graph(queries("logits", "pred_boxes", classes=9), name="pixel_values"),
        says="one name for each column",
        told=IN_ORDER,
    ),
    Case(
        "the same, told nine",
        graph(queries("logits", "pred_boxes", classes=9, rest=4), name="pixel_values"),
        says="a class for no object",
        told=("--classes", ",".join(SLUGS) + ",-"),
    ),
    Case("RF-DETR", graph(queries("dets", "labels"), name="input"), "rfdetr", told=IN_ORDER),
    Case(
        "RF-DETR, one class more in front",
        graph(queries("dets", "labels", classes=9, shift=1), name="input"),
        "rfdetr",
        told=("--classes=-," + ",".join(SLUGS),),
    ),
    Case(
        "RT-DETR, D-FINE, DEIM, official",
        graph(
            {"labels": LIST[:, 5].astype(np.int64), "boxes": LIST[:, :4], "scores": LIST[:, 4]},
            shape=("N", 3, TILE, TILE),
            more_inputs={"orig_target_sizes": (TensorProto.INT64, ("N", 2))},
        ),
        "rtdetr",
        told=NUMBERED,
    ),
    Case(
        "YOLO-NAS", graph({"boxes": rows(BOXES), "scores": rows(scores())}), says="choose --head yolonas", told=IN_ORDER
    ),
    Case(
        "YOLO-NAS, told",
        graph({"boxes": rows(BOXES), "scores": rows(scores())}),
        "yolonas",
        told=(*IN_ORDER, "--head", "yolonas"),
    ),
    Case("another head told than the file is of", v8(), says="is of head: yolov8", told=("--head", "yolov5")),
    # this project's own
    Case("the project's own", own(), "pcb"),
    Case(
        "the project's own, with masks",
        own({"coefficients": rows(COEFFICIENTS), "prototypes": PROTOTYPES}),
        "pcb",
        masks=True,
    ),
    Case(
        "the project's own, coefficients of another number of prototypes",
        own({"coefficients": rows(COEFFICIENTS[:, :31]), "prototypes": PROTOTYPES}),
        says=r"expected coefficients \(B, N, M\)",
    ),
    # files
    Case("external data", external(), says=r"onnx.save\(onnx.load\('best.onnx'\), 'best-single.onnx'\)"),
    Case("cut off", v8()[:9000], says="cut off or damaged"),
    Case(
        "a checkpoint (.pt)",
        b"PK\x03\x04 archive/data.pkl",
        says="yolo export model=best.pt format=onnx",
        file="best.pt",
    ),
    Case("a TensorRT engine", b"ftrt", says="Export the trained weights with format=onnx", file="best.engine"),
    Case("a Git LFS pointer", b"version https://git-lfs.github.com/spec/v1\n", says="git lfs pull"),
    Case("a web page", b"<!DOCTYPE html>", says="is a web page"),
    Case("an empty file", b"", says="cut off or damaged"),
)


@dataclass(frozen=True)
class Outcome:
    """What `adopt` did: its exit status, what it printed, and what the function finds afterwards."""

    status: int
    text: str
    head: str | None
    boxes: list[list[float]]
    labels: list[int]
    contours: list[list[list[float]]] | None = None


def make_root(place: Path) -> Path:
    """A project's folder with one function, without weights, and return it."""
    folder = place / "functions" / FUNCTION
    folder.mkdir(parents=True)
    (place / "labelmaps").mkdir()
    for name in ("model.yaml", "function.yaml", "function-gpu.yaml"):
        shutil.copy(ROOT / "functions" / FUNCTION / name, folder)
    shutil.copy(ROOT / "labelmaps" / f"{FUNCTION}.yaml", place / "labelmaps")
    return place


def adopt(root: Path, *words: str) -> tuple[int, str]:
    """Run `pcb-aoi adopt` -> (exit status, what it printed)."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        status = cli.main(["adopt", "--root", str(root), "--function", FUNCTION, *words])
    return status, out.getvalue()


@cache
def outcome(case: Case) -> Outcome:
    """Adopt the case's file and run the function on a picture of the tile's size."""
    with tempfile.TemporaryDirectory() as place:
        root, file = make_root(Path(place) / "root"), Path(place) / case.file
        file.write_bytes(case.data)
        status, text = adopt(root, str(file), *case.told)
        if status:
            return Outcome(status, text, None, [], [])
        path = root / "functions" / FUNCTION / "model.yaml"
        # As `pcb-aoi sync --shape polygon` writes it; the root has no function.yaml.
        path.write_text(re.sub(r"(?m)^(  - \{slug: .*)\}$", r"\1, type: polygon}", path.read_text("utf-8")), "utf-8")
        detector = Detector.load(path.parent, Settings())
        side = detector.config.tile
        result = detector.detect(np.full((side, side), 90, np.uint8))
        found, contours = result.detections, result.contours
        points = None if contours is None else [contour.tolist() for contour in contours]
        return Outcome(status, text, detector.config.head, found.boxes.tolist(), found.labels.tolist(), points)


def table() -> str:
    """The table of tests/layouts.md, from what `adopt` did."""
    lines = [
        "# Layouts of weights",
        "",
        "Written by `PYTHONPATH=tests python tests/layout_cases.py`. Each row is a small ONNX file with three "
        "known boxes, adopted by `pcb-aoi adopt` and run with labels of type polygon. The test compares the boxes and "
        "contours found with the known ones.",
        "",
        "| file | told | result |",
        "| --- | --- | --- |",
    ]
    for case in CASES:
        made = outcome(case)
        if made.head is None:
            error = next(line for line in made.text.splitlines() if line.startswith("错误"))
            result = "refused: " + error.split(" / ", 2)[-1].removeprefix("error: ").strip()
        else:
            what = "boxes and contours" if made.contours else "boxes"
            result = f"`head: {made.head}`, {len(made.labels)} {what}, right"
        told = f"`{' '.join(case.told)}`" if case.told else ""
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in (case.name, told, result)) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    warnings.simplefilter("error")
    sys.stdout.write(table())
