"""Measure a function's weights on pictures with known truth, through the engine that serves them.

    python -m training evaluate acid-outer-layer --pool runs/test            # boards by `python -m boards pool`
    python -m training evaluate acid-outer-layer --data export.zip           # your own, annotated in CVAT
    python -m training evaluate acid-outer-layer --pool runs/test --json results/acid-outer-layer.json

Prints mAP@0.5 and 0.5:0.95 and, per label, AP@0.5, precision, recall and F1 at the threshold, how far that F1 is below
the best that any threshold would give, the escape rate (漏检率: defects not called), the overkill (过杀率: calls that
are wrong) and the false calls per megapixel of boards without defects, where such boards are known.
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

import onnx

from training.measure import material, report
from training.measure.examine import Examiner
from training.measure.runs import measure_all
from training.weights import model_file


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of the command line."""
    material.add_arguments(parser)
    parser.add_argument("--model", type=Path, help="default: the weights of functions/FUNCTION")
    parser.add_argument("--threshold", type=float, help="default: as in model.yaml")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")


def version(path: Path, announced: str | None) -> str:
    """Of a function's own weights what model.yaml announces: `soup` and `calibrate` may leave the file's behind."""
    return announced or model_file.metadata(onnx.load(path)).get("version", "")


def run(args: argparse.Namespace) -> int:
    """Measure, print, and write what the command line asks for; 0."""
    folder = material.folder_of(args)
    scenes, described = material.load(args)
    examiner = Examiner.load(folder, args.model, args.um_per_px)
    path = args.model or folder / examiner.config.weights
    slugs = list(examiner.config.slugs)
    threshold = examiner.config.threshold if args.threshold is None else args.threshold
    measured = measure_all(
        partial(examiner.detect, threshold=threshold), scenes, partial(examiner.served, threshold=threshold)
    )
    print(f"{path} on {described.pool} of {args.function}")
    print(report.table(measured, slugs, threshold))
    if args.json:
        content = {
            "command": "python -m training " + shlex.join(sys.argv[1:]),
            "date": datetime.date.today().isoformat(),
            "function": args.function,
            "version": version(path, None if args.model else examiner.config.version),
            "weights_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "pool": described.pool,
            "real": described.real,
            **report.figures(measured, slugs, threshold),
        }
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        print(f"wrote {args.json}")
    return 0
