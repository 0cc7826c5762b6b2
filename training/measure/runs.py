"""Weights run over pictures with known truth, and over the same boards without their defects."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pcb_aoi.engine.detections import Detections
from pcb_aoi.exports.scene import Image, Scene

Detect = Callable[[Image], Detections]

INSIDE = 0.5  # share of a call's area in an ignored area from which the call counts as nothing


@dataclass(frozen=True)
class CleanCalls:
    """Calls on boards without defects: all of them false."""

    counts: NDArray[np.int64]  # (labels,)
    megapixels: float
    images: int
    flagged: int  # images with at least one call

    def per_megapixel(self, label: int) -> float:
        """Of one label, or of all with -1."""
        return float(self.counts.sum() if label < 0 else self.counts[label]) / self.megapixels


@dataclass(frozen=True)
class Measured:
    """Calls on N pictures. Of the pictures themselves shape and truth are kept: `image` is one repeated zero."""

    scenes: list[Scene]
    results: list[Detections]  # N, best first
    clean: list[Detections]  # on boards without defects: the defect-free twins, and pictures that have none
    clean_megapixels: float

    @property
    def megapixels(self) -> float:
        """Of the N pictures."""
        return sum(float(np.prod(scene.image.shape[:2])) for scene in self.scenes) / 1e6

    def clean_calls(self, labels: int, threshold: float) -> CleanCalls | None:
        """The false calls at a threshold; None where no board without defects is known."""
        called = [found.labels[found.scores >= threshold] for found in self.clean]
        if not called:
            return None
        counts = np.bincount(np.concatenate(called), minlength=labels)
        return CleanCalls(counts, self.clean_megapixels, len(called), sum(len(own) > 0 for own in called))


def measure_all(detect: Detect, scenes: Iterable[Scene], on_twin: Detect | None = None) -> Measured:
    """Run `detect` on every picture, one in memory at a time, and `on_twin`, if given, on the defect-free twins.

    A picture without defects is its own twin, and is not run twice. Ignored areas count neither way.
    """
    kept, results, clean, pixels = [], [], [], 0
    for scene in scenes:
        scene, result = without_ignored(scene, detect(scene.image))
        height, width = scene.image.shape[:2]
        kept.append(Scene(np.broadcast_to(np.uint8(0), (height, width)), scene.boxes, scene.labels, scene.name))
        results.append(result)
        if on_twin is None or (len(scene.boxes) and scene.clean is None):
            continue
        clean.append(on_twin(scene.clean) if len(scene.boxes) and scene.clean is not None else result)
        pixels += height * width
    return Measured(kept, results, clean, pixels / 1e6)


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
