"""What `deploy.sh status` shows: the versions that answer, what was left out, the last failures and their cures."""

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
from pcb_aoi.errors import ConfigError
from pcb_aoi.platform import fingerprint
from pcb_aoi.platform.function import Failure, ServedFunction
from pcb_aoi.platform.functions import Functions

# code -> Chinese, English. Codes without a cure of their own point at the log.
CURES = {
    "bad_config": ("./deploy.sh check 会指出哪一行有误", "./deploy.sh check names the line"),
    "bad_image": ("重新上传这一帧，或设 PCB_AOI_BAD_FRAME=skip", "upload the frame again, or PCB_AOI_BAD_FRAME=skip"),
    "bad_request": ("不是 CVAT 的调用；原因指出了字段", "not a call of CVAT's; the cause names the field"),
    "busy": ("一次只运行一个自动标注", "run one annotation at a time"),
    "deadline": ("板图太大：裁剪，或用 GPU", "the board is too large: crop it, or use a GPU"),
    "disconnected": ("CVAT 先断开了；看它的日志", "CVAT closed the connection; see its log"),
    "hung": ("运行 ./deploy.sh up", "run ./deploy.sh up"),
    "missing_weights": ("放入权重后运行 ./deploy.sh up", "put the weights there and run ./deploy.sh up"),
    "model_error": ("./deploy.sh check 会指出原因", "./deploy.sh check names the cause"),
    "no_model": ("./deploy.sh check 会指出原因", "./deploy.sh check names the cause"),
    "out_of_memory": ("裁剪板图，或换更大的显存", "crop the board, or use a card with more memory"),
    "timeout": ("板图太大，或函数卡住；函数会自动替换", "too large a board, or it hangs; it is replaced by itself"),
    "too_large": ("裁剪，或提高 PCB_AOI_MAX_*", "crop it, or raise PCB_AOI_MAX_*"),
    "unsupported_image": ("换成 PNG、JPEG、TIFF 或 BMP", "use PNG, JPEG, TIFF or BMP"),
    "warning": ("结果可能不完整，请看这一帧", "the answer may be incomplete: look at the frame"),
}
_SEE_LOG = ("看日志", "see the log")


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
            {"folder": left.folder, "code": left.code, "cause": left.cause, "cure": _cure(left.code)}
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
        "calls": function.calls,
        "failed": function.failed,
        "failures": [_failure(failure) for failure in function.failures],
    }


def _failure(failure: Failure) -> dict[str, Any]:
    return {**vars(failure), "cure": _cure(failure.code)}


def _cure(code: str) -> list[str]:
    return list(CURES.get(code, _SEE_LOG))
