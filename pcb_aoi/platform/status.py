"""What `deploy.sh status` shows: the versions that answer, what was left out, and what became of the calls."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from pcb_aoi import __version__
from pcb_aoi.config import generated
from pcb_aoi.config.labelmap import Labelmap
from pcb_aoi.config.model_config import ModelConfig
from pcb_aoi.cures import cure
from pcb_aoi.errors import ConfigError
from pcb_aoi.platform import fingerprint
from pcb_aoi.platform.function import ServedFunction
from pcb_aoi.platform.functions import Functions


@dataclass(frozen=True)
class Started:
    """How this server was started."""

    host: str = "127.0.0.1"
    port: int = 8070
    allow: tuple[str, ...] = ()
    log: Path | None = None
    since: str = field(default_factory=lambda: datetime.now().astimezone().isoformat(timespec="seconds"))
    settings: dict[str, str] = field(default_factory=fingerprint.settings)


def report(functions: Functions, started: Started) -> dict[str, Any]:
    """Return the answer of GET /api/status. Reads every file of the functions to compare them: not for the event loop.

    Keys: pid, since, engine, host, port, allow, gpu, settings, names, log, changed, functions (by id), left_out.
    """
    changed = functions.changes()
    return {
        "pid": os.getpid(),
        "since": started.since,
        "engine": __version__,
        "host": started.host,
        "port": started.port,
        "allow": list(started.allow),
        "gpu": functions.file == "function-gpu.yaml",
        "settings": started.settings,
        "names": functions.names,
        "log": str(started.log or ""),
        "changed": changed,
        "functions": {name: _function(function, changed) for name, function in functions.by_id.items()},
        "left_out": [
            {"folder": left.folder, "code": left.code, "cause": left.cause, "cure": list(cure(left.code))}
            for left in functions.left_out
        ],
    }


def _without_weights(folder: Path) -> list[str]:
    """Name the labels of the function's labelmap, where it lies beside functions/, that its weights cannot answer."""
    labelmap = folder.resolve().parents[1] / "labelmaps" / f"{folder.name}.yaml"
    try:
        config = ModelConfig.load(folder / "model.yaml")
        return generated.without_weights(Labelmap.load(labelmap), config) if labelmap.is_file() else []
    except ConfigError:  # edited since; `check` says how
        return []


def _function(function: ServedFunction, changed: list[str]) -> dict[str, Any]:
    about = function.about
    return {
        "folder": function.folder.name,
        "name": function.record["metadata"]["annotations"].get("name", function.name),
        "state": function.state,
        "version": str(about.get("version", "")),
        "sha256": str(about.get("sha256") or ""),
        "provider": str(about.get("provider", "")),
        "labels": list(about.get("labels") or ()),
        "without_weights": _without_weights(function.folder),
        "changed": function.folder.name in changed,
        **function.tally.report(),
    }
