"""Teach shipped weights your own annotated images.

    python -m training finetune --function acid-outer-layer --data export.zip [--data more.zip]
    python -m training finetune --function acid-outer-layer --rollback      # back to the weights before; twice: forth

`export.zip` (or its unpacked folder) is what CVAT exports. A label that the labelmap has and the weights do not grows
the net by an output. Boards of replay/ are mixed in, so that nothing is forgotten. Old and new weights are measured on
the same held-out images, few images in turn, and on boards that the old ones know. The new ones replace the old only if
mAP@0.5 has not fallen on the images, and by at most .01 on those boards, or with --accept. An interrupted run goes on
when started again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import onnx

from pcb_aoi.config import generated, previous
from pcb_aoi.config.labelmap import Labelmap
from pcb_aoi.config.model_config import ModelConfig
from pcb_aoi.engine import polarity
from pcb_aoi.errors import PcbAoiError
from pcb_aoi.exports import export_options
from pcb_aoi.exports.annotations import AnnotationError, Entry, Report
from pcb_aoi.exports.scene import Scene, SceneList, Source
from training import comparison, traits
from training.comparison import Side
from training.data import split
from training.data.sheets import Sheets
from training.data.store import Stored
from training.measure import metrics, operating_point
from training.measure.examine import Examiner
from training.measure.runs import measure_all
from training.start import Start, replayed
from training.weights import function_versions, grow, model_file

REPLAY_SHARE = 0.4  # of the crops: boards that the weights know
RATE = 1e-3


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


def replay_of(args: argparse.Namespace) -> Path:
    """The boards to mix in."""
    return args.replay or args.root / "replay" / f"{args.function}.zip"


def fingerprint(start: Start, learnt: list[Entry], args: argparse.Namespace) -> str:
    """What decides a run: weights, labels, images, boxes and schedule. A checkpoint of another run is not continued."""
    digest = hashlib.sha256(start.content)
    for entry in learnt:
        digest.update(f"{entry.digest} {entry.labels} {entry.picture.boxes}\n".encode())
    settings = [str(args.replay), args.minutes, args.iterations, args.rate, args.seed, args.um_per_px]
    digest.update(json.dumps([settings, start.config.slugs]).encode())
    return digest.hexdigest()


def trained(
    args: argparse.Namespace, start: Start, learnt: list[Entry], out: Path, minutes: float, report: Report
) -> onnx.ModelProto:
    """A model taught these images, with the old calibration; goes on where an earlier call for the same ended."""
    from training.data.batches import WIDE_SHARE, TrainingPlan  # torch is needed here only
    from training.net import loop
    from training.weights import export

    out.mkdir(parents=True, exist_ok=True)
    mark, run = out / "run.txt", fingerprint(start, learnt, args)
    if not mark.is_file() or mark.read_text() != run:
        (out / "checkpoint.pt").unlink(missing_ok=True)
        mark.write_text(run)
    model_file.save(start.model, out / "start.onnx")
    slugs = start.config.slugs
    fragments = frozenset(slugs.index(slug) for slug in traits.LONG if slug in slugs)
    split.store(learnt, out / "train", start.config.pitch.scale(args.um_per_px), fragments, report)
    sources: list[tuple[float, Source]] = [(1.0, Sheets(Stored(out / "train")))]
    if known := replayed(start, replay_of(args), "train"):
        sources = [(1 - REPLAY_SHARE, sources[0][1]), (REPLAY_SHARE, SceneList(known))]
    details = model_file.metadata(start.model)
    plan = TrainingPlan(
        slugs,
        args.iterations,
        minutes,
        args.batch,
        wide_share=WIDE_SHARE,
        rate=args.rate,
        seed=args.seed,
        joined=tuple(json.loads(details.get("joined", "[]"))),
        bright_copper=polarity.bright_copper(details),
    )
    detector, _ = export.load_detector(loop.train(plan, sources, out, out / "start.onnx"))
    model = export.to_onnx(detector, len(slugs))
    model_file.write_calibration(model, *model_file.read_calibration(start.model))
    onnx.helper.set_model_props(model, details)
    return model


def entries_of(args: argparse.Namespace, labelmap: Path, read: Report) -> tuple[list[Entry], list[str]]:
    """The images of --data, and the labels in them that the labelmap has and the weights do not."""
    had = ModelConfig.load(args.root / "functions" / args.function / "model.yaml").slugs
    waiting = [label.slug for label in Labelmap.load(labelmap).labels if label.slug not in had]
    found = export_options.entries(args, labelmap, read, [*had, *waiting])
    used = sorted({label for entry in found for label in entry.labels if label >= len(had)})
    places = {label: len(had) + number for number, label in enumerate(used)}
    moved = [replace(entry, labels=tuple(places.get(label, label) for label in entry.labels)) for entry in found]
    return moved, [waiting[label - len(had)] for label in used]


def finetune(args: argparse.Namespace) -> int:
    """The whole command but for the rollback; returns 0 if the new weights are in use, 1 if they are not better."""
    out = args.out or Path("runs") / f"finetune-{args.function}"
    out.mkdir(parents=True, exist_ok=True)
    read, labelmap = Report(), args.root / "labelmaps" / f"{args.function}.yaml"
    found, new_labels = entries_of(args, labelmap, read)
    start = Start.load(args.root, args.function, out, new_labels)
    config, slugs = start.config, start.config.slugs
    parts = split.split(found, args.held_out)
    scale = config.pitch.scale(args.um_per_px)
    known = replayed(start, replay_of(args), "known")
    if new_labels:
        print(f"新标签 / new labels: {', '.join(new_labels)}")
    runs = len(parts.folds) + parts.crossed
    if parts.crossed:
        print(f"{len(found)} 张图，轮流测量 / images, held out in turn by {parts.rule}: {runs} runs of equal length")
    models: list[onnx.ModelProto] = []  # one a fold, and of few images one that has learnt from all
    for number, (learnt, _) in enumerate(parts.folds):
        place = out / f"fold-{number + 1}" if parts.crossed else out
        models.append(trained(args, start, learnt, place, args.minutes / runs, Report() if parts.crossed else read))
    if parts.crossed:
        models.append(trained(args, start, parts.all, out, args.minutes / runs, read))
    share, pair = comparison.kept(start.model, models[-1], config, known)
    models = [grow.mixed(start.model, one, share) for one in models]
    if known:
        print(f"新权重占 / share of the new weights: {share:g}, for what it knew before")
    else:
        print("没有 replay/ / without replay/: what your images do not show may be forgotten, and nobody would see it")
    if parts.calibration:
        split.store(parts.calibration, out / "calibration", scale, None, read)
        recalibrate(models[-1], config, Stored(out / "calibration"))
    old, new, model = Side(), Side(), models[-1]
    for own, (_, held_out) in zip(models, parts.folds, strict=False):
        split.store(held_out, out / "held-out", scale, None, Report() if parts.crossed else read)
        old.add(start.model, config, Stored(out / "held-out"))
        new.add(own, config, Stored(out / "held-out"))
    print("\n".join(read.lines(slugs)))
    if not parts.crossed:
        sizes = {"train": parts.folds[0][0], "calibration": parts.calibration, "held-out": parts.folds[0][1]}
        print(f"split by {parts.rule}: {', '.join(f'{len(own)} {part}' for part, own in sizes.items())}")
    version = function_versions.next_version(start.folder)
    details = model_file.metadata(model) | {"version": version}
    shown = f"{len(parts.all if parts.crossed else parts.folds[0][0])} annotated images of the user"
    details["provenance"] = f"{details.get('provenance', '')} Fine-tuned from {config.version} on {shown}.".strip()
    onnx.helper.set_model_props(model, details)
    model_file.save(model, out / "model.onnx")
    for title, side in ((f"旧权重 / old weights, {config.version}", old), (f"新权重 / new weights, {version}", new)):
        print(f"\n## {title}\n\n{side.table(slugs)}")
    better, lines = comparison.verdict((old, new), pair, len(slugs))
    print("\n" + "\n".join(lines))
    if not better and not args.accept:
        print(f"未替换 / not taken, {start.folder} is unchanged; to take them anyway: --accept. ({out}/model.onnx)")
        return 1
    digest = start.install(model, labelmap)
    print(f"{start.folder / config.weights}: {version}, sha256 {digest}; {config.version} is kept for --rollback")
    tell_next(args.function)
    return 0


def tell_next(function: str) -> None:
    """Say how new weights come into use."""
    print(
        f"下一步 / next: pcb-aoi check --function {function}, then ./deploy.sh up (with the --platform and options "
        "that you deploy with): it puts changed weights into the running platform; ./deploy.sh status shows the version"
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of the command line."""
    parser.add_argument("--function", required=True, help="folder under functions/, for example inner-layer")
    export_options.add_arguments(parser)
    parser.add_argument("--minutes", type=float, default=20.0, help="length of the training")
    parser.add_argument("--iterations", type=int, default=0, help="end the training after so many batches, if earlier")
    parser.add_argument("--replay", type=Path, help="boards that the weights know, to mix in; default: replay/")
    parser.add_argument("--held-out", type=float, default=split.HELD_OUT, help="share of the images to measure with")
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
            folder = args.root / "functions" / args.function
            left, now = previous.swap(folder)
            print(f"{args.function}: {left} -> {now}")
            generated.write(folder, Labelmap.load(args.root / "labelmaps" / f"{args.function}.yaml"))
            tell_next(args.function)
            return 0
        if not args.data:
            raise AnnotationError("--data is missing: an export of CVAT, .zip or folder")
        from training.net.loop import restart_with_allocator

        restart_with_allocator()
        return finetune(args)
    except PcbAoiError as error:
        raise SystemExit(f"{error}") from None
