"""Which annotated images a command line names: exports of CVAT, or published sets in the same formats."""

from __future__ import annotations

import argparse
from pathlib import Path

from training.annotated.annotations import Entry, Report, index
from training.annotated.label_names import Names


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--data and what belongs to it."""
    parser.add_argument(
        "--data",
        type=Path,
        action="append",
        default=[],
        metavar="EXPORT",
        help="annotated images, .zip or folder, as CVAT exports them; may be repeated",
    )
    parser.add_argument("--images", type=Path, help="folder or .zip of the images, if the export has none")
    parser.add_argument(
        "--label", action="append", default=[], metavar="NAME=SLUG", help="map a label; NAME=: ignore it"
    )
    parser.add_argument(
        "--label-map", type=Path, help="a file of such rules, for example labelmaps/published/dspcbsd.yaml"
    )
    parser.add_argument("--subset", help="only this part of the export, for example val2017 (default: all of it)")


def names_of(args: argparse.Namespace, labelmap: Path) -> Names:
    """What labels may be called, after --label-map and --label; raises UnknownLabelError, ConfigError."""
    names = Names.load(labelmap)
    if args.label_map:
        names = names.with_map(args.label_map)
    return names.with_rules(args.label)


def entries(args: argparse.Namespace, labelmap: Path, report: Report) -> list[Entry]:
    """All images that --data names, not yet decoded; for what it raises see `index`."""
    return index(args.data, names_of(args, labelmap), args.images, report, args.subset)
