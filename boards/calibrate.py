"""Move the scores of exported weights so that 0.5, the dialog's default, is each label's best threshold.

    python -m boards calibrate acid-outer-layer --pool runs/calibration   # best F1, less .005 that spares false calls
    python -m boards calibrate inner-layer --pool A --pool B --false-calls inf     # best F1, whatever is called
    python -m boards calibrate inner-layer --pool A --target-recall 0.98  # fewer escapes, at a price that is printed

The graph ends in sigmoid(slope * logit + offset) per label: the offset puts the chosen point at 0.5. Which point and
which slope, joining.py says. The images must be neither trained on nor reported on.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import onnx

from boards.joining import joined_at, settle, write_gaps
from training.measure import material, metrics
from training.measure.examine import Examiner
from training.measure.operating_point import FALSE_CALLS, FEWEST, NO_CALLS
from training.measure.runs import measure_all
from training.weights import model_file


def by_hand(text: str) -> tuple[str, tuple[float, float, float]]:
    """`scratch=0.4,0.5,20` -> slug, and point, slope and gap in px."""
    slug, _, numbers = text.partition("=")
    point, slope, gap = (float(number) for number in numbers.split(","))
    if not (0 < point < 1 and slope > 0 and gap >= 0):
        raise ValueError(text)
    return slug, (point, slope, gap)


def wrong_calls(curve: metrics.Curve, threshold: float) -> int:
    """Calls at or over the threshold that find nothing."""
    return int((~curve.right[curve.scores >= threshold]).sum())


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of the command line."""
    material.add_arguments(parser)
    parser.add_argument("--model", type=Path, help="changed in place; default: the weights of functions/FUNCTION")
    parser.add_argument(
        "--joined",
        type=by_hand,
        action="append",
        default=[],
        metavar="SLUG=POINT,SLOPE,GAP",
        help="set labels found in pieces by hand, for example scratch=0.4,0.5,20 (boards of 640 px hold no long ones); "
        "the other labels stay as they are",
    )
    parser.add_argument("--version", help="of the changed weights (default: as it was)")
    parser.add_argument("--target-recall", type=float, help="in place of the best F1, for example 0.98")
    parser.add_argument(
        "--false-calls",
        type=float,
        default=FALSE_CALLS,
        metavar="PER_MPX",
        help="per clean megapixel, over which some F1 is given for fewer of them (default: %(default)s); inf: never",
    )


def run(args: argparse.Namespace) -> int:
    """Calibrate, write the file, and say what changed; 0."""
    folder = material.folder_of(args)
    scenes = [read() for read in material.load(args).pictures]
    examiner = Examiner.load(folder, args.model, args.um_per_px)
    path = args.model or folder / examiner.config.weights
    model = onnx.load(path)
    slugs = model_file.slugs(model)
    slope, offset = model_file.read_calibration(model)
    gaps = examiner.gaps.copy()
    fixed = dict(args.joined)
    for slug in fixed:
        if slug not in slugs or gaps[slugs.index(slug)] < 0:
            raise SystemExit(f"--joined {slug}: these weights do not find it in pieces")
    budget = not fixed and args.target_recall is None  # else nobody asks what good boards are called
    measured = measure_all(examiner.pieces, scenes, examiner.pieces if budget else None)
    allowed = args.false_calls / len(slugs) * measured.clean_megapixels if budget else np.inf
    price = np.zeros(2)  # false calls per megapixel before and after
    for index, slug in enumerate(slugs):
        if fixed and slug not in fixed:
            continue
        if slug in fixed:
            point, steep, gap = fixed[slug]
            settled = joined_at(measured.scenes, measured.results, index, point, steep / slope[index], gap)
        else:
            in_pieces = bool(gaps[index] >= 0)
            false = np.concatenate([NO_CALLS, *(one.scores[one.labels == index] for one in measured.clean)])
            settled = settle(
                measured.scenes,
                measured.results,
                index,
                in_pieces,
                args.target_recall,
                slope[index],
                false,
                allowed,
            )
        curve, point, _, gap = settled
        if curve.defects < FEWEST or not len(curve.scores):
            print(f"{slug:18} {curve.defects} defects: left as it is")
            continue
        before, after = curve.at(0.5), curve.at(point)
        settled.apply(index, slope, offset, gaps)
        print(
            f"{slug:18} {point:.3f} becomes 0.5, slope {slope[index]:.2f}: "
            f"precision {before[0]:.3f} -> {after[0]:.3f}, "
            f"recall {before[1]:.3f} -> {after[1]:.3f}, F1 {before[2]:.3f} -> {after[2]:.3f}"
            + ("" if gap is None else f", pieces {gap:g} px apart")
        )
        if args.target_recall is not None:
            cost = np.array([wrong_calls(curve, 0.5), wrong_calls(curve, point)]) / measured.megapixels
            price += cost
            short = "" if after[1] >= args.target_recall else f"; {args.target_recall} is out of reach"
            print(f"{'':18} costs: false calls per megapixel {cost[0]:.2f} -> {cost[1]:.2f}{short}")
    if args.target_recall is not None:
        print(f"all labels: false calls per megapixel {price[0]:.2f} -> {price[1]:.2f}")
    model_file.write_calibration(model, slope, offset)
    write_gaps(model, gaps)
    if args.version:
        model_file.update_metadata(model, version=args.version)
    digest = model_file.save(model, path)
    told = model_file.announce(path, digest, model_file.metadata(model)["version"])
    print(f"wrote {path}\nsha256 {digest}" + ("; model.yaml updated" if told else ""))
    return 0
