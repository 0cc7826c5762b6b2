"""Old weights against new ones: on the user's held-out images, and on boards that the old ones know.

The figure is mAP@0.5. Of few images a difference may be luck: the images are drawn again and again with replacement,
and where F1 does not move the same way in nine of ten draws, the images are too few to tell.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import onnx
from numpy.typing import NDArray

from pcb_aoi.config.model_config import ModelConfig
from pcb_aoi.engine.detections import Detections
from pcb_aoi.exports.scene import Scene
from training.measure import metrics, report
from training.measure.examine import Examiner
from training.measure.runs import Measured, measure_all
from training.weights import grow

THRESHOLD = 0.5
FORGOTTEN = 0.01  # mAP@0.5 that new weights may lose on boards that the old ones know
SHARES = (1.0, 0.75, 0.5, 0.25)  # of the new weights that are tried
DRAWS = 1000
SURE = 0.9  # share of the draws that must agree


@dataclass
class Side:
    """What one kind of weights answers to pictures; those of cross-validation answer to a part each."""

    scenes: list[Scene] = field(default_factory=list)
    results: list[Detections] = field(default_factory=list)

    def add(self, model: onnx.ModelProto, config: ModelConfig, scenes: Iterable[Scene]) -> None:
        """Ask a model about more pictures."""
        examiner = Examiner(model.SerializeToString(), config)
        run = measure_all(partial(examiner.detect, threshold=THRESHOLD), scenes)
        self.scenes += run.scenes
        self.results += run.results

    def table(self, slugs: Sequence[str]) -> str:
        """Label by label."""
        return report.table(Measured(self.scenes, self.results, [], 0.0), list(slugs), THRESHOLD)

    def mean(self, labels: int) -> float:
        """mAP@0.5 over the labels that have defects."""
        return float(np.nanmean(metrics.average_precision(self.scenes, self.results, labels)[:, 0]))

    def counts(self, labels: int) -> NDArray[np.int64]:
        """int64 (N, 2) per picture: right calls, and calls and defects together. 2 right / both is F1."""
        rows = [
            metrics.judged(scene, found, labels, THRESHOLD)
            for scene, found in zip(self.scenes, self.results, strict=True)
        ]
        right = [int((one[:, 0] == one[:, 1]).sum()) for one in rows]
        calls = [int((one[:, 0] < labels).sum()) for one in rows]
        defects = [int((scene.labels >= 0).sum()) for scene in self.scenes]
        return np.stack((right, np.add(calls, defects)), axis=1).astype(np.int64)


def kept(
    old: onnx.ModelProto, new: onnx.ModelProto, config: ModelConfig, known: Sequence[Scene]
) -> tuple[float, tuple[Side, Side] | None]:
    """The largest share of the new weights with which what the old ones know is not forgotten, and (old, new) on it.

    The least of SHARES if all of them forget; 1 and None without known boards.
    """
    if not known:
        return 1.0, None
    before = Side()
    before.add(old, config, known)
    for share in SHARES:
        after = Side()
        after.add(grow.mixed(old, new, share), config, known)
        if after.mean(len(config.slugs)) >= before.mean(len(config.slugs)) - FORGOTTEN / 2:
            break
    return share, (before, after)


def agreement(old: Side, new: Side, labels: int) -> float:
    """Share of draws of the pictures in which F1 moves the way that it moves over all of them; 0.5 is luck."""
    before, after = old.counts(labels), new.counts(labels)
    weights = np.random.default_rng(0).multinomial(len(before), np.full(len(before), 1 / len(before)), DRAWS)
    weights = np.concatenate((weights, np.ones((1, len(before)), np.int64)))
    moved = [2 * sums[:, 0] / np.maximum(sums[:, 1], 1) for sums in (weights @ after, weights @ before)]
    change = np.sign(moved[0] - moved[1])
    return float((change[:-1] == change[-1]).mean()) if change[-1] else 0.5


def verdict(own: tuple[Side, Side], known: tuple[Side, Side] | None, labels: int) -> tuple[bool, list[str]]:
    """Whether the new weights are to be used, and why, in lines. Each pair is (old, new)."""
    before, after = (side.mean(labels) for side in own)
    lines = ["| mAP@0.5 | 旧 / old | 新 / new |", "| --- | --- | --- |"]
    lines.append(f"| 您的图 / your images ({len(own[0].scenes)}) | {before:.3f} | {after:.3f} |")
    better, kept = after >= before, True
    if known:
        had, has = (side.mean(labels) for side in known)
        lines.append(f"| 以前会的 / what it knew before ({len(known[0].scenes)}) | {had:.3f} | {has:.3f} |")
        kept = has >= had - FORGOTTEN
    sure = agreement(*own, labels)
    if sure < SURE:
        lines.append(
            f"图片太少，难下结论 / too few to tell: drawn again at random, F1 moves the same way in {sure:.0%} of the "
            "draws only; annotate more"
        )
    if not kept:
        lines.append(f"忘了以前会的 / forgotten: it lost more than {FORGOTTEN} on boards that it knew")
    return better and kept, lines
