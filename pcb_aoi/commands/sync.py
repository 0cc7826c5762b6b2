"""`pcb-aoi sync`: write what follows from labelmaps/ into the function folders.

`--shape` switches all labels of a function to boxes or polygons, for projects of the other kind; the labelmap stays the
one source, so that is where it writes them.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pcb_aoi.config import generated
from pcb_aoi.config.labelmap import LANGUAGES, TYPES, WORDS, Labelmap
from pcb_aoi.errors import ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `pcb-aoi sync`."""
    parser.add_argument("--root", type=Path, default=Path(), help="folder that holds functions/ and labelmaps/")
    parser.add_argument("functions", nargs="*", metavar="function", help="e.g. inner-layer; default: all")
    parser.add_argument("--language", choices=LANGUAGES, help="language of the labels; default: as they are now")
    parser.add_argument("--names", choices=WORDS, help="工厂或通用中文名 / the factory's or the general Chinese words")
    parser.add_argument(
        "--score",
        action=argparse.BooleanOptionalAction,
        help="每个标签带属性 置信度（整数百分比） / an attribute with the score, in whole percent; default: as now",
    )
    parser.add_argument(
        "--shape", choices=TYPES, help="type of every label, written into the labelmap; default: as it is there"
    )
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if something would change")


def run(args: argparse.Namespace) -> int:
    """Bring function folders in line with their labelmaps; return 1 if `--check` found a difference."""
    changed = []
    choices = generated.Choices(args.language, args.names, args.score)
    for path in _labelmaps(args.root, args.functions):
        labelmap, contents = Labelmap.load(path), {}
        if args.shape is not None:
            labelmap = replace(labelmap, labels=tuple(replace(label, type=args.shape) for label in labelmap.labels))
            contents[path] = _shaped(path, labelmap)
        contents |= generated.contents(args.root / "functions" / path.stem, labelmap, choices)
        for target, content in contents.items():
            if target.read_text("utf-8") != content:
                changed.append(target)
                if not args.check:
                    target.write_text(content, "utf-8")
    for target in changed:
        print(f"{'differs' if args.check else 'written'}: {target}")
    return 1 if args.check and changed else 0


def _labelmaps(root: Path, names: Sequence[str]) -> list[Path]:
    """Return the labelmaps of the functions named, of all where none is."""
    known = {path.stem: path for path in sorted((root / "labelmaps").glob("*.yaml"))}
    for name in names:
        if name not in known:
            raise ConfigError(f"no labelmap for {name!r}; known: {', '.join(known) or 'none here; use --root'}")
    return [known[name] for name in names or known]


def _shaped(path: Path, labelmap: Labelmap) -> str:
    """Return the labelmap's text with the types of `labelmap`, each in a line behind its label's colour."""
    text = re.sub(r"(?m)^ +type: .*\n", "", path.read_text("utf-8"))
    types = iter(label.type for label in labelmap.labels)
    text, count = re.subn(r"(?m)^( +)color: .*\n", lambda found: f"{found[0]}{found[1]}type: {next(types)}\n", text)
    if count != len(labelmap.labels):
        raise ConfigError(
            f"{path}: {len(labelmap.labels)} 个标签中只有 {count} 个的 color 单独成行，请自行写 type / of "
            f"{len(labelmap.labels)} labels, {count} have a line of their own for color: write their type by hand"
        )
    return text
