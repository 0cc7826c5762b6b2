"""Pictures with known truth that a command line names: folders of scenes, or annotated images."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pcb_aoi.errors import PcbAoiError
from pcb_aoi.exports import export_options
from pcb_aoi.exports.annotations import Report, decode_entry
from pcb_aoi.exports.scene import Scene
from training.data.store import Description, describe, listed, read_scene


class NoPictures(PcbAoiError):
    """The command line names no pictures."""


@dataclass(frozen=True)
class Material:
    """Pictures, each read when it is asked for."""

    pictures: list[Callable[[], Scene]]
    frames: list[str]  # where CVAT shows each below its address, "" where that is not known
    described: Description
    report: Report  # of the annotated ones


def add_arguments(parser: argparse.ArgumentParser, pools: bool = True) -> None:
    """The function, its weights, and --data; with `pools`, also --pool."""
    parser.add_argument("function", help="folder under functions/, for example inner-layer")
    parser.set_defaults(pool=[])
    if pools:
        parser.add_argument("--pool", type=Path, action="append", help="a folder of scenes; may be repeated")
    export_options.add_arguments(parser)
    parser.add_argument("--um-per-px", type=float, help="pixel pitch of the images of --data (default: the model's)")
    parser.add_argument("--root", type=Path, default=Path(), help="folder that holds functions/ and labelmaps/")


def folder_of(args: argparse.Namespace) -> Path:
    """The function folder."""
    return Path(args.root) / "functions" / str(args.function)


def load(args: argparse.Namespace) -> Material:
    """The pictures, and what they are.

    Raises:
        NoPictures: the command line names none.
        NoBoards: a pool is empty. For what --data raises see pcb_aoi/exports.
    """
    if not args.pool and not args.data:
        raise NoPictures("没有图片 / no pictures: give --data EXPORT, your annotated images (or --pool DIR, boards)")
    what = [describe(folder) for folder in args.pool]
    what += [Description(path.stem, True) for path in args.data]
    described = Description(", ".join(one.pool for one in what), all(one.real for one in what))
    paths, report = [path for folder in args.pool for path in listed(folder)], Report()
    labelmap = Path(args.root) / "labelmaps" / f"{args.function}.yaml"
    entries = export_options.entries(args, labelmap, report) if args.data else []
    return Material(
        [*(partial(read_scene, path) for path in paths), *(partial(decode_entry, one, report) for one in entries)],
        [*[""] * len(paths), *(one.picture.frame for one in entries)],
        described,
        report,
    )
