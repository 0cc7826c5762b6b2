"""Pictures with known truth that a command line names: folders of scenes, or annotated images."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator
from pathlib import Path

from training.annotated import export_options
from training.data.scene import Scene
from training.data.store import Description, describe, listed, read_scene


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The function, its weights, and --pool or --data."""
    parser.add_argument("function", help="folder under functions/, for example inner-layer")
    parser.add_argument("--pool", type=Path, action="append", default=[], help="a folder of scenes; may be repeated")
    export_options.add_arguments(parser)
    parser.add_argument("--um-per-px", type=float, help="pixel pitch of the images of --data (default: the model's)")
    parser.add_argument("--root", type=Path, default=Path(), help="folder that holds functions/ and labelmaps/")


def folder_of(args: argparse.Namespace) -> Path:
    """The function folder."""
    return Path(args.root) / "functions" / str(args.function)


def load(args: argparse.Namespace) -> tuple[Iterator[Scene], Description]:
    """The pictures, one by one, and what they are.

    Raises:
        SystemExit: the command line names none.
        NoBoards: a pool is empty. For what --data raises see training/annotated.
    """
    if not args.pool and not args.data:
        raise SystemExit("没有图片 / no pictures: give --pool DIR (rendered boards) or --data EXPORT (your own)")
    paths = [path for folder in args.pool for path in listed(folder)]
    what = [describe(folder) for folder in args.pool]
    what += [Description(path.stem, True) for path in args.data]
    described = Description(", ".join(one.pool for one in what), all(one.real for one in what))
    own = (
        export_options.scenes(args, Path(args.root) / "labelmaps" / f"{args.function}.yaml") if args.data else iter(())
    )
    return itertools.chain(map(read_scene, paths), own), described
