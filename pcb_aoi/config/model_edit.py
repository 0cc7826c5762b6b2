"""model.yaml edited as text: its comments, its order and the rest of its lines belong to people.

No YAML library that keeps comments is small enough for the functions' image.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping

from pcb_aoi.config.labelmap import TYPES, Label
from pcb_aoi.config.yaml_file import scalar
from pcb_aoi.errors import ConfigError


def value(text: str, key: str) -> str:
    """Return what stands behind a top-level key, without quotes and comment.

    Raises:
        ConfigError: the key does not stand in exactly one line.
    """
    return _line(text, key)["value"].strip("'\"")


def put(text: str, values: Mapping[str, str]) -> str:
    """Return `text` with top-level keys set to these values, as they are to be written; comments behind them stay.

    Raises:
        ConfigError: a key does not stand in exactly one line.
    """
    for key, new in values.items():
        found = _line(text, key)
        start, end = found.span("value")
        space = " " * (text[start - 1] == ":")
        text = text[:start] + space + new + text[end:]
    return text


def put_optional(text: str, key: str, new: str | None) -> str:
    """Return `text` with a key that need not be there set to `new`, or without it where that is None.

    A new line stands before `language`, which every model.yaml has.

    Raises:
        ConfigError: the key stands in several lines, or there is no line `language:`.
    """
    if re.search(rf"(?m)^{re.escape(key)}:", text):
        return put(text, {key: new}) if new is not None else re.sub(rf"(?m)^{re.escape(key)}:.*\n", "", text)
    return text if new is None else _before_language(text, f"{key}: {new}\n")


def put_classes(text: str, lines: Iterable[str]) -> str:
    """Return `text` with these lines under `classes:`, in place of those there.

    Raises:
        ConfigError: there is no line `language:`.
    """
    text = re.sub(r"(?m)^classes:.*\n(?:[ \t]+.*\n)*", "", text)
    body = "".join(f"  {line}\n" for line in lines)
    return _before_language(text, f"classes: # class of the weights: label\n{body}")


def _before_language(text: str, new: str) -> str:
    start = _line(text, "language").start()
    return text[:start] + new + text[start:]


def put_labels(text: str, labels: Iterable[Label], hidden: Collection[str] = ()) -> str:
    """Return `text` with these labels, those of the slugs in `hidden` with `offer: false`.

    They stand last in model.yaml: all from the key on is written anew.

    Raises:
        ConfigError: there is no line `labels:`.
    """
    found = re.search(r"(?m)^labels:", text)
    if found is None:
        raise ConfigError("expected one line `labels:`, found 0")
    return (
        text[: found.start()] + "labels:\n" + "".join(_label_line(label, label.slug not in hidden) for label in labels)
    )


def _label_line(label: Label, offered: bool) -> str:
    kind = "" if label.type == TYPES[0] else f", type: {label.type}"
    hidden = "" if offered else ", offer: false"
    return (
        f"  - {{slug: {scalar(label.slug)}, zh: {scalar(label.name.zh)}, en: {scalar(label.name.en)}{kind}{hidden}}}\n"
    )


def _line(text: str, key: str) -> re.Match[str]:
    # As in YAML, a comment has a space in front of it; in quotes there is none.
    pattern = rf"(?m)^{re.escape(key)}:[ \t]*(?P<value>\"[^\"\n]*\"|'[^'\n]*'|(?!#)[^\n]*?)(?=[ \t]*$|[ \t]+#)"
    found = list(re.finditer(pattern, text))
    if len(found) != 1:
        raise ConfigError(f"expected one line `{key}:`, found {len(found)}")
    return found[0]
