"""Ignored areas when measuring: no defect to be found, no false call when called."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pcb_aoi.engine.detections import Detections
from training.data.scene import Scene

INSIDE = 0.5  # share of a call's area in an ignored area from which the call counts as nothing


def without_ignored(scene: Scene, result: Detections) -> tuple[Scene, Detections]:
    """The scene without its ignored areas, and the calls without those that lie mostly in one and find no defect."""
    real = scene.labels >= 0
    if real.all():
        return scene, result
    areas, truth = scene.boxes[~real], scene.boxes[real]
    excused = (_covered(result.boxes, areas) >= INSIDE).any(1)
    # A call that overlaps a real defect is judged, whatever lies beside it.
    judged = (_covered(result.boxes, truth) >= INSIDE).any(1)
    kept = ~excused | judged
    calls = Detections(result.boxes[kept], result.scores[kept], result.labels[kept])
    trails = np.empty((0, 3), np.float32)  # they number the boxes
    return replace(scene, boxes=truth, labels=scene.labels[real], trails=trails), calls


def _covered(boxes: np.ndarray, areas: np.ndarray) -> np.ndarray:
    """(N, 4), (M, 4) -> (N, M): share of each box inside each area."""
    size = np.minimum(boxes[:, None, 2:], areas[None, :, 2:]) - np.maximum(boxes[:, None, :2], areas[None, :, :2])
    own = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    return np.asarray(size.clip(0).prod(2) / np.maximum(own[:, None], 1e-9))
