"""Detections against truth: which are right, and the figures that follow."""

from __future__ import annotations

import contextlib
import importlib.util
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pcb_aoi.engine.detections import Detections
from pcb_aoi.exports.scene import Boxes, Scene

MATCH_IOU = 0.5
LOOSE_IOU = 0.1  # from here on a call on a missed defect of its label is one with a loose box


@dataclass(frozen=True)
class Curve:
    """One label over all images, best score first: after k calls there are right[k-1] finds."""

    scores: NDArray[np.float32]  # (D,) descending
    right: NDArray[np.bool_]  # (D,)
    defects: int

    def f1(self) -> NDArray[np.float64]:
        """(D,) F1 if the threshold were at each score."""
        found = np.cumsum(self.right)
        return 2 * found / (np.arange(1, len(self.right) + 1) + max(self.defects, 1))

    def precision(self) -> NDArray[np.float64]:
        """(D,) precision if the threshold were at each score."""
        return np.asarray(np.cumsum(self.right) / np.arange(1, len(self.right) + 1), np.float64)

    def at(self, threshold: float) -> tuple[float, float, float]:
        """Precision, recall, F1 of the calls at or over the threshold; precision 1 when there are none."""
        calls = int((self.scores >= threshold).sum())
        found = int(self.right[:calls].sum())
        precision = found / calls if calls else 1.0
        recall = found / self.defects if self.defects else 1.0
        return precision, recall, 2 * found / max(calls + self.defects, 1)


def iou_table(a: Boxes, b: Boxes) -> NDArray[np.float32]:
    """(N, 4), (M, 4) -> (N, M)."""
    size = np.minimum(a[:, None, 2:], b[None, :, 2:]) - np.maximum(a[:, None, :2], b[None, :, :2])
    overlap = size.clip(0).prod(2)
    area_a, area_b = (a[:, 2:] - a[:, :2]).prod(1), (b[:, 2:] - b[:, :2]).prod(1)
    return np.asarray(overlap / np.maximum(area_a[:, None] + area_b[None] - overlap, 1e-9), np.float32)


def matches(boxes: Boxes, truth: Boxes) -> NDArray[np.int64]:
    """int64 (N,): the row of `truth` that each box, best first, finds; -1 where no defect is left for it."""
    found = np.full(len(boxes), -1, np.int64)
    table = iou_table(boxes, truth)
    free = np.ones(len(truth), bool)
    for row in range(len(boxes)):
        overlap = np.where(free, table[row], 0)
        if len(truth) and overlap.max() >= MATCH_IOU:
            found[row] = overlap.argmax()
            free[found[row]] = False
    return found


def right_calls(boxes: Boxes, truth: Boxes) -> NDArray[np.bool_]:
    """bool (N,): boxes, best first, that find a defect no better one has found."""
    return matches(boxes, truth) >= 0


def curve(scenes: Sequence[Scene], results: Sequence[Detections], label: int) -> Curve:
    """The curve of one label, or of all labels together with label -1 (a call must still name the right one)."""
    if label < 0:
        labels = np.concatenate([scene.labels for scene in scenes] + [result.labels for result in results])
        parts = [curve(scenes, results, int(index)) for index in np.unique(labels)]
    else:
        parts = []
        for scene, result in zip(scenes, results, strict=True):
            mine, truth = result.labels == label, scene.boxes[scene.labels == label]
            parts.append(Curve(result.scores[mine], right_calls(result.boxes[mine], truth), len(truth)))
    if not parts:
        return Curve(np.empty(0, np.float32), np.empty(0, bool), 0)
    scores = np.concatenate([part.scores for part in parts])
    order = np.argsort(-scores, kind="stable")
    right = np.concatenate([part.right for part in parts])[order]
    return Curve(scores[order], right, sum(part.defects for part in parts))


def average_precision(scenes: list[Scene], results: list[Detections], labels: int) -> NDArray[np.float64]:
    """COCO's AP, float64 (labels, 10) at IoU 0.5, 0.55 ... 0.95; NaN for labels without a defect, or all without
    pycocotools, which is in the extra `train`: everything else here does without.
    """
    if importlib.util.find_spec("pycocotools") is None:
        return np.full((labels, 10), np.nan)
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    calls: list[dict[str, object]] = []
    for number, (scene, result) in enumerate(zip(scenes, results, strict=True), 1):
        images.append({"id": number, "height": scene.image.shape[0], "width": scene.image.shape[1]})
        for (x1, y1, x2, y2), label in zip(scene.boxes.tolist(), scene.labels.tolist(), strict=True):
            box = [x1, y1, x2 - x1, y2 - y1]
            entry = {"bbox": box, "area": box[2] * box[3], "iscrowd": 0, "category_id": label + 1}
            annotations.append(entry | {"id": len(annotations) + 1, "image_id": number})
        for (x1, y1, x2, y2), score, label in zip(
            result.boxes.tolist(), result.scores.tolist(), result.labels.tolist(), strict=True
        ):
            call = {"bbox": [x1, y1, x2 - x1, y2 - y1], "score": score, "category_id": label + 1}
            calls.append(call | {"image_id": number})
    if not calls or not annotations:
        return np.full((labels, 10), np.nan if not annotations else 0.0)
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools reports its progress on stdout
        truth = COCO()
        categories = [{"id": label + 1, "name": str(label)} for label in range(labels)]
        truth.dataset = {"images": images, "annotations": annotations, "categories": categories, "info": {}}
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(calls), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"][:, :, :, 0, 2]  # (IoU, recall, label), all areas, 100 calls an image
    table = np.where(precision < 0, np.nan, precision).mean(1).T
    return np.asarray(table, np.float64)


def judged(scene: Scene, result: Detections, labels: int, threshold: float = 0.5) -> NDArray[np.int64]:
    """Each call and each missed defect of an image, int64 (E, 2): row and column of `confusion`.

    A call, best first, finds the free defect it overlaps most (IoU 0.5 or more), be its label right or wrong. One that
    finds none is loose if it overlaps a missed defect of its label by LOOSE_IOU; else it is called on nothing, a second
    call on the same defect too. Calls on defects that are too much hidden to judge (IGNORED) do not count.
    """
    calls = result[result.scores >= threshold]
    found = matches(calls.boxes, scene.boxes)
    hit = found >= 0
    truth = np.full(len(found), labels, np.int64)
    truth[hit] = scene.labels[found[hit]]
    missed = np.setdiff1d(np.flatnonzero(scene.labels >= 0), found[hit])
    near = iou_table(calls.boxes, scene.boxes[missed]) >= LOOSE_IOU
    alike = calls.labels[:, None] == scene.labels[missed]
    truth[~hit & (near & alike).any(1)] = labels + 1
    counted = np.stack((calls.labels, truth), axis=1)[truth >= 0]
    escaped = np.stack((np.full(len(missed), labels), scene.labels[missed]), axis=1)
    return np.concatenate((counted, escaped)).astype(np.int64)


def confusion(scenes: list[Scene], results: list[Detections], labels: int, threshold: float = 0.5) -> NDArray[np.int64]:
    """Counts, int64 (labels + 1, labels + 2): row the label called, column the true one.

    The last row counts missed defects; the last columns calls on nothing, and loose boxes of the right label. The
    defect under a loose box is missed, as in precision and recall.
    """
    table = np.zeros((labels + 1, labels + 2), np.int64)
    for scene, result in zip(scenes, results, strict=True):
        np.add.at(table, tuple(judged(scene, result, labels, threshold).T), 1)
    return table
