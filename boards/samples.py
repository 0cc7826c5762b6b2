"""The committed sample boards: which ones there are, and writing them with their truth.

python -m boards samples            # writes samples/, the same pixels every time
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from io import BytesIO
from itertools import product
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage

from boards.camera.look import Look
from boards.pixels.noise import Image
from boards.process.board import PROCESSES, RenderedBoard, render_board


@dataclass(frozen=True, slots=True)
class SampleBoard:
    """One sample picture. Two-level pictures are best as PNG, grainy ones as JPEG."""

    function: str
    file: str
    size: tuple[int, int]  # height, width
    kind: str
    seed: int
    um_per_px: float
    defects: Mapping[str, int] = field(default_factory=dict)


# The boards show the demo: seeds on which the shipped weights find every planted defect, of the labels that these
# weights find best. They say nothing of accuracy: model cards do, on boards that nobody chose.
_ETCH = dict.fromkeys(("open", "short", "nick", "pinhole", "spur", "residual_copper"), 1)
_PANEL = {**_ETCH, "nick": 2, "pinhole": 2, "spur": 2}
_TENT = ("broken_tent", "hole_breakout")
_ACID = dict.fromkeys(("open", "short", "nick", "spur", "residual_copper", *_TENT, "scratch", "foreign_object"), 1)
_ALKALINE = dict.fromkeys(("open", "short", "nick", "residual_copper", "film_pinch", "scratch"), 1)
_PLUGS = dict.fromkeys(
    ("missing_plug", "underfill", "dimple", "void", "crack", "knee_copper_loss", "foreign_object"), 1
)
_FINISH = dict.fromkeys(("gold_scratch", "oxidation", "stain", "foreign_object", "dent", "legend_defect"), 1)


SAMPLES = (
    SampleBoard("inner-layer", "bus.png", (640, 640), "binary", 25, 20.8, _ETCH),
    SampleBoard("inner-layer", "panel.png", (1200, 1600), "binary", 15, 20.8, _PANEL),
    SampleBoard("inner-layer", "grey.jpg", (640, 640), "grey", 19, 20.8, _ETCH),
    SampleBoard("inner-layer", "colour.jpg", (768, 1024), "colour", 31, 20.8, {**_ETCH, "scratch": 1}),
    SampleBoard("inner-layer", "clean.png", (640, 640), "binary", 4, 20.8),
    SampleBoard("acid-outer-layer", "colour.jpg", (640, 640), "colour", 17, 10.0, _ACID),
    SampleBoard("acid-outer-layer", "grey.jpg", (640, 640), "grey", 102, 10.0, _ACID),
    SampleBoard("alkaline-outer-layer", "colour.jpg", (640, 640), "colour", 7, 10.0, _ALKALINE),
    SampleBoard("resin-plug", "colour.jpg", (640, 640), "colour", 36, 10.0, _PLUGS),
    SampleBoard("gold-osp", "first.jpg", (640, 640), "colour", 28, 10.0, _FINISH),
    SampleBoard("gold-osp", "second.jpg", (640, 640), "colour", 38, 10.0, _FINISH),
)

# One board a function that nobody chose, with every label once: the seed is a date, fixed before anything was drawn.
# What is found on it is shown, whatever it is.
NOT_CHOSEN = tuple(
    SampleBoard(
        name, "not-chosen.jpg", (640, 640), "colour", 20261128, process.um_per_px, dict.fromkeys(process.labels, 1)
    )
    for name, process in PROCESSES.items()
)
TRUTHS = {"truth.json": SAMPLES, "not-chosen.json": NOT_CHOSEN}


def draw(sample: SampleBoard) -> RenderedBoard:
    """Render one sample; the seed decides everything."""
    rng = np.random.default_rng(sample.seed)
    look = Look.sample(rng, sample.kind)
    if sample.file.endswith(".png"):  # JPEG rings would double the size of a two-level PNG many times over
        look = replace(look, jpeg=0)
    return render_board(sample.function, sample.size, sample.um_per_px, look, rng, sample.defects)


def write_samples(folder: Path, functions: tuple[str, ...] = tuple(PROCESSES)) -> list[Path]:
    """Write every sample of the functions under folder/<function>/ with its truth; returns the pictures."""
    written = []
    for function, (file, samples) in product(functions, TRUTHS.items()):
        truth = []
        for sample in samples:
            if sample.function != function:
                continue
            board = draw(sample)
            path = folder / function / sample.file
            path.parent.mkdir(parents=True, exist_ok=True)
            store(board.image, path, sample.file)
            written.append(path)
            truth.append({"file": sample.file, "um_per_px": sample.um_per_px, "defects": _defects(board)})
        if truth:
            text = json.dumps({"images": truth}, indent=1)
            (folder / function / file).write_text(text + "\n", encoding="utf-8")
    return written


def _defects(board: RenderedBoard) -> list[dict[str, object]]:
    return [
        {"label": label, "box": [round(float(value), 1) for value in box]}
        for label, box in zip(board.labels, board.boxes, strict=True)
    ]


def store(image: Image, target: Path | BytesIO, name: str) -> None:
    """PNG: as few bits as the picture needs. JPEG: the picture was compressed by its look already, so gently."""
    picture = PillowImage.fromarray(image)
    if bool((image[:, :, 0] == image[:, :, 2]).all()):
        picture = picture.convert("L")
    if name.endswith(".png"):
        picture.save(target, "PNG", optimize=True)
    else:
        picture.save(target, "JPEG", quality=88)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of the command line."""
    parser.add_argument("--out", type=Path, default=Path("samples"), help="folder (default: %(default)s)")
    parser.add_argument("--function", choices=sorted(PROCESSES), action="append", help="only this one; repeatable")


def run(args: argparse.Namespace) -> int:
    """Write them, and name each; 0."""
    for path in write_samples(args.out, tuple(args.function or PROCESSES)):
        print(path)
    return 0
