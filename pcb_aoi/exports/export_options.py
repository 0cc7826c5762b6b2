"""Which annotated images a command line names: exports of CVAT, or published sets in the same formats."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from pcb_aoi.config.model_config import ModelConfig
from pcb_aoi.exports.annotations import Entry, Report, index
from pcb_aoi.exports.label_names import Names


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


def names_of(args: argparse.Namespace, labelmap: Path, slugs: Sequence[str] | None = None) -> Names:
    """What labels may be called, after --label-map and --label; raises UnknownLabelError, ConfigError."""
    # A labelmap may hold more labels than the weights have outputs; their order is that of model.yaml.
    config = ModelConfig.load(labelmap.parents[1] / "functions" / labelmap.stem / "model.yaml")
    names = Names.load(labelmap, config.slugs if slugs is None else slugs)
    if args.label_map:
        names = names.with_map(args.label_map)
    return names.with_rules(args.label)


def entries(
    args: argparse.Namespace, labelmap: Path, report: Report, slugs: Sequence[str] | None = None
) -> list[Entry]:
    """All images that --data names, not yet decoded, with the labels of the weights, or `slugs`; raises as `index`."""
    return index(args.data, names_of(args, labelmap, slugs), args.images, report, args.subset)
