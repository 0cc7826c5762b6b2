"""A folder of rendered boards to train on: drawn once, read many times.

    python -m training pool inner-layer --out runs/pool --count 2000

`rendered_inner.py` draws the tiles of the inner layer, `rendered.py` those of the other functions. Tile number i
depends on the seed and i alone, so that a pool can be grown and rendered by several processes.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from training import deeppcb, rendered, rendered_inner
from training.render.board import PROCESSES
from training.render.real_artwork import load_artwork
from training.scene import Scene


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
    clean, held_out = function == "inner-layer-clean", deeppcb.HELD_OUT.get(function)
    names = [] if held_out is None else deeppcb.names(root, split, held_out)
    layers = load_artwork(data / "artwork", held_out=split == "test") if clean else []
    for number in numbers:
        path = out / f"{number:06d}.npz"
        if path.exists():
            continue
        if clean or held_out is not None:
            write(path, rendered_inner.render_tile(root, names, split, seed, number, layers))
        else:
            write(path, rendered.render_tile(function, data, split, seed, number))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("function", choices=sorted({*PROCESSES, *deeppcb.HELD_OUT, "inner-layer-clean"}))
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
