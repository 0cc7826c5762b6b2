"""function.yaml and function-gpu.yaml, read: what nuclio would run, and the record that CVAT is shown.

Whether the file is a good one for a function of this project, function_yaml.py says.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pcb_aoi.config import yaml_file
from pcb_aoi.errors import ConfigError

Record = dict[str, Any]
"""A function as nuclio's dashboard shows it: metadata, spec, status."""

PROJECT_LABEL = "nuclio.io/project-name"
PROJECT = "cvat"


@dataclass(frozen=True)
class FunctionFile:
    """One function file; keys and values are as they stand in it."""

    path: Path
    data: dict[str, Any]

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read one function file.

        Raises:
            ConfigError: the file is missing, no YAML, or has no metadata or spec.
        """
        data = yaml_file.load(path)
        for key in ("metadata", "spec"):
            if not isinstance(data.get(key), dict):
                raise ConfigError(f"{path}: missing key {key}, a mapping")
        return cls(path, data)

    @property
    def metadata(self) -> dict[str, Any]:
        """Name, labels and annotations."""
        return self.data["metadata"]  # type: ignore[no-any-return]

    @property
    def spec(self) -> dict[str, Any]:
        """What nuclio builds and runs."""
        return self.data["spec"]  # type: ignore[no-any-return]

    @property
    def http_triggers(self) -> list[dict[str, Any]]:
        """The triggers of kind http; nuclio takes one."""
        triggers = self.spec.get("triggers")
        every = triggers.values() if isinstance(triggers, dict) else ()
        return [trigger for trigger in every if isinstance(trigger, dict) and trigger.get("kind") == "http"]

    @property
    def http_trigger(self) -> dict[str, Any]:
        """The first trigger of kind http, or an empty mapping."""
        return next(iter(self.http_triggers), {})

    @property
    def event_timeout_s(self) -> float | None:
        """Seconds after which nuclio ends a call; None means no limit.

        Raises:
            ConfigError: it is no Go duration.
        """
        return seconds(self.spec.get("eventTimeout"), f"{self.path}: spec.eventTimeout")

    @property
    def env(self) -> dict[str, Any]:
        """The environment that the function is started with."""
        return {str(entry["name"]): entry.get("value", "") for entry in self.spec.get("env") or []}

    def record(self) -> Record:
        """Return what CVAT is shown.

        Raises:
            ConfigError: it would break CVAT; names the key.
        """
        if not re.fullmatch(r"[a-zA-Z0-9_.-]+", str(self.metadata.get("name", ""))):
            raise ConfigError(f"{self.path}: metadata.name must be letters, digits, '_', '.', '-'")
        if not isinstance(self.spec.get("description"), str):
            raise ConfigError(f"{self.path}: spec.description is missing; CVAT requires it")
        annotations = self.metadata.get("annotations")
        if not isinstance(annotations, dict):
            raise ConfigError(f"{self.path}: metadata.annotations is missing")
        try:
            _cvat_reads(annotations)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ConfigError(
                f"{self.path}: metadata.annotations: CVAT cannot read spec or version: {error!r}"
            ) from error
        labels = {PROJECT_LABEL: PROJECT, **(self.metadata.get("labels") or {})}
        return {"metadata": {**self.metadata, "labels": labels}, "spec": self.spec}

    @contextmanager
    def environment(self) -> Iterator[None]:
        """Set `env` while a function starts; what the user has set wins, the next function sees none."""
        new = {name: str(value) for name, value in self.env.items() if name not in os.environ}
        os.environ.update(new)
        try:
            yield
        finally:
            for name in new:
                os.environ.pop(name, None)


def _cvat_reads(annotations: dict[str, Any]) -> None:
    """Read the annotations as CVAT does, without its safety net: what raises here empties its whole model list."""
    int(annotations.get("version", 1))
    labels = json.loads(annotations["spec"])
    names = [label["name"] for label in labels]
    if len(set(names)) < len(names):
        raise ValueError("label names must be unique")
    for label in labels:
        attributes = [(a["name"], a["input_type"], a["values"]) for a in label.get("attributes", [])]
        if len({name for name, _, _ in attributes}) < len(attributes):
            raise ValueError(f"attribute names of {label['name']} must be unique")


def seconds(duration: object, key: str = "spec.eventTimeout") -> float | None:
    """Read a Go duration such as `110s` or `1m30s`; None means no limit.

    Raises:
        ConfigError: it is none; names the key.
    """
    if duration is None:
        return None
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|h|m|s)", str(duration))
    if not parts or "".join(number + unit for number, unit in parts) != str(duration):
        raise ConfigError(f"{key} must look like '110s', got {duration!r}")
    return sum(float(number) * {"ms": 0.001, "s": 1, "m": 60, "h": 3600}[unit] for number, unit in parts)
