"""The committed sample boards: which ones there are, and writing them with their truth."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from io import BytesIO
from itertools import product
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage

from training.render.board import PROCESSES, Board, render_board
from training.render.look import Look
from training.render.noise import Image


@dataclass(frozen=True, slots=True)
class Recipe:
    """One sample picture. Two-level pictures are best as PNG, grainy ones as JPEG."""

    function: str
    file: str
    size: tuple[int, int]  # height, width
    kind: str
    seed: int
    um_per_px: float
    defects: Mapping[str, int] = field(default_factory=dict)


# The boards show the demo, so their seeds are ones on which the shipped weights find every planted defect
# (`python -m training choose`), and hold the labels that these weights find best. They say nothing of accuracy: model
# cards do, on boards nobody chose.
_ETCH = dict.fromkeys(("open", "short", "nick", "pinhole", "spur", "residual_copper"), 1)
_PANEL = {**_ETCH, "nick": 2, "pinhole": 2, "spur": 2}
_TENT = ("broken_tent", "hole_breakout")
_ACID = dict.fromkeys(("open", "short", "nick", "spur", "residual_copper", *_TENT, "scratch", "foreign_object"), 1)
_ALKALINE = dict.fromkeys(("open", "short", "nick", "residual_copper", "film_pinch", "scratch"), 1)
_PLUGS = dict.fromkeys(
    ("missing_plug", "underfill", "dimple", "void", "crack", "knee_copper_loss", "foreign_object"), 1
)
_FINISH = dict.fromkeys(("gold_scratch", "oxidation", "stain", "foreign_object", "dent", "legend_defect"), 1)


RECIPES = (
    Recipe("inner-layer", "bus.png", (640, 640), "binary", 25, 20.8, _ETCH),
    Recipe("inner-layer", "panel.png", (1200, 1600), "binary", 15, 20.8, _PANEL),
    Recipe("inner-layer", "grey.jpg", (640, 640), "grey", 19, 20.8, _ETCH),
    Recipe("inner-layer", "colour.jpg", (768, 1024), "colour", 31, 20.8, {**_ETCH, "scratch": 1}),
    Recipe("inner-layer", "clean.png", (640, 640), "binary", 4, 20.8),
    Recipe("acid-outer-layer", "colour.jpg", (640, 640), "colour", 17, 10.0, _ACID),
    Recipe("acid-outer-layer", "grey.jpg", (640, 640), "grey", 102, 10.0, _ACID),
    Recipe("alkaline-outer-layer", "colour.jpg", (640, 640), "colour", 7, 10.0, _ALKALINE),
    Recipe("resin-plug", "colour.jpg", (640, 640), "colour", 36, 10.0, _PLUGS),
    Recipe("gold-osp", "first.jpg", (640, 640), "colour", 28, 10.0, _FINISH),
    Recipe("gold-osp", "second.jpg", (640, 640), "colour", 38, 10.0, _FINISH),
)

# One board a function that nobody chose, with every label once: the seed is a date, fixed before anything was drawn.
# What is found on it is shown, whatever it is.
NOT_CHOSEN = tuple(
    Recipe(name, "not-chosen.jpg", (640, 640), "colour", 20261128, process.um_per_px, dict.fromkeys(process.labels, 1))
    for name, process in PROCESSES.items()
)
TRUTHS = {"truth.json": RECIPES, "not-chosen.json": NOT_CHOSEN}


def draw(recipe: Recipe) -> Board:
    """Render one sample; the seed decides everything."""
    rng = np.random.default_rng(recipe.seed)
    look = Look.sample(rng, recipe.kind)
    if recipe.file.endswith(".png"):  # JPEG rings would double the size of a two-level PNG many times over
        look = replace(look, jpeg=0)
    return render_board(recipe.function, recipe.size, recipe.um_per_px, look, rng, recipe.defects)


def write_samples(folder: Path, functions: tuple[str, ...] = tuple(PROCESSES)) -> list[Path]:
    """Write every sample of the functions under folder/<function>/ with its truth; returns the pictures."""
    written = []
    for function, (file, recipes) in product(functions, TRUTHS.items()):
        truth = []
        for recipe in recipes:
            if recipe.function != function:
                continue
            board = draw(recipe)
            path = folder / function / recipe.file
            path.parent.mkdir(parents=True, exist_ok=True)
            store(board.image, path, recipe.file)
            written.append(path)
            truth.append({"file": recipe.file, "um_per_px": recipe.um_per_px, "defects": _defects(board)})
        if truth:
            text = json.dumps({"images": truth}, indent=1)
            (folder / function / file).write_text(text + "\n", encoding="utf-8")
    return written


def _defects(board: Board) -> list[dict[str, object]]:
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
