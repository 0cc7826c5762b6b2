"""`pcb-aoi sync`: write what follows from labelmaps/ into the function folders; `pcb-aoi labels`: CVAT's label JSON.

`--shape` switches all labels of a function to boxes or polygons, for projects of the other kind; the labelmap stays the
one source, so that is where it writes them.

Generated parts: the `spec` annotation in both function files, their `name` and `description`, the version in the tags
of their images, and the `labels` and `language` of model.yaml. The rest of these files belongs to whoever deploys and
is left as it is, comments included, which is why they are edited as text.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pcb_aoi import __version__
from pcb_aoi.config import model_edit, yaml_file
from pcb_aoi.config.labelmap import LANGUAGES, TYPES, Labelmap
from pcb_aoi.errors import ConfigError

FUNCTION_FILES = ("function.yaml", "function-gpu.yaml")


def add_sync_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `pcb-aoi sync`."""
    parser.add_argument("--root", type=Path, default=Path(), help="folder that holds functions/ and labelmaps/")
    parser.add_argument("functions", nargs="*", metavar="function", help="e.g. inner-layer; default: all")
    parser.add_argument("--language", choices=LANGUAGES, help="language of the labels; default: as they are now")
    parser.add_argument(
        "--shape", choices=TYPES, help="type of every label, written into the labelmap; default: as it is there"
    )
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if something would change")


def add_labels_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `pcb-aoi labels`."""
    parser.add_argument("function", help="e.g. inner-layer")
    parser.add_argument("--root", type=Path, default=Path(), help="folder that holds labelmaps/")
    parser.add_argument("--language", choices=LANGUAGES, default="zh")


def run_sync(args: argparse.Namespace) -> int:
    """Bring function folders in line with their labelmaps; return 1 if `--check` found a difference."""
    changed = []
    for path in _labelmaps(args.root, args.functions):
        labelmap, contents = Labelmap.load(path), {}
        if args.shape is not None:
            labelmap = replace(labelmap, labels=tuple(replace(label, type=args.shape) for label in labelmap.labels))
            contents[path] = _shaped(path, labelmap)
        contents |= generated(args.root / "functions" / path.stem, labelmap, args.language)
        for target, content in contents.items():
            if target.read_text("utf-8") != content:
                changed.append(target)
                if not args.check:
                    target.write_text(content, "utf-8")
    for target in changed:
        print(f"{'differs' if args.check else 'written'}: {target}")
    return 1 if args.check and changed else 0


def run_labels(args: argparse.Namespace) -> int:
    """Print the JSON for the "Raw" tab of CVAT's label editor."""
    (path,) = _labelmaps(args.root, [args.function])
    json.dump(Labelmap.load(path).cvat_raw_labels(args.language), sys.stdout, ensure_ascii=False, indent=2)
    print()
    return 0


def generated(folder: Path, labelmap: Labelmap, language: str | None = None) -> dict[Path, str]:
    """Return the content that each generated file of a function folder should have.

    Args:
        folder: functions/<name>.
        labelmap: what the function is called and detects.
        language: `zh` or `en`; None keeps the one in model.yaml.

    Raises:
        ConfigError: a file is missing or has no place for the generated part.
    """
    model = folder / "model.yaml"
    language = language or str(yaml_file.load(model).get("language", "zh"))
    try:
        text = model_edit.put(model.read_text("utf-8"), {"language": language})
        contents = {model: model_edit.put_labels(text, labelmap.labels)}
    except ConfigError as error:
        raise ConfigError(f"{model}: {error}") from None
    spec = "".join(f"        {line},\n" for line in _spec_lines(labelmap, language)).removesuffix(",\n")
    for name in FUNCTION_FILES:
        path = folder / name
        if not path.is_file():
            raise ConfigError(f"{path}: file is missing")
        text = path.read_text("utf-8")
        text = _replace(path, text, r"^    name: .*$", f"    name: {labelmap.name.get(language)}")
        text = _replace(path, text, r"^  description: .*$", f"  description: {labelmap.description.get(language)}")
        # Images of another name are the deployer's own.
        text = re.sub(r"(?m)^(    (?:image|baseImage): pcb-aoi-[\w-]+:)[\d.]+(?=-)", rf"\g<1>{__version__}", text)
        contents[path] = _replace(
            path, text, r"^    spec: \|\n(?:      .*\n)+", f"    spec: |\n      [\n{spec}\n      ]\n"
        )
    return contents


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


def _spec_lines(labelmap: Labelmap, language: str) -> list[str]:
    """One line of JSON a label: a change of one label is a change of one line."""
    return [json.dumps(label, ensure_ascii=False) for label in labelmap.cvat_spec(language)]


def _replace(path: Path, text: str, pattern: str, new: str) -> str:
    result, count = re.subn(pattern, lambda _: new, text, count=1, flags=re.MULTILINE)
    if not count:
        raise ConfigError(f"{path}: found no place for {new.splitlines()[0]!r}")
    return result
