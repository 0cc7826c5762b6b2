"""python -m training COMMAND: teach and measure the weights of a function."""

from __future__ import annotations

import argparse
import importlib
import sys

from pcb_aoi.errors import PcbAoiError

COMMANDS = {
    "finetune": ("finetune", "teach shipped weights your own annotated images from CVAT"),
    "calibrate": ("measure.own_thresholds", "find each label's threshold on your own annotated images"),
    "evaluate": ("measure.evaluate", "measure weights on pictures with known truth"),
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
    try:
        return int(module.run(arguments))
    except PcbAoiError as error:
        raise SystemExit(f"{error}") from None


if __name__ == "__main__":
    sys.exit(main())
