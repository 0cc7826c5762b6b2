"""`pcb-aoi labels`: a function's labels as CVAT's label JSON; with `--from`, a project's labels into the labelmap."""

from __future__ import annotations

import argparse
import difflib
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from pcb_aoi.commands.class_list import aligned
from pcb_aoi.config import generated, labelmap_edit, project_labels
from pcb_aoi.config.labelmap import LANGUAGES, Labelmap
from pcb_aoi.config.model_config import ModelConfig
from pcb_aoi.config.project_labels import Proposal
from pcb_aoi.errors import ConfigError

_FITS = {"rectangle": ("rectangle", "any"), "polygon": ("polygon", "mask", "any")}
"""Type of our label -> the types of a project's label that CVAT offers for it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `pcb-aoi labels`."""
    parser.add_argument("function", help="e.g. inner-layer")
    parser.add_argument("--root", type=Path, default=Path(), help="folder that holds functions/ and labelmaps/")
    parser.add_argument("--language", choices=LANGUAGES, help="default: as the function is deployed")
    parser.add_argument(
        "--from",
        dest="project",
        type=Path,
        metavar="FILE",
        help="项目的标签：Raw 页 JSON、project.json、annotations.xml、.zip / a project's labels, to compare",
    )
    parser.add_argument(
        "--write", action="store_true", help="与 --from：写入 labelmap / with --from: write the labelmap"
    )


def run(args: argparse.Namespace) -> int:
    """Print the JSON for the "Raw" tab of CVAT's label editor, or compare with a project; returns 0."""
    path = args.root / "labelmaps" / f"{args.function}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in path.parent.glob("*.yaml"))) or "none here; use --root"
        raise ConfigError(f"没有这个功能 / no labelmap for {args.function!r}; known: {known}")
    if args.write and args.project is None:
        raise ConfigError("--write 要和 --from 一起用 / --write goes with --from")
    labelmap = Labelmap.load(path)
    folder = args.root / "functions" / args.function
    config = ModelConfig.load(folder / "model.yaml")
    if args.project is None:
        return _print(labelmap, config, args.language or config.language)
    key = "en" if (args.language or config.language) == "en" else "general" if config.words == "general" else "zh"
    proposals = project_labels.compare(project_labels.read(args.project), labelmap, key)
    changed = [x.label for x in proposals if x.what == "changed" and x.label is not None]
    added = [x.label for x in proposals if x.what == "new" and x.label is not None]
    print(_table(proposals, labelmap, config))
    before = path.read_text("utf-8-sig")
    after = labelmap_edit.put(before, changed, added)
    if after == before:
        print("labelmap 已与项目一致 / the labelmap is as the project")
        return 0
    if not args.write:
        lines = difflib.unified_diff(before.splitlines(), after.splitlines(), str(path), str(path), n=1, lineterm="")
        print("\n".join(lines))
        print("没有写入；加 --write 写入 / nothing written; --write does")
        return 0
    return _write(path, after, before, folder)


def _write(path: Path, after: str, before: str, folder: Path) -> int:
    """Write the labelmap and what follows from it; neither, where it would be no labelmap."""
    beside = path.with_name(f".{path.name}.new")
    try:
        beside.write_text(after, "utf-8")
        generated.contents(folder, Labelmap.load(beside))
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    for written in (path, *generated.write(folder, Labelmap.load(path))):
        print(f"written: {written}")
    print(f"下一步 next: ./deploy.sh up --function {folder.name}")
    return 0


def _print(labelmap: Labelmap, config: ModelConfig, language: str) -> int:
    hidden = {slug for slug, offer in zip(config.slugs, config.offered, strict=True) if not offer}
    shown = labelmap.worded(config.words).only(x.slug for x in labelmap.labels if x.slug not in hidden)
    json.dump(shown.cvat_raw_labels(language, config.score), sys.stdout, ensure_ascii=False, indent=2)
    print()
    offered = generated.offered(labelmap, config).labels
    print(f"模型会找 the model finds: {' '.join(x.name.get(language) for x in offered)}", file=sys.stderr)
    rest = [x.name.get(language) for x in shown.labels if x.slug not in config.slugs]
    if rest:
        print(f"还没有权重，只能手工标 no weights yet, by hand only: {' '.join(rest)}", file=sys.stderr)
    return 0


def _table(proposals: Sequence[Proposal], labelmap: Labelmap, config: ModelConfig) -> str:
    """Return the project's labels beside ours, and ours that the project lacks."""
    words = {"same": "相同 same", "new": "新增 new", "left out": "不能自动标 no box or polygon"}
    rows = [("项目标签 project", "类型 type", "标签 label", "怎样 what", "模型 model")]
    matched = 0
    for one in proposals:
        if one.label is None:
            rows.append((one.project.name, one.project.type, "-", words["left out"], "-"))
            continue
        offered = one.label.slug in {s for s, offer in zip(config.slugs, config.offered, strict=True) if offer}
        fits = one.project.type in (*_FITS[one.label.type], "unknown")
        matched += offered and fits
        what = words.get(one.what) or _changes(one)
        answer = "会找 finds" if offered else "没有权重 no weights"
        rows.append((one.project.name, one.project.type, one.label.slug, what, answer))
    text = aligned(rows)
    seen = {one.label.slug for one in proposals if one.label is not None}
    alone = [
        name
        for slug, name, offer in zip(config.slugs, config.names, config.offered, strict=True)
        if offer and slug not in seen
    ]
    if alone:
        text += (
            f"\n模型会找、项目没有的标签 found by the model, not in the project: {' '.join(alone)}"
            "（不要的，在 model.yaml 写 offer: false / to leave one out: offer: false in model.yaml）"
        )
    count = sum(config.offered)
    return f"{text}\n写入后自动对应 will match by themselves: {matched} / {count}"


def _changes(one: Proposal) -> str:
    assert one.label is not None
    assert one.before is not None
    parts = []
    if one.label.name != one.before.name or one.label.general != one.before.general:
        parts.append(f"改名 renamed, was {one.before.name.zh} {one.before.name.en}")
    if one.label.type != one.before.type:
        parts.append(f"{one.before.type} → {one.label.type}")
    return ", ".join(parts)
