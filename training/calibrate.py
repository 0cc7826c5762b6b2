"""Move the scores of exported weights so that 0.5, the dialog's default, is each label's best threshold.

    python -m training calibrate inner-layer                       # best F1, less .005 where that spares false calls
    python -m training calibrate inner-layer --pool runs/calibration  # on rendered boards, too
    python -m training calibrate inner-layer --false-calls inf     # best F1, whatever good boards are called
    python -m training calibrate inner-layer --target-recall 0.98  # fewer escapes, at a price that is printed

The graph ends in sigmoid(slope * logit + offset) per label: the offset puts the chosen point at 0.5. Which point and
which slope, operating_point.py says.
Images are of the calibration split (deeppcb.py, rendered.py): neither trained on nor reported on.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from training import deeppcb, evaluate, metrics, model_file, predict
from training.operating_point import FALSE_CALLS, NO_CALLS, joined_at, settle
from training.scene import Scene

FEWEST = 20  # defects of a label below which its score is left alone


def by_hand(text: str) -> tuple[str, tuple[float, float, float]]:
    """`scratch=0.4,0.5,20` -> slug, and point, slope and gap in px."""
    slug, _, numbers = text.partition("=")
    point, slope, gap = (float(number) for number in numbers.split(","))
    if not (0 < point < 1 and slope > 0 and gap >= 0):
        raise ValueError(text)
    return slug, (point, slope, gap)


def calls_on_clean(
    session: onnxruntime.InferenceSession, scenes: Sequence[Scene], found: Sequence[predict.Detections]
) -> tuple[list[predict.Detections], float]:
    """What is called on boards without defects: the defect-free twins, and scenes without any; and their megapixels.

    `found` has the calls on the scenes themselves.
    """
    calls, pixels = [], 0
    for scene, own in zip(scenes, found, strict=True):
        if len(scene.boxes) and scene.clean is None:
            continue
        calls.append(own if scene.clean is None or not len(scene.boxes) else predict.pieces(session, scene.clean))
        pixels += scene.image.shape[0] * scene.image.shape[1]
    return calls, pixels / 1e6


def wrong_calls(curve: metrics.Curve, threshold: float) -> int:
    """Calls at or over the threshold that find nothing."""
    return int((~curve.right[curve.scores >= threshold]).sum())


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("function", help="folder under functions/, for example inner-layer")
    parser.add_argument("--model", type=Path, help="changed in place; default: functions/FUNCTION/model.onnx")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder that holds deeppcb/")
    parser.add_argument("--set", choices=evaluate.SETS, default="calibration", help="which images")
    parser.add_argument(
        "--pool", type=Path, help="rendered boards, beside the real images if there are any (pool --split calibration)"
    )
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
    path = args.model or Path("functions") / args.function / "model.onnx"
    model = onnx.load(path)
    slugs = model_file.slugs(model)
    slope, offset = model_file.read_calibration(model)
    scenes: list[Scene] = []
    if not args.pool or (args.function in deeppcb.HELD_OUT and (args.data / "deeppcb").is_dir()):
        scenes = evaluate.load_set(args.set, args.function, args.data, slugs)
    session = predict.open_session(path)
    gaps = predict.joined(session)
    fixed = dict(args.joined)
    for slug in fixed:
        if slug not in slugs or gaps[slugs.index(slug)] < 0:
            raise SystemExit(f"--joined {slug}: these weights do not find it in pieces")
    if args.pool:
        from training.pool import read_all  # the renderer is needed here only

        # Beside the real ones, not only for labels that these lack: real ones kept aside are of boards the weights
        # know, on which they are surer than on anybody else's.
        scenes += read_all(args.pool)
    found = [predict.pieces(session, scene.image) for scene in scenes]
    clean: list[predict.Detections] = []
    allowed = np.inf
    if not fixed and args.target_recall is None:  # else nobody asks what good boards are called
        clean, clean_megapixels = calls_on_clean(session, scenes, found)
        allowed = args.false_calls / len(slugs) * clean_megapixels
    price = np.zeros(2)  # false calls per megapixel before and after
    for index, slug in enumerate(slugs):
        if fixed and slug not in fixed:
            continue
        if slug in fixed:
            point, steep, gap = fixed[slug]
            settled = joined_at(scenes, found, index, point, steep / slope[index], gap)
        else:
            in_pieces = bool(gaps[index] >= 0)
            false = np.concatenate([NO_CALLS, *(one.scores[one.labels == index] for one in clean)])
            settled = settle(scenes, found, index, in_pieces, args.target_recall, slope[index], false, allowed)
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
            megapixels = sum(scene.image.shape[0] * scene.image.shape[1] for scene in scenes) / 1e6
            cost = np.array([wrong_calls(curve, 0.5), wrong_calls(curve, point)]) / megapixels
            price += cost
            short = "" if after[1] >= args.target_recall else f"; {args.target_recall} is out of reach"
            print(f"{'':18} costs: false calls per megapixel {cost[0]:.2f} -> {cost[1]:.2f}{short}")
    if args.target_recall is not None:
        print(f"all labels: false calls per megapixel {price[0]:.2f} -> {price[1]:.2f}")
    model_file.write_calibration(model, slope, offset)
    model_file.write_gaps(model, gaps)
    if args.version:
        model_file.update_metadata(model, version=args.version)
    digest = model_file.save(model, path)
    told = model_file.announce(path, digest, model_file.metadata(model)["version"])
    print(f"wrote {path}\nsha256 {digest}" + ("; model.yaml updated" if told else ""))
    return 0
