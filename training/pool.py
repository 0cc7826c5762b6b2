"""A folder of rendered boards to train on: drawn once, read many times.

    python -m training pool inner-layer --out runs/pool --count 2000

`rendered.py` draws the tiles of the other functions. Three kinds of inner-layer board, 640 x 640 px each:

- `procedural`: artwork of the generator, defects planted, pitch 13 to 28 um/px;
- `template`: artwork of DeepPCB's defect-free templates (training groups only), defects planted;
- `shaded`: DeepPCB's real images with their real defects, thresholded to a mask and shaded as a grey or a colour
  camera would see them.

Tile number i depends on the seed and i alone, so that a pool can be grown and rendered by several processes.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from training import deeppcb, rendered, scribble
from training.render import surface
from training.render.artwork import draw_artwork
from training.render.board import PROCESSES
from training.render.etch import Etch
from training.render.inner_layer import LABELS, MARGIN_UM
from training.render.look import Look
from training.render.paintwork import VISIBLE
from training.render.real_artwork import BoardLayer, load_artwork
from training.render.scene import etched
from training.render.shade import capture, paint
from training.scene import Scene

SIDE = 640
SCRIBBLED = 0.6  # share of template and procedural tiles whose defects are drawn by hand, not etched
KINDS = {"procedural": 0.45, "template": 0.30, "shaded": 0.25}
# For inner-layer-clean, whose weights may not come from research-only data: `artwork` is of open-hardware boards.
CLEAN_KINDS = {"procedural": 0.55, "artwork": 0.45}
LOOKS = {"binary": 0.4, "grey": 0.28, "colour": 0.32}
CLEAN = 0.12  # share of tiles without planted defects
PER_TILE = 11.0  # mean number of planted defects
# Scratches and foreign objects have no real pictures to learn from and are the hardest: drawn more often.
SHARES = [(0.22 if label == "scratch" else 0.16 if label == "foreign_object" else 0.62 / 6) for label in LABELS]
PITCHES = (13.0, 28.0)  # um/px of procedural artwork
LONG_SHARE = 0.3  # share of scratches drawn from LONG_UM: a tile is 13 mm wide
LONG_UM = (6_000.0, 30_000.0)
ON_SURFACE = ("scratch", "foreign_object")
# The artwork of templates follows deeppcb.names(); procedural artwork differs by seed, looks of `test` by range.
SEEDS = {"train": 0, "calibration": 1_000_000, "test": 2_000_000}
CELL = 3  # px: the grid to which the trail of a defect is thinned


def turned(mask: NDArray[np.uint8], number: int) -> NDArray[np.uint8]:
    """One of the eight flips and quarter turns."""
    mask = np.rot90(mask, number % 4)
    return np.ascontiguousarray(mask[:, ::-1] if number >= 4 else mask)


def trail(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Where a defect shows: (P, 2) xy of changed pixels, one per cell of CELL px."""
    change = np.abs(after.astype(np.int16) - before).max(axis=2).astype(np.float32)
    changed = np.asarray(cv2.GaussianBlur(change, (0, 0), 0.9)) > VISIBLE
    y, x = np.nonzero(changed)
    _, first = np.unique((y // CELL) * 4096 + x // CELL, return_index=True)
    return np.stack((x[first], y[first]), axis=1).astype(np.float32)


@dataclass
class Planted:
    """Defects so far; `trails` rows are x, y, index of the defect."""

    boxes: list[tuple[float, ...]] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    trails: list[NDArray[np.float32]] = field(default_factory=list)


def lay_on_surface(
    image: NDArray[np.uint8], wanted: list[str], pitch: float, planted: Planted, rng: np.random.Generator
) -> None:
    """Scratches and foreign objects on a painted board, in place, each with its trail."""
    margin = max(round(MARGIN_UM / pitch), 2)
    for label in wanted:
        before = image.copy()
        if label == "scratch":
            length = float(rng.uniform(*LONG_UM)) if rng.random() < LONG_SHARE else None
            box = surface.scratch(image, rng, pitch, margin, length)
        else:
            box = surface.foreign_object(image, rng, pitch, margin)
        if box is None:
            continue
        points = trail(before, image)
        owner = np.full((len(points), 1), len(planted.boxes), np.float32)
        planted.trails.append(np.concatenate((points, owner), axis=1))
        planted.boxes.append(tuple(np.clip(box, 0, SIDE)))
        planted.labels.append(LABELS.index(label))


def render_tile(
    data: Path,
    names: list[str],
    seed: int,
    number: int,
    held_out: bool = False,
    layers: Sequence[BoardLayer] = (),
) -> Scene:
    """Tile `number` of a pool; `names` are the DeepPCB images that may be used, none with `layers` of real artwork.

    `held_out` takes optics, colours and grain from ranges that training never draws.
    """
    rng = np.random.default_rng((seed, number))
    kinds = CLEAN_KINDS if layers else KINDS
    kind = str(rng.choice(list(kinds), p=list(kinds.values())))
    look_kind = str(rng.choice(list(LOOKS), p=list(LOOKS.values())))
    if kind == "shaded" and look_kind == "binary":
        look_kind = "grey"  # the raw image itself is the binary look
    look = Look.sample(rng, look_kind, held_out)
    wanted = [] if rng.random() < CLEAN else [str(x) for x in rng.choice(LABELS, rng.poisson(PER_TILE), p=SHARES)]
    in_copper = [label for label in wanted if label not in ON_SURFACE]
    planted = Planted()
    pitch = deeppcb.UM_PER_PX
    name = "" if layers else str(rng.choice(names))
    if kind == "shaded":
        grey = deeppcb.read_grey(data / "images" / f"{name}.jpg")
        coverage = np.asarray(
            cv2.GaussianBlur((grey < 128).astype(np.float32), (0, 0), rng.uniform(0.5, 1.0)), np.float32
        )
        text = (data / "labels" / f"{name}.txt").read_text()
        boxes, labels = deeppcb.parse_labels(text, name, list(LABELS))
        planted.boxes, planted.labels = [tuple(box) for box in boxes], labels.tolist()
    else:
        if kind == "template":
            mask = turned(
                (deeppcb.read_grey(data / "templates" / f"{name}.png") < 128).astype(np.uint8), int(rng.integers(8))
            )
        else:
            pitch = float(rng.uniform(*PITCHES))
            if kind == "artwork":
                mask = layers[int(rng.integers(len(layers)))].crop((SIDE, SIDE), pitch, rng).copper
            else:
                mask = draw_artwork((SIDE, SIDE), pitch, rng).copper
        margin = max(round(MARGIN_UM / pitch), 2)
        scribble.add_decoys(mask, rng)
        if rng.random() < SCRIBBLED:
            drawn = scribble.plant(mask, in_copper, rng)
            coverage = np.asarray(cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 0.5), np.float32)
            planted.boxes, planted.labels = [box for _, box in drawn], [LABELS.index(slug) for slug, _ in drawn]
        else:
            coverage, truth = etched(mask, in_copper, Etch.sample(rng), pitch, margin, rng)
            found, slugs = truth.clipped((SIDE, SIDE))
            planted.boxes, planted.labels = [tuple(box) for box in found], [LABELS.index(slug) for slug in slugs]
    image = paint(coverage, look, rng)
    if look.kind != "binary":
        surface.harmless(image, rng, pitch)
        lay_on_surface(image, [label for label in wanted if label in ON_SURFACE], pitch, planted, rng)
    image = capture(image, look, rng)
    trails = np.concatenate(planted.trails) if planted.trails else np.empty((0, 3), np.float32)
    return Scene(
        image[:, :, 0] if look.kind != "colour" else image,
        np.array(planted.boxes, np.float32).reshape(-1, 4),
        np.array(planted.labels, np.int64),
        f"{kind}-{look.kind}-{number}",
        trails=trails,
    )


def write(path: Path, scene: Scene) -> None:
    """Save atomically: a pool may be read while it grows."""
    temporary = path.with_suffix(".tmp.npz")
    arrays: dict[str, Any] = {"image": scene.image, "boxes": scene.boxes, "labels": scene.labels}
    arrays |= {"trails": scene.trails, "name": scene.name}
    if scene.clean is not None:
        arrays["clean"] = scene.clean
    np.savez(temporary, **arrays)
    temporary.replace(path)


def read(path: Path) -> Scene:
    with np.load(path) as part:
        return Scene(part["image"], part["boxes"], part["labels"], str(part["name"]), part.get("clean"), part["trails"])


class Pool:
    """The rendered boards of a folder, read on first use and then kept (0.4 to 1.2 MiB each)."""

    def __init__(self, folder: Path, look_again: int = 400) -> None:
        self.folder, self.look_again = folder, look_again
        self.paths: list[Path] = []
        self.kept: dict[Path, Scene] = {}
        self.draws = 0

    def draw(self, rng: np.random.Generator) -> Scene:
        if self.draws % self.look_again == 0:
            self.paths = sorted(path for path in self.folder.glob("*.npz") if not path.name.endswith(".tmp.npz"))
            if not self.paths:
                raise FileNotFoundError(f"no rendered boards in {self.folder}: run `python -m training pool` first")
        self.draws += 1
        path = self.paths[int(rng.integers(len(self.paths)))]
        if path not in self.kept:
            self.kept[path] = read(path)
        return self.kept[path]


def read_all(folder: Path) -> list[Scene]:
    """Every board of a small pool, in order."""
    scenes = [read(path) for path in sorted(folder.glob("*.npz")) if not path.name.endswith(".tmp.npz")]
    if not scenes:
        raise FileNotFoundError(f"no rendered boards in {folder}: run `python -m training pool` first")
    return scenes


def render_range(function: str, data: Path, out: Path, seed: int, split: str, numbers: range) -> None:
    """Render the tiles that are not there yet."""
    cv2.setNumThreads(1)
    root = data / "deeppcb"
    clean = function == "inner-layer-clean"
    names = deeppcb.names(root, split) if function == "inner-layer" else []
    layers = load_artwork(data / "artwork", held_out=split == "test") if clean else []
    for number in numbers:
        path = out / f"{number:06d}.npz"
        if path.exists():
            continue
        if clean or function == "inner-layer":
            write(path, render_tile(root, names, seed + SEEDS[split], number, split == "test", layers))
        else:
            write(path, rendered.render_tile(function, data, split, seed, number))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("function", choices=sorted([*PROCESSES, "inner-layer-clean"]))
    parser.add_argument(
        "--data", type=Path, default=Path("../shared/data"), help="folder that holds deeppcb/, artwork/"
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0, help="number of the first tile: grow a pool")
    parser.add_argument("--split", choices=deeppcb.SPLITS, default="train", help="whose artwork, and which looks")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)


def run(args: argparse.Namespace) -> int:
    args.out.mkdir(parents=True, exist_ok=True)
    workers = [
        multiprocessing.Process(
            target=render_range,
            args=(
                args.function,
                args.data,
                args.out,
                args.seed,
                args.split,
                range(args.first + own, args.first + args.count, args.processes),
            ),
        )
        for own in range(args.processes)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    print(f"{sum(1 for _ in args.out.glob('*.npz'))} boards in {args.out}")
    return max(worker.exitcode or 0 for worker in workers)
