"""Curves and confusion matrix of an evaluation as PNG. Labels are written as slugs: no Chinese font is needed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure  # without pyplot: no global state, no display
from numpy.typing import NDArray

from training.measure.metrics import Curve

DOTS_PER_INCH = 130
COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#ff7f0e", "#9467bd", "#8c564b", "#e377c2", "#17becf", "#7f7f7f")
DASHES = ("-", "--", "-.")  # nine colours alone are not told apart by everybody


def _axes(title: str, x: str, y: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(8.4, 5.2), layout="constrained")
    axes = figure.subplots()
    axes.set(title=title, xlabel=x, ylabel=y, xlim=(0, 1), ylim=(0, 1.01))
    axes.grid(alpha=0.3)
    return figure, axes


def _save(figure: Figure, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=DOTS_PER_INCH)
    return path


def precision_recall(curves: dict[str, Curve], precision: dict[str, float], title: str, path: Path) -> Path:
    """One line a label, with a dot where the score is 0.5; the legend tells AP@0.5."""
    figure, axes = _axes(f"{title}: precision over recall at IoU 0.5", "recall", "precision")
    for number, (slug, curve) in enumerate(curves.items()):
        if not curve.defects:
            continue
        colour = COLOURS[number % len(COLOURS)]
        recall = np.cumsum(curve.right) / curve.defects
        text = f"{slug}  {precision[slug]:.3f}"
        axes.plot(recall, curve.precision(), color=colour, linestyle=DASHES[number % len(DASHES)], label=text)
        p, r, _ = curve.at(0.5)
        axes.plot(r, p, "o", color=colour, markersize=6, markeredgecolor="white", zorder=3)
    axes.legend(title="AP@0.5  (dot: score 0.5)", loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    return _save(figure, path)


def f1_over_threshold(curves: dict[str, Curve], title: str, path: Path) -> Path:
    """One line a label; calibrated weights have their tops at 0.5. The legend tells F1 at 0.5 and the best F1."""
    figure, axes = _axes(f"{title}: F1 over threshold", "threshold", "F1")
    thresholds = np.linspace(0.01, 0.99, 99)
    for number, (slug, curve) in enumerate(curves.items()):
        if not curve.defects:
            continue
        values = [curve.at(float(threshold))[2] for threshold in thresholds]
        text = f"{slug}  {curve.at(0.5)[2]:.3f}, best {max(curve.f1(), default=0.0):.3f}"
        colour, dash = COLOURS[number % len(COLOURS)], DASHES[number % len(DASHES)]
        axes.plot(thresholds, values, color=colour, linestyle=dash, label=text)
    axes.axvline(0.5, color="black", linewidth=1, linestyle=":")
    axes.annotate("0.5", (0.5, 0.02), xytext=(4, 0), textcoords="offset points")
    axes.legend(title="F1 at 0.5", loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    return _save(figure, path)


def confusion_matrix(table: NDArray[np.int64], slugs: list[str], title: str, path: Path) -> Path:
    """Rows are true labels, shaded by their shares; numbers are counts. Last column: escapes; last row: false calls."""
    names = [*slugs, "background"]
    share = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    side = 2.4 + 0.72 * len(names)
    figure = Figure(figsize=(side + 1, side), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, ax=axes, shrink=0.7, label="share of the row")
    for (row, column), count in np.ndenumerate(table):
        if count:
            text = f"{count}\n{share[row, column]:.0%}"
            colour = "white" if share[row, column] > 0.55 else "black"
            axes.text(column, row, text, ha="center", va="center", fontsize=8, color=colour)
    axes.set_xticks(range(len(names)), [*slugs, "missed"], rotation=40, ha="right")
    axes.set_yticks(range(len(names)), [*slugs, "false call"])
    axes.set(title=title, xlabel="called", ylabel="true label")
    return _save(figure, path)
