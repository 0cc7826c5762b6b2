"""python -m boards COMMAND: how the shipped weights were made."""

from __future__ import annotations

import argparse
import importlib
import sys

from pcb_aoi.errors import PcbAoiError

COMMANDS = {
    "pool": ("pool", "fill a folder with boards to train on or to measure with"),
    "train": ("train", "train a recipe's net from scratch or from other weights"),
    "export": ("checkpoint", "write a checkpoint as model.onnx, with its metadata"),
    "calibrate": ("calibrate", "move the scores of weights so that 0.5 is each label's best threshold"),
    "look": ("pictures", "draw what a function finds on a folder of pictures"),
    "soup": ("soup", "average files of weights, trained from one another"),
    "exclusive": ("exclusive", "measure what groups of labels of which one object can only be one cost and gain"),
    "pitch": ("pitch", "measure what scaling to the native pitch and nested thresholds cost and gain"),
    "int8": ("int8", "make the int8 twin of a function's weights"),
    "replay": ("replay", "draw the few boards that fine-tuning mixes in, so that nothing is forgotten"),
    "samples": ("samples", "write the sample boards of the demo"),
}


def main() -> int:
    """Run the command named first; its exit code."""
    parser = argparse.ArgumentParser(prog="python -m boards", description=__doc__)
    parser.add_argument("command", choices=COMMANDS, help="; ".join(f"{k}: {v}" for k, (_, v) in COMMANDS.items()))
    parser.add_argument("rest", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    first = parser.parse_args(sys.argv[1:2] or ["--help"])
    # Only the chosen command is imported: pool needs the renderer but no torch.
    module = importlib.import_module(f"boards.{COMMANDS[first.command][0]}")
    own = argparse.ArgumentParser(
        prog=f"python -m boards {first.command}",
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.add_arguments(own)
    try:
        return int(module.run(own.parse_args(sys.argv[2:])))
    except PcbAoiError as error:
        raise SystemExit(f"{error}") from None


if __name__ == "__main__":
    sys.exit(main())
