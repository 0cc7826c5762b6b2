"""A labelmap written as text: labels changed and added in place; comments and the rest of the file stay.

The layout is the one of the files that ship: a label a block, a key a line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from pcb_aoi.config.labelmap import Label, Labelmap
from pcb_aoi.config.yaml_file import scalar
from pcb_aoi.errors import ConfigError

_HEAD = (
    "# 标签的唯一来源：改这里，然后运行 `pcb-aoi sync`。The one source of labels: edit here, then run `pcb-aoi sync`.\n"
)


def whole(labelmap: Labelmap) -> str:
    """Return the text of a new labelmap."""
    both = ("name", labelmap.name), ("description", labelmap.description)
    texts = "".join(f"{key}:\n  zh: {scalar(text.zh)}\n  en: {scalar(text.en)}\n" for key, text in both)
    labels = "".join(map(block, labelmap.labels))
    head = f"{_HEAD}function: {labelmap.function}\nid: {labelmap.id}\n{texts}port: {labelmap.port}\n"
    return f"{head}labels:\n{labels}"


def block(label: Label) -> str:
    """Return the lines of one label."""
    general = "" if label.general is None else f"    general: {scalar(label.general)}\n"
    return (
        f"  - slug: {scalar(label.slug)}\n    zh: {scalar(label.name.zh)}\n    en: {scalar(label.name.en)}\n{general}"
        f'    color: "{label.color}"\n    type: {label.type}\n'
        f"    aliases: [{', '.join(map(scalar, label.aliases))}]\n"
        f"    definition:\n      zh: {scalar(label.definition.zh)}\n      en: {scalar(label.definition.en)}\n"
    )


def put(text: str, changed: Iterable[Label], added: Iterable[Label]) -> str:
    """Return the labelmap's text with labels changed, found by their slug, and others added at its end.

    Raises:
        ConfigError: a label to change does not stand in a block of its own.
    """
    text = text if text.endswith("\n") else f"{text}\n"
    for label in changed:
        pattern = rf"(?m)^  - slug: {re.escape(scalar(label.slug))}\n(?:    .*\n)+"
        text, count = re.subn(pattern, block(label).replace("\\", r"\\"), text)
        if count != 1:
            raise ConfigError(
                f"标签 {label.slug} 不是单独成段，请自行改写 / "
                f"label {label.slug} has no block of its own lines: change it by hand"
            )
    return text + "".join(map(block, added))
