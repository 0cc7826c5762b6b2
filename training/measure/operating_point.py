"""Which score of a label becomes 0.5, and how steep scores are round it: the choices of a calibration.

F1 is flat at its top: a label that calls on boards without defects more often than its share of FALSE_CALLS moves on to
a higher score, as long as that costs at most GIVE of F1. The slope is that of a logistic fit of right against wrong
calls, held within bounds, so that scores spread as chances do.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.measure import metrics

FEWEST = 20  # defects of a label below which its score is left alone
SLOPES = (0.5, 2.0)
PRECISION_FLOOR = 0.5  # no label may be wrong more often than right, whatever its F1: false calls cost trust
# Per megapixel of boards without defects, all labels together; each has an equal share. The aim is 0.1 on anybody's
# boards, and cameras never seen make two to four times as many as those calibrated with.
FALSE_CALLS = 0.03
MARGIN = 0.75  # logits by which a strange camera may raise the scores of false calls: such calls are counted, too
GIVE = 0.005  # F1 that a label may give for fewer of them: a quarter of what evaluate.py lets a threshold miss
SMOOTH = 0.75  # F1 is averaged over thresholds so near, in logits of the chance to be right: its very top is luck
GRID = np.arange(-8, 8, 0.025)  # logits at which it is
NO_CALLS = np.empty(0, np.float32)


def logit(score: NDArray[np.float64] | float) -> NDArray[np.float64]:
    score = np.clip(score, 1e-6, 1 - 1e-6)
    return np.asarray(np.log(score / (1 - score)), np.float64)


def sigmoid(value: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-value)), np.float64)


def smoothed(curve: metrics.Curve) -> NDArray[np.float64]:
    """float64, as long as GRID: F1 averaged over the thresholds near each, 0 where precision is under its floor."""
    at, f1 = logit(curve.scores.astype(np.float64)), curve.f1()
    deviation = SMOOTH / likeliest(curve, at[f1.argmax()], np.geomspace(1, 16, 49))
    calls = np.searchsorted(-at, -GRID, side="right")  # at or over each threshold
    averaged = blurred(np.append(0.0, f1)[calls], deviation / (GRID[1] - GRID[0]))
    return np.where(np.append(1.0, curve.precision())[calls] >= PRECISION_FLOOR, averaged, 0.0)


def blurred(values: NDArray[np.float64], deviation: float) -> NDArray[np.float64]:
    """The values under a Gaussian, its deviation in steps, the ends repeated: who calibrates on a site has no scipy."""
    reach = int(4 * deviation + 0.5)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
    return np.convolve(np.pad(values, reach, mode="edge"), weights / weights.sum(), mode="valid")


def best_point(
    curve: metrics.Curve,
    target_recall: float | None = None,
    false: NDArray[np.float32] = NO_CALLS,
    allowed: float = np.inf,
) -> float:
    """The threshold of the best F1, or the highest that reaches the recall (the lowest score, if none does).

    `false`: scores (K,) of calls on boards without defects. If more than `allowed` of them reach the threshold of the
    best F1 less MARGIN, it goes up until no more do, or GIVE of F1 is lost.
    """
    if target_recall is not None:
        recall = np.cumsum(curve.right) / max(curve.defects, 1)
        reached = np.flatnonzero(recall >= target_recall)
        return float(curve.scores[reached[0]] if len(reached) else curve.scores[-1])
    lowest = logit(float(curve.scores[-1]))  # thresholds below it change nothing
    f1 = np.where(lowest > GRID, 0, smoothed(curve))
    best = len(f1) - 1 - int(f1[::-1].argmax())  # of equals the highest
    least = f1[best] - GIVE
    raised = logit(false.astype(np.float64)) + MARGIN
    while best + 1 < len(f1) and (raised >= GRID[best]).sum() > allowed and f1[best + 1] >= least:
        best += 1
    return float(sigmoid(GRID[best]))


def likeliest(curve: metrics.Curve, at: float, slopes: NDArray[np.float64]) -> float:
    """Of these slopes a the one by which sigmoid(a * (logit - at)) best tells the chance that a call is right."""
    # Log-likelihood over a small grid: one parameter needs no optimiser.
    z = slopes[:, None] * (logit(curve.scores.astype(np.float64)) - at)
    return float(slopes[np.where(curve.right, -np.logaddexp(0, -z), -np.logaddexp(0, z)).sum(1).argmax()])


def fit_slope(curve: metrics.Curve, point: float, now: float = 1.0) -> float:
    """Slope a of the chance sigmoid(a * (logit - logit(point))) that a call is right, `now` * a within SLOPES."""
    return likeliest(curve, float(logit(point)), np.geomspace(*SLOPES, 41) / now)
