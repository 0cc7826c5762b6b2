"""Command line: `python -m training.render samples` writes the committed boards, `sheet` a page to look at."""

from __future__ import annotations

import argparse
from pathlib import Path

from training.render.board import PROCESSES
from training.render.look import KINDS
from training.render.samples import write_samples
from training.render.sheet import write_sheet


def main() -> int:
    """Parse and run; 0 on success."""
    parser = argparse.ArgumentParser(prog="python -m training.render", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    samples = commands.add_parser("samples", help="write the sample boards and their truth.json")
    samples.add_argument("--out", type=Path, default=Path("samples"), help="folder (default: %(default)s)")
    samples.add_argument("--function", choices=sorted(PROCESSES), action="append", help="only this one; repeatable")
    sheet = commands.add_parser("sheet", help="renders beside real pictures on one page")
    sheet.add_argument("out", type=Path, help="picture to write")
    sheet.add_argument("--function", choices=sorted(PROCESSES), default="inner-layer")
    sheet.add_argument("--kind", choices=KINDS, default="colour")
    sheet.add_argument("--real", type=Path, help="folder of real pictures for the right half")
    sheet.add_argument("--tile", type=int, default=320, help="pixels a side (default: %(default)s)")
    sheet.add_argument("--seed", type=int, default=0)
    sheet.add_argument("--boxes", action="store_true", help="draw the boxes of the renders")
    arguments = parser.parse_args()
    if arguments.command == "samples":
        for path in write_samples(arguments.out, tuple(arguments.function or PROCESSES)):
            print(path)
        return 0
    write_sheet(
        arguments.out,
        arguments.function,
        arguments.kind,
        arguments.real,
        arguments.tile,
        arguments.seed,
        arguments.boxes,
    )
    print(arguments.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
