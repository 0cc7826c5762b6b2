"""model.yaml edited as text: its comments, its order and the rest of its lines belong to people.

No YAML library that keeps comments is small enough for the functions' image.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from pcb_aoi.config.labelmap import Label
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


def put_labels(text: str, labels: Iterable[Label]) -> str:
    """Return `text` with these labels. They stand last in model.yaml: all from the key on is written anew.

    Raises:
        ConfigError: there is no line `labels:`.
    """
    found = re.search(r"(?m)^labels:", text)
    if found is None:
        raise ConfigError("expected one line `labels:`, found 0")
    lines = (f"  - {{slug: {label.slug}, zh: {label.name.zh}, en: {label.name.en}}}\n" for label in labels)
    return text[: found.start()] + "labels:\n" + "".join(lines)


def _line(text: str, key: str) -> re.Match[str]:
    # As in YAML, a comment has a space in front of it; in quotes there is none.
    pattern = rf"(?m)^{re.escape(key)}:[ \t]*(?P<value>\"[^\"\n]*\"|'[^'\n]*'|(?!#)[^\n]*?)(?=[ \t]*$|[ \t]+#)"
    found = list(re.finditer(pattern, text))
    if len(found) != 1:
        raise ConfigError(f"expected one line `{key}:`, found {len(found)}")
    return found[0]
