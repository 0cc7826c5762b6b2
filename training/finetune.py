"""Teach shipped weights your own annotated images.

    python -m training finetune --function acid-outer-layer --data export.zip [--data more.zip] [--keep-pool DIR]
    python -m training finetune --function acid-outer-layer --rollback      # back to the weights before; twice: forth

`export.zip` (or its unpacked folder) is what CVAT exports: COCO 1.0, CVAT for images 1.1 or Ultralytics YOLO
Detection 1.0. Images are split into those to train on, to calibrate with and to measure with. Old and new weights are
measured on the same held-out images; the new ones replace the old only if mAP@0.5 has not fallen, or with --accept.
An interrupted run goes on when started again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import onnx

from pcb_aoi.config import previous, weights
from pcb_aoi.config.model_config import ModelConfig
from pcb_aoi.engine import polarity
from pcb_aoi.errors import PcbAoiError
from training import traits
from training.annotated import export_options, split
from training.annotated.annotations import AnnotationError, Report
from training.data.scene import Scene, Source
from training.data.sheets import Sheets
from training.data.store import Pool, Stored
from training.measure import metrics, operating_point, report
from training.measure.examine import Examiner
from training.measure.runs import measure_all
from training.weights import function_versions, model_file

KEEP_SHARE = 0.4  # of the crops, with --keep-pool: rendered boards
RATE = 1e-3
THRESHOLD = 0.5


def recalibrate(model: onnx.ModelProto, config: ModelConfig, scenes: Sequence[Scene]) -> None:
    """Put each label's best threshold at 0.5, in place.

    Labels with too few defects, and those found in pieces, keep what the old weights had.
    """
    examiner = Examiner(model.SerializeToString(), config)
    run = measure_all(examiner.pieces, scenes)
    slope, offset = model_file.read_calibration(model)
    for label, slug in enumerate(model_file.slugs(model)):
        curve = metrics.curve(run.scenes, run.results, label)
        if curve.defects < operating_point.FEWEST or not curve.right.any() or examiner.gaps[label] >= 0:
            print(f"{slug:18} {curve.defects} defects to calibrate with: keeps its calibration")
            continue
        point = operating_point.best_point(curve)
        steep = operating_point.fit_slope(curve, point, slope[label])
        offset[label] = steep * (offset[label] - operating_point.logit(point))
        slope[label] *= steep
        print(f"{slug:18} {point:.3f} becomes 0.5, slope {slope[label]:.2f}")
    model_file.write_calibration(model, slope, offset)


def average(model: onnx.ModelProto, config: ModelConfig, scenes: Sequence[Scene], title: str) -> float:
    """mAP@0.5 of a model, and its table printed."""
    examiner = Examiner(model.SerializeToString(), config)
    run = measure_all(partial(examiner.detect, threshold=THRESHOLD), scenes)
    slugs = model_file.slugs(model)
    print(f"\n## {title}\n\n{report.table(run, slugs, THRESHOLD)}")
    return float(np.nanmean(metrics.average_precision(run.scenes, run.results, len(slugs))[:, 0]))


def fingerprint(start: bytes, parts: split.Split, args: argparse.Namespace) -> str:
    """What decides a run: weights, images, boxes, split and schedule. A checkpoint of another run is not continued."""
    digest = hashlib.sha256(start)
    for part, entries in parts.items():
        for entry in entries:
            digest.update(f"{part} {entry.digest} {entry.labels} {entry.picture.boxes}\n".encode())
    settings = [str(args.keep_pool), args.minutes, args.iterations, args.rate, args.seed, args.um_per_px]
    digest.update(json.dumps(settings).encode())
    return digest.hexdigest()


def trained(args: argparse.Namespace, config: ModelConfig, start: Path, out: Path) -> onnx.ModelProto:
    """Train from the weights in `start` on the scenes under `out`, as a model with the old calibration."""
    from training.data.batches import WIDE_SHARE, TrainingPlan  # torch is needed here only
    from training.net import loop
    from training.weights import export

    sources: list[tuple[float, Source]] = [(1.0, Sheets(Stored(out / "train")))]
    if args.keep_pool:
        sources = [(1 - KEEP_SHARE, sources[0][1]), (KEEP_SHARE, Pool(args.keep_pool))]
    details = model_file.metadata(onnx.load(start))
    plan = TrainingPlan(
        config.slugs,
        args.iterations,
        args.minutes,
        args.batch,
        wide_share=WIDE_SHARE,
        rate=args.rate,
        seed=args.seed,
        joined=tuple(json.loads(details.get("joined", "[]"))),
        bright_copper=polarity.bright_copper(details),
    )
    checkpoint = loop.train(plan, sources, out, start)
    detector, slugs = export.load_detector(checkpoint)
    model, old = export.to_onnx(detector, len(slugs)), onnx.load(start)
    model_file.write_calibration(model, *model_file.read_calibration(old))
    onnx.helper.set_model_props(model, model_file.metadata(old))
    return model


def finetune(args: argparse.Namespace) -> int:
    """The whole command but for the rollback; returns 0 if the new weights are in use, 1 if they are not better."""
    folder = args.root / "functions" / args.function
    config = ModelConfig.load(folder / "model.yaml")
    if config.head != "pcb":
        raise previous.VersionError(f"{folder}: head {config.head}: only weights of this project can be fine-tuned")
    content = weights.read(folder, config)
    old = onnx.load_from_string(content)
    if tuple(model_file.slugs(old)) != config.slugs:
        raise previous.VersionError(f"{folder}: the labels of the weights are not those of model.yaml")
    read = Report()
    found = export_options.entries(args, args.root / "labelmaps" / f"{args.function}.yaml", read)
    parts, rule = split.split(found, args.held_out)
    out = args.out or Path("runs") / f"finetune-{args.function}"
    out.mkdir(parents=True, exist_ok=True)
    mark, run = out / "run.txt", fingerprint(content, parts, args)
    if not mark.is_file() or mark.read_text() != run:
        (out / "checkpoint.pt").unlink(missing_ok=True)
        (out / "start.onnx").write_bytes(content)
        mark.write_text(run)
    fragments = frozenset(config.slugs.index(slug) for slug in traits.LONG if slug in config.slugs)
    split.store(parts, out, config.pitch.scale(args.um_per_px), fragments, read)
    print("\n".join(read.lines(config.slugs)))
    print(f"split by {rule}: " + ", ".join(f"{len(own)} {part}" for part, own in parts.items()), flush=True)
    if not args.keep_pool:
        print("without --keep-pool: what your images do not show may be forgotten")
    model = trained(args, config, out / "start.onnx", out)
    version = function_versions.next_version(folder)
    shown = f"{len(parts['train'])} annotated images of the user"
    details = model_file.metadata(model) | {"version": version}
    details["provenance"] = f"{details.get('provenance', '')} Fine-tuned from {config.version} on {shown}.".strip()
    onnx.helper.set_model_props(model, details)
    recalibrate(model, config, Stored(out / "calibration"))
    model_file.save(model, out / "model.onnx")
    held_out = Stored(out / "held-out")
    before = average(old, config, held_out, f"旧权重 / old weights, {config.version}")
    after = average(model, config, held_out, f"新权重 / new weights, {version}")
    print(f"\nmAP@0.5 {before:.3f} -> {after:.3f} on {len(parts['held-out'])} held-out images")
    if not after >= before and not args.accept:
        print(
            f"没有变好，未替换 / not better, {folder} is unchanged; to take them anyway: --accept. ({out}/model.onnx)"
        )
        return 1
    digest = function_versions.install(model, folder)
    print(f"{folder / config.weights}: {version}, sha256 {digest}; {config.version} is kept for --rollback")
    tell_next(args.function)
    return 0


def tell_next(function: str) -> None:
    """Say how new weights come into use."""
    print(
        f"下一步 / next: pcb-aoi check --function {function}, then ./deploy.sh up --function {function} "
        "(with the --platform and options that you deploy with)"
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of the command line."""
    parser.add_argument("--function", required=True, help="folder under functions/, for example inner-layer")
    export_options.add_arguments(parser)
    parser.add_argument("--minutes", type=float, default=20.0, help="length of the training")
    parser.add_argument("--iterations", type=int, default=0, help="end the training after so many batches, if earlier")
    parser.add_argument("--keep-pool", type=Path, help="rendered boards (`python -m boards pool`) to mix in")
    parser.add_argument("--held-out", type=float, default=0.2, help="share of the images to measure with")
    parser.add_argument("--um-per-px", type=float, help="pixel pitch, if PCB_AOI_UM_PER_PX is set for the function")
    parser.add_argument("--accept", action="store_true", help="use the new weights even if they are worse")
    parser.add_argument("--rollback", action="store_true", help="swap the weights with the ones before, and end")
    parser.add_argument("--out", type=Path, help="working folder; default: runs/finetune-FUNCTION")
    parser.add_argument("--rate", type=float, default=RATE, help="learning rate")
    parser.add_argument("--batch", type=int, default=8, help="crops in a batch")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--root", type=Path, default=Path(), help="folder that holds functions/ and labelmaps/")


def run(args: argparse.Namespace) -> int:
    """Fine-tune, or go back; what the user can put right is told in one line."""
    try:
        if args.rollback:
            left, now = previous.swap(args.root / "functions" / args.function)
            print(f"{args.function}: {left} -> {now}")
            tell_next(args.function)
            return 0
        if not args.data:
            raise AnnotationError("--data is missing: an export of CVAT, .zip or folder")
        from training.net.loop import restart_with_allocator

        restart_with_allocator()
        return finetune(args)
    except PcbAoiError as error:
        raise SystemExit(f"{error}") from None
