"""Measure exported weights on images of boards they have never seen.

    python -m training evaluate inner-layer                      # real: DeepPCB groups held out whole
    python -m training evaluate inner-layer --shaded grey        # the same, as a grey or a colour camera sees them
    python -m training evaluate inner-layer --set samples        # rendered: the boards under samples/
    python -m training evaluate inner-layer --pool runs/test     # rendered: a pool of `--split test`
    python -m training evaluate inner-layer --real dspcbsd=DIR   # real: a published set (real_sets.py)
    python -m training evaluate inner-layer --plots out/plots    # and curves and a confusion matrix as PNG

Prints mAP@0.5 and 0.5:0.95 and, per label, AP@0.5, precision, recall and F1 at the threshold, how far that F1 is below
the best that any threshold would give, the escape rate (漏检率: defects not called), the overkill (过杀率: calls that
are wrong) and the false calls per megapixel of boards without defects, where such boards are known.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import onnx
from numpy.typing import NDArray

from training import confusion, deeppcb, metrics, model_file, predict, real_sets
from training.ignored import without_ignored
from training.scene import Image, Scene

SETS = ("test", "calibration", "train", "samples")
GAP = 0.02  # F1 that a label may lose at the threshold against its best threshold

Detect = Callable[[Image], predict.Detections]


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
    if function not in deeppcb.HELD_OUT:
        raise SystemExit(f"there are no real images of {function}: give rendered ones with --pool, or --set samples")
    return deeppcb.load(data / "deeppcb", name, slugs, deeppcb.HELD_OUT[function])


def load_scenes(args: argparse.Namespace, slugs: list[str]) -> list[Scene]:
    """What `--real` or `--pool`, or else `--set`, names."""
    if args.real:
        name, folder = args.real
        return real_sets.load(name, folder, args.set, slugs)
    if not args.pool:
        scenes = load_set(args.set, args.function, args.data, slugs)
        if args.shaded:
            from training.rendered_inner import shaded

            scenes = [shaded(scene, args.shaded, number) for number, scene in enumerate(scenes)]
        return scenes
    from training.pool import read_all  # the renderer is needed here only

    return read_all(args.pool)


@dataclass(frozen=True)
class CleanCalls:
    """Calls on boards without defects: all of them false."""

    counts: NDArray[np.int64]  # (labels,)
    megapixels: float
    images: int
    flagged: int  # images with at least one call

    def per_megapixel(self, label: int) -> float:
        """Of one label, or of all with -1."""
        return float(self.counts.sum() if label < 0 else self.counts[label]) / self.megapixels


def clean_calls(
    scenes: list[Scene], results: list[predict.Detections], detect: Detect, labels: int, threshold: float
) -> CleanCalls | None:
    """Run on the defect-free twins of the scenes; None where none is known.

    A scene without defects is its own twin, and `results` has its calls already.
    """
    counts, images, flagged, pixels = np.zeros(labels, np.int64), 0, 0, 0
    for scene, result in zip(scenes, results, strict=True):
        if len(scene.boxes):
            if scene.clean is None:
                continue
            result = detect(scene.clean)
        called = result.labels[result.scores >= threshold]
        counts += np.bincount(called, minlength=labels)
        images += 1
        flagged += len(called) > 0
        pixels += scene.image.shape[0] * scene.image.shape[1]
    return CleanCalls(counts, pixels / 1e6, images, flagged) if images else None


def table(
    scenes: list[Scene],
    results: list[predict.Detections],
    slugs: list[str],
    threshold: float,
    clean: CleanCalls | None = None,
) -> str:
    """The report, in Markdown."""
    precision = metrics.average_precision(scenes, results, len(slugs))
    lines = [
        f"images {len(scenes)}, defects {sum(len(scene.boxes) for scene in scenes)}, threshold {threshold}",
        f"mAP@0.5 {np.nanmean(precision[:, 0]):.3f}   mAP@0.5:0.95 {np.nanmean(precision):.3f}",
        "",
        "| label | defects | AP@0.5 | AP@0.5:0.95 | precision | recall | F1 | best F1 | gap "
        "| escapes 漏检率 | overkill 过杀率 | false calls 误报 / clean Mpx |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    wide = []
    for index, slug in [*enumerate(slugs), (-1, "all")]:
        curve = metrics.curve(scenes, results, index)
        own = precision if index < 0 else precision[index : index + 1]
        false = f"{clean.per_megapixel(index):.2f}" if clean else ""
        if not curve.defects:
            calls = int((curve.scores >= threshold).sum())
            lines.append(f"| {slug} | 0 | | | {calls} false calls | | | | | | | {false} |")
            continue
        p, r, f1 = curve.at(threshold)
        best = max(curve.f1(), default=0.0)
        gap = best - f1
        if gap > GAP and index >= 0:  # the labels together have no threshold of their own
            wide.append(slug)
        lines.append(
            f"| {slug} | {curve.defects} | {np.nanmean(own[:, 0]):.3f} | {np.nanmean(own):.3f} | {p:.3f} | {r:.3f} "
            f"| {f1:.3f} | {best:.3f} | {gap:.3f}{' !' if slug in wide else ''} | {1 - r:.1%} | {1 - p:.1%} | {false} |"
        )
    if wide:
        lines += ["", f"! F1 at {threshold} is more than {GAP} below the best: {', '.join(wide)}"]
    if clean:
        lines += [
            "",
            f"false calls per clean megapixel (误报) {clean.per_megapixel(-1):.2f}; clean images with a call "
            f"{clean.flagged} of {clean.images}",
        ]
    return "\n".join(lines)


def plot(
    scenes: list[Scene],
    results: list[predict.Detections],
    slugs: list[str],
    threshold: float,
    title: str,
    folder: Path,
) -> None:
    """Write precision-recall.png, f1.png and confusion.png."""
    from training import plots  # matplotlib is needed here only

    curves = {slug: metrics.curve(scenes, results, index) for index, slug in enumerate(slugs)}
    precision = metrics.average_precision(scenes, results, len(slugs))[:, 0].tolist()
    by_label = dict(zip(slugs, precision, strict=True))
    counts = confusion.confusion(scenes, results, len(slugs), threshold)
    for path in (
        plots.precision_recall(curves, by_label, title, folder / "precision-recall.png"),
        plots.f1_over_threshold(curves, title, folder / "f1.png"),
        plots.confusion_matrix(counts, slugs, f"{title}: confusion at score {threshold}", folder / "confusion.png"),
    ):
        print(f"wrote {path}")


def report(args: argparse.Namespace, scenes: list[Scene], detect: Detect, slugs: list[str], title: str) -> None:
    """Measure a detector on the scenes and print, and plot, what `args` ask for."""
    pairs = [without_ignored(scene, detect(scene.image)) for scene in scenes]
    scenes, results = [scene for scene, _ in pairs], [result for _, result in pairs]
    clean = clean_calls(scenes, results, detect, len(slugs), args.threshold)
    where = args.pool or (f"{args.real[0]} {args.set}" if args.real else f"{args.shaded or ''} {args.set}".strip())
    print(f"{title} on {where} of {args.function}")
    print(table(scenes, results, slugs, args.threshold, clean))
    if args.plots:
        name = f"{args.function}, {args.pool.name if args.pool else args.real[0] if args.real else args.set}"
        plot(scenes, results, slugs, args.threshold, name, args.plots)


def add_data_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("function", help="folder under functions/, for example inner-layer")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder that holds deeppcb/")
    parser.add_argument("--set", choices=SETS, default="test", help="which images (default: test)")
    parser.add_argument(
        "--shaded", choices=("grey", "colour"), help="draw near-binary images as such a camera sees them"
    )
    parser.add_argument("--pool", type=Path, help="rendered boards (`python -m training pool --split test`) instead")
    parser.add_argument(
        "--real",
        type=real_sets.parse,
        metavar="NAME=FOLDER",
        help=f"a published set of real boards instead ({', '.join(real_sets.SETS)}): the part of it that --set names",
    )
    parser.add_argument("--threshold", type=float, default=0.5)
    parser.add_argument("--plots", type=Path, metavar="DIR", help="write curves and confusion matrix as PNG there")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_data_arguments(parser)
    parser.add_argument("--model", type=Path, help="default: functions/FUNCTION/model.onnx")


def run(args: argparse.Namespace) -> int:
    path = args.model or Path("functions") / args.function / "model.onnx"
    slugs = model_file.slugs(onnx.load(path))
    session = predict.open_session(path)
    report(args, load_scenes(args, slugs), lambda image: predict.detect(session, image), slugs, str(path))
    return 0
