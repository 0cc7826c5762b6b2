"""Measure exported weights on images of boards they have never seen.

    python -m training evaluate inner-layer                      # real: DeepPCB groups held out whole
    python -m training evaluate inner-layer --set samples        # rendered: the boards under samples/
    python -m training evaluate inner-layer --pool runs/test     # rendered: a pool of `--split test`

Prints mAP@0.5 and 0.5:0.95 and, per label, AP@0.5, precision, recall and F1 at the threshold, the best F1 any
threshold would give, and the escape rate; then false calls per clean megapixel where clean boards exist.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
import onnx
from onnxruntime import InferenceSession

from training import deeppcb, metrics, model_file, predict
from training.scene import Scene

SETS = ("test", "calibration", "train", "samples")


def load_samples(folder: Path, slugs: list[str]) -> list[Scene]:
    """The project's own rendered boards with their planted defects."""
    scenes = []
    for entry in json.loads((folder / "truth.json").read_text())["images"]:
        image = cv2.imread(str(folder / entry["file"]), cv2.IMREAD_UNCHANGED)
        if image is None:
            raise FileNotFoundError(f"no readable image at {folder / entry['file']}")
        if image.ndim == 3:
            image = np.ascontiguousarray(image[:, :, 2::-1])
        boxes = np.array([defect["box"] for defect in entry["defects"]], np.float32).reshape(-1, 4)
        labels = np.array([slugs.index(defect["label"]) for defect in entry["defects"]], np.int64)
        scenes.append(Scene(np.asarray(image, np.uint8), boxes, labels, entry["file"]))
    return scenes


def load_set(name: str, function: str, data: Path, slugs: list[str]) -> list[Scene]:
    """The scenes of a named set; the groups of DeepPCB are described in deeppcb.py."""
    if name == "samples":
        return load_samples(Path("samples") / function, slugs)
    return deeppcb.load(data / "deeppcb", name, slugs)


def false_calls(scenes: list[Scene], run: InferenceSession, threshold: float) -> float | None:
    """Calls per megapixel on the clean boards of the scenes (过杀); None where no clean boards are known."""
    clean = [scene.clean for scene in scenes if scene.clean is not None]
    if not clean:
        return None
    calls = sum(int((predict.detect(run, image).scores >= threshold).sum()) for image in clean)
    return calls / (sum(image.shape[0] * image.shape[1] for image in clean) / 1e6)


def table(scenes: list[Scene], results: list[predict.Detections], slugs: list[str], threshold: float) -> str:
    """The report, in Markdown."""
    precision = metrics.average_precision(scenes, results, len(slugs))
    lines = [
        f"images {len(scenes)}, defects {sum(len(scene.boxes) for scene in scenes)}, threshold {threshold}",
        f"mAP@0.5 {np.nanmean(precision[:, 0]):.3f}   mAP@0.5:0.95 {np.nanmean(precision):.3f}",
        "",
        "| label | defects | AP@0.5 | AP@0.5:0.95 | precision | recall | F1 | best F1 | escapes |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for index, slug in [*enumerate(slugs), (-1, "all")]:
        curve = metrics.curve(scenes, results, index)
        own = precision if index < 0 else precision[index : index + 1]
        if not curve.defects:
            calls = int((curve.scores >= threshold).sum())
            lines.append(f"| {slug} | 0 | | | {calls} false calls | | | | |")
            continue
        p, r, f1 = curve.at(threshold)
        best = max(curve.f1(), default=0.0)
        lines.append(
            f"| {slug} | {curve.defects} | {np.nanmean(own[:, 0]):.3f} | {np.nanmean(own):.3f} "
            f"| {p:.3f} | {r:.3f} | {f1:.3f} | {best:.3f} | {1 - r:.1%} |"
        )
    return "\n".join(lines)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("function", help="folder under functions/, for example inner-layer")
    parser.add_argument("--model", type=Path, help="default: functions/FUNCTION/model.onnx")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder that holds deeppcb/")
    parser.add_argument("--set", choices=SETS, default="test", help="which images (default: test)")
    parser.add_argument("--pool", type=Path, help="rendered boards (`python -m training pool --split test`) instead")
    parser.add_argument("--threshold", type=float, default=0.5)


def run(args: argparse.Namespace) -> int:
    path = args.model or Path("functions") / args.function / "model.onnx"
    slugs = model_file.slugs(onnx.load(path))
    if args.pool:
        from training.pool import read_all  # the renderer is needed here only

        scenes = read_all(args.pool)
    else:
        scenes = load_set(args.set, args.function, args.data, slugs)
    session = predict.open_session(path)
    results = [predict.detect(session, scene.image) for scene in scenes]
    print(f"{path} on {args.pool or args.set} of {args.function}")
    print(table(scenes, results, slugs, args.threshold))
    overkill = false_calls(scenes, session, args.threshold)
    if overkill is not None:
        print(f"\nfalse calls per clean megapixel: {overkill:.2f}")
    return 0
