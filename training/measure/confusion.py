"""What is taken for what: calls against defects, whatever their labels say."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pcb_aoi.engine.detections import Detections
from training.data.scene import Scene
from training.measure import metrics


def confusion(scenes: list[Scene], results: list[Detections], labels: int, threshold: float = 0.5) -> NDArray[np.int64]:
    """Counts, int64 (labels + 1, labels + 1): row the true label, column the label called; the last is background.

    A call, best first, finds the free defect it overlaps most (IoU 0.5 or more), be its label right or wrong. The last
    column counts escapes, the last row false calls, a second call on the same defect among them. Calls on defects that
    are too much hidden to judge (IGNORED) do not count.
    """
    table = np.zeros((labels + 1, labels + 1), np.int64)
    for scene, result in zip(scenes, results, strict=True):
        called = result.scores >= threshold
        found = metrics.matches(result.boxes[called], scene.boxes)
        hit = found >= 0
        truth = np.full(len(found), labels, np.int64)
        truth[hit] = scene.labels[found[hit]]
        judged = truth >= 0
        np.add.at(table, (truth[judged], result.labels[called][judged]), 1)
        escaped = np.setdiff1d(np.flatnonzero(scene.labels >= 0), found[hit])
        np.add.at(table[:, labels], scene.labels[escaped], 1)
    return table
