"""The classes of brought weights beside the labels of a function: asked for, matched, and shown side by side."""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from pcb_aoi.config import spelling, yaml_file
from pcb_aoi.config.classes import DROP, plain
from pcb_aoi.config.labelmap import Labelmap
from pcb_aoi.errors import ConfigError

_FILES = (".yaml", ".yml", ".json", ".txt")


def parse(text: str, first: int | None) -> dict[int, str]:
    """Return class number -> name of what `--classes` says.

    Args:
        text: names joined by commas, in the weights' order, the first perhaps as `0=name` (or all of them so); or a
            file: data.yaml of Ultralytics (`names`), JSON, or text with a name a line.
        first: the number of the first class; None: it has to be said.

    Raises:
        ConfigError: the file cannot be read, a number stands twice, or the first is not said.
    """
    path = Path(text)
    entries = _of_file(path) if path.suffix.lower() in _FILES else [part.strip() for part in text.split(",")]
    if isinstance(entries, dict):
        return entries
    result: dict[int, str] = {}
    number = first
    for entry in entries:
        head, sign, tail = entry.partition("=")
        if sign and head.strip().isdecimal():
            number, entry = int(head), tail.strip()
        if number is None:
            raise ConfigError(
                "这种输出只有类别编号，文件里没有名称，不知道从0还是1开始。请写出第一个编号，如 --classes "
                f"0={entries[0]},… 或 1={entries[0]},… / this layout tells numbers only, and nothing says whether they "
                f"start at 0 or 1: write the first one, --classes 0={entries[0]},... or 1={entries[0]},..."
            )
        if number in result or not entry:
            raise ConfigError(f"--classes: 编号 {number} 重复或没有名称 / number {number} stands twice or has no name")
        result[number] = entry
        number += 1
    return result


def _of_file(path: Path) -> dict[int, str] | list[str]:
    try:
        if path.suffix.lower() in (".yaml", ".yml"):
            names = yaml_file.load(path).get("names")
        elif path.suffix.lower() == ".json":
            names = json.loads(path.read_text("utf-8-sig"))
            names = names.get("names", names) if isinstance(names, dict) else names
        else:
            names = [line.strip() for line in path.read_text("utf-8-sig").splitlines() if line.strip()]
        if isinstance(names, dict):
            return {int(number): str(name) for number, name in names.items()}
        if isinstance(names, list) and names:
            return [str(name) for name in names]
    except (OSError, ValueError) as error:
        raise ConfigError(f"--classes {path}: {error}") from error
    raise ConfigError(f"--classes {path}: 没有 names / has no names")


def mapping(
    names: Mapping[int, str], labelmap: Labelmap, told: Sequence[str]
) -> tuple[dict[int, str], dict[int, spelling.Match]]:
    """Return class number -> slug or DROP, for the classes that are explained, and all matches by number.

    `told` is what `--map` says: `NAME=SLUG`, `NUMBER=SLUG` or `NAME=-`; a label may be named in any way.

    Raises:
        ConfigError: `told` names a class or a label that is not there.
    """
    matches = spelling.propose(names, labelmap)
    for entry in told:
        name, _, label = entry.rpartition("=")
        numbers = [number for number, text in names.items() if plain(text) == plain(name) or str(number) == name]
        if not numbers:
            raise ConfigError(f"--map {entry}: 权重没有这个类别 / the weights have no class {name!r}")
        slugs = (DROP,) if label == DROP else spelling.match(label, labelmap).slugs
        if len(slugs) != 1:
            known = ", ".join(item.slug for item in labelmap.labels)
            raise ConfigError(f"--map {entry}: 没有这个标签 / no label {label!r}; known: {known}")
        for number in numbers:
            matches[number] = spelling.Match(names[number], slugs, "--map")
    for number, found in matches.items():
        if found.name == DROP:
            matches[number] = spelling.Match(DROP, (DROP,), "--classes")
    return {number: found.slugs[0] for number, found in matches.items() if len(found.slugs) == 1}, matches


def table(matches: Mapping[int, spelling.Match], labelmap: Labelmap) -> str:
    """Return both lists side by side, and the labels that no class stands for."""
    by_slug = {label.slug: label for label in labelmap.labels}
    rows = [("类别 class", "权重中的名称 in the weights", "标签 label", "依据 by")]
    used = Counter(found.slugs[0] for found in matches.values() if len(found.slugs) == 1)
    for number, found in matches.items():
        if not found.slugs:
            label, by = "?", "无法解释 not explained"
        elif len(found.slugs) > 1:
            label, by = "? " + " / ".join(found.slugs), f"{found.by}，不止一个 several"
        elif found.slugs[0] == DROP:
            label, by = DROP, f"{found.by}，丢弃 dropped"
        else:
            slug = found.slugs[0]
            label = f"{slug} {by_slug[slug].name.zh} {by_slug[slug].name.en}"
            by = found.by + ("，多个类别合为一个 several classes, one label" if used[slug] > 1 else "")
        rows.append((str(number), found.name, label, by))
    lines = [aligned(rows)]
    missing = [f"{label.slug} {label.name.zh}" for label in labelmap.labels if not used[label.slug]]
    if missing:
        lines.append(f"这些标签不会被找到 / labels without a class, never found: {', '.join(missing)}")
    return "\n".join(lines)


def unexplained(matches: Mapping[int, spelling.Match], labelmap: Labelmap) -> ConfigError | None:
    """Return what to say of classes that nothing explains, all at once; None where there are none."""
    left = {number: found for number, found in matches.items() if len(found.slugs) != 1}
    if not left:
        return None
    example = " ".join(f'--map "{found.name}=SLUG"' for found in left.values())
    listed = ", ".join(f"{number} {found.name!r}" for number, found in left.items())
    known = ", ".join(f"{label.slug} {label.name.zh}" for label in labelmap.labels)
    hint = "" if spelling.KNOWS_PINYIN else "；拼音需要 / for pinyin: ./deploy.sh install --extra adopt"
    return ConfigError(
        f"不知道这些类别是哪个标签：{listed}。请加 {example}，SLUG 写 - 表示丢弃；标签有 {known}{hint} / "
        f"nothing explains these classes: {listed}. Add {example}, with - in place of SLUG to drop it; labels: {known}"
    )


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as lines with their columns under each other; a Chinese character is two columns wide."""
    widths = [max(_width(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    return "\n".join(
        "  ".join([*(_padded(text, width) for text, width in zip(row, widths, strict=False)), row[-1]]) for row in rows
    )


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def _padded(text: str, width: int) -> str:
    return text + " " * (width - _width(text))
