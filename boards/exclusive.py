"""What it costs and gains to let one object be only one of two labels: `exclusive` in model.yaml, measured on truth.

    python -m boards exclusive --pools runs --json results/exclusive.json

Of two boxes at one place, with labels of one group, the surer is answered. Reads the pool `runs/FUNCTION-KIND` of each
function. Per pair of labels: how often both are called at one place, how many wrong calls the suppression takes away
(gain) and how many right ones (cost). And what the groups of model.yaml, or those tried, do to the whole measurement.
"""

from __future__ import annotations

import argparse
import datetime
import itertools
import json
import shlex
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pcb_aoi.config import weights
from pcb_aoi.config.model_config import ModelConfig
from pcb_aoi.engine import merge
from pcb_aoi.engine.detections import Detections
from pcb_aoi.exports.scene import Scene
from training.data.store import describe, listed, read_scene
from training.measure import metrics, report
from training.measure.examine import Examiner
from training.measure.runs import Measured, measure_all

Groups = tuple[tuple[int, ...], ...]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of the command line."""
    parser.add_argument("--pools", type=Path, default=Path("runs"), help="folder of the pools FUNCTION-KIND")
    parser.add_argument("--kind", default="test", help="default: test")
    parser.add_argument(
        "--group", action="append", default=[], metavar="FUNCTION:A,B", help="tried in place of those of model.yaml"
    )
    parser.add_argument("--count", type=int, help="boards of each pool (default: all)")
    parser.add_argument("--function", action="append", metavar="NAME", help="measure only these")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")


def run(args: argparse.Namespace) -> int:
    """Measure every function that has a pool; 0."""
    names = args.function or sorted(path.parent.name for path in Path("functions").glob("*/model.yaml"))
    measured = {}
    for name in names:
        measured[name] = measure(Path("functions") / name, args.pools / f"{name}-{args.kind}", args.count, args.group)
        print(name, json.dumps(measured[name]), flush=True)
    content = {
        "command": "python -m boards " + shlex.join(sys.argv[1:]),
        "date": datetime.date.today().isoformat(),
        "functions": measured,
        **tables(measured),
    }
    text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    if args.json:
        args.json.write_text(text, "utf-8")
    return 0


def measure(folder: Path, pool: Path, count: int | None = None, tried: Sequence[str] = ()) -> dict[str, Any]:
    """Return one function's figures: its pairs, and the whole pool without its groups and with them."""
    config = ModelConfig.load(folder / "model.yaml")
    own = [group.partition(":")[2].split(",") for group in tried if group.partition(":")[0] == folder.name]
    if own:
        groups = tuple(tuple(map(config.slugs.index, group)) for group in own)
        config = replace(config, exclusive=groups)
    content = weights.read(folder, config)
    examiner = Examiner(content, replace(config, exclusive=()))
    threshold = config.threshold
    run = measure_all(
        lambda image: examiner.detect(image, threshold),
        map(read_scene, listed(pool)[:count]),
        lambda image: examiner.served(image, threshold),
    )
    return {
        "version": config.version,
        "weights_sha256": config.sha256,
        "pool": describe(pool).pool,
        "images": len(run.scenes),
        "groups": [[config.slugs[label] for label in group] for group in config.exclusive],
        "pairs": pairs(run, config),
        "without": _whole(run, (), config),
        "with": _whole(run, config.exclusive, config),
    }


def tables(measured: dict[str, Any]) -> dict[str, Any]:
    """Return what documents show: the pairs that model.yaml has, and the functions without them and with them."""
    pair_rows, whole_rows = [], []
    for name, one in measured.items():
        for pair in one["pairs"]:
            if pair["labels"] in one["groups"]:
                numbers = [str(pair[key]) for key in ("wrong_gone", "right_gone", "clean_gone")]
                pair_rows.append([name, ", ".join(pair["labels"]), *numbers])
        before, after = one["without"], one["with"]
        keys = ("map50", "right", "wrong", "places_with_two_labels")
        whole_rows.append([name, str(one["images"]), *(f"{before[key]} → {after[key]}" for key in keys)])
    pair_head = {
        "en": ["model", "labels", "wrong calls gone", "right calls gone", "calls gone on boards without defects"],
        "zh": ["模型", "标签", "去掉的误报", "误删的正确框", "好板上去掉的框"],
    }
    whole_head = {
        "en": ["model", "boards", "mAP@0.5", "right calls", "wrong calls", "places with two labels"],
        "zh": ["模型", "板图", "mAP@0.5", "正确框", "误报", "同一处两个标签"],
    }
    return {
        "pairs_table": {"head": pair_head, "rows": pair_rows},
        "whole_table": {"head": whole_head, "rows": whole_rows},
    }


def pairs(run: Measured, config: ModelConfig) -> list[dict[str, Any]]:
    """Per pair of labels that were called at one place: places, and the calls that suppression would take away."""
    found = []
    for pair in itertools.combinations(range(len(config.slugs)), 2):
        gone = Counter[bool]()
        for scene, calls in zip(run.scenes, _called(run.results, config.threshold), strict=True):
            right = is_right(calls, scene)
            kept = merge.one_label_a_place(calls, [pair])
            gone.update(right[~kept].tolist())
        clean = sum(int((~merge.one_label_a_place(one, [pair])).sum()) for one in _called(run.clean, config.threshold))
        if gone or clean:
            labels = [config.slugs[label] for label in pair]
            found.append({"labels": labels, "wrong_gone": gone[False], "right_gone": gone[True], "clean_gone": clean})
    return found


def is_right(calls: Detections, scene: Scene) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """(N,): the call finds a defect of its label that no surer call of it has found; `calls` are best first."""
    right = np.zeros(len(calls), bool)
    for label in np.unique(calls.labels):
        mine = calls.labels == label
        right[mine] = metrics.right_calls(calls.boxes[mine], scene.boxes[scene.labels == label])
    return right


def _called(results: Sequence[Detections], threshold: float) -> list[Detections]:
    return [result[result.scores >= threshold] for result in results]


def _whole(run: Measured, groups: Groups, config: ModelConfig) -> dict[str, Any]:
    """The measurement as `evaluate` writes it, of the answers that these groups leave, and calls in numbers."""
    left = [result[merge.one_label_a_place(result, groups)] for result in run.results]
    clean = [result[merge.one_label_a_place(result, groups)] for result in run.clean]
    whole = report.figures(replace(run, results=left, clean=clean), list(config.slugs), config.threshold)
    called = _called(left, config.threshold)
    right = sum(int(is_right(calls, scene).sum()) for calls, scene in zip(called, run.scenes, strict=True))
    doubles = sum(_places(calls) for calls in called)
    keys = ("map50", "map5095", "false_calls_per_clean_mpx")
    return {key: whole[key] for key in keys} | {
        "right": right,
        "wrong": sum(map(len, called)) - right,
        "places_with_two_labels": doubles,
    }


def _places(calls: Detections) -> int:
    """How many pairs of boxes lie at one place: over merge.SAME, as the suppression has it."""
    table = metrics.iou_table(calls.boxes, calls.boxes)
    return int((np.triu(table, 1) > merge.SAME).sum())
