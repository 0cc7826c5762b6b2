"""Run exported weights on whole images with ONNX Runtime: what is measured is what ships."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from pcb_aoi.engine import chains, polarity
from pcb_aoi.engine.detections import Detections as Found
from training.scene import Boxes, Image, Labels

MULTIPLE = 32  # the net's coarsest stride
SCORE_FLOOR = 0.01  # far below any useful threshold: the tail of the precision-recall curve needs it
NMS_IOU = 0.5
CANDIDATES = 500  # best cells of a label that enter suppression: varifocal training leaves a long low tail
MOST = 100  # detections of a label kept per image: what COCO's evaluation looks at


@dataclass(frozen=True)
class Detections:
    boxes: Boxes  # (N, 4) xyxy px, best first
    scores: NDArray[np.float32]  # (N,)
    labels: Labels  # (N,)


def open_session(model: Path | bytes, threads: int = 0) -> onnxruntime.InferenceSession:
    """A CPU session; `threads` 0: as many as there are cores."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or (os.cpu_count() or 1)
    source = model if isinstance(model, bytes) else str(model)
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def suppress(boxes: Boxes, scores: NDArray[np.float32]) -> NDArray[np.int64]:
    """Greedy non-maximum suppression of one label -> kept rows, best first."""
    order = np.argsort(-scores, kind="stable")
    area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    kept = []
    while len(order):
        best, rest = order[0], order[1:]
        kept.append(best)
        size = np.minimum(boxes[best, 2:], boxes[rest, 2:]) - np.maximum(boxes[best, :2], boxes[rest, :2])
        overlap = size.clip(0).prod(1)
        order = rest[overlap <= NMS_IOU * (area[best] + area[rest] - overlap)]
    return np.array(kept, np.int64)


def detect(session: onnxruntime.InferenceSession, image: Image) -> Detections:
    """All detections over SCORE_FLOOR, suppressed label by label (across labels costs almost a point of mAP).

    Labels that the weights find in pieces are joined as the engine does it.
    """
    found = pieces(session, image)
    gaps = joined(session)
    for label in np.flatnonzero(gaps >= 0):
        found = chain(found, int(label), float(gaps[label]))
    return found


def joined(session: onnxruntime.InferenceSession) -> NDArray[np.float32]:
    """float32 (C,): the gaps, px, over which the engine joins the pieces of a label; negative: it has none."""
    metadata = session.get_modelmeta().custom_metadata_map
    return chains.gaps(metadata, json.loads(metadata.get("slugs", "[]")))


def chain(found: Detections, label: int, gap: float) -> Detections:
    """Join the pieces of one label that score at least chains.WEAK; weaker ones go. Best first again."""
    kept = (found.labels != label) | (found.scores >= chains.WEAK)
    parts = Found(found.boxes[kept], found.scores[kept], found.labels[kept].astype(np.int32))
    gaps = np.full(max(label, int(parts.labels.max(initial=0))) + 1, chains.NOT_JOINED)
    gaps[label] = gap
    whole = chains.join(parts, gaps)
    order = np.argsort(-whole.scores, kind="stable")
    return Detections(whole.boxes[order], whole.scores[order], whole.labels[order].astype(np.int64))


def pieces(session: onnxruntime.InferenceSession, image: Image) -> Detections:
    """What the net says, suppressed label by label, before pieces are joined."""
    height, width = image.shape[:2]
    if polarity.bright_copper(session.get_modelmeta().custom_metadata_map) and polarity.thresholded(image):
        image = 255 - image
    rgb = np.repeat(image[:, :, None], 3, axis=2) if image.ndim == 2 else image
    padding = ((0, -height % MULTIPLE), (0, -width % MULTIPLE), (0, 0))
    boxes, scores = session.run(["boxes", "scores"], {"images": np.pad(rgb, padding)[None]})
    boxes = boxes[0].clip(0, np.array([width, height, width, height], np.float32))
    rows, labels = np.nonzero(scores[0] >= SCORE_FLOOR)
    values = scores[0][rows, labels]
    kept = [np.empty(0, np.int64)]
    for label in np.unique(labels):
        mine = np.flatnonzero(labels == label)
        mine = mine[np.argsort(-values[mine], kind="stable")[:CANDIDATES]]
        kept.append(mine[suppress(boxes[rows[mine]], values[mine])][:MOST])
    chosen = np.concatenate(kept)
    chosen = chosen[np.argsort(-values[chosen], kind="stable")]
    return Detections(boxes[rows[chosen]], values[chosen], labels[chosen])
