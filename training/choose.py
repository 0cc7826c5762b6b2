"""Find seeds of sample boards on which the shipped weights find every planted defect: boards for the demo to show.

    python -m training choose gold-osp --seeds 300

The demo proves that pictures go in and boxes come out; it is no measure of accuracy, and its boards are chosen, as
samples.py says. Prints, for each sample of the function, the best seeds: defects missed, other calls, and the
smallest margin of score and IoU over 0.5. Put the best one into training/render/samples.py and run
`python -m training.render samples --function FUNCTION`.
"""

from __future__ import annotations

import argparse
import io
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pcb_aoi.engine import image as decoding
from pcb_aoi.engine.detector import Detector
from training.metrics import MATCH_IOU, iou_table
from training.render import samples

SHOWN = 5  # seeds printed per sample


@dataclass(frozen=True, order=True)
class Verdict:
    """How well the weights do on one board; the lowest sorts first."""

    missed: int  # not found, or not planted for want of a place
    others: int
    slack: float  # minus the smallest margin over the threshold of a right call's score or IoU
    seed: int


def judge(detector: Detector, recipe: samples.Recipe, megapixels: float = 300.0) -> Verdict:
    """Draw the board as its file will hold it, and compare what is found with what was planted."""
    board = samples.draw(recipe)
    stored = io.BytesIO()
    samples.store(board.image, stored, recipe.file)
    found = detector.detect(decoding.decode(stored.getvalue(), megapixels).pixels).detections
    free = np.ones(len(found), bool)
    slack, missed = -1.0, sum(recipe.defects.values()) - len(board.labels)
    table = iou_table(found.boxes, board.boxes)
    for column, label in enumerate(board.labels):
        mine = free & (found.labels == detector.config.slugs.index(label))
        overlap = np.where(mine, table[:, column], 0.0)
        best = int(overlap.argmax()) if len(overlap) else 0
        if not len(overlap) or overlap[best] < MATCH_IOU:
            missed += 1
            continue
        free[best] = False
        slack = max(slack, MATCH_IOU - float(overlap[best]), detector.config.threshold - float(found.scores[best]))
    return Verdict(missed, int(free.sum()), slack, recipe.seed)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("function", help="folder under functions/, for example inner-layer")
    parser.add_argument("--file", help="only this sample")
    parser.add_argument("--seeds", type=int, default=200, help="how many seeds to try")
    parser.add_argument("--first", type=int, default=0)


def run(args: argparse.Namespace) -> int:
    detector = Detector.load(Path("functions") / args.function)
    for recipe in samples.RECIPES:
        if recipe.function != args.function or args.file not in (None, recipe.file):
            continue
        seeds = range(args.first, args.first + args.seeds)
        verdicts = sorted(judge(detector, replace(recipe, seed=seed)) for seed in seeds)
        for verdict in verdicts[:SHOWN]:
            print(
                f"{recipe.file}: seed {verdict.seed}: {verdict.missed} missed, {verdict.others} other calls, "
                f"margin {-verdict.slack:.2f}",
                flush=True,
            )
    return 0
