"""Print the figures of speed: `python -m tests.speed [function folder]`, by default the inner-layer function."""

from __future__ import annotations

import platform
import sys
from itertools import product
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # what tests share, as for pytest

import onnxruntime
from calling import Function
from speed import network, pipeline, suppression


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[2] / "functions/inner-layer"
    function = Function(folder)
    info = function.get().body
    print(f"{info['model']} {info['version']}, {info['provider']}, onnxruntime {onnxruntime.__version__}, ", end="")
    print(f"Python {platform.python_version()}, tile {info['tile']}, batch {info['batch']}\n")
    print("| image | tiles | bare ms | handler ms | handler / bare | tiles/s |")
    print("| --- | --- | --- | --- | --- | --- |")
    for side, rounds in ((640, 21), (4096, 3)):
        m = pipeline.measure(function, side, rounds)
        print(f"| {side} x {side} | {m.tiles} | {m.bare * 1e3:.1f} | {m.handler * 1e3:.1f} | ", end="")
        print(f"{m.ratio:.3f} | {m.tiles / m.handler:.1f} |")
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


if __name__ == "__main__":
    main()
