"""Print the figures of speed: `python -m tests.speed [function folder] [--json FILE]`, by default the inner layer's.

`--json results/speed.json` writes those that the documents quote.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import sys
from itertools import product
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # what tests share, as for pytest

import onnxruntime
from calling import Function
from PIL import Image
from speed import network, pipeline, scale, suppression


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.speed", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=Path(__file__).parents[2] / "functions/inner-layer")
    parser.add_argument("--json", type=Path, metavar="FILE", help="results/speed.json for the documents")
    parser.add_argument("--peers", action="store_true", help="beside SAHI, supervision and others (extra `bench`)")
    parser.add_argument("--side", type=int, action="append", help="of the boards of --peers; may be repeated")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="of --peers, as PNG")
    parser.add_argument("--scale", action="store_true", help="time and memory over the size, and crops a second")
    args = parser.parse_args()
    folder: Path = args.folder
    if args.scale:
        return over_sizes(folder, args)
    if args.peers:
        return beside_peers(folder, args)
    figures: dict[str, object] = {"command": "python -m tests.speed", "date": f"{datetime.date.today()}"}
    function = Function(folder, {"PCB_AOI_PRECISION": "float32"})
    info = function.get().body
    figures |= {"function": info["model"], "version": info["version"], "cores": len(os.sched_getaffinity(0))}
    print(f"{info['model']} {info['version']}, {info['provider']}, onnxruntime {onnxruntime.__version__}, ", end="")
    print(f"Python {platform.python_version()}, tile {info['tile']}, batch {info['batch']}\n")
    print("| image | tiles | bare ms | handler ms | handler / bare | tiles/s |")
    print("| --- | --- | --- | --- | --- | --- |")
    for side, rounds in ((640, 21), (4096, 3)):
        m = pipeline.measure(function, side, rounds)
        print(f"| {side} x {side} | {m.tiles} | {m.bare * 1e3:.1f} | {m.handler * 1e3:.1f} | ", end="")
        print(f"{m.ratio:.3f} | {m.tiles / m.handler:.1f} |")
        figures[f"handler_over_bare_{side}"] = round(m.ratio, 2)
        figures["tiles_per_s"] = round(m.tiles / m.handler)
    cost = network.measure(folder / "model.onnx")
    print("\n| net | parameters | GFLOPs a tile | net ms | 3x3 stack ms | net / stack |")
    print("| --- | --- | --- | --- | --- | --- |")
    print(f"| {info['model']} | {cost.parameters:,} | {cost.flops / 1e9:.2f} | {cost.net * 1e3:.1f} ", end="")
    print(f"| {cost.stack * 1e3:.1f} | {cost.ratio:.2f} |")
    print("\n| suppression | boxes | kept | ours ms | textbook ms | textbook / ours |")
    print("| --- | --- | --- | --- | --- | --- |")
    for layout, count in product(suppression.LAYOUTS, (suppression.MOST, suppression.COUNT)):
        r = suppression.race(layout, count)
        print(f"| {layout} | {r.count} | {r.kept} | {r.ours * 1e3:.0f} | {r.textbook * 1e3:.0f} | ", end="")
        print(f"{r.textbook / r.ours:.1f} |")
        if count == suppression.COUNT:
            figures[f"suppression_{layout}"] = float(f"{r.textbook / r.ours:.2g}")
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")


def beside_peers(folder: Path, args: argparse.Namespace) -> None:
    from speed import race  # the extra `bench` is needed here only

    lines = list(race.race(folder, tuple(args.side or race.SIDES)))
    names, rows = race.table(lines)
    for row in (["board", "side", "file", "floor, ms", *names], ["---"] * (len(names) + 4), *rows):
        print(f"| {' | '.join(row)} |")
    if args.json:
        args.json.write_text(json.dumps(race.figures(lines, folder), indent=1) + "\n", "utf-8")
    if args.plot:
        race.plot(lines, args.plot)


def over_sizes(folder: Path, args: argparse.Namespace) -> None:
    with Image.open(Path(__file__).parents[2] / "samples" / folder.name / "not-chosen.jpg") as board:
        measured = scale.figures(folder, board)
    figures: dict[str, object] = {"command": "python -m tests.speed --scale", "date": f"{datetime.date.today()}"}
    figures |= {"function": folder.name, "cores": len(os.sched_getaffinity(0)), **measured}
    print(json.dumps(figures, indent=1))
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
