"""What scaling to the native pitch and nested thresholds cost and gain, on truth seen at other pitches.

    python -m boards pitch inner-layer --pool runs/inner-layer-test --count 40 --json results/pitch.json

The pool's boards are brought to shares of the native pitch, as a finer or coarser camera would give them. They are
answered without the pitch (nothing is scaled), and with it (scaled from 15 % off). At LOW, a threshold far below the
model's own, they are answered as shipped, where a lower threshold only adds boxes, and with all candidates merged at
once: then weak pieces may take sure boxes away.
"""

from __future__ import annotations

import argparse
import datetime
import itertools
import json
import shlex
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import cv2
import numpy as np

from pcb_aoi.config import weights
from pcb_aoi.config.model_config import ModelConfig
from pcb_aoi.config.settings import Settings
from pcb_aoi.engine import merge
from pcb_aoi.engine.detections import Detections
from pcb_aoi.engine.detector import Detector
from pcb_aoi.exports.scene import Scene
from training.data.store import describe, listed, read_scene
from training.measure import metrics
from training.measure.examine import RememberingModel

SHARES = (0.6, 0.75, 0.9, 1.0, 1.1, 1.5)
"""Of the native pitch: below 1 the camera is finer, and the picture larger."""
LOW = 0.1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of the command line."""
    parser.add_argument("function", help="folder under functions/")
    parser.add_argument("--pool", type=Path, required=True, help="a folder of boards at the native pitch")
    parser.add_argument("--count", type=int, default=40, help="how many of them")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")


def run(args: argparse.Namespace) -> int:
    """Measure at each share; 0."""
    folder = Path("functions") / args.function
    config = ModelConfig.load(folder / "model.yaml")
    content, rows = weights.read(folder, config), []
    for share in SHARES:
        row: dict[str, Any] = {"share": share}
        for name, um_per_px in (("untold", None), ("told", config.pitch.native * share)):
            settings = Settings(um_per_px=um_per_px)
            model = RememberingModel(content, config, settings)
            detector = Detector(config, model, settings)
            row[name] = _measure(detector, model, _scenes(args.pool, args.count, share))
        rows.append(row)
        print(json.dumps(row), flush=True)
    text = {
        "command": "python -m boards " + shlex.join(sys.argv[1:]),
        "date": datetime.date.today().isoformat(),
        "function": args.function,
        "version": config.version,
        "weights_sha256": config.sha256,
        "pool": describe(args.pool).pool,
        "images": args.count,
        "native_um": config.pitch.native,
        "low_threshold": LOW,
        "pitches": rows,
        **tables(rows),
    }
    if args.json:
        args.json.write_text(json.dumps(text, indent=1) + "\n", "utf-8")
    return 0


def tables(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what documents show: each pitch untold and told, and the calls at LOW."""
    pitch_rows, low_rows = [], []
    for row in rows:
        untold, told = row["untold"], row["told"]
        accuracy = [f"{one[key]:.3f}" for key in ("map50", "map5095") for one in (untold, told)]
        pitch_rows.append([f"{row['share']:g}", *accuracy, str(untold["tiles"]), str(told["tiles"])])
        low = [f"{told[f'{what}_{name}']}" for name in ("nested", "at_once") for what in ("right", "wrong", "gone")]
        low_rows.append([f"{row['share']:g}", str(told["right"]), *low])
    pitch_head = {
        "en": ["pitch / native", "mAP@0.5 untold", "told", "mAP@0.5:0.95 untold", "told", "tiles untold", "told"],
        "zh": ["像素尺寸 / 原生", "mAP@0.5 不设", "设", "mAP@0.5:0.95 不设", "设", "图块 不设", "设"],
    }
    low_head = {
        "en": ["pitch / native", "right at 0.5", "right", "wrong", "lost", "right at once", "wrong", "lost"],
        "zh": ["像素尺寸 / 原生", "0.5 时正确", "正确", "误报", "丢失", "一次合并：正确", "误报", "丢失"],
    }
    return {
        "pitch_table": {"head": pitch_head, "rows": pitch_rows},
        "low_table": {"head": low_head, "rows": low_rows},
    }


def seen_at(scene: Scene, share: float) -> Scene:
    """The scene as a camera of that share of its pitch gives it."""
    side = [round(length / share) for length in scene.image.shape[1::-1]]
    how = cv2.INTER_AREA if share > 1 else cv2.INTER_CUBIC
    image = np.asarray(cv2.resize(scene.image, side, interpolation=how), np.uint8)
    return replace(scene, image=image, boxes=(scene.boxes / share).astype(np.float32), clean=None)


def _scenes(pool: Path, count: int, share: float) -> Iterator[Scene]:
    return (seen_at(read_scene(path), share) for path in itertools.islice(listed(pool), count))


def _measure(detector: Detector, model: RememberingModel, scenes: Iterator[Scene]) -> dict[str, Any]:
    """mAP of the calls from LOW on, and what became at LOW of the right calls at the model's own threshold.

    `nested` is as shipped, `at_once` merges all candidates of LOW together. The net runs once a picture.
    """
    kept, results, tiles = [], [], 0
    counts = dict.fromkeys(("right", "wrong"), 0)
    for name in ("nested", "at_once"):
        counts |= dict.fromkeys((f"{what}_{name}" for what in ("right", "wrong", "gone")), 0)
    for scene in scenes:
        model.known.clear()
        own = detector.detect(scene.image)
        sure = _found(own.detections, scene)
        tiles += own.tiles
        counts["right"] += len(sure)
        counts["wrong"] += len(own.detections) - len(sure)
        for name in ("nested", "at_once"):
            with patch.object(merge, "levels", merge.levels if name == "nested" else lambda threshold, _: [threshold]):
                low = detector.detect(scene.image, LOW).detections
            found = _found(low, scene)
            counts[f"right_{name}"] += len(found)
            counts[f"wrong_{name}"] += len(low) - len(found)
            counts[f"gone_{name}"] += len(sure - found)
            if name == "nested":
                kept.append(scene)
                results.append(low)
    precision = metrics.average_precision(kept, results, len(detector.config.slugs))
    accuracy = {"map50": precision[:, 0], "map5095": precision}
    return {key: round(float(np.nanmean(values)), 4) for key, values in accuracy.items()} | {"tiles": tiles} | counts


def _found(calls: Detections, scene: Scene) -> set[tuple[float, ...]]:
    """The defects that calls find, by label and box."""
    found: set[tuple[float, ...]] = set()
    for label in np.unique(calls.labels):
        mine = calls[calls.labels == label]
        truth = scene.boxes[scene.labels == label]
        rows = metrics.matches(mine.boxes, truth)
        found |= {(float(label), *truth[row].tolist()) for row in rows if row >= 0}
    return found
