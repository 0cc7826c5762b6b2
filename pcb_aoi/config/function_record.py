"""function.yaml as the embedded platform needs it: the record for CVAT, and what nuclio would run it with."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pcb_aoi.config import yaml_file
from pcb_aoi.errors import ConfigError

Record = dict[str, Any]
"""A function as nuclio's dashboard shows it: metadata, spec, status."""

PROJECT_LABEL = "nuclio.io/project-name"
PROJECT = "cvat"


def read_record(path: Path) -> Record:
    """Read function.yaml into the record that CVAT is shown.

    Raises:
        ConfigError: the file is missing, no function, or would break CVAT; names the key.
    """
    data = yaml_file.load(path)
    metadata, spec = data.get("metadata"), data.get("spec")
    if not isinstance(metadata, dict) or not re.fullmatch(r"[a-zA-Z0-9_.-]+", str(metadata.get("name", ""))):
        raise ConfigError(f"{path}: metadata.name must be letters, digits, '_', '.', '-'")
    if not isinstance(spec, dict) or not isinstance(spec.get("description"), str):
        raise ConfigError(f"{path}: spec.description is missing; CVAT requires it")
    annotations = metadata.get("annotations")
    if not isinstance(annotations, dict):
        raise ConfigError(f"{path}: metadata.annotations is missing")
    try:
        _cvat_reads(annotations)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{path}: metadata.annotations: CVAT cannot read spec or version: {error!r}") from error
    metadata = {**metadata, "labels": {PROJECT_LABEL: PROJECT, **(metadata.get("labels") or {})}}
    return {"metadata": metadata, "spec": spec}


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


def seconds(duration: object) -> float | None:
    """Read a Go duration such as `110s` or `1m30s`; None means no limit."""
    if duration is None:
        return None
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|h|m|s)", str(duration))
    if not parts or "".join(number + unit for number, unit in parts) != str(duration):
        raise ConfigError(f"spec.eventTimeout must look like '110s', got {duration!r}")
    return sum(float(number) * {"ms": 0.001, "s": 1, "m": 60, "h": 3600}[unit] for number, unit in parts)


def http_trigger(spec: dict[str, Any]) -> dict[str, Any]:
    triggers = (spec.get("triggers") or {}).values()
    return next((trigger for trigger in triggers if trigger.get("kind") == "http"), {})


@contextmanager
def environment(entries: list[dict[str, Any]]) -> Iterator[None]:
    """Set `spec.env` while a function starts; what the user has set wins, the next function sees none."""
    new = {str(e["name"]): str(e.get("value", "")) for e in entries if str(e["name"]) not in os.environ}
    os.environ.update(new)
    try:
        yield
    finally:
        for name in new:
            os.environ.pop(name, None)
