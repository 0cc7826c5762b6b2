"""python -m training COMMAND: teach, calibrate and measure the weights of a function."""

from __future__ import annotations

import argparse
import importlib
import sys

COMMANDS = {
    "finetune": ("finetune", "teach shipped weights your own annotated images from CVAT"),
    "calibrate": ("measure.calibrate", "find, on images kept aside, the score that gives each label its best F1"),
    "evaluate": ("measure.evaluate", "measure weights on pictures with known truth"),
    "look": ("measure.pictures", "draw what a function finds on a folder of pictures"),
    "export": ("weights.export", "write a checkpoint as model.onnx, with its metadata"),
}


def main() -> int:
    """Run the command named first; its exit code."""
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    parser.add_argument("command", choices=COMMANDS, help="; ".join(f"{k}: {v}" for k, (_, v) in COMMANDS.items()))
    parser.add_argument("rest", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    first = parser.parse_args(sys.argv[1:2] or ["--help"])
    # Only the chosen command is imported: evaluate needs onnxruntime but no torch.
    module = importlib.import_module(f"training.{COMMANDS[first.command][0]}")
    own = argparse.ArgumentParser(
        prog=f"python -m training {first.command}",
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.add_arguments(own)
    arguments = own.parse_args(sys.argv[2:])
    from training.told import TOLD  # --help needs none of what this imports

    try:
        return int(module.run(arguments))
    except TOLD as error:
        raise SystemExit(f"{error}") from None


if __name__ == "__main__":
    sys.exit(main())
