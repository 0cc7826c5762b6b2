"""The figures of a measurement: as a table for people, as JSON for documents."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from training.measure import metrics
from training.measure.runs import Measured

GAP = 0.02  # F1 that a label may lose at the threshold against its best threshold


def table(run: Measured, slugs: list[str], threshold: float) -> str:
    """The report, in Markdown."""
    precision = metrics.average_precision(run.scenes, run.results, len(slugs))
    clean = run.clean_calls(len(slugs), threshold)
    lines = [
        f"images {len(run.scenes)}, defects {sum(len(scene.boxes) for scene in run.scenes)}, threshold {threshold}",
        f"mAP@0.5 {_shown(precision[:, 0])}   mAP@0.5:0.95 {_shown(precision)}",
        "",
        "| label | defects | AP@0.5 | AP@0.5:0.95 | precision | recall | F1 | best F1 | gap "
        "| escapes 漏检率 | overkill 过杀率 | false calls 误报 / clean Mpx |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    wide = []
    for index, slug in [*enumerate(slugs), (-1, "all")]:
        curve = metrics.curve(run.scenes, run.results, index)
        own = precision if index < 0 else precision[index : index + 1]
        false = f"{clean.per_megapixel(index):.2f}" if clean else ""
        if not curve.defects:
            calls = int((curve.scores >= threshold).sum())
            lines.append(f"| {slug} | 0 | | | {calls} false calls | | | | | | | {false} |")
            continue
        p, r, f1 = curve.at(threshold)
        best = max(curve.f1(), default=0.0)
        gap = best - f1
        if gap > GAP and index >= 0:  # the labels together have no threshold of their own
            wide.append(slug)
        lines.append(
            f"| {slug} | {curve.defects} | {_shown(own[:, 0])} | {_shown(own)} | {p:.3f} | {r:.3f} "
            f"| {f1:.3f} | {best:.3f} | {gap:.3f}{' !' if slug in wide else ''} | {1 - r:.1%} | {1 - p:.1%} | {false} |"
        )
    if wide:
        lines += ["", f"! F1 at {threshold} is more than {GAP} below the best: {', '.join(wide)}"]
    if clean:
        lines += [
            "",
            f"false calls per clean megapixel (误报) {clean.per_megapixel(-1):.2f}; clean images with a call "
            f"{clean.flagged} of {clean.images}",
        ]
    return "\n".join(lines)


def figures(run: Measured, slugs: list[str], threshold: float) -> dict[str, Any]:
    """What documents quote. Labels without a defect in the pictures are left out."""
    precision = metrics.average_precision(run.scenes, run.results, len(slugs))
    clean = run.clean_calls(len(slugs), threshold)
    labels = {}
    for index, slug in enumerate(slugs):
        curve = metrics.curve(run.scenes, run.results, index)
        if not curve.defects:
            continue
        right, found, _ = curve.at(threshold)
        average = round(float(precision[index, 0]), 4)
        labels[slug] = {
            "ap50": average,
            "recall": round(found, 4),
            "precision": round(right, 4),
            "objects": curve.defects,
        }
    return {
        "images": len(run.scenes),
        "megapixels": round(run.megapixels, 3),
        "map50": _number(precision[:, 0]),
        "map5095": _number(precision),
        "false_calls_per_clean_mpx": round(clean.per_megapixel(-1), 4) if clean else None,
        "labels": labels,
    }


def _shown(precision: np.ndarray[Any, np.dtype[np.float64]]) -> str:
    """The mean; a dash where no label has a defect, or pycocotools is not there."""
    number = _number(precision)
    return "–" if number is None else f"{number:.3f}"


def _number(precision: np.ndarray[Any, np.dtype[np.float64]]) -> float | None:
    mean = float(np.nanmean(precision)) if not np.isnan(precision).all() else math.nan
    return None if math.isnan(mean) else round(mean, 4)
