"""YAML read strictly: no aliases, no duplicate keys, no unknown keys; every complaint names file and key."""

from __future__ import annotations

import json
import re
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

import yaml

from pcb_aoi.errors import ConfigError


class _StrictLoader(yaml.SafeLoader):
    """SafeLoader without aliases (a ten-line file can expand to gigabytes) and without duplicate keys."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not allowed")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [key.value for key, _ in node.value]
        doubled = next((key for key in keys if keys.count(key) > 1), None)
        if doubled is not None:
            raise yaml.MarkedYAMLError(problem=f"key {doubled!r} is given twice", problem_mark=node.start_mark)
        return super().construct_mapping(node, deep)


def load(path: Path) -> dict[str, Any]:
    """Read one YAML mapping.

    Raises:
        ConfigError: the file is missing, not UTF-8, not YAML, or not a mapping.
    """
    try:
        # utf-8-sig: Windows editors put a byte order mark in front.
        data = yaml.load(path.read_text("utf-8-sig"), Loader=_StrictLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: {' '.join(str(error).split())}") from error
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: expected a mapping, got {type(data).__name__}")
    return data


def check_keys(
    where: str, data: object, required: set[str], optional: frozenset[str] | set[str] = frozenset()
) -> dict[str, Any]:
    """Return `data` as a mapping with exactly the keys allowed.

    Raises:
        ConfigError: not a mapping, a key missing, or a key unknown; `where` starts the message.
    """
    if not isinstance(data, dict):
        raise ConfigError(f"{where}: expected a mapping, got {type(data).__name__}")
    for key in sorted(required - data.keys()):
        raise ConfigError(f"{where}: missing key {key!r}")
    for key in data:
        if key not in required | optional:
            allowed = ", ".join(sorted(required | optional))
            raise ConfigError(f"{where}: unknown key {key!r}; allowed: {allowed}")
    return data


def text(where: str, value: object) -> str:
    """Return a non-empty string, or raise ConfigError."""
    if not isinstance(value, str) or not value.strip():
        raise ConfigError(f"{where}: expected text, got {value!r}")
    return value


def number(where: str, value: object, low: float, high: float) -> float:
    """Return a number in [low, high], or raise ConfigError."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ConfigError(f"{where}: expected a number in [{low:g}, {high:g}], got {value!r}")
    return value


def integer(where: str, value: object, low: int, high: int) -> int:
    """Return a whole number in [low, high], or raise ConfigError."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ConfigError(f"{where}: expected a whole number in [{low}, {high}], got {value!r}")
    return value


def choice(where: str, value: object, among: Sequence[str]) -> str:
    """Return one of the texts `among`, or raise ConfigError."""
    if not isinstance(value, str) or value not in among:
        raise ConfigError(f"{where} must be one of {', '.join(among)}; got {value!r}")
    return value


def flag(where: str, value: object) -> bool:
    """Return true or false, or raise ConfigError."""
    if not isinstance(value, bool):
        raise ConfigError(f"{where} must be true or false; got {value!r}")
    return value


def scalar(text: str) -> str:
    """Return a text as YAML, and this reader, read it back: plain where it may be, else in quotes."""
    special = re.search(r"[:#,\[\]{}&*!|>'\"%@`\\]|^[\s?-]|\s$", text)
    word = text.lower() in ("", "null", "true", "false", "yes", "no", "on", "off", "y", "n", "~")
    number = re.fullmatch(r"[-+.\d][\d._eExXa-fA-F:+-]*", text)
    return json.dumps(text, ensure_ascii=False) if special or word or number else text


def unique(where: str, values: list[str]) -> None:
    """Raise ConfigError when a value stands twice."""
    doubled = next((value for value in values if values.count(value) > 1), None)
    if doubled is not None:
        raise ConfigError(f"{where}: {doubled!r} is given twice")
