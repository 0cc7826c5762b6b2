"""The operating point of a label, those found in pieces too: what `calibrate` writes into the graph.

Of labels found in pieces, point and slope decide which pieces are joined to what reaches the point; so each
combination of point, slope and gap is tried.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray

from pcb_aoi.engine import chains
from pcb_aoi.engine.detections import Detections
from pcb_aoi.exports.scene import Scene
from training.measure import metrics
from training.measure.operating_point import NO_CALLS, PRECISION_FLOOR, best_point, fit_slope, logit, sigmoid
from training.weights import model_file

# The flatter, the weaker a piece that carries a chain on; of equals the first. At 0.5 weak pieces are so many that the
# handler needs a quarter more time.
CHAIN_SLOPES = (1.0, 0.7, 1.4)
CHAIN_GAPS = (40.0, 20.0, 10.0)  # px
CHAIN_POINTS = [float(point) for point in np.round(np.arange(0.05, 0.96, 0.05), 2)]


class Settled(NamedTuple):
    """What calibration does to a label: `point` becomes 0.5, scores spread by `slope`, pieces touch over `gap` px."""

    curve: metrics.Curve
    point: float
    slope: float
    gap: float | None = None  # None: it does not come in pieces

    def apply(self, label: int, slope: model_file.Vector, offset: model_file.Vector, gaps: model_file.Vector) -> None:
        """Move a label's calibration, in place: `slope` multiplies what the file has."""
        offset[label] = self.slope * (offset[label] - logit(self.point))
        slope[label] *= self.slope
        gaps[label] = chains.NOT_JOINED if self.gap is None else self.gap


def settle(
    scenes: Sequence[Scene],
    found: Sequence[Detections],
    label: int,
    in_pieces: bool,
    target_recall: float | None = None,
    now: float = 1.0,
    false: NDArray[np.float32] = NO_CALLS,
    allowed: float = np.inf,
) -> Settled:
    """Which score of a label becomes 0.5, and how steep scores are round it.

    false, allowed: as for `best_point`; a label found in pieces goes without.
    now: the slope that the file has; it is what is bounded, so that calibrating again and again makes it no steeper.
    found: `Examiner.pieces` of the scenes. A label found in pieces has a curve of its own for each point, slope and
    gap: they decide which pieces are joined to what reaches the point.
    """
    if not in_pieces:
        curve = metrics.curve(scenes, found, label)
        if not len(curve.scores):
            return Settled(curve, 0.5, 1.0)
        point = best_point(curve, target_recall, false, allowed)
        return Settled(curve, point, fit_slope(curve, point, now))
    tried = []
    for steep, gap, point in itertools.product(CHAIN_SLOPES, CHAIN_GAPS, CHAIN_POINTS):
        settled = joined_at(scenes, found, label, point, steep / now, gap)
        precision, recall, f1 = settled.curve.at(point)
        worth = f1 * (precision >= PRECISION_FLOOR)
        if target_recall is not None:  # the highest point that reaches it; else the lowest of all
            worth = 1 + point if recall >= target_recall else -point
        tried.append((worth, -CHAIN_SLOPES.index(steep), gap, point, settled))
    return max(tried, key=lambda one: one[:4])[-1]


def joined_at(
    scenes: Sequence[Scene], found: Sequence[Detections], label: int, point: float, slope: float, gap: float
) -> Settled:
    """What a label that comes in pieces is worth with this point, slope and gap (px)."""
    whole = [joined(rescored(one, label, point, slope), label, gap) for one in found]
    curve = metrics.curve(scenes, whole, label)
    # Back to the scores as they are: half becomes the point again, but for the last digit of a float32.
    as_now = sigmoid(logit(curve.scores.astype(np.float64)) / slope + logit(point)) + 1e-6
    return Settled(replace(curve, scores=as_now.astype(np.float32)), point, slope, gap)


def joined(found: Detections, label: int, gap: float) -> Detections:
    """The calls of one label, best first, its pieces joined as the engine joins them; weaker ones go."""
    parts = found[(found.labels == label) & (found.scores >= chains.WEAK)]
    gaps = np.full(label + 1, chains.NOT_JOINED)
    gaps[label] = gap
    whole = chains.join(parts, gaps)
    return whole[np.argsort(-whole.scores, kind="stable")]


def rescored(found: Detections, label: int, point: float, slope: float) -> Detections:
    """The scores of a label as they are once `point` is 0.5; the others as they were."""
    own = found.labels == label
    scores = found.scores.copy()
    scores[own] = sigmoid(slope * (logit(scores[own]) - logit(point)))
    return replace(found, scores=scores)


def write_gaps(model: onnx.ModelProto, gaps: model_file.Vector) -> None:
    """Say over how many px the pieces of each label are joined, float32 (C,), negative: it has none (chains.py)."""
    joined = {slug: float(gap) for slug, gap in zip(model_file.slugs(model), gaps, strict=True) if gap >= 0}
    model_file.update_metadata(model, joined=json.dumps(joined))
