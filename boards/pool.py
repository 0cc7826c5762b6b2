"""A folder of boards to train on or to measure with: drawn once, read many times.

    python -m boards pool inner-layer --out runs/pool --count 2000
    python -m boards pool inner-layer --out runs/real --real --split test                  # DeepPCB's own pictures
    python -m boards pool inner-layer --out runs/grey --real --split test --shaded grey    # as such a camera sees them

`scenes/inner_tiles.py` draws the tiles of the inner layer, `scenes/outer_tiles.py` those of the other functions. Tile
number i depends on the seed and i alone, so that a pool can be grown and rendered by several processes.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
from pathlib import Path

import cv2

from boards.copper.real_artwork import load_artwork
from boards.process.board import PROCESSES
from boards.scenes import deeppcb, inner_tiles, outer_tiles
from training.data.store import Description, write_description, write_scene


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
            write_scene(path, inner_tiles.render_tile(root, names, split, seed, number, layers))
        else:
            write_scene(path, outer_tiles.render_tile(function, data, split, seed, number))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of the command line."""
    parser.add_argument("function", choices=sorted({*PROCESSES, *deeppcb.HELD_OUT, "inner-layer-clean"}))
    parser.add_argument(
        "--data", type=Path, default=Path("../shared/data"), help="folder that holds deeppcb/, artwork/"
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0, help="number of the first tile: grow a pool")
    parser.add_argument("--split", choices=deeppcb.SPLITS, default="train", help="whose artwork, and which looks")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--real", action="store_true", help="the real pictures of the split in place of drawn ones")
    parser.add_argument("--shaded", choices=("grey", "colour"), help="with --real: as such a camera sees them")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)


def store_real(function: str, data: Path, out: Path, split: str, shaded: str | None) -> Description:
    """Write DeepPCB's own pictures of a split, and their defect-free twins; returns what they are."""
    held_out = deeppcb.HELD_OUT.get(function)
    if held_out is None:
        raise SystemExit(f"there are no real images of {function} with a split of their own: leave --real out")
    slugs = list(PROCESSES["inner-layer"].labels)
    for number, scene in enumerate(deeppcb.load(data / "deeppcb", split, slugs, held_out)):
        seen = inner_tiles.shaded(scene, shaded, number) if shaded else scene
        write_scene(out / f"{number:06d}.npz", seen)
    groups = f"groups {', '.join(held_out)}" if split == "test" else f"{split} of {function}"
    return Description(f"DeepPCB {groups}" + (f", shaded {shaded}" if shaded else ""), not shaded)


def run(args: argparse.Namespace) -> int:
    """Fill the folder; the worst exit code of the processes. Exits with the name of a folder that is not there."""
    wanted = ("deeppcb",) if args.real or args.function.startswith("inner-layer") else ("artwork",)
    for folder in (args.data, *(args.data / name for name in wanted)):
        if not folder.is_dir():
            raise SystemExit(
                f"没有素材目录 / no folder {folder}: name it with --data; boards/README.md says what it holds"
            )
    args.out.mkdir(parents=True, exist_ok=True)
    if args.real:
        write_description(args.out, store_real(args.function, args.data, args.out, args.split, args.shaded))
        print(f"{sum(1 for _ in args.out.glob('*.npz'))} boards in {args.out}")
        return 0
    write_description(args.out, Description(f"rendered {args.split}", False))
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
