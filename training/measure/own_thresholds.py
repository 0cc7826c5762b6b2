"""Find each label's threshold on your own annotated images, and write it into model.yaml.

    pcb-aoi calibrate acid-outer-layer --data export.zip                       # the best F1 of each label
    pcb-aoi calibrate acid-outer-layer --data export.zip --target-recall 0.95  # fewer escapes; the price is printed

A detection counts from the larger of its label's threshold and the one of CVAT's dialog. Labels with few defects keep
what they have. Measure afterwards on other images (`pcb-aoi evaluate`): on these ones the figures flatter.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import partial

from pcb_aoi.config import model_edit, weights
from pcb_aoi.config.model_config import ModelConfig
from pcb_aoi.config.settings import Settings
from training.measure import material, metrics
from training.measure.examine import Examiner
from training.measure.operating_point import FEWEST, best_point
from training.measure.runs import measure_all

HELP = "在自己的标注上定各标签的阈值 / find each label's threshold on your own annotated images"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of the command line."""
    material.add_arguments(parser, pools=False)
    parser.add_argument("--target-recall", type=float, help="in place of the best F1, for example 0.95")
    parser.add_argument("--dry-run", action="store_true", help="print only")


def run(args: argparse.Namespace) -> int:
    """Find the thresholds, print what they change, and write them; 0."""
    given = material.load(args)
    folder = material.folder_of(args)
    config = replace(ModelConfig.load(folder / "model.yaml"), thresholds={})  # they are to be found anew
    examiner = Examiner(weights.read(folder, config), config, Settings(um_per_px=args.um_per_px))
    run = measure_all(partial(examiner.detect, threshold=config.threshold), (read() for read in given.pictures))
    print("\n".join(given.report.lines(config.slugs)))
    found: dict[str, float] = {}
    for label, slug in enumerate(config.slugs):
        curve = metrics.curve(run.scenes, run.results, label)
        if curve.defects < FEWEST or not curve.right.any():
            print(f"{slug:18} {curve.defects} 个缺陷，太少 / defects, too few of {FEWEST}: left as it is")
            continue
        point = found[slug] = round(best_point(curve, args.target_recall), 2)
        before, after = curve.at(config.threshold), curve.at(point)
        print(
            f"{slug:18} {config.threshold:g} -> {point:g}: precision {before[0]:.3f} -> {after[0]:.3f}, "
            f"recall {before[1]:.3f} -> {after[1]:.3f}, F1 {before[2]:.3f} -> {after[2]:.3f}"
        )
        if args.target_recall and after[1] < args.target_recall:
            print(f"{'':18} {args.target_recall} 达不到 / is out of reach")
    if not found:
        print(f"没有写入 / nothing was written: no label has {FEWEST} defects; annotate more")
        return 1
    path = folder / "model.yaml"
    if not args.dry_run:
        line = ", ".join(f"{slug}: {point:g}" for slug, point in found.items())
        path.write_text(model_edit.put_optional(path.read_text("utf-8"), "thresholds", f"{{{line}}}"), "utf-8")
        print(f"已写入 / wrote thresholds: {path}")
    if (lowest := min(found.values())) < config.threshold:
        print(
            f"低于对话框阈值的不起作用：请在CVAT对话框里填 {lowest:g} / a threshold under the dialog's has no effect: "
            f"enter {lowest:g} in CVAT's dialog"
        )
    return 0
