"""python -m training COMMAND: how the weights are made and measured."""

from __future__ import annotations

import argparse
import importlib
import sys

COMMANDS = {
    "pool": "render boards to train on into a folder",
    "train": "train a function's net from scratch or from a checkpoint",
    "soup": "average files of weights, trained from one another",
    "calibrate": "find, on images kept aside, the score that gives each label its best F1",
    "finetune": "teach shipped weights your own annotated images from CVAT",
    "export": "write a checkpoint as model.onnx, calibrated, with its metadata",
    "choose": "find seeds of sample boards for the demo",
    "evaluate": "measure a model.onnx on boards it has never seen",
    "baseline": "measure thresholds and morphology on the same boards: a test they pass is too easy",
    "texture": "compare the grain and hue of rendered copper with real tiles",
    "look": "draw what a function finds on a folder of pictures",
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    parser.add_argument("command", choices=COMMANDS, help="; ".join(f"{k}: {v}" for k, v in COMMANDS.items()))
    parser.add_argument("rest", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    first = parser.parse_args(sys.argv[1:2] or ["--help"])
    # Only the chosen command is imported: evaluate needs onnxruntime but no torch, train the other way round.
    module = importlib.import_module(f"training.{first.command}")
    own = argparse.ArgumentParser(prog=f"python -m training {first.command}", description=module.__doc__)
    module.add_arguments(own)
    return int(module.run(own.parse_args(sys.argv[2:])))


if __name__ == "__main__":
    sys.exit(main())
