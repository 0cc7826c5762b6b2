"""Measure a function's weights on pictures with known truth, through the engine that serves them.

    pcb-aoi evaluate acid-outer-layer --data export.zip                      # your own, annotated in CVAT
    pcb-aoi evaluate acid-outer-layer --data export.zip --cvat http://cvat:8080
    python -m training evaluate acid-outer-layer --pool runs/test --json results/acid-outer-layer.json

Prints mAP@0.5 and 0.5:0.95 (where pycocotools is) and, per label, AP@0.5, precision, recall and F1 at the threshold,
how far that F1 is below the best that any threshold would give, the escape rate (漏检率: defects not called), the
overkill (过杀率: calls that are wrong) and the false calls per megapixel of boards without defects, where such boards
are known. Of --data it writes a page with a confusion matrix and the worst pictures, too.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import shlex
import sys
from functools import partial
from pathlib import Path

from training.measure import html_page, material, report
from training.measure.examine import Examiner
from training.measure.runs import measure_all

HELP = "在自己的标注上测量 / measure a function on your own annotated images"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of the command line."""
    material.add_arguments(parser)
    parser.add_argument("--model", type=Path, help="default: the weights of functions/FUNCTION")
    parser.add_argument("--threshold", type=float, help="default: as in model.yaml")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument("--page", type=Path, metavar="FILE", help="default with --data: out/evaluate-FUNCTION.html")
    parser.add_argument("--cvat", metavar="URL", help="of your CVAT: pictures of the page lead to their frames there")


def run(args: argparse.Namespace) -> int:
    """Measure, print, and write what the command line asks for; 0."""
    folder = material.folder_of(args)
    given = material.load(args)
    examiner = Examiner.load(folder, args.model, args.um_per_px)
    path = args.model or folder / examiner.config.weights
    slugs = list(examiner.config.slugs)
    threshold = examiner.config.threshold if args.threshold is None else args.threshold
    measured = measure_all(
        partial(examiner.detect, threshold=threshold),
        (read() for read in given.pictures),
        partial(examiner.served, threshold=threshold),
    )
    if args.data:
        print("\n".join(given.report.lines(examiner.config.slugs)))
    print(f"{path} on {given.described.pool} of {args.function}")
    print(report.table(measured, slugs, threshold))
    if args.data or args.page:
        target = args.page or Path("out") / f"evaluate-{args.function}.html"
        html_page.write(
            target,
            html_page.Page(examiner.config.names, measured, given, threshold, args.cvat),
            f"{args.function}: {path}",
        )
        print(f"网页 / page: {target}")
        if args.cvat and not any(given.frames):
            print("没有CVAT链接 / no links to CVAT: of all formats only CVAT for images 1.1 tells task, job and frame")
    if args.json:
        program = "pcb-aoi" if Path(sys.argv[0]).name == "pcb-aoi" else "python -m training"
        content = {
            "command": f"{program} {shlex.join(sys.argv[1:])}",
            "date": datetime.date.today().isoformat(),
            "function": args.function,
            # Of a function's own weights what model.yaml announces: older files may have kept another number.
            "version": examiner.metadata.get("version", "") if args.model else examiner.config.version,
            "weights_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "pool": given.described.pool,
            "real": given.described.real,
            **report.figures(measured, slugs, threshold),
        }
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        print(f"wrote {args.json}")
    return 0
